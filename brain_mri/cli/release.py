"""Release a study's network: write what `brain-mri predict` needs of it into a folder that is small enough for git.

    brain-mri release studies/compact-robust                  (writes released/)
    brain-mri release studies/compact-robust --to elsewhere

The study must have been run, and its network must draw a lesion map. Weights are stored in half precision; on all test
and external images the answers are compared with the study's, and the release is refused where more than 0.5 % differ.
`predict` and `app` take released/ where no study is named.
"""

import argparse

from brain_mri.cli import named_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", type=named_path, metavar="STUDY_FOLDER")
    parser.add_argument("--pipeline", choices=["noaug", "aug"], help="default: the one of the study's params.yaml")
    parser.add_argument(
        "--to", type=named_path, metavar="FOLDER", help="default: released, beside params.yaml of the code"
    )


def main(options: argparse.Namespace) -> None:
    from brain_mri.files import read_json
    from brain_mri.prediction.release import describe, size_of, write_release
    from brain_mri.prediction.study import RELEASED, open_study
    from brain_mri.studies.provenance import commit_of

    study = open_study(options.study, options.pipeline)
    target = options.to or study.folder / study.params.code / RELEASED
    commit, date = commit_of(study.folder)
    name = study.folder.resolve().name
    origin = f"`studies/{name}`, results of commit {commit} ({date})" if commit else f"`studies/{name}`, not committed"
    metrics = read_json(study.folder / f"metrics/{study.pipeline}.json")
    changed = write_release(
        study, describe(study, origin, metrics, read_json(study.folder / "metrics/dataset.json")), target
    )
    shares = ", ".join(f"{share:.2%} of {name} images" for name, share in changed.items())
    print(f"{target}: {size_of(target) / 1e6:.1f} MB; other answers than the study's for {shares}")
