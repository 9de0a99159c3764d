"""Row `augmentation`: what drawing and changing a batch costs, as a share of the step that it is drawn for.

Seconds over seconds, each alone on the machine; in training a thread draws beside the step, so less of it shows."""

from rows import step
from rows.lines import Line, Settings
from rows.running import Figure, Measured, Way, side_by_side

OURS, CLINICAL = "ours", "ours, clinical policy"
LAYERS, GENERATOR = "Keras layers in tf.data", "ImageDataGenerator"
ALLOWED = 0.05


def measure(settings: Settings) -> list[Line]:
    lines = []
    for case, channels in ((step.RESNET, 3), (step.COMPACT, 1)):
        lines += of_case(step.sized(case, settings), channels, settings)
    return lines


def of_case(case: step.Case, channels: int, settings: Settings) -> list[Line]:
    """Measure both policies and, for the report's, which the default study has too, the peers. These get the images as
    their users feed the network: three channels to ResNet-50."""
    batches = settings.take(20, 2)
    ours = (*case.arguments()[:-1], batches, "--pipeline", "aug")
    sizes = ("--size", case.size, "--batch", case.batch, "--steps", batches, "--channels", channels)
    needs = ("keras", "tensorflow", "scipy")
    ways = [
        Way(OURS, "augment_ours.py", ours),
        Way(CLINICAL, "augment_ours.py", (*ours, "--policy", "compact-robust")),
        Way(LAYERS, "augment_keras.py", ("--with", "layers", *sizes), needs, {"KERAS_BACKEND": "tensorflow"}),
        Way(GENERATOR, "augment_keras.py", ("--with", "generator", *sizes), needs, {"KERAS_BACKEND": "tensorflow"}),
    ]
    found = side_by_side(ways, settings.repeats, settings.peers)
    seconds = case.batch / step.our_rate(case, settings).median
    shares = {name: share(measured, batches, seconds) for name, measured in found.items()}
    report, clinical = shares[OURS], shares[CLINICAL]
    assert isinstance(report, Figure) and isinstance(clinical, Figure)
    lines = [line(f"augmentation, the report's: {case}", report, peer, shares[peer]) for peer in (LAYERS, GENERATOR)]
    return [*lines, line(f"augmentation, clinical: {case}", clinical, "-", None)]


def share(measured: Measured | str, batches: int, step_seconds: float) -> Figure | str:
    """Return the time of a batch in percent of a step's."""
    if isinstance(measured, str):
        return measured
    return Figure([100 * run["seconds"] / batches / step_seconds for run in measured.runs])


def line(what: str, ours: Figure, peer: str, theirs: Figure | str | None) -> Line:
    ratio = theirs.median / ours.median if isinstance(theirs, Figure) else None
    return Line(what, "% of our step", ours, peer, theirs, ratio, f"<= {ALLOWED:.0%}", ours.median <= 100 * ALLOWED)
