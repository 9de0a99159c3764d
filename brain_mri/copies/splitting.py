"""How images are assigned to training, validation and test, so that no group of copies stands on two sides.

Labels are int (N,), groups int (N,); an image without copies or known patient is a group of its own.
"""

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedShuffleSplit

from brain_mri.errors import UserError
from brain_mri.images.groups import is_first
from brain_mri.params import Split

TRAIN, VALIDATION, TEST, EXTERNAL, UNUSED = "train", "val", "test", "external", "unused"


def assign_splits(
    labels: np.ndarray, parts: np.ndarray, copies: np.ndarray, groups: np.ndarray, settings: Split
) -> np.ndarray:
    """Return for each image, str (N,), whether it is for train, val, test or external, or unused.

    `parts` (N,) is Training, Testing, External, or empty where no split is published. `copies` are the groups of
    copies, `groups` those and patients merged: no group is on two sides. External images are a test set of their own;
    their labels are not asked for, and those with a group in train or val are unused. Policies for the others:
    - official: Testing tests. Training is divided into train and validation.
    - leak_free: Testing tests. Training images with a group in Testing are unused, and of copies the first is kept.
    - grouped: all images are dealt afresh into `settings.folds` parts of whole groups, each with its share of every
      class; part `settings.fold` tests, and of each group of copies one image is kept there.
    `settings.validation` is the share of what does not test. Raises UserError where the policy or a share cannot be
    met."""
    result = np.full(len(labels), EXTERNAL, dtype="<U8")
    own = parts != "External"
    result[own] = _assign_own(labels[own], parts[own], copies[own], groups[own], settings)
    trained = np.isin(result, [TRAIN, VALIDATION])
    result[~own & np.isin(groups, groups[trained])] = UNUSED
    return result


def _assign_own(
    labels: np.ndarray, parts: np.ndarray, copies: np.ndarray, groups: np.ndarray, settings: Split
) -> np.ndarray:
    result = np.full(len(labels), TRAIN, dtype="<U8")
    seed = settings.seed
    if settings.policy == "grouped":
        chosen = assign_folds(labels, groups, settings.folds, seed) == settings.fold
        result[chosen] = np.where(is_first(copies[chosen]), TEST, UNUSED)
        seed += 1
    else:
        if (parts == "").any():
            raise UserError(f"split.policy = {settings.policy}: the source publishes no test set; use grouped")
        result[parts == "Testing"] = TEST
        if settings.policy == "leak_free":
            result[np.isin(groups, groups[result == TEST]) & (result == TRAIN)] = UNUSED
            left = np.flatnonzero(result == TRAIN)
            result[left[~is_first(copies[left])]] = UNUSED
    rest = np.flatnonzero(result == TRAIN)
    held_out = grouped_holdout(labels[rest], groups[rest], settings.validation, seed, "split.validation")
    result[rest[held_out]] = VALIDATION
    return result


def assign_folds(labels: np.ndarray, groups: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Return for each image its fold, int (N,), 0 to folds - 1: whole groups, the classes shared out evenly
    (scikit-learn's StratifiedGroupKFold). Raises UserError where a class has fewer groups than there are folds."""
    for label in np.unique(labels):
        if (count := len(np.unique(groups[labels == label]))) < folds:
            raise UserError(
                f"split.folds = {folds}: class number {label} has {count} groups of copies and patients, each fold "
                "needs one; lower split.folds or add images"
            )
    result = np.empty(len(labels), np.int64)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for fold, (_, held_out) in enumerate(splitter.split(np.zeros((len(labels), 1)), labels, groups)):
        result[held_out] = fold
    return result


def grouped_holdout(labels: np.ndarray, groups: np.ndarray, share: float, seed: int, key: str) -> np.ndarray:
    """Return bool (N,): the images held out, whole groups, as many of each class as a plain stratified draw takes.

    The number held out is rounded up, so the paper's 5,712 images give 4,569 and 1,143 at a share of 0.2. Groups are
    drawn in a random order and taken as long as no class gets too many; where the groups that are left are all too
    large, a class stays short. Raises UserError, naming `key`, where a class is too small."""
    try:
        splitter = StratifiedShuffleSplit(1, test_size=share, random_state=seed)
        _, plain = next(splitter.split(np.zeros((len(labels), 1)), labels))
    except ValueError as error:
        raise UserError(f"{key} = {share}: {error}; add images or change it") from None
    wanted = np.bincount(labels[plain], minlength=labels.max() + 1)
    members = np.unique(groups, return_inverse=True)[1]
    contents = np.zeros((members.max() + 1, len(wanted)), np.int64)
    np.add.at(contents, (members, labels), 1)
    taken = np.zeros(len(contents), bool)
    for group in np.random.default_rng(seed).permutation(len(contents)):
        if (contents[group] <= wanted).all():
            taken[group] = True
            wanted -= contents[group]
    return taken[members]
