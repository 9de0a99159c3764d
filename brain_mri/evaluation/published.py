"""The paper's own numbers (Tables III and IV, and its overall accuracies), to stand beside a run of its settings."""

COLUMNS = ("pipeline", "metric", "published", "measured")
ACCURACY = {"noaug": 0.9886, "aug": 0.9878}
TRAINING = {
    "noaug": {
        "final_train_accuracy": 1.0000,
        "final_val_accuracy": 0.9816,
        "best_val_accuracy": 0.9851,
        "best_val_loss": 0.0767,
    },
    "aug": {"test_loss": 0.0357},
}
# class: precision, recall, F1, support
CLASSES = {
    "noaug": {
        "glioma": (0.9933, 0.9867, 0.9900, 300),
        "meningioma": (0.9836, 0.9771, 0.9803, 306),
        "notumor": (0.9902, 1.0000, 0.9951, 405),
        "pituitary": (0.9867, 0.9867, 0.9867, 300),
    },
    "aug": {
        "glioma": (0.9966, 0.9800, 0.9882, 300),
        "meningioma": (0.9773, 0.9837, 0.9805, 306),
        "notumor": (0.9901, 0.9926, 0.9914, 405),
        "pituitary": (0.9868, 0.9933, 0.9900, 300),
    },
}


def beside(metrics: dict[str, dict]) -> list[dict[str, object]]:
    """Return rows (pipeline, metric, published, measured) from each pipeline's metrics."""
    rows: list[dict[str, object]] = []
    for pipeline, ours in metrics.items():

        def row(metric: str, published: float, measured: float, pipeline: str = pipeline) -> None:
            rows.append({"pipeline": pipeline, "metric": metric, "published": published, "measured": measured})

        row("accuracy", ACCURACY[pipeline], ours["test"]["all"]["accuracy"])
        for name, value in TRAINING[pipeline].items():
            row(name, value, ours["test"]["all"]["log_loss"] if name == "test_loss" else ours["training"][name])
        for label, values in CLASSES[pipeline].items():
            for name, value in zip(("precision", "recall", "f1", "support"), values, strict=True):
                row(f"{label}.{name}", value, ours["test"]["all"]["classes"][label][name])
    return rows
