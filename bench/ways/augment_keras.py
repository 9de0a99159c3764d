"""The report's augmentation by Keras, as its users write it: --with layers (in tf.data) or generator.

Rotation by up to 15 degrees, shifts by up to 0.08 of the side, zoom by up to 0.15, no flip, edges repeated."""

import serving  # isort: skip  # it takes stdout before anything prints

import argparse

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras.src.legacy.preprocessing.image import ImageDataGenerator

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--with", dest="how", choices=["layers", "generator"], required=True)
parser.add_argument("--size", type=int, required=True)
parser.add_argument("--batch", type=int, required=True)
parser.add_argument("--steps", type=int, required=True)
parser.add_argument("--channels", type=int, required=True)
options = parser.parse_args()

shape = (options.steps * options.batch, options.size, options.size, options.channels)
x = np.random.default_rng(0).random(shape, dtype=np.float32)
y = np.zeros((len(x), 4), np.float32)
if options.how == "layers":
    augment = keras.Sequential(
        [
            layers.RandomRotation(15 / 360, fill_mode="nearest"),
            layers.RandomTranslation(0.08, 0.08, fill_mode="nearest"),
            layers.RandomZoom(0.15, 0.15, fill_mode="nearest"),
        ]
    )
    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(options.batch)
    batches = batches.map(lambda x, y: (augment(x, training=True), y), num_parallel_calls=tf.data.AUTOTUNE)
    batches = batches.prefetch(tf.data.AUTOTUNE)
else:
    generator = ImageDataGenerator(
        rotation_range=15, width_shift_range=0.08, height_shift_range=0.08, zoom_range=0.15, fill_mode="nearest"
    )
    batches = generator.flow(x, y, batch_size=options.batch)


def epoch():
    for step, _ in enumerate(batches, start=1):
        if step == options.steps:
            return


epoch()
serving.serve(epoch)
