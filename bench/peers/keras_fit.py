"""`fit` of plain Keras, as its users write it: arrays in memory, everything else left at its default.

The network is Keras's own ResNet-50, or that of a JSON file, which gives logits.

python -m bench.peers.keras_fit NETWORK SIZE BATCH IMAGES STEPS
"""

import sys
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


network = sys.argv[1]
size, batch, count, steps = map(int, sys.argv[2:])
rng = np.random.default_rng(0)
model = resnet50(size) if network == "resnet50" else keras.models.model_from_json(Path(network).read_text())
x = rng.random((count, size, size, model.input.shape[-1]), dtype=np.float32)
y = keras.utils.to_categorical(rng.integers(0, 4, count), 4)
loss = keras.losses.CategoricalCrossentropy(from_logits=True)
model.compile(optimizer=keras.optimizers.Adam(1e-4), loss=loss, metrics=["accuracy"])


def fit():
    model.fit(x, y, batch_size=batch, epochs=1, steps_per_epoch=steps, verbose=0)


fit()
serve(fit)
