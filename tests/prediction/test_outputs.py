"""All outputs of a network in one pass, whatever the process has built before."""

import keras
import numpy as np
import pytest
from settings import network

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


def test_no_number_of_an_operation_is_taken_twice() -> None:
    keras.utils.clear_session()
    model = network("compact_lesion")
    for _ in range(100):  # the network's operations have numbers below
        assert "calibrated" in with_all_outputs(model, 1.0).output_names
