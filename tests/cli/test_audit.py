"""`brain-mri audit`: what it writes, what it says, what ends in one line; and that it leaves every image alone."""

import csv
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from commands import forbid_reading, run_command
from heads import head
from pictures import encoded, write_folder, write_zip

Call = Callable[..., tuple[int, list[str], list[str]]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Call the command in an empty folder: its exit code, its lines on stdout and those on stderr but the progress."""
    monkeypatch.chdir(tmp_path)

    def called(*arguments: str) -> tuple[int, list[str], list[str]]:
        code, out, err = run_command(monkeypatch, capsys, "audit", *arguments)
        return code, out, [line for line in err if not line.startswith("described:")]

    return called


def rows(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def write_two() -> None:
    write_folder(Path("train"), {f"{seed}.png": encoded(head(seed)) for seed in range(4)})
    mirrored = encoded(np.ascontiguousarray(head(1)[:, ::-1]))
    write_zip(
        Path("test.zip"), {"x/copy.png": encoded(head(0)), "x/mirrored.png": mirrored, "x/own.png": encoded(head(9))}
    )


def test_tables_page_and_sentence(call: Call) -> None:
    write_two()
    code, out, err = call("train", "test.zip")
    assert (code, err) == (0, [])
    assert out[0] == "2 of 3 images of test.zip have a copy in train, 1 of them mirrored"
    levels = [(row["first"], row["second"], row["level"], row["orientation"]) for row in rows("audit/pairs.csv")]
    assert levels == [
        ("test.zip/x/copy.png", "train/0.png", "bytes", "identity"),
        ("test.zip/x/mirrored.png", "train/1.png", "near", "flip_lr"),
    ]
    assert {row["path"] for row in rows("audit/groups.csv") if row["keep"] == "yes"} == {"train/0.png", "train/1.png"}
    assert rows("audit/unread.csv") == []
    assert out[0] in Path("audit/audit.html").read_text()


def scene(seed: int) -> np.ndarray:
    """A picture without a dark ground, of patches at all sizes, as photographs are."""
    rng, side = np.random.default_rng(seed), 240
    fields = [
        cv2.resize(rng.standard_normal((n, n)), (side, side), interpolation=cv2.INTER_CUBIC) for n in (4, 9, 20, 60)
    ]
    return np.clip(128 + 25 * sum(fields), 0, 255).astype(np.uint8)


def test_photographs_are_found_where_heads_would_differ(call: Call) -> None:
    scenes = [scene(seed) for seed in range(6)]
    write_folder(Path("all"), {f"{place}.png": encoded(image) for place, image in enumerate(scenes)})
    write_folder(Path("cut"), {f"{place}.png": encoded(image[8:, 16:].copy()) for place, image in enumerate(scenes)})
    assert call("all", "cut", "--fail-above", "5")[0] == 0
    assert call("all", "cut", "--fail-above", "5", "--photographs")[0] == 1
    assert call("all", "--photographs")[1][0] == "0 of 6 images of all repeat another one of all"


def test_again_the_same_bytes_and_the_images_untouched(call: Call) -> None:
    write_two()
    before = {path: path.read_bytes() for path in Path().rglob("*.*") if path.is_file()}
    call("train", "test.zip", "--keep", "keep.csv")
    once = {path.name: path.read_bytes() for path in Path("audit").iterdir()}
    call("train", "test.zip", "--keep", "keep.csv")
    assert {path.name: path.read_bytes() for path in Path("audit").iterdir()} == once
    assert {path: path.read_bytes() for path in before} == before


def test_what_is_kept_has_no_copies(call: Call) -> None:
    write_folder(Path("all"), {f"{place}.png": encoded(head(place % 3)) for place in range(6)})
    assert call("all", "--keep", "lists/keep.csv")[0] == 0
    assert [row["path"] for row in rows("lists/keep.csv")] == ["../all/0.png", "../all/1.png", "../all/2.png"]
    assert call("lists/keep.csv", "--fail-above", "0")[0] == 0


def test_the_images_of_a_table_are_named_as_seen_from_here(call: Call) -> None:
    for place in ("a", "b"):
        write_folder(Path(place), {f"{seed}.png": encoded(head(seed)) for seed in range(2)})
        Path(place, "list.csv").write_text("path\n0.png\n1.png\n")
    assert call("a/list.csv", "b/list.csv", "--keep", "keep.csv")[0] == 0
    assert [(row["first"], row["second"]) for row in rows("audit/pairs.csv")] == [
        ("a/0.png", "b/0.png"),
        ("a/1.png", "b/1.png"),
    ]
    assert [row["path"] for row in rows("keep.csv")] == ["a/0.png", "a/1.png"]


def test_more_copies_than_allowed_fail(call: Call) -> None:
    write_two()
    assert call("train", "test.zip", "--fail-above", "2")[0] == 0
    code, _, err = call("train", "test.zip", "--fail-above", "1")
    assert (code, err) == (1, ["brain-mri audit: 2 images have a copy, and --fail-above allows 1"])


def test_what_cannot_be_read_is_listed_and_fails(call: Call) -> None:
    write_two()
    Path("train/broken.png").write_bytes(b"")
    code, _, (line,) = call("train", "test.zip")
    assert code == 1
    assert "1 files could not be read" in line and "train/broken.png: empty" in line
    assert [row["path"] for row in rows("audit/unread.csv")] == ["train/broken.png"]


def test_what_may_not_be_read_is_listed_too(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    write_two()
    forbid_reading(monkeypatch, "2.png")
    code, _, (line,) = call("train", "test.zip")
    assert code == 1 and "train/2.png: cannot be read (Permission denied)" in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "train"], "named twice"),
        (["nowhere"], "no such file"),
        (["train", "--same", "2"], "--same 2.0"),
        (["train", "--out", "test.zip"], "a file stands there"),
        (["train", "--keep", "train"], "--keep train: a folder stands there"),
        (["train", "--keep", "."], "--keep .: a folder stands there"),
        (["train", "--keep", "pipe"], "--keep pipe: a device stands there"),
        (["train", "--out", "taken"], "taken/groups.csv: a folder stands there"),
        (["train", "--fail-above", "-1"], "give 0 or more"),
        (["train", "--keep", "train/0.png"], "--keep train/0.png: would replace what is read"),
        (["train", "--keep", "link/0.png"], "--keep train/0.png: would replace what is read"),
        (["test.zip", "--keep", "test.zip"], "--keep test.zip: would replace what is read"),
        (["pairs.csv", "--out", "."], "--out pairs.csv: would replace what is read"),
        (["pairs.csv", "--keep", "train/1.png"], "--keep train/1.png: would replace what is read"),
        (["train", "--keep", "audit/groups.csv"], "--keep audit/groups.csv: --out writes there too"),
    ],
)
def test_a_user_s_error_is_one_line_and_writes_nothing(call: Call, arguments: list[str], words: str) -> None:
    """The family: what is to be read is not there or not right; what is to be written has a folder, a file, a pipe or a
    device in its place, which stays there."""
    write_two()
    os.mkfifo("pipe")
    Path("taken/groups.csv").mkdir(parents=True)
    Path("link").symlink_to("train")
    Path("pairs.csv").write_text("path,label\ntrain/1.png,a\n")
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    code, out, (line,) = call(*arguments)
    assert (code, out) == (2, [])
    assert words in line
    assert Path("pipe").is_fifo() and [path.name for path in Path("taken").iterdir()] == ["groups.csv"]
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before
    assert not Path("audit").exists()


def test_a_carriage_return_in_a_name_stays_in_it(call: Call) -> None:
    write_folder(Path("in"), {"a\rb.png": encoded(head(1)), "c.png": encoded(head(1))})
    code, _, err = call("in", "--keep", "keep.csv")
    assert (code, err) == (0, [])
    assert {row["path"] for row in rows("audit/groups.csv")} == {"in/a\rb.png", "in/c.png"}
    assert rows("keep.csv") == [{"path": "in/a\rb.png"}]
