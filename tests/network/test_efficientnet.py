"""EfficientNet-Lite0: the published network's answers, the features, the weights it starts from."""

import cv2
import keras
import numpy as np
import pytest
from keras import layers
from sklearn.datasets import load_sample_image

from brain_mri.network import weights as network_weights
from brain_mri.network.checkpoint import read_checkpoint
from brain_mri.network.efficientnet import efficientnet_lite0, efficientnet_lite0_head

SIZE = 224  # pixels, what the weights were trained on
DAISY = 985


@pytest.fixture(scope="module")
def checkpoint() -> dict[str, np.ndarray]:
    return read_checkpoint(network_weights.checkpoint())


@pytest.fixture(scope="module")
def classifier(checkpoint: dict[str, np.ndarray]) -> keras.Model:
    """The network as it was published, with its own last layers, for the 1,000 classes of ImageNet."""
    image = layers.Input((SIZE, SIZE, 3))
    x = efficientnet_lite0(layers.Rescaling(1 / 127.5, -1)(image), 0.9)[32]
    x = efficientnet_lite0_head(x, 0.9)
    model = keras.Model(image, layers.Dense(1000, name="fc")(layers.GlobalAveragePooling2D()(x)))
    network_weights.teach_efficientnet_lite0(model)
    model.get_layer("fc").set_weights([checkpoint["_fc.weight"].T, checkpoint["_fc.bias"]])
    return model


def test_it_names_a_flower(classifier: keras.Model) -> None:
    flower = cv2.resize(load_sample_image("flower.jpg")[:, 100:527], (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    logits = keras.ops.convert_to_numpy(classifier(flower[None].astype(np.float32), training=False))[0]
    assert logits.argmax() == DAISY
    # The authors' network in PyTorch (efficientnet_lite_pytorch 0.1.0) gives 7.48178 for the same picture.
    assert logits[DAISY] == pytest.approx(7.48178, abs=1e-3)


def test_features_come_at_each_stride() -> None:
    features = efficientnet_lite0(layers.Input((64, 64, 3)), 0.9)
    widths = {2: 16, 4: 24, 8: 40, 16: 112, 32: 320}
    expected = {stride: (64 // stride, 64 // stride, width) for stride, width in widths.items()}
    assert {stride: tuple(x.shape[1:]) for stride, x in features.items()} == expected
