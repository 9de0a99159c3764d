"""How long predict.py takes to its first answer, and how many images a second it classifies after that.

    python bench/predict.py                              (the root study's images)
    python bench/predict.py --study studies/compact --images FOLDER

Wall-clock seconds, and beside them the seconds of processor time, which other work on the machine does not change. The
first answer is a whole run of the command for one image; the rate is what a run over all images takes beyond that.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENDINGS = {".png", ".jpg", ".jpeg", ".dcm"}


def timed(*arguments: str | Path) -> tuple[float, float]:
    """Run predict.py and return its wall-clock seconds and those of the processor, over all cores."""
    before, start = os.times(), time.perf_counter()
    subprocess.run([sys.executable, ROOT / "predict.py", *arguments], stdout=subprocess.DEVNULL, check=True)
    wall, after = time.perf_counter() - start, os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, default=ROOT)
    parser.add_argument("--images", type=Path, help="a folder; default: the study's raw test images")
    parser.add_argument("--count", type=int, default=400, help="images in the long run, at most")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    found = sorted((options.images or options.study / "data/raw").rglob("*"))
    images = [path.resolve() for path in found if path.suffix.lower() in ENDINGS][: options.count]
    if len(images) < 2:
        parser.error("two images are needed at least; name a folder with --images")
    study = ("--study", options.study)
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "images.csv")
        for place, image in enumerate(images):  # a table may only name what lies below it
            Path(folder, f"{place}{image.suffix}").write_bytes(image.read_bytes())
        names = [f"{place}{image.suffix}" for place, image in enumerate(images)]
        table.write_text("\n".join(["path", *names]))
        timed("--help")  # so that the files are in memory
        runs = {
            "--help": [timed("--help") for _ in range(options.repeats)],
            "first answer": [timed(*study, images[0]) for _ in range(options.repeats)],
            f"{len(images)} images": [timed(*study, "--csv", table) for _ in range(options.repeats)],
        }
    best = {name: tuple(map(min, zip(*pairs, strict=True))) for name, pairs in runs.items()}
    print(f"| best of {options.repeats} | seconds | of the processor |\n|---|---|---|")
    for name, (wall, spent) in best.items():
        print(f"| {name} | {wall:.2f} | {spent:.2f} |")
    beyond = [many - one for one, many in zip(best["first answer"], best[f"{len(images)} images"], strict=True)]
    rates = [(len(images) - 1) / seconds for seconds in beyond]
    print(f"| images a second after the first | {rates[0]:.0f} | {rates[1]:.0f} |")


if __name__ == "__main__":
    main()
