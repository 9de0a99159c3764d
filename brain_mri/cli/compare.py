"""Put pipelines, studies and revisions side by side, with intervals and the paired test.

    brain-mri compare                                  noaug and aug of the study in this folder
    brain-mri compare main:aug aug                     a branch's, a tag's or a commit's against the working tree's
    brain-mri compare studies/compact:aug studies/compact-grouped:aug main:studies/compact:aug
    brain-mri compare aug lower-rate                   an experiment (dvc exp run -n lower-rate ...) by its name
    brain-mri compare noaug aug --markdown             for a pull request

A side is [REVISION:][STUDY:]PIPELINE; without a pipeline, the study's own. The first side is the one that the others
are compared with. Where two classified the same test images: exact McNemar test, and differences whose intervals come
from a bootstrap by groups that both share. Below the table stands for each side the commit that its results belong to,
and the stages whose code has changed since. It reads what the runs left (metrics, predictions from DVC's cache) and
runs nothing. For every number of every file: `dvc metrics diff`, `dvc params diff`, `dvc plots diff`.
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sides", nargs="*", default=["noaug", "aug"], metavar="SIDE", help="default: noaug aug")
    parser.add_argument("--markdown", action="store_true", help="tables for GitHub")


def main(options: argparse.Namespace) -> None:
    from brain_mri.studies import provenance
    from brain_mri.studies.paired import difference_table, pair
    from brain_mri.studies.side_by_side import side_by_side
    from brain_mri.studies.sides import find
    from brain_mri.studies.table import markdown_table, text_table

    table = markdown_table if options.markdown else text_table
    heading, bullet = ("### ", "- ") if options.markdown else ("", "")
    sides = [find(name, Path.cwd()) for name in options.sides]
    print(table(*side_by_side(sides)) + "\n")
    for side in sides:
        print(f"{bullet}{side.name}: {provenance.of(side.files.study, side.files.commit)}")
    for other in sides[1:]:
        sentences, rows = pair(sides[0], other)
        print(f"\n{heading}{other.name} minus {sides[0].name}, image by image\n")
        if rows:
            print(table(*difference_table(rows)) + "\n")
        for part, sentence in sentences.items():
            print(f"{bullet}{part}: {sentence}")
