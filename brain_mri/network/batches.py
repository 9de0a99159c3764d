"""What a network is fed: the batches of an epoch, assembled and augmented while the step before them runs."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import keras
import numpy as np

from brain_mri.images.examples import Draw, Examples
from brain_mri.network.lesion import MAP

AHEAD = 4  # batches
READER = ThreadPoolExecutor(1, "batches")


class Batches(keras.utils.PyDataset):
    """The batches of one epoch: float32 images (B, size, size, 1) of 0 to 255 and labels (B, classes), one-hot or, of
    mixed images, shared out.

    With `negative`, the class without a lesion, the labels become a dict by layer: `logits`, the same; `lesion_logits`,
    the class of each pixel (see `lesion_target`)."""

    def __init__(
        self,
        draw: Draw,
        classes: int,
        order: np.ndarray,
        batch_size: int,
        epoch: int = 0,
        negative: int | None = None,
    ) -> None:
        # Keras's own workers (two or more) repeat batches of the first epoch: it reads one to build the model, and what
        # they made meanwhile comes again.
        super().__init__(workers=1, use_multiprocessing=False)
        self.ahead: dict[int, Future] = {}
        self.draw, self.order, self.batch_size, self.epoch, self.negative = draw, order, batch_size, epoch, negative
        self.one_hot = np.eye(classes, dtype=np.float32)

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch_size)

    def __getitem__(self, step: int) -> tuple[np.ndarray, Any]:
        for place in range(step, min(step + AHEAD, len(self))):
            if place not in self.ahead:
                self.ahead[place] = READER.submit(self.assemble, place)
        return self.ahead.pop(step).result()

    def assemble(self, step: int) -> tuple[np.ndarray, Any]:
        batch = self.draw(self.order[step * self.batch_size : (step + 1) * self.batch_size], self.epoch)
        images, labels = batch.images.astype(np.float32), self.one_hot[batch.labels]
        if batch.shares is not None:
            shares = batch.shares.astype(np.float32)[:, None]
            labels = shares * labels + (1 - shares) * self.one_hot[batch.mixed_in]
        if self.negative is None:
            return images, labels
        return images, {"logits": labels, MAP: lesion_target(batch, self.negative)}


def feed(batches: Batches) -> Any:
    """Return the batches as Keras reads them without holding up the step.

    On TensorFlow Keras would read them, one ahead, on the threads that compute: the one that waits for a batch was
    missing in half of the epochs, which then took twice as long. Here reading has a thread of its own."""
    if keras.backend.backend() != "tensorflow":
        return batches
    import tensorflow as tf

    signature = keras.tree.map_structure(lambda part: tf.TensorSpec((None, *part.shape[1:]), part.dtype), batches[0])
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 1
    read = tf.data.Dataset.from_generator(
        lambda: map(batches.__getitem__, range(len(batches))), output_signature=signature
    )
    return read.apply(tf.data.experimental.assert_cardinality(len(batches))).with_options(options)


def lesion_target(batch: Examples, negative: int) -> np.ndarray:
    """Return the class of each pixel, int32 (B, size, size): the image's in its lesion, `negative` outside, -1 all over
    an image of which it is not known where its lesion lies."""
    assert batch.masks is not None and batch.outlined is not None
    classes = np.where(batch.masks, batch.labels[:, None, None], negative)
    return np.where(batch.outlined[:, None, None], classes, -1).astype(np.int32)


def in_order(examples: Examples, classes: int, batch_size: int, negative: int | None = None) -> Batches:
    """Return the batches that show all examples once, as they are and in their order."""
    indices = np.arange(len(examples.labels))
    return Batches(lambda batch, epoch: examples[batch], classes, indices, batch_size, negative=negative)


def predict_logits(model: keras.Model, images: np.ndarray, batch_size: int, mirrored: bool = False) -> np.ndarray:
    """Return logits, float32 (N, classes), for images, uint8 (N, size, size, 1); memory is bounded by the batch.

    `mirrored`: the mean of those of each image and of its mirror image."""
    unlabelled = Examples(images, np.zeros(len(images), int))
    logits = logits_of(model).predict(feed(in_order(unlabelled, model.output.shape[-1], batch_size)), verbose=0)
    return (logits + predict_logits(model, images[:, :, ::-1], batch_size)) / 2 if mirrored else logits


def logits_of(model: keras.Model) -> keras.Model:
    """Return the model up to its logits, sharing its weights."""
    return keras.Model(model.input, model.get_layer("logits").output, name=f"{model.name}_logits")
