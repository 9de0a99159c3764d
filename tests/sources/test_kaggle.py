import errno
import sys
from types import SimpleNamespace

import pytest

from brain_mri.errors import UserError
from brain_mri.sources import kaggle


def pretend(monkeypatch, download) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", SimpleNamespace(dataset_download=download))


def failing(error: Exception):
    def download(handle: str) -> str:
        raise error

    return download


def test_version_one_is_asked_for(tmp_path, monkeypatch):
    pretend(monkeypatch, lambda handle: str(tmp_path / handle))
    assert kaggle.download(tmp_path) == tmp_path / "masoudnickparvar/brain-tumor-mri-dataset/versions/1"


@pytest.mark.parametrize("error", [ConnectionError("none"), PermissionError("403"), ValueError("credentials")])
def test_without_network_or_credentials_it_says_what_to_fetch_by_hand(tmp_path, monkeypatch, error):
    pretend(monkeypatch, failing(error))
    with pytest.raises(UserError, match=r"by hand from https://www.kaggle.com/\S+/1 .*brain-tumor-mri-v1\.zip"):
        kaggle.download(tmp_path)


def test_without_kagglehub_it_says_the_same(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(UserError, match=r"ImportError|ModuleNotFoundError"):
        kaggle.download(tmp_path)


def test_a_full_disk_is_not_mistaken_for_a_missing_network(tmp_path, monkeypatch):
    pretend(monkeypatch, failing(OSError(errno.ENOSPC, "full")))
    with pytest.raises(OSError, match="full"):
        kaggle.download(tmp_path)
