"""Find copies of images within and between collections: equal files, equal pixels, and near copies in any orientation.

    brain-mri audit Training Testing                (folders, zips, CSVs with a column path; writes into audit/)
    brain-mri audit photos --keep photos-once.csv   (and the list of files to keep, one a group)
    brain-mri audit train.csv test.csv --fail-above 0

A near copy is the same picture mirrored, turned, cropped a little, compressed, resized, brighter, of other contrast.
Heads are alike, so what counts as a copy is strict; --photographs, for any other pictures, finds stronger changes.
Writes pairs.csv (level, orientation, score of each pair), groups.csv (which images are one, and which of them to keep),
unread.csv (what could not be read, and why) and audit.html (pairs side by side, the most doubtful first, then the
largest groups) and says in a sentence what was found. It deletes nothing. docs/audit.md says what it finds, and what
it does not.

Exit code: 0; 1, more images than --fail-above have a copy, or some files could not be read; 2, nothing was audited.
With several collections the images that count are those with a copy in a collection named before theirs.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

from brain_mri.cli import named_path


class Thresholds(NamedTuple):
    """As in params.yaml, section `audit`."""

    search: float
    same: float
    neighbours: int = 16


HEADS = Thresholds(0.75, 0.87)
PHOTOGRAPHS = Thresholds(0.4, 0.75)  # two photographs are never as alike as two heads: bench/photographs.py


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "collections", nargs="+", type=named_path, metavar="FOLDER", help="folders, zips, CSVs of images"
    )
    parser.add_argument("--out", type=named_path, default=Path("audit"), metavar="FOLDER", help="default: audit")
    parser.add_argument("--keep", type=named_path, metavar="TABLE", help="write there which files to keep, one a group")
    parser.add_argument("--fail-above", type=int, metavar="N", help="exit code 1 where more images have a copy")
    parser.add_argument("--photographs", action="store_true", help="thresholds for pictures that are no heads")
    default = f"(default: {HEADS.same}, of photographs {PHOTOGRAPHS.same})"
    parser.add_argument("--same", type=float, help=f"least score of a copy, 0 to 1 {default}")


def main(options: argparse.Namespace) -> None:
    import os
    import sys
    import tempfile

    from brain_mri.audit.collections import describe_collections, open_collections
    from brain_mri.audit.findings import GROUP_COLUMNS, Audited, group_rows, sentences
    from brain_mri.audit.page import render
    from brain_mri.cli import check_file_to_write, check_spared, warn
    from brain_mri.copies.descriptions import read_descriptions
    from brain_mri.copies.duplicates import PAIR_COLUMNS, find_pairs, pair_rows
    from brain_mri.errors import UserError
    from brain_mri.files import write_bytes, write_csv
    from brain_mri.images.badimage import Limits
    from brain_mri.params import Audit

    thresholds = PHOTOGRAPHS if options.photographs else HEADS
    if options.same is not None:
        if not 0 < options.same <= 1:
            raise UserError(f"--same {options.same}: a correlation; give one above 0 and up to 1")
        thresholds = thresholds._replace(same=options.same)
    if options.fail_above is not None and options.fail_above < 0:
        raise UserError(f"--fail-above {options.fail_above}: a number of images; give 0 or more")
    out, limits = options.out, Limits()
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out}: a file stands there, and tables and a page go into a folder; name one")
    pairs, groups, unread, html = (out / name for name in ("pairs.csv", "groups.csv", "unread.csv", "audit.html"))
    written = [("--out", file) for file in (pairs, groups, unread, html)]
    written += [("--keep", options.keep)] if options.keep else []
    for option, file in written:
        check_file_to_write(option, file)
    with (
        open_collections(options.collections, limits) as collections,
        tempfile.TemporaryDirectory(prefix="brain-mri-audit-") as scratch,
    ):
        listed = (Path(image.name) for collection in collections for image in collection.images)
        check_spared(written, [*options.collections, *listed])
        folder = Path(scratch, "descriptions")
        images = describe_collections(collections, limits, folder)
        descriptions = read_descriptions(folder)
        audited = Audited.of(images, find_pairs(descriptions, Audit(**thresholds._asdict(), scans=None)))
        lines, found = sentences(audited)
        page = render(audited, descriptions.thumbnails, lines)
    write_csv(pairs, pair_rows(audited.pairs, images.paths), PAIR_COLUMNS)
    write_csv(groups, group_rows(audited), GROUP_COLUMNS)
    write_csv(unread, ({"path": path, "reason": reason} for path, reason in images.unread), ["path", "reason"])
    write_bytes(html, page.encode())
    if options.keep:
        kept = [path for path, keep in zip(images.paths, audited.keep, strict=True) if keep]
        # A CSV's paths are seen from its folder.
        write_csv(options.keep, ({"path": os.path.relpath(path, options.keep.parent)} for path in kept), ["path"])
    print("\n".join([*lines, f"{html}: the pairs side by side"]))
    if images.unread:
        path, reason = images.unread[0]
        warn(f"{len(images.unread):,} files could not be read ({unread}); the first, {path}: {reason}")
    too_many = options.fail_above is not None and found > options.fail_above
    if too_many:
        warn(f"{found:,} images have a copy, and --fail-above allows {options.fail_above:,}")
    if too_many or images.unread:
        sys.exit(1)
