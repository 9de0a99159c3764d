"""Put pipelines, studies and revisions side by side, with intervals and the paired test.

    python compare.py                                  noaug and aug of this study
    python compare.py main:aug aug                     a branch's, a tag's or a commit's against the working tree's
    python compare.py studies/compact:aug studies/compact-grouped:aug main:studies/compact:aug
    python compare.py aug lower-rate                   an experiment (dvc exp run -n lower-rate ...) by its name
    python compare.py noaug aug --markdown             for a pull request

A side is [REVISION:][STUDY:]PIPELINE; without a pipeline, the study's own. The first side is the one that the others
are compared with. Where two classified the same test images: exact McNemar test, and differences whose intervals come
from a bootstrap by groups that both share. It reads what the runs left (metrics, predictions from DVC's cache) and runs
nothing. For every number of every file: `dvc metrics diff`, `dvc params diff`, `dvc plots diff`.
"""

import argparse
from pathlib import Path


def main() -> None:
    about, *details = (__doc__ or "").split("\n\n")
    parser = argparse.ArgumentParser(
        description=about, epilog="\n\n".join(details), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sides", nargs="*", default=["noaug", "aug"], metavar="SIDE", help="default: noaug aug")
    parser.add_argument("--markdown", action="store_true", help="tables for GitHub")
    arguments = parser.parse_args()
    # Imported here so that --help answers at once.
    from brain_mri.errors import run

    run(lambda: compare(arguments.sides, arguments.markdown))


def compare(names: list[str], markdown: bool) -> None:
    """Print the sides and their paired tests; UserError where one cannot be found or was not run."""
    from brain_mri.studies.paired import difference_table, pair
    from brain_mri.studies.side_by_side import side_by_side
    from brain_mri.studies.sides import find
    from brain_mri.studies.table import markdown_table, text_table

    table = markdown_table if markdown else text_table
    sides = [find(name, Path.cwd()) for name in names]
    print(table(*side_by_side(sides)))
    for other in sides[1:]:
        paired = pair(sides[0], other)
        print(f"\n{'### ' if markdown else ''}{paired.b} minus {paired.a}, image by image\n")
        if paired.rows:
            print(table(*difference_table(paired)) + "\n")
        for part, sentence in paired.sentences.items():
            print(f"{'- ' if markdown else ''}{part}: {sentence}")


if __name__ == "__main__":
    main()
