import os
import stat
import struct
import unicodedata
import warnings
import zipfile
from pathlib import Path

import published
import pytest
from pictures import LIMITS, png, write_folder, write_zip, written

from brain_mri.errors import UserError
from brain_mri.params import Published, load_params
from brain_mri.sources import archive, container
from brain_mri.sources.archive import COUNTS, fingerprint, inventory, unpack, verify
from brain_mri.sources.container import locate

CLASSES = ("glioma", "notumor")
FILES = {f"{part}/{label}/{number}.png": png(number) for part in COUNTS for label in CLASSES for number in range(2)}
CLUTTER = {
    "$RECYCLE.BIN/a/b.png": b"x",
    "System Volume Information/x": b"x",
    ".DS_Store": b"x",
    "Training/Thumbs.db": b"x",
    "__MACOSX/Training/glioma/._0.png": b"x",
    "README.txt": b"x",
}


def test_zip_repacked_zip_and_folder_are_the_same_data(tmp_path):
    cluttered = {**FILES, **CLUTTER}
    sources = {
        write_zip(tmp_path / "plain.zip", FILES): 0,
        write_zip(tmp_path / "repacked.zip", {f"set/{name}": cluttered[name] for name in reversed(cluttered)}): 6,
        write_folder(tmp_path / "folder", cluttered): 6,
        write_folder(tmp_path / "enclosed", {f"top/{name}": data for name, data in FILES.items()}): 0,
    }
    prints = set()
    for number, (source, ignored) in enumerate(sources.items()):
        fetched = unpack(source, tmp_path / str(number), CLASSES, LIMITS)
        assert [record.path for record in fetched.records] == sorted(FILES) == list(inventory(source))
        assert written(tmp_path / str(number) / "raw") == FILES
        assert fetched.ignored == ignored and not fetched.refused
        prints.add(fingerprint(inventory(source)))
    assert len(prints) == 1


def test_fingerprint_depends_on_paths_and_bytes():
    files = {"Training/a/1.png": "aa", "Testing/a/1.png": "bb"}
    others = {**files, "Testing/a/1.png": "cc"}, {**files, "Testing/a/2.png": "bb"}, {"Training/a/1.png": "aa"}
    assert len({fingerprint(each) for each in (files, *others)}) == 4


def test_locate_prefers_what_the_machine_says(tmp_path, monkeypatch):
    downloads, store = tmp_path / "downloads", tmp_path / "store"
    write_folder(downloads / "small", FILES)
    write_folder(store, {"small.zip": b""})
    monkeypatch.delenv("BRAIN_MRI_DATA", raising=False)
    assert locate("small", downloads) == downloads / "small"
    monkeypatch.setenv("BRAIN_MRI_DATA", str(store))
    assert locate("small", downloads) == store / "small.zip"
    with pytest.raises(UserError, match=r"'other'.*other\.zip.*store.*https://example"):
        locate("other", downloads, "get it from https://example.org")


def test_locate_says_where_it_looked_and_looks_where_people_mean(tmp_path, monkeypatch):
    """The family: BRAIN_MRI_DATA with `~`, of a user that is not there, relative; a study below the root; the copy of
    the repository in which DVC runs an experiment (`--temp`, `--queue`), without what git ignores; a name in NFD."""
    repository, copy = tmp_path / "repository", tmp_path / "repository/.dvc/tmp/exps/tmp1"
    write_folder(repository / "downloads/small", FILES)
    write_folder(repository / "store" / unicodedata.normalize("NFD", "hélas"), FILES)
    (copy / "studies/one").mkdir(parents=True)
    monkeypatch.chdir(copy / "studies/one")
    monkeypatch.delenv("BRAIN_MRI_DATA", raising=False)
    downloads = Path("../..") / "downloads"
    with pytest.raises(UserError, match=rf" in {copy / 'downloads'}; .*BRAIN_MRI_DATA.*absolute"):
        locate("small", downloads)
    monkeypatch.setenv("DVC_ROOT", str(repository))
    assert locate("small", downloads) == repository / "downloads/small"
    monkeypatch.setenv("HOME", str(repository))
    for named in ("~/store", "store", "./store/", str(repository / "store")):
        monkeypatch.setenv("BRAIN_MRI_DATA", named)
        assert locate("hélas", downloads).is_dir()
    for named, place in (
        ("~no-such-user/x", copy / "~no-such-user/x"),
        ("nowhere", repository / "nowhere"),
        ("~/x", repository / "x"),
    ):
        monkeypatch.setenv("BRAIN_MRI_DATA", named)
        with pytest.raises(UserError, match=rf" {place} \(from BRAIN_MRI_DATA\)| {place} or "):
            locate("small", downloads)


def test_a_wrong_fingerprint_says_so_by_name_and_count(tmp_path):
    source = write_zip(tmp_path / "a.zip", FILES)
    right = fingerprint(inventory(source))
    verify(source, right, CLASSES)
    found = rf"a\.zip: found 8 files \(4 in Training, 4 in Testing\) with fingerprint {right[:16]}"
    with pytest.raises(UserError, match=f"{found}.*expected 7,023 .*0000"):
        verify(source, "0" * 64, CLASSES)


def test_version_two_is_refused_by_name(tmp_path):
    files = {f"brain/{label}/{number}.png": b"x" for label in "abcd" for number in range(1800)}
    with pytest.raises(UserError, match=r"version 2 of the data set.*7,200.*version 1"):
        verify(write_zip(tmp_path / "a.zip", files), "0" * 64, CLASSES)


def without(start: str) -> dict[str, bytes]:
    return {name: data for name, data in FILES.items() if not name.startswith(start)}


LAYOUTS = {
    "no testing": (without("Testing/"), "no folder Testing/"),
    "testing misspelt": ({**without("Testing/"), "Tesing/glioma/0.png": b""}, r"Testing/ \(is it 'Tesing'\?\)"),
    "class missing": (without("Testing/glioma/"), "Testing: no image of class 'glioma'"),
    "class misspelt": ({**without("Training/glioma/"), "Training/Gliomas/0.png": b""}, r"\(is it 'Gliomas'\?\)"),
    "class unknown": ({**FILES, "Training/stroke/0.png": b""}, "Training: the folder 'stroke' is no class"),
    "nothing": ({"a.txt": b""}, "no folder Training/"),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_wrong_layout_is_named_before_anything_is_written(tmp_path, name):
    files, message = LAYOUTS[name]
    for source in (write_zip(tmp_path / "a.zip", files), write_folder(tmp_path / "folder", files)):
        with pytest.raises(UserError, match=message):
            unpack(source, tmp_path, CLASSES, LIMITS)
        with pytest.raises(UserError, match=message):
            verify(source, "0" * 64, CLASSES)
    assert not (tmp_path / "raw").exists()


HOSTILE = {
    "absolute": ("/tmp/evil.png", 0, b"x", "leads out"),
    "parent": ("Training/../../evil.png", 0, b"x", "leads out"),
    "backslash": ("Training\\..\\evil.png", 0, b"x", "leads out"),
    "drive": ("C:\\evil.png", 0, b"x", "leads out"),
    "control": ("Training/glioma/a\nb.png", 0, b"x", "control character"),
    "no name": (".", 0, b"x", "no name"),
    "twice": ("./Training\\glioma/0.png", 0, b"x", r"'Training/glioma/0\.png' is there 2 times"),
    "link": ("Training/glioma/l.png", stat.S_IFLNK | 0o777, b"/etc/passwd", "link or a device"),
    "device": ("Training/glioma/d.png", stat.S_IFCHR | 0o666, b"", "link or a device"),
    "bomb": ("Training/glioma/b.png", 0, bytes(30_000_000), "would unpack to"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_zip_is_refused_before_anything_is_written(tmp_path, kind):
    name, mode, data, message = HOSTILE[kind]
    source = write_zip(tmp_path / "a.zip", FILES)
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    with zipfile.ZipFile(source, "a") as file:
        file.writestr(info, data, zipfile.ZIP_DEFLATED)
    for read in (inventory, lambda path: unpack(path, tmp_path, CLASSES, LIMITS)):
        with pytest.raises(UserError, match=message):
            read(source)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_encrypted_twice_named_and_crowded_zips_are_refused(tmp_path, monkeypatch):
    source = write_zip(tmp_path / "a.zip", FILES)
    data = bytearray(source.read_bytes())
    struct.pack_into("<H", data, data.index(b"PK\x01\x02") + 8, 1)
    (tmp_path / "locked.zip").write_bytes(data)
    with pytest.raises(UserError, match="encrypted"):
        inventory(tmp_path / "locked.zip")
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(source, "a") as file:
        file.writestr("Training/glioma/0.png", b"other")
    with pytest.raises(UserError, match="is there 2 times"):
        inventory(source)
    monkeypatch.setattr(container, "MAX_ENTRIES", 3)
    with pytest.raises(UserError, match="the limit is 3"):
        inventory(write_zip(tmp_path / "b.zip", FILES))


def test_a_broken_zip_never_looks_whole(tmp_path):
    data = write_zip(tmp_path / "a.zip", FILES).read_bytes()
    unpack(tmp_path / "a.zip", tmp_path, CLASSES, LIMITS)
    flipped = bytearray(data)
    flipped[data.index(b"IDAT", len(data) // 3) + 20] ^= 0xFF
    for broken in (data[: len(data) // 2], bytes(flipped), b"", b"not a zip"):
        (tmp_path / "a.zip").write_bytes(broken)
        with pytest.raises(UserError, match="not a whole zip"):
            unpack(tmp_path / "a.zip", tmp_path, CLASSES, LIMITS)
        assert written(tmp_path / "raw") == FILES  # what was there before
    with pytest.raises(UserError, match="not there"):
        inventory(tmp_path / "none.zip")


def test_links_of_a_folder_are_followed_and_pipes_and_names_held_back(tmp_path):
    """The family: links to files and folders, as DVC's shared cache, git-annex, DataLad and people make them, into the
    data set, out of it, to nothing (content not fetched), and in circles."""
    folder = write_folder(tmp_path / "folder", FILES)
    outside = write_folder(tmp_path / "outside", {"secret.png": png(7), "more/a.png": png(8)})
    glioma = folder / "Training/glioma"
    (glioma / "in.png").symlink_to(glioma / "0.png")
    (glioma / "out.png").symlink_to(outside / "secret.png")
    (glioma / "more").symlink_to(outside / "more")
    (glioma / "none.png").symlink_to("nowhere")
    (glioma / "circle.png").symlink_to("circle.png")
    (glioma / "above").symlink_to(folder)
    (outside / "more" / "back").symlink_to(outside)
    os.mkfifo(glioma / "pipe.png")
    (glioma / os.fsdecode(b"\xff.png")).write_bytes(png(9))
    fetched = unpack(folder, tmp_path, CLASSES, LIMITS)
    linked = {"in.png": png(0), "out.png": png(7), "more-a.png": png(8)}
    linked |= {"more-back-secret.png": png(7)}
    expected = {**FILES, **{f"Training/glioma/{name}": data for name, data in linked.items()}}
    assert {**written(tmp_path / "raw"), "Training/glioma/in.png": png(0)} == expected
    assert {(file.path.rpartition("/")[2], file.reason) for file in fetched.refused} == {
        ("none.png", container.NOT_FETCHED),
        ("circle.png", container.NOT_FETCHED),
        ("above", "not an image: not an ordinary file"),
        ("more", "not an image: not an ordinary file"),
        ("pipe.png", "not an image: not an ordinary file"),
        ("\\udcff.png", "name is not UTF-8"),
    }


@pytest.mark.parametrize("flagged", [True, False])
def test_a_zip_made_on_a_mac_or_windows_is_read(tmp_path, monkeypatch, flagged):
    """The family: names that one system writes and another does not, none of them dangerous: a narrow space in a
    screenshot's name, backslashes, `./`, a colon, accents as two characters, UTF-8 with and without the flag that says
    so (macOS), an icon's name that ends in a carriage return, a folder that is named twice."""
    if not flagged:
        monkeypatch.setattr(zipfile.ZipInfo, "_encodeFilenameFlags", lambda info: (info.filename.encode(), 0))
    source = write_zip(tmp_path / "a.zip", without("Training/glioma/"))
    names = ["./Training//glioma/at 3.45\u202fPM.png", "Training\\glioma\\a.png", "Training/glioma/10:32.png"]
    names += [
        unicodedata.normalize("NFD", "Training/glioma/é.png"),
        "Training/glioma/Icon\r",
        "Training\\",
        "Training\\",
    ]
    with zipfile.ZipFile(source, "a") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names:
            file.writestr(name, b"" if name.endswith("\\") else png(1))
    fetched = unpack(source, tmp_path, CLASSES, LIMITS)
    found = [record.path for record in fetched.records if record.path.startswith("Training/glioma/")]
    assert found == [f"Training/glioma/{name}" for name in ("10_32.png", "a.png", "at 3.45_PM.png", "é.png")]
    assert fetched.ignored == 1 and not fetched.refused


def test_a_kill_while_unpacking_leaves_nothing_that_looks_whole(tmp_path, monkeypatch):
    source = write_zip(tmp_path / "a.zip", FILES)
    read, count = zipfile.ZipFile.read, []

    def dying(self, name):
        count.append(name)
        if len(count) == 5:
            raise KeyboardInterrupt
        return read(self, name)

    monkeypatch.setattr(zipfile.ZipFile, "read", dying)
    with pytest.raises(KeyboardInterrupt):
        unpack(source, tmp_path, CLASSES, LIMITS)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_the_published_archive_has_its_fingerprint():
    dataset = load_params(Path(__file__).parents[2] / "studies/paper/params.yaml").dataset
    assert isinstance(dataset, Published)
    files = inventory(published.archive())
    assert fingerprint(files) == dataset.fingerprint
    assert len(files) == sum(archive.COUNTS.values()) == 7023
