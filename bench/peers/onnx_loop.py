"""Classify a folder's images as one would with OpenCV and onnxruntime alone: a loop, an image at a time, no crop.

python -m bench.peers.onnx_loop IMAGES NETWORK SIZE
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

from bench.answering import serve


def classify_all(images, session, size):
    for path in sorted(images.iterdir()):
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        image = cv2.resize(image, (size, size)).astype(np.float32)
        session.run(None, {"image": image[None, :, :, None]})


if __name__ == "__main__":
    session = onnxruntime.InferenceSession(sys.argv[2], providers=["CPUExecutionProvider"])
    serve(lambda: classify_all(Path(sys.argv[1]), session, int(sys.argv[3])))
