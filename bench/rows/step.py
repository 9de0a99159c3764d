"""Row `step`: a training step of each network, against what other people would train it with."""

import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from rows.lines import Line, Settings, against, rate_of
from rows.running import WAYS, Figure, Measured, Way, number, side_by_side

OURS, BEST = "ours, float32", "ours, mixed_bfloat16"
KERAS, JAX = "Keras on TensorFlow: fit", "Keras on JAX: fit"
TORCH, TORCH_BEST = "PyTorch", "PyTorch, channels last, bfloat16 autocast"


@dataclass(frozen=True)
class Case:
    """A network as a study trains it. `steps`: in one repeat."""

    network: str
    study: str
    size: int
    batch: int
    steps: int

    def arguments(self) -> tuple[object, ...]:
        return (
            *("--study", self.study, "--network", self.network, "--size", self.size),
            *("--batch", self.batch, "--steps", self.steps),
        )

    def __str__(self) -> str:
        return f"{self.network}, {self.size} px, batch {self.batch}"


RESNET = Case("resnet50", "paper", 200, 28, 1)
COMPACT = Case("compact", "compact", 128, 32, 20)
LESION = Case("compact_lesion", "compact-robust", 128, 32, 8)


def sized(case: Case, settings: Settings) -> Case:
    """Return the case as this run has it; quick, it is not ResNet-50, which takes half a minute to build."""
    if not settings.quick:
        return case
    return replace(case, network=case.network.replace("resnet50", "compact"), size=32, batch=4, steps=2)


def measure(settings: Settings) -> list[Line]:
    lines = resnet(sized(RESNET, settings), settings)
    for case in (COMPACT, LESION):
        lines += compact(sized(case, settings), settings)
    return lines


def resnet(case: Case, settings: Settings) -> list[Line]:
    """Measure ResNet-50 in both precisions against every peer in its own best."""
    images = case.batch * case.steps
    size = ("--size", case.size, "--batch", case.batch, "--images", images)
    torch = ("torch", "torchvision")
    with tempfile.TemporaryDirectory() as folder:
        plain = case.network if case.network == "resnet50" else network_json(case, Path(folder))
        ways = [
            Way(OURS, "step_ours.py", case.arguments()),
            Way(BEST, "step_ours.py", (*case.arguments(), "--precision", "mixed_bfloat16")),
            keras_way(KERAS, plain, size, "tensorflow"),
            Way(TORCH, "torch_loop.py", size, torch),
            Way(TORCH_BEST, "torch_loop.py", (*size, "--bfloat16"), torch),
            keras_way(JAX, plain, size, "jax"),
        ]
        found = side_by_side(ways, settings.repeats, settings.peers, ("matmul", "forward"))
    rates = {name: rate_of(measured, images) for name, measured in found.items()}
    float32, bfloat16 = rates[OURS], rates[BEST]
    assert isinstance(float32, Figure) and isinstance(bfloat16, Figure)
    settings.step_rates[str(case)] = float32
    what, unit = f"step: {case}", "images/s"
    lines = [
        against(f"{what}, float32", unit, float32, peer, rates[peer], bar)
        for peer, bar in ((KERAS, 1.4), (TORCH, 1.0), (JAX, 1.0))
    ]
    best = max(float32, bfloat16, key=lambda rate: rate.median)
    ours = f"{what}, our best precision ({'float32' if best is float32 else 'mixed_bfloat16'})"
    lines += [
        against(f"{what}, mixed_bfloat16", unit, bfloat16, OURS, float32),
        against(ours, unit, best, KERAS, rates[KERAS], 1.4),
    ]
    others = [name for name in (TORCH, TORCH_BEST, JAX) if isinstance(rates[name], Figure)]
    fastest = max(others, key=lambda name: median_of(rates[name]), default=TORCH_BEST)
    lines.append(against(f"{ours}, against the fastest", unit, best, fastest, rates[fastest], 1.0))
    return lines + shares(what, found, rates)


def shares(what: str, found: dict[str, Measured | str], rates: dict[str, Figure | str]) -> list[Line]:
    """Say what share of the machine's matmul peak, measured by each way in its own process and precision, its step
    reaches: three times the forward pass's FLOP an image (forward, and backward to the inputs and to the weights)."""
    ours = found[OURS]
    assert isinstance(ours, Measured)
    forward = ours.answers["forward"]
    lines = []
    for name, measured in found.items():
        rate = rates[name]
        if isinstance(measured, Measured) and isinstance(rate, Figure) and "matmul" in measured.answers:
            peak = measured.answers["matmul"]
            share = 3 * forward * rate.median / peak
            text = f"{share:.0%} of {number(peak)} GFLOP/s"
            title, unit = f"{what}, share of the matmul peak", "of its precision"
            mine = name in (OURS, BEST)
            line = Line(title, unit, text if mine else None, name, None if mine else text)
            line.more = {"share": share, "matmul_gflops": peak, "forward_gflop_per_image": forward}
            lines.append(line)
    return lines


def compact(case: Case, settings: Settings) -> list[Line]:
    """Measure a compact network against plain Keras on the same graph."""
    images = case.batch * case.steps
    with tempfile.TemporaryDirectory() as folder:
        file = network_json(case, Path(folder))
        ways = [
            Way(OURS, "step_ours.py", case.arguments()),
            keras_way(KERAS, file, ("--size", case.size, "--batch", case.batch, "--images", images), "tensorflow"),
        ]
        found = side_by_side(ways, settings.repeats, settings.peers)
    ours = rate_of(found[OURS], images)
    assert isinstance(ours, Figure)
    settings.step_rates[str(case)] = ours
    return [against(f"step: {case}, float32", "images/s", ours, KERAS, rate_of(found[KERAS], images))]


def network_json(case: Case, folder: Path) -> Path:
    """Write the network for a user of plain Keras."""
    file = folder / "network.json"
    command = [sys.executable, str(WAYS / "network_json.py"), str(file), *map(str, case.arguments())]
    subprocess.run(command, check=True, capture_output=True)
    return file


def keras_way(name: str, network: str | Path, size: tuple[object, ...], backend: str) -> Way:
    arguments = ("--network", network, *size)
    return Way(name, "keras_fit.py", arguments, ("keras", backend), {"KERAS_BACKEND": backend})


def median_of(rate: Figure | str) -> float:
    return rate.median if isinstance(rate, Figure) else 0.0


def our_rate(case: Case, settings: Settings) -> Figure:
    """Return images/s of our float32 step, without augmentation: measured in this run already, or now."""
    if str(case) not in settings.step_rates:
        found = side_by_side([Way(OURS, "step_ours.py", case.arguments())], settings.repeats, [])[OURS]
        assert isinstance(found, Measured)
        settings.step_rates[str(case)] = found.figure(case.batch * case.steps)
    return settings.step_rates[str(case)]
