"""How images are dealt out to training, validation and test, so that no group of copies stands on two sides.

Groups come from the audit (copies of one slice) and from what is known of patients; images without kin are groups of
one. Labels are int (N,), groups int (N,).
"""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedShuffleSplit

from brain_mri.errors import UserError

TRAIN, VALIDATION, TEST, UNUSED = "train", "val", "test", "unused"
POLICIES = ("official", "leak_free", "grouped")


def deal(
    labels: np.ndarray,
    parts: np.ndarray,
    copies: np.ndarray,
    kin: np.ndarray,
    policy: str,
    validation: float,
    test: float,
    seed: int,
) -> np.ndarray:
    """Return for each image, str (N,), whether it is for train, val, test or unused.

    `parts` (N,) is Training, Testing, or empty where no split is published. `copies` are the groups of copies, `kin`
    those and patients joined: no group of kin is on two sides. Policies:
    - official: Testing tests. Training is dealt to train and validation.
    - leak_free: Testing tests. Training images with kin in Testing are unused, and of copies the first is kept.
    - grouped: all images are dealt afresh, `test` of them to test, of which one of each group of copies is kept.
    `validation` is the share of what does not test. Raises UserError where the policy or a share cannot be met."""
    result = np.full(len(labels), TRAIN, dtype="<U6")
    if policy == "grouped":
        chosen = grouped_holdout(labels, kin, test, seed, "split.test")
        result[chosen] = np.where(is_first(copies[chosen]), TEST, UNUSED)
        validation_seed = seed + 1
    else:
        if (parts == "").any():
            raise UserError(f"split.policy = {policy}: the source publishes no test set; use grouped")
        result[parts == "Testing"] = TEST
        if policy == "leak_free":
            leaks = np.isin(kin, kin[result == TEST]) & (result == TRAIN)
            result[leaks] = UNUSED
            left = np.flatnonzero(result == TRAIN)
            result[left[~is_first(copies[left])]] = UNUSED
        validation_seed = seed
    rest = np.flatnonzero(result == TRAIN)
    result[rest[grouped_holdout(labels[rest], kin[rest], validation, validation_seed, "split.validation")]] = VALIDATION
    return result


def grouped_holdout(labels: np.ndarray, groups: np.ndarray, share: float, seed: int, key: str) -> np.ndarray:
    """Return bool (N,): the images held out, whole groups, as many of each class as a plain stratified draw takes.

    The number held out is rounded up, so the report's 5,712 images give 4,569 and 1,143 at a share of 0.2. Groups are
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


def is_first(groups: np.ndarray) -> np.ndarray:
    """Return bool (N,): whether an image is the first of its group."""
    first = np.zeros(len(groups), bool)
    first[np.unique(groups, return_index=True)[1]] = True
    return first


def join(groups: np.ndarray, names: np.ndarray) -> np.ndarray:
    """Return the groups, int (N,), that remain when images of one name, str (N,), belong together too; "" is none."""
    known = np.flatnonzero(names != "")
    inverse = np.unique(names[known], return_inverse=True)[1]
    count = len(groups)
    links = coo_array(
        (np.ones(count + len(known)), (np.r_[np.arange(count), known], np.r_[groups + count, 2 * count + inverse])),
        shape=(3 * count, 3 * count),
    )
    return np.unique(connected_components(links, directed=False)[1][:count], return_inverse=True)[1]
