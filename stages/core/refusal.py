"""Why pydantic refuses a file's values, in one line: the key, what was found, what was expected."""

import difflib
from collections.abc import Collection
from typing import Any

from pydantic import BaseModel, ValidationError


def one_line(error: ValidationError, known: Collection[str], tags: Collection[str]) -> str:
    """Return the first of the error's details in words, and how many more there are.

    `known`: every key of the schema, dotted, to name the nearest one. `tags`: the values of a union's discriminator,
    which pydantic puts into the place of an error; no key has such a name."""
    # An unknown key comes first: it is most often the misspelling of one that is also reported as missing.
    details = sorted(error.errors(), key=lambda detail: detail["type"] != "extra_forbidden")
    more = f" ({len(details) - 1} more)" if len(details) > 1 else ""
    return _describe(details[0], known, tags) + more


def _describe(detail: Any, known: Collection[str], tags: Collection[str]) -> str:
    key = ".".join(str(part) for part in detail["loc"] if part not in tags)
    kind, message = detail["type"], detail["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        return f"{key} = {detail['input']!r}: unknown key; " + (f"did you mean {near[0]}?" if near else "remove it")
    if kind == "missing":
        return f"{key}: missing; it stands in every study's params.yaml with its range"
    if kind == "union_tag_invalid":
        return f"{key}.source = {detail['ctx']['tag']!r}: must be one of {detail['ctx']['expected_tags']}"
    if kind == "union_tag_not_found":
        return f"{key}.source: missing; it names where the images come from"
    if not key or detail["input"] is None or isinstance(detail["input"], (dict, BaseModel)):
        return f"{key}: {message}" if key else message
    return f"{key} = {detail['input']!r}: {message}"
