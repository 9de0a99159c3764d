"""Slices of one head among images whose patient is unknown: what the descriptors can tell, and how well.

Neighbouring slices resemble each other, so images whose descriptors correlate highly are taken for one head. The links
are judged on images whose patient is known; they are few of those that there are, and nearly all are right.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brain_mri.copies.descriptions import Floats
from brain_mri.copies.neighbours import candidates
from brain_mri.images.groups import Integers, is_first

NEIGHBOURS = 64  # links kept of each image


@dataclass(frozen=True)
class Scans:
    """L links between images that look like slices of one head, one of which at least has no known patient; and the
    links between images whose patients are known: how many, how many are right, how many there would be."""

    first: Integers  # (L,)
    second: Integers  # (L,)
    known: int
    right: int
    possible: int


def find_scans(descriptors: Floats, copies: Integers, families: NDArray[np.str_], least: float) -> Scans:
    """Link N images whose descriptors (N, GRID**2) correlate at `least`, in the best orientation.

    Of copies (groups, (N,)) the first stands for all. `families` (N,): what is known of the patients, "" nothing."""
    leaders = np.flatnonzero(is_first(copies))
    first, second, _ = candidates(descriptors[leaders], least, NEIGHBOURS)
    first, second = leaders[first], leaders[second]
    both_known = (families[first] != "") & (families[second] != "")
    sizes = np.unique(families[leaders][families[leaders] != ""], return_counts=True)[1]
    return Scans(
        first[~both_known],
        second[~both_known],
        int(both_known.sum()),
        int((families[first] == families[second])[both_known].sum()),
        int((sizes * (sizes - 1) // 2).sum()),
    )
