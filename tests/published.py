"""The published images, for tests that need them; they skip where the archive is not at hand."""

import os
import zipfile
from functools import cache
from pathlib import Path

import pytest

NAME = "brain-tumor-mri-v1"


def archive() -> Path:
    path = Path(os.environ.get("BRAIN_MRI_DATA", "")) / f"{NAME}.zip"
    if not os.environ.get("BRAIN_MRI_DATA") or not path.is_file():
        pytest.skip(f"BRAIN_MRI_DATA names no folder that holds {NAME}.zip")
    return path


@cache
def images(step: int) -> dict[str, bytes]:
    """Every `step`-th image of the archive, by path."""
    with zipfile.ZipFile(archive()) as file:
        return {name: file.read(name) for name in sorted(file.namelist())[::step]}
