"""A trained network as an ONNX file, for programs that do not know Keras: the same answers, and how to ask."""

import contextlib
import io
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx

from brain_mri.files import replacing
from brain_mri.prediction.outputs import with_all_outputs

OPSET = 17  # of 2022: every ONNX runtime of the last years reads it
HOW_TO = """\
One image: 1. grey, uint8. Where crop.stretch is true: of its n values sorted, low is the one at n // 1000 from below,
high the one at n // 1000 from above (the least and the greatest where these are one); it becomes round(255 *
clip((grey - low) / (high - low), 0, 1)). 2. head = Gaussian blur of crop.blur pixels > crop.threshold, eroded
crop.erode and dilated crop.dilate times with a 3x3 square. 3. Cut the image to the extreme points of the largest
external contour of head, grown by crop.padding pixels; right and bottom points themselves are left out; no contour:
the whole image. 4. Resize to crop.size x crop.size by crop.interpolation, round to uint8, resize to image_size x
image_size by area, round to uint8. 5. Feed float32 (N, image_size, image_size, 1), 0 to 255. The output `calibrated`
is softmax(logits / temperature), in the order of classes; `probabilities` is the network's own softmax. No medical
device."""


def export(model: keras.Model, path: Path | str, card: Mapping[str, Any], digest: str, mirrored: bool = False) -> None:
    """Write a network with a layer `logits` as ONNX; the same network and card give the same bytes.

    Input: `image`, float32 (N, size, size, 1), 0 to 255. Outputs: those of `outputs.with_all_outputs`, which explains
    `mirrored`. The file's metadata are the card's entries, each as JSON; `how_to`, in words; and `keras_sha256`,
    `digest`: the SHA-256 of the file that holds `model`."""
    network = with_all_outputs(model, card["temperature"], mirrored)
    network(np.zeros((1, *model.input.shape[1:]), np.float32))  # Keras exports only what has been called
    with replacing(path) as temporary:
        # The converter warns of NumPy's names and prints where it has written.
        with warnings.catch_warnings(action="ignore"), contextlib.redirect_stdout(io.StringIO()):
            network.export(temporary, format="onnx", opset_version=OPSET, verbose=False)
        exported = onnx.load(temporary)
        _renumber(exported.graph)
        notes = {name: json.dumps(value, sort_keys=True) for name, value in card.items()}
        notes |= {"how_to": HOW_TO, "keras_sha256": digest}
        onnx.helper.set_model_props(exported, dict(sorted(notes.items())))
        temporary.write_bytes(exported.SerializeToString(deterministic=True))


def _renumber(graph: onnx.GraphProto) -> None:
    """Order and name the operations by what leads to the outputs: the converter's way depends on what the process has
    built before."""
    makers = {name: node for node in graph.node for name in node.output}
    names = {value.name: value.name for value in [*graph.input, *graph.output]} | {"": ""}
    ordered: list[onnx.NodeProto] = []

    def visit(value: str) -> None:
        if node := makers.get(value):
            for name in node.output:
                del makers[name]
            for name in node.input:
                visit(name)
            for name in [*node.input, *node.output]:
                names.setdefault(name, f"value_{len(names)}")
            ordered.append(node)

    for output in graph.output:
        visit(output.name)
    for node in ordered:
        node.name = names[node.output[0]]
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
    for weight in graph.initializer:
        weight.name = names[weight.name]
    graph.initializer.sort(key=lambda weight: int(weight.name.removeprefix("value_")))
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in ordered]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(copies)
    graph.name, graph.doc_string = "network", ""
    for value in [*graph.input, *graph.output]:
        value.type.tensor_type.shape.dim[0].dim_param = "images"
