"""evaluate: measure both pipelines, with intervals, on the whole test set, its clean part and external images.

Reads   data/logits, data/split/*.csv, data/cropped.csv, plots/history/*.csv, params `evaluate`, `pipeline`.
Writes  metrics/{noaug,aug}.json (Tables III and IV, by part; patients, by most of their slices; errors; calibration;
        selective prediction; sets of classes; external),
        metrics/intervals.json (95 % intervals of all of it), metrics/comparison.json (aug minus noaug, with tests),
        data/predictions/*.csv, data/errors/*.csv (the most confident errors, suspected labels),
        plots/confusion/*.csv, plots/comparison (the paper's numbers beside ours, where the study is the paper's),
        and the study's own pipeline once more under fixed names (metrics/test.json, plots/confusion/test.csv,
        plots/history_test.csv), so that two experiments that differ in `pipeline` alone are compared by
        `dvc metrics diff` and `dvc plots diff`.

A test image is clean where its group (its copies, its patient) holds no image of training or validation, else leaked.
Prints, for each external source, the share of tumours detected, and what was left out as a copy.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.special import softmax

from brain_mri import results
from brain_mri.errors import run
from brain_mri.evaluation import calibration, errors, published, summary
from brain_mri.evaluation.summary import External, Outputs
from brain_mri.files import progress, read_arrays, read_csv, replacing, write_bytes, write_csv
from brain_mri.images.dataset import Sample, groups_of, labels_of, read_samples
from brain_mri.params import PIPELINES, Params, load_params


def main() -> None:
    params = load_params()
    classes = params.dataset.classes
    samples = {name: read_samples(f"data/split/{name}.csv") for name in ("train", "val", "test", "external")}
    labels = {name: labels_of(samples[name], classes) for name in ("val", "test")}
    groups = {name: groups_of(table) for name, table in samples.items()}
    leaked = np.isin(groups["test"], np.concatenate([groups["train"], groups["val"]]))
    patients = np.array([sample.patient for sample in samples["test"]])
    parts = {"all": np.ones(len(leaked), bool), "clean": ~leaked, "leaked": leaked}

    outside = describe_external(samples["external"], params)

    outputs = {pipeline: read_outputs(f"data/logits/{pipeline}.npz") for pipeline in PIPELINES}
    histories = {pipeline: read_csv(f"plots/history/{pipeline}.csv") for pipeline in PIPELINES}
    metrics, bounds = {}, {}
    for pipeline in progress(PIPELINES, "evaluate"):
        said = outputs[pipeline]
        tested = labels["test"], softmax(said.test, axis=1), groups["test"]
        by_part, bounds[pipeline] = summary.measure_parts(*tested, parts, params)
        by_patient, bounds[pipeline]["patients"] = summary.measure_patients(*tested, patients, params)
        elsewhere, bounds[pipeline]["external"] = summary.measure_external(outside, said.external, params)
        metrics[pipeline] = {
            "training": summary.training_summary(histories[pipeline]),
            "test": by_part,
            "patients": by_patient,
            "external": elsewhere,
            "errors": summary.count_errors(labels["test"], outputs, pipeline, parts, params),
            "calibration": summary.calibrate(labels["test"], said, parts, outside),
            "selective": summary.select(labels, said, parts, outside, params),
            "sets": summary.exclude(labels, said, parts, outside, params),
        }
        results.write(f"metrics/{pipeline}.json", metrics[pipeline])
    results.write("metrics/intervals.json", bounds)
    compared = summary.compare(labels["test"], outputs, groups["test"], parts, params)
    compared["external"] = summary.compare_external(outputs, outside, params)
    results.write("metrics/comparison.json", compared)

    write_predictions(samples, outputs, leaked, classes)
    write_errors(samples, labels, outputs, leaked, params)
    for pipeline, said in outputs.items():
        write_confusion(pipeline, labels["test"], said.test.argmax(1), classes)
    write_own(params.pipeline, metrics[params.pipeline])
    write_published(metrics, params)
    by_source = [{pipeline: of[pipeline]["external"] for pipeline in PIPELINES} for of in (metrics, bounds)]
    for sentence in summary.external_sentences(*by_source):
        print(sentence)


def read_outputs(path: str) -> Outputs:
    arrays = read_arrays(path)
    return Outputs(arrays["val"], arrays["test"], arrays["external"], float(arrays["temperature"]))


def describe_external(samples: list[Sample], params: Params) -> External:
    """Say what is known of the external images: their class or that it is coarser, and what the split left out."""
    classes = params.dataset.classes
    labels = [classes.index(sample.label) if sample.label in classes else -1 for sample in samples]
    ill = [sample.label != params.dataset.negative for sample in samples]
    found = Counter(row["source"] for row in read_csv("data/cropped.csv") if row["part"] == "External")
    found.subtract(sample.source for sample in samples)
    return External(
        np.array([sample.source for sample in samples], str),
        np.array(labels, np.int64),
        np.array(ill, bool),
        groups_of(samples),
        found,
    )


def write_predictions(
    samples: Mapping[str, list[Sample]], outputs: Mapping[str, Outputs], leaked: np.ndarray, classes: list[str]
) -> None:
    with replacing("data/predictions") as folder:
        for pipeline, said in outputs.items():
            for name, logits in (("test", said.test), ("external", said.external)):
                rows = [
                    {
                        "path": sample.path,
                        "label": sample.label,
                        "group": sample.group,
                        "part": "" if name == "external" else "leaked" if leaked[place] else "clean",
                        "predicted": classes[int(row.argmax())],
                    }
                    | {f"p_{c}": f"{value:.9g}" for c, value in zip(classes, row, strict=True)}
                    for place, (sample, row) in enumerate(zip(samples[name], softmax(logits, axis=1), strict=True))
                ]
                columns = ["path", "label", "group", "part", "predicted", *(f"p_{c}" for c in classes)]
                write_csv(folder / f"{pipeline}_{name}.csv", rows, columns)


def write_errors(
    samples: Mapping[str, list[Sample]],
    labels: Mapping[str, np.ndarray],
    outputs: Mapping[str, Outputs],
    leaked: np.ndarray,
    params: Params,
) -> None:
    """Write the errors worth a look, and the labels that may be wrong by both pipelines' mean on held-out images.

    Confidences are those after temperature scaling, which prediction shows too."""
    classes = params.dataset.classes
    table = [*samples["val"], *samples["test"]]
    names, truth = [sample.path for sample in table], np.concatenate([labels["val"], labels["test"]])
    parts = ["validation"] * len(samples["val"]) + ["leaked" if at else "clean" for at in leaked]
    test = slice(len(samples["val"]), None)
    said = {
        pipeline: calibration.apply_temperature(np.concatenate([of.val, of.test]), of.temperature)
        for pipeline, of in outputs.items()
    }
    tested = {pipeline: probabilities[test] for pipeline, probabilities in said.items()}
    rows = errors.error_rows(names[test], truth[test], tested, classes, parts[test])
    suspects = errors.label_suspects(names, truth, said, classes, parts)
    with replacing("data/errors") as folder:
        write_csv(folder / "errors.csv", rows, errors.COLUMNS)
        write_csv(folder / "label_suspects.csv", suspects, errors.SUSPECT_COLUMNS)
        for pipeline, probabilities in tested.items():
            pairs = errors.class_pairs(truth[test], probabilities.argmax(1), classes)
            write_csv(folder / f"confused_{pipeline}.csv", pairs, ["label", "predicted", "n", "share"])


def write_confusion(pipeline: str, labels: np.ndarray, predictions: np.ndarray, classes: list[str]) -> None:
    """Write one row an image, which DVC counts."""
    rows = [{"actual": classes[a], "predicted": classes[p]} for a, p in zip(labels, predictions, strict=True)]
    write_csv(f"plots/confusion/{pipeline}.csv", rows, ["actual", "predicted"])


def write_own(pipeline: str, metrics: dict) -> None:
    """Write the study's own pipeline once more under fixed names."""
    results.write(
        "metrics/test.json",
        {"pipeline": pipeline, **metrics["test"], **{key: metrics[key] for key in ("patients", "external")}},
    )
    for source, target in [
        (f"plots/confusion/{pipeline}.csv", "plots/confusion/test.csv"),
        (f"plots/history/{pipeline}.csv", "plots/history_test.csv"),
    ]:
        write_bytes(target, Path(source).read_bytes())


def write_published(metrics: dict[str, dict], params: Params) -> None:
    """Write the paper's numbers beside ours; a table without rows where the study is not the paper's."""
    rows = published.beside(metrics) if params.evaluate.published else []
    write_csv("plots/comparison/published.csv", rows, published.COLUMNS)


if __name__ == "__main__":
    run(main)
