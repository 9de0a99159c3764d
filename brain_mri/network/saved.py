"""A trained network in a file: one `.keras` file with a card, the same bytes for the same weights."""

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import keras

from brain_mri.errors import UserError, reason
from brain_mri.files import replacing

CARD = "card.json"  # what a saved model tells about itself, inside its file


def save(model: keras.Model, path: Path, card: dict[str, Any]) -> None:
    """Write the model and its card as one `.keras` file; the same weights give the same bytes.

    Keras writes dates and object addresses into the file; both are replaced, so that DVC sees a model as changed
    only when it is. `keras.models.load_model` opens the file without this project."""
    with replacing(path) as temporary:
        buffer = io.BytesIO()
        stored = temporary.with_suffix(".raw.keras")
        try:
            model.save(stored)
            with zipfile.ZipFile(stored) as source, zipfile.ZipFile(buffer, "w") as target:
                entries = {name: source.read(name) for name in source.namelist()}
                entries["config.json"] = _renumber_shared_objects(entries["config.json"])
                entries["metadata.json"] = _without_date(entries["metadata.json"])
                entries[CARD] = json.dumps(card, indent=1, sort_keys=True).encode()
                for name, data in sorted(entries.items()):
                    target.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
        finally:
            stored.unlink(missing_ok=True)
        temporary.write_bytes(buffer.getvalue())


def _renumber_shared_objects(config: bytes) -> bytes:
    numbers: dict[bytes, bytes] = {}

    def number(match: re.Match[bytes]) -> bytes:
        return match[1] + numbers.setdefault(match[2], str(len(numbers)).encode())

    return re.sub(rb'("shared_object_id": )(\d+)', number, config)


def _without_date(metadata: bytes) -> bytes:
    values = json.loads(metadata)
    values["date_saved"] = "1980-01-01@00:00:00"
    return json.dumps(values).encode()


def load(path: Path | str) -> tuple[keras.Model, dict[str, Any]]:
    """Open a saved model, without its training state, and its card; UserError where it is missing or broken."""
    try:
        with zipfile.ZipFile(path) as file:
            card = json.loads(file.read(CARD))
        return keras.models.load_model(path, compile=False), card
    except FileNotFoundError:
        raise UserError(f"{path}: not there; `dvc repro` trains it") from None
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise UserError(
            f"{path}: not a model of this project ({reason(error)}); remove it and run `dvc repro`"
        ) from None


def load_for(classes: list[str], path: Path | str) -> tuple[keras.Model, dict[str, Any]]:
    """Open a saved model as `load` does; UserError where its classes are others."""
    model, card = load(path)
    if card.get("classes") != classes:
        raise UserError(
            f"{path}: a model of the classes {card.get('classes')}, the study has {classes}; train it again"
        )
    return model, card
