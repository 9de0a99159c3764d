"""Collections as a person names them: folders, zips, CSVs; and one line for what is none."""

import pickle
from pathlib import Path

import pytest
from heads import head
from pictures import LIMITS, encoded, write_folder, write_zip

from brain_mri.audit.collections import describe_collections, open_collections
from brain_mri.copies.descriptions import read_descriptions
from brain_mri.errors import UserError

FILES = {f"a/{seed}.png": encoded(head(seed)) for seed in range(3)}


def test_folder_zip_and_table_are_described_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_folder(Path("folder"), FILES | {"README.txt": b"no image", "a/broken.png": b"\x89PNG\r\n\x1a\n"})
    write_zip(Path("packed.zip"), FILES)
    Path("list.csv").write_text("path\n" + "".join(f"folder/{name}\n" for name in FILES))
    sources = [Path("folder"), Path("packed.zip"), Path("list.csv")]
    with open_collections(sources, LIMITS) as collections:
        found = describe_collections(collections, LIMITS, Path("descriptions"))
    assert found.collections == ["folder", "packed.zip", "list.csv"]
    # The table names the folder's own files.
    assert found.owners == [0, 2] * 3 + [1] * 3
    assert found.paths[0::2] == [
        "folder/a/0.png",
        "folder/a/1.png",
        "folder/a/2.png",
        "packed.zip/a/0.png",
        "packed.zip/a/2.png",
    ]
    ((path, reason),) = found.unread
    assert path == "folder/a/broken.png" and reason
    hashes = read_descriptions(Path("descriptions")).byte_hashes
    assert hashes[0:6:2].tolist() == hashes[1:6:2].tolist() == hashes[6:].tolist()


def test_a_zip_s_member_is_read_in_another_process(tmp_path: Path) -> None:
    with open_collections([write_zip(tmp_path / "packed.zip", FILES)], LIMITS) as (collection,):
        sent = pickle.dumps(collection.images)
    assert [image.read() for image in pickle.loads(sent)] == list(FILES.values())


def test_collections_that_end_alike_are_named_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("one/images", "two/images"):
        write_folder(Path(folder), FILES)
    with open_collections([Path("one/images"), Path("two/images")], LIMITS) as collections:
        assert [collection.name for collection in collections] == ["one/images", "two/images"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["folder", "./folder"], "named twice"),
        (["folder", "link"], "named twice"),
        (["folder", "folder/a"], "folder/a: lies in folder"),
        (["folder/a", "folder"], "folder/a: lies in folder"),
        (["empty"], "no images in it"),
        (["nowhere"], "no such file"),
        (["nowhere.csv"], "no such file"),
        (["other.csv"], "no column 'path'"),
    ],
)
def test_what_is_no_collection_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_folder(Path("folder"), FILES)
    Path("empty").mkdir()
    Path("link").symlink_to("folder")
    Path("other.csv").write_text("file\nx.png\n")
    with pytest.raises(UserError, match=words), open_collections([Path(name) for name in names], LIMITS):
        pass


def test_a_collection_without_a_readable_image_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_folder(Path("good"), FILES)
    write_folder(Path("texts"), {f"{number}.png": b"words" for number in range(20)})
    opened = open_collections([Path("good"), Path("texts")], LIMITS)
    with opened as collections, pytest.raises(UserError, match="texts: none of its 20 files"):
        describe_collections(collections, LIMITS, Path("descriptions"))
