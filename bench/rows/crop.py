"""Row `crop`: the report's crop of real images, over all cores, against its author's loop."""

import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rows.images import image_files, kind
from rows.lines import Line, Settings, against, rate_of
from rows.running import Measured, Way, side_by_side

OURS, STAGE, LOOP = "ours", "ours, the whole stage's work", "report: one loop"


def measure(settings: Settings) -> list[Line]:
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        images, ours, loop = root / "data/raw/Training/any", root / "ours", root / "loop"
        images.mkdir(parents=True)
        for label, name, data in image_files(settings.take(2000, 24)):
            (images / f"{label}-{name}").write_bytes(data)
        count = len(list(images.iterdir()))
        ways = [
            Way(OURS, "crop_ours.py", (images, ours)),
            Way(STAGE, "crop_ours.py", (images, root / "stage", "--stage")),
            Way(LOOP, "crop_loop.py", (images, loop), ("cv2",)),
        ]
        found = side_by_side(ways, settings.repeats, settings.peers, ("lossless",))
        same = same_pixels(images, ours, root / "lossless") if isinstance(found[LOOP], Measured) else {}
    theirs = rate_of(found[LOOP], count)
    lines = []
    for name, bar, more in ((OURS, 8, same), (STAGE, None, {})):
        measured = found[name]
        assert isinstance(measured, Measured)
        what_ours = "crop, resize, write" if name == OURS else "the same, with digests and what the audit compares"
        lines.append(
            against(f"{what_ours}: {count} {kind()}", "images/s", measured.figure(count), LOOP, theirs, bar, **more)
        )
    if same:
        text = f"{same['equal']} of {same['images']}; {same['equal_of_grey']} of {same['grey']} grey files"
        met = same["equal_of_grey"] == same["grey"]
        lines.append(
            Line("pixels equal to the loop's, before it writes JPEG", text, None, LOOP, None, bar="all", met=met)
        )
    return lines


def same_pixels(images: Path, ours: Path, lossless: Path) -> dict[str, int]:
    """Count the crops whose every pixel is the loop's; apart, those of grey files: the loop resizes colours before they
    become grey, another method, which may round a pixel differently."""
    equal, grey = [], []
    for file in sorted(images.iterdir()):
        one: Any = cv2.imread(str(ours / f"{file.name}.png"), cv2.IMREAD_GRAYSCALE)
        other: Any = cv2.imread(str(lossless / f"{file.name}.png"))
        raw: Any = cv2.imread(str(file))
        equal.append(np.array_equal(one, cv2.cvtColor(other, cv2.COLOR_BGR2GRAY)))
        grey.append(bool((raw == raw[..., :1]).all()))
    both = np.logical_and(equal, grey)
    return {"images": len(equal), "equal": sum(equal), "grey": sum(grey), "equal_of_grey": int(both.sum())}
