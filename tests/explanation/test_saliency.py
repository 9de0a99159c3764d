"""Saliency maps: values worked out by hand, laws of the methods, and where they point."""

import keras
import numpy as np
import pytest
from settings import network

from brain_mri.errors import UserError
from brain_mri.explanation.localisation import pointing_game
from brain_mri.explanation.maps import importance, upsample
from brain_mri.explanation.saliency import METHODS, Explainer, grad_cam, grad_cam_pp
from brain_mri.network.lesion import lesion_head


def explain(
    model: keras.Model, images: np.ndarray, classes: np.ndarray, methods: list[str] | None = None
) -> dict[str, np.ndarray]:
    return Explainer(model).explain(images, classes, methods)


def two_channels(stride: int = 1) -> keras.Model:
    """relu(x) and relu(3 - x) of every `stride`-th pixel of a 4x4 image; logits: 4 times the sum of the difference."""
    image = keras.Input((4, 4, 1), name="image")
    x = keras.layers.ReLU(name="last")(keras.layers.Conv2D(2, 1, strides=stride, name="conv")(image))
    x = keras.layers.Dense(2, name="logits")(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, keras.layers.Softmax(name="probabilities")(x))
    model.get_layer("conv").set_weights([np.float32([1, -1]).reshape(1, 1, 1, 2), np.float32([0, 3])])
    model.get_layer("logits").set_weights([np.float32([[4, -4], [-4, 4]]), np.float32([0, 0])])
    return model


def small(seed: int = 1, size: int = 24) -> keras.Model:
    """A small convolutional network with seeded weights, batch normalisation and three classes."""
    keras.utils.set_random_seed(seed)
    x = image = keras.Input((size, size, 1), name="image")
    x = keras.layers.Rescaling(1 / 255)(x)
    for filters in 8, 12:
        x = keras.layers.Conv2D(filters, 3, padding="same", bias_initializer="glorot_normal")(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.Dense(3, name="logits")(keras.layers.Dropout(0.4)(keras.layers.GlobalAveragePooling2D()(x)))
    return keras.Model(image, keras.layers.Softmax(name="probabilities")(x))


def images(n: int = 5, size: int = 24) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, size, size, 1)).astype(np.uint8)


QUARTERS = np.kron([[1, 2.5], [4, -1]], np.ones((2, 2))).astype(np.float32)[None, ..., None]


def test_grad_cam_by_hand() -> None:
    # 4/4 * relu(x) - 4/4 * relu(3 - x): 1 - 2, 2.5 - 0.5, 4 - 0, 0 - 4; the other class has the opposite sign.
    model = two_channels(stride=2)
    cam = np.concatenate([explain(model, QUARTERS, np.array([label]), ["grad_cam"])["grad_cam"] for label in (0, 1)])
    bilinear = np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    np.testing.assert_allclose(cam[0], bilinear @ [[0, 2], [4, 0]] @ bilinear.T, rtol=1e-6)
    np.testing.assert_allclose(cam[1], bilinear @ [[1, 0], [0, 4]] @ bilinear.T, rtol=1e-6)


def test_grad_cam_pp_by_hand() -> None:
    # Channel 1: gradient 1 at 4 places, activations 1, 2.5, 4, 0: weight 4 / (2 + 7.5). Channel 2: gradient -1: none.
    model = two_channels(stride=2)
    cam = explain(model, QUARTERS, np.array([0]), ["grad_cam_pp"])["grad_cam_pp"][0]
    np.testing.assert_allclose(cam[::3, ::3], np.array([[1, 2.5], [4, 0]]) * 4 / 9.5, rtol=1e-6)


def test_grad_cam_pp_is_the_papers_formula() -> None:
    rng = np.random.default_rng(0)
    a, g = rng.random((2, 5, 4, 3)), rng.normal(size=(2, 5, 4, 3))
    second, third = g**2, g**3  # of exp(logit), without the common factor (eq. 15-16)
    alpha = second / (2 * second + a.sum(axis=(1, 2), keepdims=True) * third)
    weights = (alpha * np.maximum(g, 0)).sum(axis=(1, 2))
    expected = np.maximum(np.einsum("nhwc,nc->nhw", a, weights), 0)
    found = grad_cam_pp(keras.ops.convert_to_tensor(np.float32(a)), keras.ops.convert_to_tensor(np.float32(g)))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_cams_of_nothing_are_zero() -> None:
    zero = keras.ops.zeros((1, 3, 3, 2))
    for method in grad_cam, grad_cam_pp:
        assert not method(zero, zero).any()


def test_guided_grad_cam_is_the_product() -> None:
    maps = explain(small(), images(), np.array([0, 1, 2, 0, 1]))
    assert tuple(maps) == METHODS
    for method, values in maps.items():
        assert values.shape == (5, 24, 24) and values.dtype == np.float32 and np.isfinite(values).all(), method
    np.testing.assert_allclose(maps["guided_grad_cam"], maps["guided_backpropagation"] * maps["grad_cam"], rtol=1e-6)


def test_integrated_gradients_are_complete() -> None:
    model, classes = small(), np.array([0, 1, 2, 0, 1])
    maps = explain(model, images(), classes, ["integrated_gradients"])["integrated_gradients"]
    logits = keras.Model(model.input, model.get_layer("logits").output)
    rise = logits.predict(images(), verbose=0) - logits.predict(images() * 0, verbose=0)
    np.testing.assert_allclose(
        maps.sum(axis=(1, 2)), rise[np.arange(5), classes], rtol=0.01, atol=0.004 * np.abs(rise).max()
    )


def test_same_maps_in_any_batches_companies_and_image_types() -> None:
    explainer, classes = Explainer(small()), np.array([0, 1, 2, 0, 1])
    whole = explainer.explain(images(), classes)
    for method in METHODS:
        alone = explainer.explain(images().astype(np.float32), classes, [method], batch_size=2)
        assert list(alone) == [method]
        scale = np.abs(whole[method]).max()
        np.testing.assert_allclose(alone[method], whole[method], rtol=1e-3, atol=1e-4 * scale, err_msg=method)


def test_the_class_asked_for_is_explained() -> None:
    maps = explain(small(), images(2)[[0, 0]], np.array([0, 1]), ["gradient", "sobel"])
    assert np.abs(maps["gradient"][0] - maps["gradient"][1]).max() > 0.1 * np.abs(maps["gradient"]).max()
    np.testing.assert_array_equal(maps["sobel"][0], maps["sobel"][1])


def test_passes_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    explainer, calls = Explainer(small()), []
    run = explainer._run
    monkeypatch.setattr(explainer, "_run", lambda kind, *batch: calls.append(kind) or run(kind, *batch))
    methods = ["gradient", "grad_cam", "grad_cam_pp", "guided_backpropagation", "guided_grad_cam", "sobel"]
    explainer.explain(images(), np.zeros(5, int), methods, batch_size=3)
    assert calls == ["to_image", "guided"] * 2
    calls.clear()
    explainer.explain(images(), np.zeros(5, int), ["grad_cam"])
    assert calls == ["to_layer"]


def test_no_images_and_unknown_methods() -> None:
    assert explain(small(), images(0), np.zeros(0, int), ["grad_cam"])["grad_cam"].shape == (0, 24, 24)
    with pytest.raises(UserError, match="lime unknown; choose among gradient"):
        explain(small(), images(), np.zeros(5, int), ["grad_cam", "lime"])


def test_controls_know_nothing_of_the_model() -> None:
    one, other = (explain(small(seed), images(), np.zeros(5, int), ["sobel", "random"]) for seed in (1, 2))
    for method in one:
        np.testing.assert_array_equal(one[method], other[method])


SIDE = 40


def scans(n: int, seed: int, marked: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Noise with a soft lesion somewhere: in every second image, which is class 1. With `marked` every image has a
    lesion, and class 1 has a chequered square in its corner instead, so that nothing else tells the classes apart."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    y, x = np.mgrid[:SIDE, :SIDE]
    centre = rng.uniform(8, SIDE - 8, (2, n, 1, 1))
    away = (y - centre[0]) ** 2 + (x - centre[1]) ** 2
    diseased = (labels == 1)[:, None, None] | marked
    corner = np.zeros(away.shape, bool)
    corner[labels == 1, 4:12, -12:-4] = True
    pictures = 90 + rng.normal(0, 15, away.shape) + 50 * np.exp(-away / 25) * diseased
    if marked:
        pictures += 80 * corner * np.where((x + y) % 2, 1, -1)
    return np.clip(pictures, 0, 255).astype(np.uint8)[..., None], labels, (away < 5**2) & diseased, corner


def trained(marked: bool, lesion_map: bool) -> keras.Model:
    x = image = keras.Input((SIDE, SIDE, 1), name="image")
    x = keras.layers.Rescaling(1 / 255)(x)
    for filters, stride in (8, 2), (16, 2), (16, 1):
        x = keras.layers.Conv2D(filters, 3, strides=stride, padding="same")(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.8)(x))
    if lesion_map:
        x = keras.layers.Activation("linear", name="logits")(lesion_head(x, 2, 0))
    else:
        x = keras.layers.Dense(2, name="logits")(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, keras.layers.Softmax(name="probabilities")(x))
    rng = np.random.default_rng(0)  # the same start with each backend
    for weights in model.trainable_weights:
        if weights.path.endswith("kernel"):
            weights.assign(rng.normal(0, np.sqrt(2 / np.prod(weights.shape[:-1])), weights.shape))
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", jit_compile=False)
    pictures, labels, _, _ = scans(320, 1, marked)
    model.fit(pictures.astype(np.float32), labels, batch_size=32, epochs=6, shuffle=False, verbose=0)
    return model


@pytest.mark.parametrize(
    ("marked", "lesion_map", "place"), [(False, False, "lesion"), (True, False, "corner"), (False, True, "lesion")]
)
def test_the_explanations_point_at_the_lesion_or_at_a_planted_shortcut(
    marked: bool, lesion_map: bool, place: str
) -> None:
    pictures, labels, lesions, corners = (part[1::2] for part in scans(80, 2, marked))
    maps = explain(trained(marked, lesion_map), pictures, labels, ["grad_cam", "grad_cam_pp", "guided_grad_cam"])
    for method, values in maps.items():
        hits = {
            name: pointing_game(importance(values), masks, 2).mean()
            for name, masks in (("lesion", lesions), ("corner", corners))
        }
        assert hits.pop(place) > 0.85 and max(hits.values()) < 0.2, method


def test_a_lesion_head_offers_its_map() -> None:
    model = network("compact_lesion", standardise=True)
    explainer = Explainer(model)
    assert explainer.methods == ("lesion_map", *METHODS)
    pictures = np.random.default_rng(0).integers(0, 255, (3, 32, 32, 1), dtype=np.uint8)
    logits = keras.Model(model.input, model.get_layer("lesion_logits").output)(pictures.astype(np.float32))
    shares = keras.ops.convert_to_numpy(keras.ops.softmax(logits, axis=-1))
    maps = [explainer.explain(pictures, np.full(3, label), ["lesion_map"])["lesion_map"] for label in range(4)]
    np.testing.assert_allclose(np.sum(maps, axis=0), 1, atol=1e-5)
    np.testing.assert_allclose(maps[3], upsample(shares[..., 3], (32, 32)), atol=1e-6)
    assert set(explainer.explain(pictures, np.zeros(3, int))) == set(explainer.methods)
    # Of "no tumour" it shows where a lesion was nearest to being seen; that there is none is so nearly everywhere.
    of_none = Explainer(model, negative=2).explain(pictures, np.full(3, 2), ["lesion_map"])["lesion_map"]
    np.testing.assert_allclose(of_none, maps[0] + maps[1] + maps[3], atol=1e-5)
    with pytest.raises(UserError, match="lesion_map unknown"):
        explain(small(), images(), np.zeros(5, int), ["lesion_map"])
