"""Values out of JSON by a dotted path ("message.items.0.title"); what is missing or of another type is empty."""

from __future__ import annotations

import json
from typing import Any

from trimtab.literature.transport import Unreadable


def read(body: bytes) -> dict[str, Any]:
    """Return the JSON object of an answer.

    Raises:
        Unreadable: It is cut, or something else.
    """
    try:
        whole = json.loads(body)
    except ValueError as error:
        raise Unreadable(f"the answer is not JSON: {error}") from error
    if not isinstance(whole, dict):
        raise Unreadable("the answer is no JSON object")
    return whole


def at(value: object, path: str) -> object:
    """Return what lies at a path; None where there is nothing.

    >>> at({"a": [{"b": 1}]}, "a.0.b"), at({"a": "text"}, "a.0.b")
    (1, None)
    """
    for name in path.split("."):
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isdigit():
            value = value[int(name)] if int(name) < len(value) else None
        else:
            return None
    return value


def text(value: object, *paths: str) -> str:
    """Return the first text at some paths that is not empty; a number other than 0 is written out.

    >>> text({"a": "", "b": ["x"], "c": 7}, "a", "b", "c")
    '7'
    """
    values = (at(value, path) for path in paths)
    texts = (str(held) for held in values if isinstance(held, str | int) and not isinstance(held, bool) and held)
    return next(texts, "")


def whole(value: object) -> int | None:
    """Return a whole number, also one written in digits; None for anything else."""
    return int(value) if isinstance(value, int | str) and str(value).isdecimal() else None


def objects(value: object, path: str) -> list[dict[str, Any]]:
    """Return the objects of the array at a path; one that is there alone counts as an array of one."""
    entries = at(value, path)
    listed = entries if isinstance(entries, list) else [entries]
    return [entry for entry in listed if isinstance(entry, dict)]
