"""Cross-validation: run a study once for each fold of its split, and pool what was held out.

    brain-mri folds studies/compact-patients --run      every fold as a DVC experiment, one after the other, then pool
    brain-mri folds studies/compact-patients            pool the folds that were run

One image of each group of copies is classified once, by a network that saw neither it nor any image of its group; with
`split.patients` that is its patient. Intervals are 95 %, over groups. Beside slices stand patients (what most of their
slices are called) and the tumours alone (the likeliest tumour is the answer), and a paired test of the two pipelines.
Writes metrics/folds.json. Needs `split.policy: grouped`; the data set is found as by `fetch`, so for --run name its
folder in BRAIN_MRI_DATA.
"""

import argparse
from pathlib import Path

from brain_mri.cli import named_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", type=named_path, metavar="STUDY_FOLDER")
    parser.add_argument("--run", action="store_true", help="run the folds first")


def main(options: argparse.Namespace) -> None:
    import subprocess
    import sys

    from brain_mri import results
    from brain_mri.errors import UserError
    from brain_mri.params import load_params
    from brain_mri.studies.folds import experiment, held_out, paired_verdict, pool, summary
    from brain_mri.studies.table import text_table

    study: Path = options.study
    params = load_params(study / "params.yaml")
    if params.split.policy != "grouped":
        raise UserError(f"{study}: split.policy = {params.split.policy}; folds need grouped")
    for fold in range(params.split.folds) if options.run else ():
        setting = f"{study.as_posix()}/params.yaml:split.fold={fold}"
        dvc, name = [sys.executable, "-m", "dvc", "exp"], experiment(study, fold)
        # One of that name, which need not be there, bars the way; --force would run every stage anew.
        subprocess.run([*dvc, "remove", "--quiet", name], stderr=subprocess.DEVNULL)
        # In a folder of its own, so that the study's own results stay where they are.
        command = [*dvc, "run", "--temp", "--name", name, "-S", setting]
        done = subprocess.run([*command, f"{study.as_posix()}/dvc.yaml:evaluate"])
        if done.returncode:
            raise UserError(f"{study}: fold {fold} failed; its message stands above")
    held = held_out(study, params)
    pooled = pool(held, params)
    results.write(study / "metrics/folds.json", pooled)
    print(
        text_table(
            ["pipeline", "of", "n", "accuracy", "balanced accuracy", "its mean and spread over folds"], summary(pooled)
        )
    )
    print(paired_verdict(held, params))
