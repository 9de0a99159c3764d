"""`fit` of plain Keras, as its users write it: arrays in memory, everything else left at its default.

The network is Keras's own ResNet-50, or that of a JSON file, which gives logits; KERAS_BACKEND says on what it runs."""

import argparse
from pathlib import Path

import keras
import numpy as np
from keras import layers

from bench.answering import serve


def resnet50(size):
    base = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(size, size, 3))
    x = layers.GlobalAveragePooling2D()(base.output)
    x = layers.Dropout(0.4)(x)
    return keras.Model(base.input, layers.Dense(4)(x))


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--network", required=True, help="resnet50, or a JSON file")
parser.add_argument("--size", type=int, required=True)
parser.add_argument("--batch", type=int, required=True)
parser.add_argument("--images", type=int, required=True)
parser.add_argument("--steps", type=int, help="default: all images")
options = parser.parse_args()

rng = np.random.default_rng(0)
if options.network == "resnet50":
    model = resnet50(options.size)
else:
    model = keras.models.model_from_json(Path(options.network).read_text())
shape = (options.images, options.size, options.size, model.input.shape[-1])
x = rng.random(shape, dtype=np.float32)
y = keras.utils.to_categorical(rng.integers(0, 4, options.images), 4)
loss = keras.losses.CategoricalCrossentropy(from_logits=True)
model.compile(optimizer=keras.optimizers.Adam(1e-4), loss=loss, metrics=["accuracy"])


def fit():
    model.fit(x, y, batch_size=options.batch, epochs=1, steps_per_epoch=options.steps, verbose=0)


fit()
serve(fit)
