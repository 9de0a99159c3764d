"""How far a training is: a bar on a terminal, a line an epoch everywhere."""

import time

from tqdm import tqdm


class Bar:
    """Counts and time left over the steps of all epochs; `done` of `total` were taken by an earlier run."""

    def __init__(self, total: int, done: int) -> None:
        self.total, self.done, self.begun_with, self.begin = total, done, done, time.monotonic()
        self.bar = tqdm(total=total, initial=done, unit="step", desc="train", disable=None)

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def step(self) -> None:
        self.done += 1
        self.bar.update(1)

    def write_row(self, row: dict[str, float]) -> None:
        """Write the line of an epoch, from its row of the history."""
        text = "  ".join(f"{name} {row[name]:.4f}" for name in ("loss", "accuracy", "val_loss", "val_accuracy"))
        per_step = (time.monotonic() - self.begin) / max(self.done - self.begun_with, 1)
        left = tqdm.format_interval((self.total - self.done) * per_step)
        tqdm.write(f"epoch {row['epoch']:.0f}  {text}  {left} left")
