"""The page of an audit: pairs of copies side by side, in one HTML file that loads nothing from elsewhere."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from brain_mri.audit.findings import Audited, ordered_groups
from brain_mri.copies.descriptions import ORIENTATIONS, Image, turned
from brain_mri.copies.duplicates import LEVELS
from brain_mri.images.groups import Integers
from brain_mri.pages import data_uri, templates

DOUBTFUL, GROUPS, OF_EACH = 40, 100, 6  # pairs, groups, and pairs of a group that a page shows: 5 MB of pictures
QUALITY = 60  # of JPEG, 0 to 100; WebP would be smaller and take ten times as long


class Pair(NamedTuple):
    """A pair as a page shows it: the first image turned as its copy is, and the copy."""

    first: str
    second: str
    pictures: tuple[str, str]  # data URIs
    facts: str


class Group(NamedTuple):
    """`left_out` pairs are not shown."""

    title: str
    pairs: Sequence[Pair]
    left_out: int


def render(audited: Audited, thumbnails: Image, lines: Sequence[str]) -> str:
    """Return the page. thumbnails (N, S, S) as in `Descriptions`, `lines` the findings in words."""
    pairs = audited.pairs
    groups = ordered_groups(audited)
    by_doubt = np.argsort(pairs.score, kind="stable")
    numbers = np.zeros(len(audited.groups), np.int64)
    for number, members in enumerate(groups, start=1):
        numbers[members] = number
    of_group = numbers[pairs.first[by_doubt]]
    shown = []
    for number, members in enumerate(groups[:GROUPS], start=1):
        own = by_doubt[of_group == number]
        title = f"Group {number}: {_counts(audited, members)}"
        shown.append(Group(title, _pairs(audited, thumbnails, own[:OF_EACH]), len(own[OF_EACH:])))
    return (
        templates("brain_mri.audit")
        .get_template("audit.html.jinja")
        .render(
            title=" and ".join(audited.images.collections),
            lines=lines,
            doubtful=_pairs(audited, thumbnails, by_doubt[:DOUBTFUL]),
            groups=shown,
            groups_left_out=len(groups[GROUPS:]),
        )
    )


def _counts(audited: Audited, members: Integers) -> str:
    owner = audited.images.owner[members]
    counts = [(int((owner == place).sum()), name) for place, name in enumerate(audited.images.collections)]
    return ", ".join(f"{count} of {name}" for count, name in counts if count)


def _pairs(audited: Audited, thumbnails: Image, places: Integers) -> list[Pair]:
    pairs, paths = audited.pairs, audited.images.paths
    found = []
    for place in places:
        first, second = int(pairs.first[place]), int(pairs.second[place])
        turn = ORIENTATIONS[pairs.orientation[place]]
        pictures = _picture(turned(thumbnails[first], turn)), _picture(thumbnails[second])
        facts = f"{LEVELS[pairs.level[place]]}, {turn}, {pairs.score[place]:.3f}"
        found.append(Pair(paths[first], paths[second], pictures, facts))
    return found


def _picture(thumbnail: Image) -> str:
    coded = cv2.imencode(".jpg", np.ascontiguousarray(thumbnail), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
    return data_uri(coded, "image/jpeg")
