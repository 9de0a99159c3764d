"""One seed, two backends: the same first loss, and curves that stay together; the answers are known, so that each
backend can be asked alone."""

import keras
import numpy as np
import pytest
from settings import network as build
from settings import params

from brain_mri.network.objective import compile_for_training

STEPS = (0, 4, 9, 19)
LOSSES = {  # after so many steps on one batch; TensorFlow and JAX differ by 3e-7 at the first, 3e-4 later
    ("compact", 64): (1.479549, 0.36473, 0.23907, 0.21926),
    ("compact_fine", 32): (2.350361, 0.53514, 0.26719, 0.25746),
    ("compact_lesion", 32): (13.03883, 11.12077, 10.0990, 9.8578),
}


@pytest.mark.parametrize(("network", "size"), LOSSES)
def test_one_seed_gives_every_backend_the_same_first_loss(network: str, size: int) -> None:
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (8, size, size, 1)).astype(np.float32)
    targets: object = np.eye(4, dtype=np.float32)[np.arange(8) % 4]
    negative = 2 if network.endswith("_lesion") else None
    if negative is not None:
        targets = {"logits": targets, "lesion_logits": rng.integers(0, 4, (8, size, size)).astype(np.int32)}
    model = build(network, size, dropout=0.0)
    settings = params(train={"epochs": 10, "warmup_epochs": 1, "lesion_map": 4.0}).train
    trainee = compile_for_training(model, settings, 10, negative)
    losses = []
    for _ in range(STEPS[-1] + 1):
        trainee.reset_metrics()
        losses.append(float(np.atleast_1d(keras.ops.convert_to_numpy(trainee.train_on_batch(images, targets)))[0]))
    known = LOSSES[network, size]
    assert losses[0] == pytest.approx(known[0], rel=1e-5)
    assert [losses[step] for step in STEPS] == pytest.approx(known, rel=2e-3)
