"""Row `input`: the input pipeline alone, from the images in memory to the batches that the step takes."""

from rows import step
from rows.lines import Line, Settings, against, rate_of
from rows.running import Figure, Way, side_by_side

BATCH = 28


def measure(settings: Settings) -> list[Line]:
    lines = []
    for case in (step.sized(step.RESNET, settings), step.sized(step.COMPACT, settings)):
        need = step.our_rate(case, settings)
        batches = settings.take(40, 2)
        arguments = (*case.arguments()[:-4], "--batch", BATCH, "--steps", batches, "--assemble", "--pipeline")
        ways = [
            Way(name, "augment_ours.py", (*arguments, pipeline))
            for name, pipeline in (("without augmentation", "noaug"), ("with the report's augmentation", "aug"))
        ]
        for name, measured in side_by_side(ways, settings.repeats, settings.peers).items():
            ours = rate_of(measured, batches * BATCH)
            assert isinstance(ours, Figure)
            what = f"input {name}: batches of {BATCH}, {case.size} px"
            lines.append(against(what, "images/s", ours, f"need of our step ({case})", need, 20))
    return lines
