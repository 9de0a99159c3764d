"""What the copies mean for the collections: sentences, groups, and one image to keep of each group."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from brain_mri.audit.collections import Described
from brain_mri.copies.descriptions import ORIENTATIONS
from brain_mri.copies.duplicates import Pairs, group_copies
from brain_mri.copies.leakage import Mask, find_copies
from brain_mri.images.groups import Integers, is_first

MIRRORED = ORIENTATIONS.index("flip_lr")
GROUP_COLUMNS = ("group", "path", "collection", "keep")


@dataclass(frozen=True)
class Audited:
    """N images and the pairs of copies among them."""

    images: Described
    pairs: Pairs
    groups: Integers  # (N,) group of copies; an image without copies is one of its own

    @classmethod
    def of(cls, images: Described, pairs: Pairs) -> "Audited":
        return cls(images, pairs, group_copies(pairs, len(images.paths)))

    @property
    def keep(self) -> Mask:
        """(N,): of each group the first image by path, of the first collection by order of naming."""
        order = np.lexsort([self.images.owner, self.groups])
        keep = np.zeros(len(order), bool)
        keep[order] = is_first(self.groups[order])
        return keep


def sentences(audited: Audited) -> tuple[list[str], int]:
    """The findings in words; and the number of images that have a copy: in an earlier collection where several are
    named, else within the one."""
    names, owner = audited.images.collections, audited.images.owner
    lines, found, repeats = [], 0, 0
    for later, name in enumerate(names):
        with_copy = np.zeros(len(owner), bool)
        for other in range(later):
            level, orientation = find_copies(owner == other, audited.pairs)
            copied = (owner == later) & (level >= 0)
            with_copy |= copied
            turns = _turns(orientation[copied])
            lines.append(f"{_share(copied, owner == later)} images of {name} have a copy in {names[other]}{turns}")
        found += int(with_copy.sum())
    for place, name in enumerate(names):
        members = audited.groups[owner == place]
        repeated = ~is_first(members)
        lines.append(f"{_share(repeated, np.ones_like(repeated))} images of {name} repeat another one of {name}")
        repeats += int(repeated.sum())
    return lines, found if len(names) > 1 else repeats


def _share(some: Mask, all_: Mask) -> str:
    return f"{some.sum():,} of {all_.sum():,}"


def _turns(orientation: Integers) -> str:
    mirrored, otherwise = int((orientation == MIRRORED).sum()), int((orientation > MIRRORED).sum())
    words = [f"{mirrored:,} of them mirrored"] if mirrored else []
    words += [f"{otherwise:,} {'' if words else 'of them '}turned or upside down"] if otherwise else []
    return "".join(f", {word}" for word in words)


def ordered_groups(audited: Audited) -> list[Integers]:
    """The images of each group of two and more: largest first, of equal ones that with the most doubtful pair."""
    count = len(audited.groups)
    size = np.bincount(audited.groups, minlength=count)
    lowest = np.ones(count)
    np.minimum.at(lowest, audited.groups[audited.pairs.first], audited.pairs.score)
    order = [int(group) for group in np.lexsort([lowest, -size]) if size[group] > 1]
    members = np.split(np.argsort(audited.groups, kind="stable"), np.cumsum(size)[:-1])
    return [members[group] for group in order]


def group_rows(audited: Audited) -> list[dict[str, Any]]:
    """A row an image that has a copy, group by group as in `ordered_groups`, groups numbered from 1."""
    images, keep = audited.images, audited.keep
    return [
        {
            "group": number,
            "path": images.paths[place],
            "collection": images.collections[images.owners[place]],
            "keep": "yes" if keep[place] else "no",
        }
        for number, members in enumerate(ordered_groups(audited), start=1)
        for place in members.tolist()
    ]
