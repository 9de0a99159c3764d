"""The paper's augmentation by Keras's layers in tf.data, as their users write it.

Rotation by up to 15 degrees, shifts by up to 0.08 of the side, zoom by up to 0.15, no flip, edges repeated.

python -m bench.peers.keras_augmentation SIZE BATCH STEPS CHANNELS
"""

import sys

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from bench.answering import serve

size, batch, steps, channels = map(int, sys.argv[1:])
x = np.random.default_rng(0).random((steps * batch, size, size, channels), dtype=np.float32)
y = np.zeros((len(x), 4), np.float32)
augment = keras.Sequential(
    [
        layers.RandomRotation(15 / 360, fill_mode="nearest"),
        layers.RandomTranslation(0.08, 0.08, fill_mode="nearest"),
        layers.RandomZoom(0.15, 0.15, fill_mode="nearest"),
    ]
)
batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(batch)
batches = batches.map(lambda x, y: (augment(x, training=True), y), num_parallel_calls=tf.data.AUTOTUNE)
batches = batches.prefetch(tf.data.AUTOTUNE)


def epoch():
    for _ in batches:
        pass


epoch()
serve(epoch)
