"""Likeness of maps against direct computations; randomised weights; verdicts on methods known to pass or fail."""

import keras
import numpy as np
import pytest
from scipy.stats import spearmanr

from brain_mri.explanation.saliency import Explainer
from brain_mri.explanation.sanity import (
    MEASURES,
    hog,
    other_image,
    randomisation_test,
    randomisations,
    similarity,
    ssim,
    stability,
    verdict,
)


def noise(seed: int, n: int = 4, size: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).random((n, size, size)).astype(np.float32)


def small() -> keras.Model:
    """Four weighted layers, with normalisation behind the first two."""
    keras.utils.set_random_seed(2)
    x = image = keras.Input((32, 32, 1), name="image")
    x = keras.layers.Rescaling(1 / 255)(x)
    for index, filters in enumerate([4, 8]):
        x = keras.layers.BatchNormalization(name=f"bn{index}")(keras.layers.Conv2D(filters, 3, name=f"conv{index}")(x))
        x = keras.layers.ReLU()(x)
    x = keras.layers.ReLU()(keras.layers.Conv2D(8, 3, name="conv2")(x))
    x = keras.layers.Dense(3, name="logits")(keras.layers.Dropout(0.4)(keras.layers.GlobalAveragePooling2D()(x)))
    model = keras.Model(image, keras.layers.Softmax(name="probabilities")(x))
    model.set_weights([weight + 0.1 for weight in model.get_weights()])  # nothing is as it began
    return model


def test_a_map_is_like_itself_at_any_scale() -> None:
    for name, values in similarity(noise(0), 1e-6 * noise(0)).items():
        np.testing.assert_allclose(values, 1, rtol=1e-6, err_msg=name)


def test_noise_is_not_like_other_noise() -> None:
    found = similarity(noise(0, 30), noise(1, 30))
    assert {name: values.shape for name, values in found.items()} == dict.fromkeys(found, (30,))
    assert abs(found["rank_correlation"].mean()) < 0.02
    assert abs(found["ssim"].mean()) < 0.05
    assert abs(found["hog_correlation"].mean()) < 0.25  # cells of 4x4 pixels


def test_rank_correlation_is_spearmans() -> None:
    one, other = noise(0), np.maximum(noise(0) + noise(1) - 1, 0)  # with ties
    expected = [spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(one, other, strict=True)]
    np.testing.assert_allclose(similarity(one, other)["rank_correlation"], expected, rtol=1e-9)
    ramp = np.linspace(0, 1, 1024, dtype=np.float32).reshape(1, 32, 32)
    assert similarity(ramp, 1 - ramp)["rank_correlation"][0] == pytest.approx(-1)
    assert similarity(ramp, ramp**9)["rank_correlation"][0] == pytest.approx(1)


def test_ssim_is_that_of_the_paper() -> None:
    # Of two flat images only the luminance term is left.
    flat = np.ones((16, 16), np.float32)
    assert ssim(0.2 * flat, 0.6 * flat) == pytest.approx((2 * 0.12 + 1e-4) / (0.04 + 0.36 + 1e-4))
    one, other = noise(0, 1, 20)[0].astype(float), noise(1, 1, 20)[0].astype(float)
    other = 0.5 * one + 0.5 * other
    axis = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(axis, axis) / axis.sum() ** 2

    def mean(x: np.ndarray) -> np.ndarray:
        windows = np.lib.stride_tricks.sliding_window_view(x, (11, 11))
        return (windows * window).sum(axis=(2, 3))

    a, b = mean(one), mean(other)
    var_a, var_b, cov = mean(one**2) - a**2, mean(other**2) - b**2, mean(one * other) - a * b
    local = (2 * a * b + 1e-4) * (2 * cov + 9e-4) / ((a**2 + b**2 + 1e-4) * (var_a + var_b + 9e-4))
    assert ssim(one, other) == pytest.approx(local.mean(), rel=1e-6)


def test_hog_votes_for_the_orientation_of_the_edge() -> None:
    y, x = np.mgrid[:64, :64] / 64.0
    for angle in 5, 47, 90, 133, 171:
        ramp = np.cos(np.deg2rad(angle)) * x + np.sin(np.deg2rad(angle)) * y
        blocks = hog((ramp - ramp.min())[None]).reshape(36, 9, 9)
        assert blocks.sum(axis=(0, 2)).argmax() == angle // 20
    across, down = (hog(np.sin(20 * part)[None]) for part in (x, y))
    assert np.corrcoef(across, down)[0, 1] < 0 < np.corrcoef(across, hog(np.sin(21 * x)[None]))[0, 1]


def test_flat_maps_have_no_order() -> None:
    for values in similarity(np.zeros((2, 32, 32)), noise(0, 2)).values():
        assert np.isfinite(values).all()
    assert similarity(np.zeros((1, 32, 32)), noise(0, 1))["rank_correlation"][0] == 0


def changed_layers(model: keras.Model, learned: list[list[np.ndarray]]) -> set[str]:
    return {
        layer.name
        for layer, weights in zip(model.layers, learned, strict=True)
        if any((now != old).any() for now, old in zip(layer.get_weights(), weights, strict=True))
    }


def test_cascading_and_independent_randomisation() -> None:
    model = small()
    learned = [layer.get_weights() for layer in model.layers]
    changed = [(layer, changed_layers(model, learned)) for layer in randomisations(model, "cascading", 4)]
    assert changed == [
        ("logits", {"logits"}),
        ("conv2", {"logits", "conv2"}),
        ("conv1", {"logits", "conv2", "conv1", "bn1"}),
        ("conv0", {"logits", "conv2", "conv1", "bn1", "conv0", "bn0"}),
    ]
    changed = [(layer, changed_layers(model, learned)) for layer in randomisations(model, "independent", 3)]
    assert changed == [("logits", {"logits"}), ("conv1", {"conv2", "conv1", "bn1"}), ("conv0", {"conv0", "bn0"})]
    assert changed_layers(model, learned) == set()


def test_randomised_weights_come_from_the_seed_and_have_the_scale_of_a_fresh_network() -> None:
    model, found = small(), []
    for seed in 1, 1, 2:
        for _ in randomisations(model, "cascading", 2, seed):
            weights = model.get_layer("conv2").get_weights()
        found.append(weights)
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert (found[0][0] != found[2][0]).any()
    assert found[0][0].std() == pytest.approx(np.sqrt(2 / (3 * 3 * 8)), rel=0.15)
    assert not found[0][1].any()


def test_the_weights_return_even_after_an_error() -> None:
    model = small()
    learned = [layer.get_weights() for layer in model.layers]

    def fail() -> dict[str, np.ndarray]:
        if changed_layers(model, learned):
            raise RuntimeError
        return {"any": noise(0)}

    with pytest.raises(RuntimeError):
        randomisation_test(model, {"any": noise(0)}, fail, "cascading", 3)
    assert changed_layers(model, learned) == set()


def test_a_network_decides_gradients_and_not_the_controls() -> None:
    model = small()
    explainer, images = Explainer(model), np.random.default_rng(0).integers(0, 256, (4, 32, 32, 1)).astype(np.uint8)
    methods, classes = ["gradient", "sobel", "random"], np.zeros(4, int)

    def maps() -> dict[str, np.ndarray]:
        return explainer.explain(images, classes, methods)

    layers, table = randomisation_test(model, maps(), maps, "cascading", 4)
    assert layers == ["logits", "conv2", "conv1", "conv0"] and set(table) == set(methods)
    for method in "sobel", "random":
        for name in (*MEASURES, "left"):
            np.testing.assert_allclose(table[method][name], np.ones(4), rtol=1e-6)
        found = verdict(method, layers, table[method]["left"])
        assert not found["passes"] and "up to 100% of its map is left" in found["sentence"]
    assert table["gradient"]["left"][-1] < 0.3


def test_a_method_that_reads_the_upper_layers_passes_and_one_that_reads_the_lowest_fails() -> None:
    model = small()

    def maps() -> dict[str, np.ndarray]:
        def map_of(layer: str) -> np.ndarray:
            value = float(np.abs(model.get_layer(layer).get_weights()[0]).sum())
            return noise(int(1000 * value), 6)

        return {"upper": map_of("conv2"), "lowest": map_of("conv0")}

    layers, table = randomisation_test(model, maps(), maps, "cascading", 4)
    upper, lowest = (verdict(method, layers, table[method]["left"]) for method in ("upper", "lowest"))
    assert upper["passes"] and "conv2" in upper["sentence"] and not lowest["passes"]
    np.testing.assert_allclose(table["lowest"]["left"], [1, 1, 1, 0], atol=0.1)
    _, table = randomisation_test(model, maps(), maps, "independent", 4)
    np.testing.assert_allclose(table["upper"]["left"], [1, 0, 1, 1], atol=0.15)
    np.testing.assert_allclose(table["lowest"]["left"], [1, 1, 1, 0], atol=0.15)


def test_one_image_and_none() -> None:
    assert all(values.shape == (0,) for values in similarity(noise(0, 0), noise(1, 0)).values())
    model = small()
    fixed = {"fixed": noise(0, 1)}
    _, table = randomisation_test(model, fixed, lambda: fixed, "cascading", 2)
    np.testing.assert_allclose(table["fixed"]["left"], 1, atol=0.01)


def test_stability_of_maps_that_move_with_the_image_and_of_one_that_does_not() -> None:
    images = np.random.default_rng(0).integers(20, 230, (3, 40, 40, 1)).astype(np.uint8)
    fixed = np.broadcast_to(noise(5, 1, 40), (3, 40, 40))

    def maps(images: np.ndarray) -> dict[str, np.ndarray]:
        return {"image": images[..., 0].astype(np.float32), "fixed": fixed}

    found = stability(maps(images), maps, images, shift=3)
    for name in "rank_correlation", "ssim", "hog_correlation":
        np.testing.assert_allclose(found["image"]["shift"][name], 1, atol=0.01)
        assert (found["image"]["noise"][name] > 0.9).all()
        np.testing.assert_allclose(found["fixed"]["noise"][name], 1, rtol=1e-6)
    assert abs(found["fixed"]["shift"]["rank_correlation"]).max() < 0.15


def test_chance_is_taken_of_the_maps_at_hand() -> None:
    """Maps that are empty but for a spot are alike whatever they show: dense ones must not pass for that."""
    model = small()
    learned = model.get_weights()
    spots = np.zeros((8, 32, 32), np.float32)
    for index in range(8):
        spots[index, 3 * index : 3 * index + 8, 24 - 3 * index : 32 - 3 * index] = noise(index, 1, 8)[0] + 0.5

    def maps() -> dict[str, np.ndarray]:
        random = any((now != old).any() for now, old in zip(model.get_weights(), learned, strict=True))
        return {"keeps": spots + 0.6 * noise(4, 8) * random, "loses": noise(5, 8) if random else spots}

    layers, table = randomisation_test(model, maps(), maps, "cascading", 4, seeds=(0, 1))
    assert similarity(spots, np.roll(spots, 4, axis=0))["ssim"].mean() > table["keeps"]["ssim"].mean()
    keeps, loses = (verdict(method, layers, table[method]["left"])["passes"] for method in ("keeps", "loses"))
    assert loses and not keeps
    np.testing.assert_allclose(table["loses"]["left"], np.zeros(4), atol=0.05)


def test_another_image_is_half_the_images_on() -> None:
    one = noise(0, 6)
    for values in other_image(one, np.roll(one, 3, axis=0)).values():
        np.testing.assert_allclose(values, 1, rtol=1e-6)
    assert other_image(one[:1], one[:1])["rank_correlation"].tolist() == [0]
