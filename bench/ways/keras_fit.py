"""`fit` of plain Keras, as its users write it: arrays in memory, everything else left at its default.

The network is Keras's own ResNet-50, or a JSON file of another; KERAS_BACKEND says on what it runs."""

import serving  # isort: skip  # it takes stdout before anything prints

import argparse
from pathlib import Path

import keras
import numpy as np
from keras import layers
from peaks import matmul_gflops


def resnet50(size):
    base = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(size, size, 3))
    x = layers.GlobalAveragePooling2D()(base.output)
    x = layers.Dropout(0.4)(x)
    return keras.Model(base.input, layers.Dense(4, activation="softmax")(x))


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--network", required=True, help="resnet50, or a JSON file")
parser.add_argument("--size", type=int, required=True)
parser.add_argument("--batch", type=int, required=True)
parser.add_argument("--images", type=int, required=True)
parser.add_argument("--steps", type=int, help="default: all images")
options = parser.parse_args()

rng = np.random.default_rng(0)
labels = rng.integers(0, 4, options.images)
if options.network == "resnet50":
    model = resnet50(options.size)
    x = rng.random((options.images, options.size, options.size, 3), dtype=np.float32)
    y = keras.utils.to_categorical(labels, 4)
    loss = "categorical_crossentropy"
else:
    model = keras.models.model_from_json(Path(options.network).read_text())
    x = rng.random((options.images, options.size, options.size, 1), dtype=np.float32) * 255
    y = keras.utils.to_categorical(labels, 4)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    if isinstance(model.output, dict):
        side = model.output["lesion_logits"].shape[1]
        y = {"logits": y, "lesion_logits": rng.integers(0, 4, (options.images, side, side))}
        loss = {"logits": loss, "lesion_logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True)}

metrics = {"logits": "accuracy"} if isinstance(y, dict) else ["accuracy"]
model.compile(optimizer=keras.optimizers.Adam(1e-4), loss=loss, metrics=metrics)


def fit():
    model.fit(x, y, batch_size=options.batch, epochs=1, steps_per_epoch=options.steps, verbose=0)


fit()
serving.serve(fit, matmul=lambda: matmul_gflops("float32"))
