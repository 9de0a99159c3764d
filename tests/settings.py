"""Parameter sections and small networks for tests: the default study's, with what a test changes."""

from pathlib import Path
from typing import Any

from brain_mri.files import read_yaml
from brain_mri.params import Params

VALUES = read_yaml(Path(__file__).parent.parent / "params.yaml")


def params(**sections: dict[str, Any]) -> Params:
    """Return the default study's parameters with other keys in some sections, as `augment={"mixup": 0.4}`."""
    return Params.model_validate(VALUES | {name: VALUES[name] | keys for name, keys in sections.items()})


def network(
    name: str = "compact", size: int = 32, classes: int = 4, seed: int = 1, negative: int | None = 2, **changed: Any
) -> Any:
    """Return an untrained network; `changed` are keys of the section `model`."""
    from brain_mri.network.model import build

    keys = {"network": name, "image_size": size} | changed
    return build(params().model.model_copy(update=keys), classes, seed, negative)
