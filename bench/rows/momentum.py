"""Row `momentum`: after how many epochs validation says something, by the momentum of batch normalisation.

A high momentum remembers the untrained network for hundreds of steps; its validation is then useless, though the
training goes well: the report's first six epochs."""

from rows import step
from rows.lines import Line, Settings
from rows.running import Figure, Measured, Way, side_by_side

MOMENTA = (0.9, 0.99)
ABOVE = 0.5  # validation accuracy; chance is 0.25
ALLOWED = 2  # epochs


def measure(settings: Settings) -> list[Line]:
    """Train once with each: all is exactly repeatable, so repeats would be the same to the bit."""
    case, most = step.sized(step.COMPACT, settings), settings.take(6, 2)
    real = not settings.quick and (settings.study / "data/split/train.csv").is_file()
    data = ("--data", settings.study) if real else ()
    fixed = ("--epochs", most, "--above", ABOVE, *data, *case.arguments(), "--study", "compact-grouped")
    ways = [Way(str(momentum), "momentum_ours.py", ("--momentum", momentum, *fixed)) for momentum in MOMENTA]
    found: dict[str, Measured | str] = {}
    for way in ways:  # one after the other: the wait of one must not slow down the other
        found |= side_by_side([way], 1, [])
    epochs, histories = {}, {}
    for name, measured in found.items():
        assert isinstance(measured, Measured)
        histories[name] = measured.runs[0]["result"]["val_accuracy"]
        passed = histories[name][-1] > ABOVE
        epochs[name] = Figure([len(histories[name])]) if passed else f"not in {most} (last {histories[name][-1]:.2f})"
    low, high = (epochs[str(momentum)] for momentum in MOMENTA)
    ratio = high.median / low.median if isinstance(low, Figure) and isinstance(high, Figure) else None
    images = f"real images of {settings.study.name}" if real else "phantoms"
    what = f"epochs until validation accuracy > {ABOVE}, momentum {MOMENTA[0]}: {case}, {images}"
    met = isinstance(low, Figure) and low.median <= ALLOWED
    bar = f"<= {ALLOWED}"
    return [Line(what, "epochs", low, f"momentum {MOMENTA[1]}", high, ratio, bar, met, {"val_accuracy": histories})]
