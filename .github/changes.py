"""What a change does to the results, as Markdown: parameters, metrics, confusion matrices, learning curves.

    python .github/changes.py origin/main       (or: make changes BASE=origin/main)

Compares the working tree with a revision, in every study that was run. Writes plots_diff/summary.md and, beside it, the
charts of `dvc plots diff` (index.html). Inside GitHub Actions the summary is shown on the run's page too.
"""

import argparse
import csv
import os
import subprocess
from collections import Counter
from pathlib import Path

from brain_mri.errors import UserError, run
from brain_mri.files import write_bytes
from brain_mri.studies.git import git
from brain_mri.studies.sides import PIPELINES

ROOT = Path(__file__).resolve().parent.parent
OUT = Path("plots_diff")
HEADLINES = ("accuracy", "macro_f1", "called_tumour")
REMARK = """On another make of CPU than the committed results come from, a trained network differs in its last digits,
and its metrics with it, whatever the change: small differences below may be that alone."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", nargs="?", default="HEAD", metavar="REVISION", help="default: HEAD")
    base = parser.parse_args().base
    os.chdir(ROOT)
    if git(ROOT, "rev-parse", "--verify", f"{base}^{{commit}}") is None:
        raise UserError(f"{base}: no revision that git knows; fetch it, or name another")
    studies = [Path(), *sorted(path.parent for path in Path().glob("studies/*/params.yaml"))]
    tables = [str(table) for study in studies for table in sorted((study / "metrics").glob("*aug.json"))]
    metrics = diff("metrics", base, *(["--targets", *tables] if tables else []))
    parts = [
        f"# Changes against `{base}`",
        REMARK,
        "## Parameters",
        diff("params", base),
        "## Metrics",
        *folded(metrics),
    ]
    for study in studies:
        for pipeline in PIPELINES:
            parts += [*confusion(study, pipeline, base), *curve(study, pipeline, base)]
    summary = "\n\n".join(part.strip() for part in parts) + "\n"
    write_bytes(OUT / "summary.md", summary.encode())
    dvc("plots", base, "-o", str(OUT))
    if page := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(page).open("a") as file:
            file.write(summary)
    print(f"{OUT}/summary.md and {OUT}/index.html: what differs from {base}")


def dvc(kind: str, base: str, *options: str) -> str:
    """What `dvc KIND diff BASE` prints; UserError where it fails."""
    done = subprocess.run(["dvc", kind, "diff", base, *options], capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"dvc {kind} diff {base}: failed; run it by hand to see why")
    return done.stdout.strip()


def diff(kind: str, base: str, *options: str) -> str:
    table = dvc(kind, base, "--md", *options)
    return table if table.count("\n") > 1 else "No difference."


def folded(table: str) -> list[str]:
    """The lines of a table that everybody wants to see, and the whole of it to be opened."""
    head, rows = table.splitlines()[:2], table.splitlines()[2:]
    if not rows:
        return [table]
    chosen = [row for row in rows if any(f".{name} " in row for name in HEADLINES)]
    return ["\n".join([*head, *chosen]), "<details><summary>all metrics</summary>", table, "</details>"]


def before_and_now(path: Path, base: str) -> list[list[dict[str, str]]]:
    """The rows of a CSV in the revision and in the working tree; nothing where they are equal or missing in either."""
    before = git(Path(), "show", f"{base}:{path.as_posix()}")
    now = path.read_text().strip() if path.is_file() else None
    if before is None or now is None or before == now:
        return []
    return [list(csv.DictReader(text.splitlines())) for text in (before, now)]


def confusion(study: Path, pipeline: str, base: str) -> list[str]:
    """A confusion matrix, counts before -> now; nothing where it is the same."""
    rows = before_and_now(study / f"plots/confusion/{pipeline}.csv", base)
    if not rows:
        return []
    old, new = (Counter((row["actual"], row["predicted"]) for row in part) for part in rows)
    classes = sorted({name for pair in (*old, *new) for name in pair})
    lines = [f"| actual, predicted: | {' | '.join(classes)} |", "|---" * (len(classes) + 1) + "|"]
    for actual in classes:
        cells = [(old[actual, predicted], new[actual, predicted]) for predicted in classes]
        shown = [str(now) if was == now else f"{was} → **{now}**" for was, now in cells]
        lines.append(f"| {actual} | {' | '.join(shown)} |")
    return [f"## Confusion, {study / pipeline}, test images before → now", "\n".join(lines)]


def curve(study: Path, pipeline: str, base: str) -> list[str]:
    """Validation accuracy by epoch, before and now, as a chart that GitHub draws; nothing where it is the same."""
    rows = before_and_now(study / f"plots/history/{pipeline}.csv", base)
    if not rows:
        return []
    lines = ["line [" + ", ".join(f"{float(row['val_accuracy']):.4f}" for row in part) + "]" for part in rows]
    chart = ["```mermaid", "xychart-beta", f'x-axis "epoch" 1 --> {max(map(len, rows))}']
    chart += ['y-axis "validation accuracy" 0 --> 1', *lines, "```"]
    return [f"## Learning, {study / pipeline}, before (first line) and now", "\n".join(chart)]


if __name__ == "__main__":
    run(main)
