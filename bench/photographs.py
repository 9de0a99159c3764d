"""Does the audit for copies, made for heads, find copies among photographs?

    python -m bench.photographs FOLDER [--peers .venv-bench/bin/python]

FOLDER holds photographs of which none is a copy of another; bench/photographs.json tells what was measured on the
twenty that foolbox ships (bench/requirements.txt). For each kind and strength of change a folder holds the photographs
in grey and a changed copy of each, as it is and mirrored. A copy is found where the method pairs it with its own
original; a pair of pictures of two photographs is wrong. Beside it, where it is installed, imagededup's hashes with the
settings that it has by itself; its network needs weights from elsewhere and is left out.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.planting import plant
from bench.turns import ROOT, Way, take_turns
from brain_mri.errors import UserError, run
from brain_mri.files import write_json, write_png

HASHES = ("PHash", "DHash", "WHash", "AHash")
# The unit of a strength is that of `bench.planting.STRENGTHS`; of a text, its height as a share of the picture's.
CHANGES = [
    ("copy", 0),
    ("turn", 0),
    ("jpeg", 30),
    ("resize", 2.0),
    ("brightness", 0.1),
    ("contrast", 0.3),
    ("sharpness", 1.5),
    ("text", 0.05),
    ("text", 0.1),
    ("crop", 0.03),
    ("crop", 0.05),
    ("crop", 0.1),
    ("crop", 0.15),
]
Change = tuple[str, float, str]  # kind, strength and pose


def write_copies(photographs: Path, folder: Path) -> dict[str, Change]:
    """Write originals and copies, a folder a kind and strength; return the change of each copy by its name, which
    begins with its photograph's and `--`."""
    rng, planted = np.random.default_rng(0), {}
    for file in sorted(photographs.iterdir()):
        grey = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        if grey is None:
            continue
        original = np.asarray(grey, np.uint8)
        for kind, strength in CHANGES:
            own = folder / f"{kind}-{strength}"
            own.mkdir(exist_ok=True)
            write_png(own / f"{file.stem}.png", original)
            for mirrored in {"copy": (True,), "turn": (False,)}.get(kind, (False, True)):
                pose = "mirrored" if mirrored else "as it is"
                name = f"{file.stem}--{own.name}-{pose.replace(' ', '-')}.png"
                write_png(own / name, plant(original, kind, strength, mirrored, rng)[0])
                planted[name] = (kind, strength, pose)
    if not planted:
        raise UserError(f"{photographs}: no photograph there; name a folder with some, none a copy of another")
    return planted


def origin(name: str) -> str:
    """The photograph of which a picture is a copy, or which it is."""
    return Path(name).stem.partition("--")[0]


def score(pairs: list[list[str]], planted: dict[str, Change]) -> dict[str, Any]:
    """The share of the copies of each change that is paired with its original, and how many pairs are wrong."""
    found = {name for pair in pairs for name, other in (pair, pair[::-1]) if other == f"{origin(name)}.png"}
    changes = dict.fromkeys(planted.values())
    rows = {change: np.mean([name in found for name, own in planted.items() if own == change]) for change in changes}
    return {
        "recall": [{"kind": k, "strength": s, "pose": p, "share": float(share)} for (k, s, p), share in rows.items()],
        "wrong": sum(origin(one) != origin(other) for one, other in pairs),
        "pairs": len(pairs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path, metavar="FOLDER")
    parser.add_argument("--peers", action="append", default=[], metavar="PYTHON", help="may be given several times")
    options = parser.parse_args()
    if not options.photographs.is_dir():
        raise UserError(f"{options.photographs}: no such folder; name one with photographs, none a copy of another")
    with tempfile.TemporaryDirectory() as folder:
        planted = write_copies(options.photographs, Path(folder))
        ways = [Way("brain-mri audit", "our_copies", (folder,))]
        ways += [
            Way(f"imagededup {name}", "peers.imagededup_copies", (folder, name), ("imagededup",)) for name in HASHES
        ]
        measured = take_turns(ways, 1, options.peers)
    results: dict[str, Any] = {
        "photographs": len(set(map(origin, planted))),
        "copies": len(planted),
    }
    for name, runs in measured.items():
        if isinstance(runs, str):
            print(f"{name}: {runs}")
        else:
            results[name] = score(runs[0]["result"], planted) | {"seconds": runs[0]["seconds"]}
    print_table(results)
    write_json(ROOT / "bench/photographs.json", results)


def print_table(results: dict[str, Any]) -> None:
    names = [name for name in results if isinstance(results[name], dict)]
    print(f"{results['copies']} copies of {results['photographs']} photographs", "", sep="\n")
    print("|", " | ".join(["change", *names]), "|")
    print("|---" * (len(names) + 1), "|", sep="")
    for rows in zip(*(results[name]["recall"] for name in names), strict=True):
        change = f"{rows[0]['kind']} {rows[0]['strength'] or ''}".strip()
        print("|", " | ".join([f"{change}, {rows[0]['pose']}", *(f"{row['share']:.2f}" for row in rows)]), "|")
    print(
        "|",
        " | ".join(["wrong pairs, of all", *(f"{results[n]['wrong']} of {results[n]['pairs']}" for n in names)]),
        "|",
    )
    print("|", " | ".join(["seconds", *(f"{results[name]['seconds']:.1f}" for name in names)]), "|")


if __name__ == "__main__":
    run(main)
