"""Cutting and differentiating: by hand on small networks, and what must not change."""

import keras
import numpy as np
import pytest
from settings import network as build

from brain_mri.errors import UserError
from brain_mri.explanation.gradients import cut, default_layer, differentiate, rectified_layer, spatial_layers

PIXELS = np.float32([1, 2.5, 4, -1]).reshape(1, 2, 2, 1)


def by_hand() -> keras.Model:
    """Three 1x1 convolutions with ReLU on four pixels; what each pixel gives is worked out in the tests.

    a = relu(x), b = relu(3 - x); c = relu(a - b), d = relu(2b - a); e = relu(c - d + 1), f = relu(d - c);
    logits: mean of 4e - 8f, mean of 4f.
    """
    x = image = keras.Input((2, 2, 1), name="image")
    for name in "ab", "cd", "ef":
        x = keras.layers.Conv2D(2, 1, name=f"conv_{name}")(x)
        x = keras.layers.ReLU(name=name)(x)
    x = keras.layers.Dense(2, name="logits")(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, keras.layers.Softmax(name="probabilities")(x))
    weights = {
        "conv_ab": ([[1, -1]], [0, 3]),
        "conv_cd": ([[1, -1], [-1, 2]], [0, 0]),
        "conv_ef": ([[1, -1], [-1, 1]], [1, 0]),
        "logits": ([[4, 0], [-8, 4]], [0, 0]),
    }
    for name, (kernel, bias) in weights.items():
        layer = model.get_layer(name)
        layer.set_weights([np.float32(kernel).reshape(layer.kernel.shape), np.float32(bias)])
    return model


def residual(fused: bool = False) -> keras.Model:
    """A small residual network with seeded weights; `fused` has each ReLU inside its convolution."""
    keras.utils.set_random_seed(1)
    image = keras.Input((12, 10, 1), name="image")
    x = keras.layers.Rescaling(1 / 255)(image)

    def conv(x: keras.KerasTensor, name: str, **options: object) -> keras.KerasTensor:
        x = keras.layers.Conv2D(4, 3, padding="same", name=name, activation="relu" if fused else None, **options)(x)
        return x if fused else keras.layers.ReLU(name=f"{name}_relu")(x)

    x = conv(x, "stem", strides=2)
    x = keras.layers.Add(name="sum")([x, conv(conv(x, "inner"), "second")])
    x = keras.layers.MaxPooling2D(name="pool")(keras.layers.ReLU(name="out")(x))
    x = keras.layers.Dense(3, name="logits")(keras.layers.Flatten()(x))
    return keras.Model(image, keras.layers.Softmax(name="probabilities")(x))


def numpy(tensor: object) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def images(n: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 12, 10, 1)).astype(np.float32)


@pytest.mark.parametrize(("label", "expected"), [(0, [6, 2, 1, 4]), (1, [-3, 0, 0, -2])])
def test_plain_gradient_by_hand(label: int, expected: list[float]) -> None:
    found = differentiate(cut(by_hand()), to_image=True)(PIXELS, np.array([label]))
    np.testing.assert_allclose(numpy(found.d_image).ravel(), expected, rtol=1e-6)


# Class 0: e passes 1 back, f's -2 is stopped; c passes 1 to a, and b's -1 is stopped. Pixels with e at 0 give nothing.
# Class 1: f passes 1 to d; of d's (-1 to a, 2 to b) the first is stopped; b = relu(3 - x) turns the second into -2.
@pytest.mark.parametrize(("label", "expected"), [(0, [0, 1, 1, 0]), (1, [-2, 0, 0, -2])])
def test_guided_backpropagation_by_hand(label: int, expected: list[float]) -> None:
    found = differentiate(cut(by_hand(), guided=True), to_image=True)(PIXELS, np.array([label]))
    np.testing.assert_allclose(numpy(found.d_image).ravel(), expected, rtol=1e-6)
    np.testing.assert_allclose(numpy(found.logits), numpy(cut(by_hand()).head(cut(by_hand()).trunk(PIXELS))))


def test_gradient_at_the_layer_is_the_dense_weight_shared_by_the_pixels() -> None:
    found = differentiate(cut(by_hand()), to_image=False)(PIXELS.repeat(2, axis=0), np.array([0, 1]))
    assert found.d_image is None
    np.testing.assert_allclose(numpy(found.d_activations)[:, 0, 0], [[1, -2], [0, 1]])


@pytest.mark.parametrize("layer", ["stem_relu", "inner", "second_relu", "sum", "out", "pool"])
def test_gradients_agree_with_finite_differences_at_any_layer(layer: str) -> None:
    parts = cut(residual(), layer)
    assert parts.bypassed == (layer in {"inner", "second_relu"})
    classes = np.array([0, 1, 2])
    found = differentiate(parts, to_image=True)(images(), classes)
    activations = numpy(found.activations)
    # In proportion to the activations, so that none leaves the kink of its ReLU at 0.
    step = 0.002 * activations * np.random.default_rng(1).normal(size=activations.shape).astype(np.float32)

    def score(activations: np.ndarray) -> np.ndarray:
        logits = parts.head([activations, images()] if parts.bypassed else activations)
        return numpy(logits)[np.arange(3), classes]

    numeric = (score(activations + step) - score(activations - step)) / 2
    along = (numpy(found.d_activations) * step).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(along, numeric, atol=0.03 * np.abs(numeric).max())
    whole = differentiate(cut(residual()), to_image=True)(images(), classes)
    np.testing.assert_allclose(numpy(found.d_image), numpy(whole.d_image), rtol=1e-4, atol=1e-8)


def test_a_relu_inside_a_convolution_is_guided_too() -> None:
    apart, fused = residual(), residual(fused=True)
    fused.set_weights(apart.get_weights())
    plain, one, other = (
        numpy(differentiate(parts, to_image=True)(images(), np.zeros(3)).d_image)
        for parts in (cut(apart), cut(apart, guided=True), cut(fused, guided=True))
    )
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-9)
    assert np.abs(one - plain).max() > 0.1 * np.abs(plain).max()


def own_loss(truth: object, found: object) -> object:
    return keras.ops.mean(found)


def test_the_model_is_left_as_it_was_and_its_weights_are_followed(tmp_path) -> None:  # type: ignore[no-untyped-def]
    model = residual()
    model.compile(loss=own_loss)  # which no copy of the model could be given
    before = numpy(model(images()))
    run = differentiate(cut(model, "inner"), to_image=True)
    guided = differentiate(cut(model, guided=True), to_image=True)
    old, old_guided = run(images(), np.zeros(3)).d_image, guided(images(), np.zeros(3)).d_image
    np.testing.assert_array_equal(numpy(model(images())), before)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_array_equal(numpy(loaded(images())), before)
    model.set_weights([2 * weight for weight in model.get_weights()])
    assert np.abs(numpy(run(images(), np.zeros(3)).d_image)).sum() > 2 * np.abs(numpy(old)).sum()
    assert np.abs(numpy(guided(images(), np.zeros(3)).d_image)).sum() > 2 * np.abs(numpy(old_guided)).sum()


def test_layers() -> None:
    model = residual()
    assert default_layer(model) == "out"  # the activation behind the last convolution, not the pooling
    assert default_layer(by_hand()) == "ef"
    sizes = spatial_layers(model)
    assert sizes["out"] == (6, 5) and sizes["pool"] == (3, 2)
    assert not {"image", "flatten", "logits", "probabilities"} & set(sizes)


@pytest.mark.parametrize(
    ("network", "explained", "rectified"),
    [
        ("compact", "block4_out", "block4_out"),
        ("compact_fine", "squares", "squares"),
        ("compact_lesion", "lesion_logits", "dropout"),
        ("efficientnet_lesion", "lesion_logits", "dropout"),
    ],
)
def test_the_last_map_that_cannot_be_negative(network: str, explained: str, rectified: str) -> None:
    model = build(network, classes=3)
    assert (default_layer(model), rectified_layer(model, explained)) == (explained, rectified)
    assert rectified_layer(residual(), "pool") == "pool" and rectified_layer(residual(), "inner") == "stem_relu"


def test_what_cannot_be_cut_is_one_line() -> None:
    model = residual()
    with pytest.raises(UserError, match=r"layer 'nowhere' is not in the model; .*stem_relu.*pool"):
        cut(model, "nowhere")
    with pytest.raises(UserError, match="layer 'logits' has no spatial map; those with"):
        cut(model, "logits")
    image = keras.Input((4, 4, 1), name="image")
    smooth = keras.layers.Conv2D(2, 3, activation="swish", name="conv")(image)
    other = keras.layers.Dense(2, name="logits")(keras.layers.Flatten()(smooth))
    with pytest.raises(UserError, match="no ReLU, and guided"):
        cut(keras.Model(image, other), guided=True)
    with pytest.raises(UserError, match="no ReLU up to layer 'conv'"):
        rectified_layer(keras.Model(image, other), "conv")
    with pytest.raises(UserError, match="no layer named 'logits'"):
        cut(keras.Model(image, smooth))
    with pytest.raises(UserError, match="no convolution"):
        cut(keras.Model(image, keras.layers.Dense(2, name="logits")(keras.layers.Flatten()(image))))
