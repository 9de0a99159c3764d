"""A release: of a study's folder what prediction needs, small enough for git, and found to answer as the study does.

The weights are stored in half precision and computed in single: rounded to 11 bits they are read as fast, and take half
the space. A release keeps a study's layout, so that whatever takes a study's folder takes it too; in place of the Keras
file stands the card, `models/<pipeline>.json`.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from brain_mri.errors import UserError
from brain_mri.explanation.maps import LESION_MAP
from brain_mri.files import progress, replacing, write_json
from brain_mri.images.dataset import EXTERNAL, OWN, load_images, read_samples
from brain_mri.prediction.onnx_network import Network
from brain_mri.prediction.study import Study

CHANGED = 0.005  # share: as many answers of a set may be other ones
MOST_BYTES = 15_000_000
SMALL = 1024  # numbers: a tensor of fewer stays in single precision
BATCH = 64


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the network with its large weights stored as float16 and cast to float32 before they are used.

    Raises UserError for a weight that half precision cannot hold."""
    result = onnx.ModelProto.FromString(model.SerializeToString(deterministic=True))
    graph, casts = result.graph, []
    for weight in graph.initializer:
        values = numpy_helper.to_array(weight)
        if weight.data_type != TensorProto.FLOAT or values.size < SMALL:
            continue
        half = values.astype(np.float16)
        if not np.isfinite(half).all():
            raise UserError(
                f"{weight.name}: has a weight of {np.abs(values).max():.3g}, more than half precision holds"
            )
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(half, f"{name}_half"))
        casts.append(helper.make_node("Cast", [f"{name}_half"], [name], f"{name}_cast", to=TensorProto.FLOAT))
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in graph.node]
    del graph.node[:]
    graph.node.extend([*casts, *nodes])
    return result


def write_release(study: Study, about: str, target: Path) -> dict[str, float]:
    """Write the release of a study that was run, whole or not at all; return of each set of images, test and external,
    the share whose answer is another one than the study's.

    `about`: the text of its README.md. Raises UserError where files of the study are not there, its network draws no
    lesion map (other maps need Keras), `target` is a folder with other things, too many answers change, or the release
    is too large for git."""
    if study.keras is None or study.onnx is None or study.guard is None:
        raise UserError(f"{study.folder}: lacks files of models/; run the study whole: stages export and guard")
    if study.offered != LESION_MAP:
        raise UserError(
            f"{study.folder}: its network {study.params.model.network} draws no lesion map, and other maps need Keras, "
            "which a release is without; name a study whose network is called *_lesion"
        )
    target = target.resolve()
    if target.is_dir() and any(target.iterdir()) and not any(target.glob("models/*.json")):
        raise UserError(f"{target}: not empty and no release, so it is not replaced; name a new folder (--to)")
    with replacing(target) as folder:
        for part in ("models", "metrics"):
            (folder / part).mkdir(parents=True)
        small = folder / "models" / study.onnx.name
        small.write_bytes(halved(onnx.load(study.onnx)).SerializeToString(deterministic=True))
        write_card(folder / f"models/{study.pipeline}.json", study)
        shutil.copy(study.guard, folder / "models")
        shutil.copy(study.folder / "params.yaml", folder)
        for name in (study.pipeline, "gradcam", "dataset"):
            file = study.folder / f"metrics/{name}.json"
            if name != "gradcam" or file.is_file():  # the page says how well maps point where that was measured
                shutil.copy(file, folder / "metrics")
        (folder / "README.md").write_text(about)
        changed = compare(study, small)
        if worst := [f"{share:.2%} ({name})" for name, share in changed.items() if share > CHANGED]:
            raise UserError(
                f"{study.onnx}: half precision changes {', '.join(worst)} of the answers; at most {CHANGED:.1%} may"
            )
        size = size_of(folder)
        if size > MOST_BYTES:
            raise UserError(f"{study.folder}: the release has {size:,} bytes, at most {MOST_BYTES:,} go into git")
    return changed


def size_of(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def write_card(path: Path, study: Study) -> None:
    write_json(path, {**study.card.model_dump(), "keras_sha256": study.digest})


def compare(study: Study, small: Path) -> dict[str, float]:
    """Return of each set of the study's images the share that the other network answers otherwise."""
    assert study.onnx
    networks = [Network(file, study.digest) for file in (study.onnx, small)]
    changed = {}
    for name, place in (("test", OWN), ("external", EXTERNAL)):
        samples = read_samples(study.folder / f"data/split/{name}.csv")
        images = load_images(samples, study.card.image_size, study.folder / place)
        other = 0
        for start in progress(range(0, len(images), BATCH), name):
            batch = images[start : start + BATCH]
            first, second = (network.run(batch)["calibrated"].argmax(1) for network in networks)
            other += int((first != second).sum())
        changed[name] = other / max(len(images), 1)
    return changed


def describe(study: Study, origin: str, metrics: Mapping[str, Any], sources: Mapping[str, Any]) -> str:
    """Return the text that lies beside a release, Markdown: what it is, how good, of what data, on what terms.

    `origin`: the study and the commit of its results; `metrics`, `sources`: as metrics/<pipeline>.json and
    dataset.json hold them."""
    test, patients = metrics["test"]["all"], metrics.get("patients") or {"n": 0}
    lines = [
        "# The released classifier",
        "",
        f"What `brain-mri predict` and `brain-mri app` answer with: {origin}, pipeline `{study.pipeline}`, its network",
        f"`{study.params.model.network}` at {study.card.image_size} pixels as ONNX with weights in half precision.",
        "**Research software: no medical device, no medical use.**",
        "",
        f"- Classes: {', '.join(study.card.classes)}.",
        f"- Its own test set, {test['n']:,} images: accuracy {test['accuracy']:.3f}.",
    ]
    if patients["n"]:
        lines.append(f"- Of {patients['n']:,} test patients most slices called right: {patients['accuracy']:.3f}.")
    for name, row in metrics["external"].items():
        if row.get("called_tumour") is not None:
            lines.append(f"- {name}, {row['n_with_tumour']:,} tumours: called any tumour {row['called_tumour']:.3f}.")
    if study.threshold == np.inf:
        lines.append("- No confidence was high enough on validation: every answer is left to a person.")
    elif study.threshold is not None:
        lines.append(f"- Answers below a confidence of {study.threshold:.3f} are left to a person.")
    lines += ["", "Intervals and all other measurements stand in `metrics/`. Trained on, and measured with:", ""]
    for source in sources.values():
        if source:
            lines += [f"- {source['name']}: {source['citation']}. {source['licence']}.", ""]
    return "\n".join(lines).rstrip() + "\n"
