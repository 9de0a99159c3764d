import os
import stat
import struct
import zipfile

import published
import pytest
from pictures import png, write_folder, write_zip, written

from brain_mri.errors import UserError
from brain_mri.sources import archive, container
from brain_mri.sources.archive import BRAIN_TUMOR_MRI_V1, fingerprint, inventory, locate, unpack, verify

CLASSES = ("glioma", "notumor")
FILES = {
    f"{part}/{label}/{number}.png": png(number)
    for part in ("Training", "Testing")
    for label in CLASSES
    for number in range(2)
}
CLUTTER = {".DS_Store": b"x", "Training/Thumbs.db": b"x", "__MACOSX/Training/glioma/._0.png": b"x", "README.txt": b"x"}


def small(**changes) -> archive.Published:
    values = {
        "name": "small",
        "fingerprint": "",
        "counts": {"Training": 4, "Testing": 4},
        "classes": CLASSES,
        "licence": "",
        "citation": "",
        "url": "https://example.org",
    }
    return archive.Published(**{**values, **changes})


def test_zip_repacked_zip_and_folder_are_the_same_data(tmp_path):
    plain = write_zip(tmp_path / "plain.zip", FILES)
    repacked = write_zip(
        tmp_path / "repacked.zip", {f"data set/{name}": data for name, data in reversed({**FILES, **CLUTTER}.items())}
    )
    folder = write_folder(tmp_path / "folder", {**FILES, **CLUTTER})
    enclosed = write_folder(tmp_path / "enclosed", {f"top/{name}": data for name, data in FILES.items()})
    results = []
    for number, source in enumerate((plain, repacked, folder, enclosed)):
        raw = tmp_path / f"raw{number}"
        fetched = unpack(source, raw, tmp_path / f"masks{number}", CLASSES)
        results.append((fingerprint(inventory(source)), fetched.records, written(raw)))
        assert fetched.ignored == (len(CLUTTER) if number in (1, 2) else 0) and not fetched.refused
    assert all(result == results[0] for result in results)
    assert results[0][2] == FILES
    assert [record.path for record in results[0][1]] == sorted(FILES)
    assert list(inventory(plain)) == sorted(FILES)


def test_fingerprint_depends_on_paths_and_bytes(tmp_path):
    prints = {
        fingerprint(inventory(write_zip(tmp_path / f"{number}.zip", files)))
        for number, files in enumerate(
            (
                FILES,
                {**FILES, "Testing/glioma/0.png": png(9)},
                {**FILES, "Testing/glioma/9.png": png(0)},
                dict(list(FILES.items())[1:]),
            )
        )
    }
    assert len(prints) == 4


def test_locate_prefers_what_the_machine_says(tmp_path, monkeypatch):
    downloads, elsewhere = tmp_path / "downloads", tmp_path / "elsewhere"
    write_folder(downloads / "small", FILES)
    write_folder(elsewhere, {"small.zip": b""})
    monkeypatch.delenv("BRAIN_MRI_DATA", raising=False)
    assert locate("small", downloads) == downloads / "small"
    monkeypatch.setenv("BRAIN_MRI_DATA", str(elsewhere))
    assert locate("small", downloads) == elsewhere / "small.zip"
    with pytest.raises(UserError, match=r"'other'.*other\.zip.*elsewhere.*https://example"):
        locate("other", downloads, "get it from https://example.org")


def test_a_wrong_fingerprint_says_so_by_name_and_count(tmp_path):
    source = write_zip(tmp_path / "a.zip", FILES)
    right = fingerprint(inventory(source))
    assert verify(source, right, small()) == inventory(source)
    with pytest.raises(
        UserError,
        match=r"small: found 8 files \(4 in Training, 4 in Testing\) with fingerprint "
        rf"{right[:16]}.*expected 8 .*0000",
    ):
        verify(source, "0" * 64, small())


def test_version_two_is_refused_by_name(tmp_path):
    files = {f"brain/{label}/{number}.png": b"x" for label in "abcd" for number in range(1800)}
    with pytest.raises(UserError, match=r"version 2 of the data set.*7,200.*version 1"):
        verify(write_zip(tmp_path / "a.zip", files), BRAIN_TUMOR_MRI_V1.fingerprint)


def without(start: str) -> dict[str, bytes]:
    return {name: data for name, data in FILES.items() if not name.startswith(start)}


LAYOUTS = {
    "no testing": (without("Testing/"), "no folder Testing/"),
    "testing misspelt": ({**without("Testing/"), "Tesing/glioma/0.png": b""}, r"Testing/ \(is it 'Tesing'\?\)"),
    "class missing": (without("Testing/glioma/"), "Testing/glioma/ is missing or empty"),
    "class misspelt": ({**without("Training/glioma/"), "Training/Gliomas/0.png": b""}, r"\(is it 'Gliomas'\?\)"),
    "class unknown": ({**FILES, "Training/stroke/0.png": b""}, "Training/stroke/ is no class"),
    "nothing": ({"a.txt": b""}, "no folder Training/"),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_wrong_layout_is_named_before_anything_is_written(tmp_path, name):
    files, message = LAYOUTS[name]
    for source in (write_zip(tmp_path / "a.zip", files), write_folder(tmp_path / "folder", files)):
        with pytest.raises(UserError, match=message):
            unpack(source, tmp_path / "raw", tmp_path / "masks", CLASSES)
        with pytest.raises(UserError):
            verify(source, "0" * 64, small())
    assert not (tmp_path / "raw").exists()


def member(name: str, mode: int = 0, flag: int = 0) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    info.flag_bits |= flag
    return info


HOSTILE = {
    "absolute": (member("/tmp/evil.png"), b"x", "lead out"),
    "parent": (member("Training/../../evil.png"), b"x", "lead out"),
    "backslash": (member("Training\\..\\evil.png"), b"x", "lead out"),
    "drive": (member("C:/evil.png"), b"x", "lead out"),
    "control": (member("Training/glioma/a\nb.png"), b"x", "lead out"),
    "link": (member("Training/glioma/l.png", stat.S_IFLNK | 0o777), b"/etc/passwd", "link or a device"),
    "device": (member("Training/glioma/d.png", stat.S_IFCHR | 0o666), b"", "link or a device"),
    "bomb": (member("Training/glioma/b.png"), bytes(30_000_000), "would unpack to"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_zip_is_refused_before_anything_is_written(tmp_path, name):
    info, data, message = HOSTILE[name]
    source = write_zip(tmp_path / "a.zip", FILES)
    with zipfile.ZipFile(source, "a") as file:
        file.writestr(info, data, zipfile.ZIP_DEFLATED)
    for read in (inventory, lambda path: unpack(path, tmp_path / "raw", tmp_path / "masks", CLASSES)):
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
    unpack(tmp_path / "a.zip", tmp_path / "raw", tmp_path / "masks", CLASSES)
    flipped = bytearray(data)
    flipped[data.index(b"IDAT", len(data) // 3) + 20] ^= 0xFF
    for broken in (data[: len(data) // 2], bytes(flipped), b"", b"not a zip"):
        (tmp_path / "a.zip").write_bytes(broken)
        with pytest.raises(UserError, match="not a whole zip"):
            unpack(tmp_path / "a.zip", tmp_path / "raw", tmp_path / "masks", CLASSES)
        assert written(tmp_path / "raw") == FILES  # what was there before
    with pytest.raises(UserError, match="not there"):
        inventory(tmp_path / "none.zip")


def test_links_out_pipes_and_names_of_a_folder_are_held_back(tmp_path):
    folder = write_folder(tmp_path / "folder", FILES)
    outside = write_folder(tmp_path / "outside", {"secret.png": png(7), "more/a.png": png(8)})
    (folder / "Training/glioma/in.png").symlink_to(folder / "Training/glioma/0.png")
    (folder / "Training/glioma/out.png").symlink_to(outside / "secret.png")
    (folder / "Training/glioma/more").symlink_to(outside / "more")
    (folder / "Training/glioma/none.png").symlink_to("nowhere")
    os.mkfifo(folder / "Training/glioma/pipe.png")
    (folder / "Training/glioma" / os.fsdecode(b"\xff.png")).write_bytes(png(9))
    fetched = unpack(folder, tmp_path / "raw", tmp_path / "masks", CLASSES)
    assert sorted(written(tmp_path / "raw")) == sorted([*FILES, "Training/glioma/in.png"])
    assert {(file.path.rpartition("/")[2], file.reason) for file in fetched.refused} == {
        ("out.png", "link leads out of the folder"),
        ("more", "link leads out of the folder"),
        ("none.png", "not an image"),
        ("pipe.png", "not an image"),
        ("\\udcff.png", "name is not UTF-8"),
    }


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
        unpack(source, tmp_path / "raw", tmp_path / "masks", CLASSES)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_the_published_archive_has_its_fingerprint():
    files = verify(published.archive(), BRAIN_TUMOR_MRI_V1.fingerprint)
    assert len(files) == sum(BRAIN_TUMOR_MRI_V1.counts.values()) == 7023
