"""What the network is fed: each image once, in an order of the epoch's own, with what is known of its lesion."""

import keras
import numpy as np
import pytest

from brain_mri.images.examples import Examples
from brain_mri.network.batches import Batches, feed, in_order
from brain_mri.network.sampling import epoch_order


def examples(count: int = 20) -> Examples:
    images = np.random.default_rng(0).integers(0, 255, (count, 8, 8, 1)).astype(np.uint8)
    return Examples(images, np.arange(count) % 4)


def test_a_batch_is_a_part_of_the_order_and_the_last_one_what_is_left() -> None:
    batches = Batches(lambda indices, epoch: examples()[indices], 4, np.arange(20), 8)
    assert [len(batches[step][0]) for step in range(len(batches))] == [8, 8, 4]


def test_a_draw_is_asked_for_the_places_in_the_split_and_the_epoch() -> None:
    asked = []

    def draw(indices: np.ndarray, epoch: int) -> Examples:
        asked.append((indices.tolist(), epoch))
        return examples()[indices]

    order = epoch_order(3, 5, np.ones(20))
    images, labels = Batches(draw, 4, order, 8, epoch=5)[1]
    assert asked[0] == (order[8:16].tolist(), 5)
    assert images.dtype == np.float32
    assert np.array_equal(images, examples().images[order[8:16]])
    assert np.array_equal(labels.argmax(1), order[8:16] % 4)


def test_the_rest_of_an_epoch_is_the_rest_of_its_order() -> None:
    order = epoch_order(3, 0, np.ones(20))

    def batches(part: np.ndarray) -> Batches:
        return Batches(lambda indices, epoch: examples()[indices], 4, part, 8)

    assert np.array_equal(batches(order)[2][0], batches(order[8:])[1][0])


def test_a_lesion_target_tells_what_is_known() -> None:
    known = examples(3)
    known.masks = np.zeros((3, 8, 8), bool)
    known.masks[1, 2:4, 2:4] = True
    known.outlined = np.array([True, True, False])  # an image without a lesion, one with, one that nobody outlined
    targets = in_order(known, 4, 3, negative=0)[0][1]
    assert set(targets) == {"logits", "lesion_logits"}
    target = targets["lesion_logits"]
    assert target.shape == (3, 8, 8)
    assert (target[0] == 0).all()
    assert (target[1, 2:4, 2:4] == 1).all() and target[1].sum() == 4
    assert (target[2] == -1).all()


def test_what_the_backend_reads_are_the_batches() -> None:
    if keras.backend.backend() != "tensorflow":
        pytest.skip("only TensorFlow is fed in a way of its own")
    masked = examples()
    masked.masks, masked.outlined = masked.images[..., 0] > 200, np.ones(20, bool)
    batches = in_order(masked, 4, 8, negative=2)
    read = feed(batches)
    assert len(read) == len(batches) == 3  # Keras counts on it
    for (images, targets), (own, own_targets) in zip(read, map(batches.__getitem__, range(3)), strict=True):
        np.testing.assert_array_equal(images, own)
        assert targets.keys() == own_targets.keys()
        for name, values in own_targets.items():
            np.testing.assert_array_equal(targets[name], values)
