"""All outputs of a network in one pass, whatever the process has built before."""

import keras
import numpy as np
import pytest
from settings import network

from brain_mri.network.batches import predict_logits
from brain_mri.network.features import predict_with_features
from brain_mri.prediction.outputs import predict_all, with_all_outputs

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 1), dtype=np.uint8)


@pytest.mark.parametrize(("name", "map_"), [("compact", False), ("compact_lesion", True)])
def test_the_outputs_are_the_network_s_and_agree(name: str, map_: bool) -> None:
    model = network(name)
    found = predict_all(with_all_outputs(model, 2.0), IMAGES)
    assert ("lesion_logits" in found) == map_
    exponents = np.exp(found["logits"] / 2)
    np.testing.assert_allclose(found["calibrated"], exponents / exponents.sum(1, keepdims=True), rtol=1e-5)
    np.testing.assert_allclose(found["probabilities"], model.predict_on_batch(IMAGES.astype(np.float32)), rtol=1e-5)


@pytest.mark.parametrize("name", ["compact", "compact_lesion"])
def test_mirrored_an_image_and_its_mirror_image_get_one_answer(name: str) -> None:
    model = network(name)
    once, found, turned = (
        predict_all(with_all_outputs(model, 2.0, mirrored), images)
        for mirrored, images in ((False, IMAGES), (True, IMAGES), (True, IMAGES[:, :, ::-1]))
    )
    for output in ("logits", "probabilities", "calibrated"):
        np.testing.assert_allclose(found[output], turned[output], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["logits"], predict_logits(model, IMAGES, 2, mirrored=True), rtol=1e-4, atol=1e-6)
    classes, _ = predict_with_features(model, {"all": IMAGES[..., 0]}, 2, mirrored=True)
    assert (classes["all"] == found["logits"].argmax(1)).all()
    exponents = np.exp(found["logits"])
    np.testing.assert_allclose(found["probabilities"], exponents / exponents.sum(1, keepdims=True), rtol=1e-4)
    np.testing.assert_array_equal(found["inner_0"], once["inner_0"])
    if "lesion_logits" in found:
        np.testing.assert_allclose(found["lesion_logits"], turned["lesion_logits"][:, :, ::-1], rtol=1e-4, atol=1e-6)


def test_no_number_of_an_operation_is_taken_twice() -> None:
    keras.utils.clear_session()
    model = network("compact_lesion")
    for _ in range(100):  # the network's operations have numbers below
        assert "calibrated" in with_all_outputs(model, 1.0, mirrored=True).output_names
