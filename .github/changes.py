"""What a change does to the results, as Markdown: parameters, metrics, confusion matrices, learning curves.

    python .github/changes.py origin/main       (or: make changes BASE=origin/main)

Compares the working tree with a revision, in every study that was run. Writes plots_diff/summary.md and, beside it, the
charts of `dvc plots diff` (index.html). Inside GitHub Actions the summary is shown on the run's page too.
"""

import argparse
import csv
import io
import os
import subprocess
from collections import Counter
from pathlib import Path

from brain_mri.errors import UserError, run
from brain_mri.files import write_bytes

ROOT = Path(__file__).resolve().parent.parent
PIPELINES = ("noaug", "aug")
OUT = Path("plots_diff")
HEADLINES = ("accuracy", "macro_f1", "called_tumour")
REMARK = """On another make of CPU than the committed results come from, a trained network differs in its last digits,
and its metrics with it, whatever the change: small differences below may be that alone."""


def main() -> None:
    about, *details = (__doc__ or "").split("\n\n")
    parser = argparse.ArgumentParser(
        description=about, epilog="\n\n".join(details), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("base", nargs="?", default="HEAD", metavar="REVISION", help="default: HEAD")
    base = parser.parse_args().base
    os.chdir(ROOT)
    if call("git", "rev-parse", "--verify", "--quiet", f"{base}^{{commit}}") is None:
        raise UserError(f"{base}: no revision that git knows; fetch it, or name another")
    tables = [str(table) for study in studies() for table in sorted((study / "metrics").glob("*aug.json"))]
    parts = [
        f"# Changes against `{base}`",
        REMARK,
        "## Parameters",
        diff("params", base),
        "## Metrics",
        *folded(diff("metrics", base, *(["--targets", *tables] if tables else []))),
    ]
    for study in studies():
        for pipeline in PIPELINES:
            parts += [*confusion(study, pipeline, base), *curve(study, pipeline, base)]
    summary = "\n\n".join(part.strip() for part in parts) + "\n"
    write_bytes(OUT / "summary.md", summary.encode())
    if call("dvc", "plots", "diff", base, "-o", str(OUT)) is None:
        raise UserError(f"dvc plots diff {base}: failed; run it by hand to see why")
    if page := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(page).open("a") as file:
            file.write(summary)
    print(f"{OUT}/summary.md and {OUT}/index.html: what differs from {base}")


def studies() -> list[Path]:
    return [Path(), *sorted(path.parent.relative_to(ROOT) for path in ROOT.glob("studies/*/params.yaml"))]


def call(*command: str) -> str | None:
    """What the command prints; None where it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else None


def diff(kind: str, base: str, *options: str) -> str:
    table = call("dvc", kind, "diff", "--md", base, *options)
    if table is None:
        raise UserError(f"dvc {kind} diff {base}: failed; run it by hand to see why")
    return table.strip() if table.strip().count("\n") > 1 else "No difference."


def folded(table: str) -> list[str]:
    """The lines of a table that everybody wants to see, and the whole of it to be opened."""
    head, rows = table.splitlines()[:2], table.splitlines()[2:]
    if not rows:
        return [table]
    chosen = [row for row in rows if any(f".{name} " in row for name in HEADLINES)]
    return ["\n".join([*head, *chosen]), "<details><summary>all metrics</summary>", table, "</details>"]


def before_and_now(path: Path, base: str) -> tuple[list[dict[str, str]], list[dict[str, str]]] | None:
    """The rows of a CSV in the revision and in the working tree; None where they are equal or missing in either."""
    before = call("git", "show", f"{base}:{path.as_posix()}")
    now = path.read_text() if path.is_file() else None
    if before is None or now is None or before == now:
        return None
    old, new = (list(csv.DictReader(io.StringIO(text))) for text in (before, now))
    return old, new


def confusion(study: Path, pipeline: str, base: str) -> list[str]:
    """A confusion matrix, counts before -> now; nothing where it is the same."""
    rows = before_and_now(study / f"plots/confusion/{pipeline}.csv", base)
    if rows is None:
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
    if rows is None:
        return []
    lines = ["line [" + ", ".join(f"{float(row['val_accuracy']):.4f}" for row in part) + "]" for part in rows]
    epochs = max(len(part) for part in rows)
    chart = ["```mermaid", "xychart-beta", f'x-axis "epoch" 1 --> {epochs}', 'y-axis "validation accuracy" 0 --> 1']
    return [f"## Learning, {study / pipeline}, before (first line) and now", "\n".join([*chart, *lines, "```"])]


if __name__ == "__main__":
    run(main)
