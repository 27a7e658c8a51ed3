"""TOML tables into frozen dataclasses, strictly.

An unknown key, a missing key or a wrong type is an error that names the file, the key, the value and what was expected.
Nothing is coerced, except that an integer may stand where a float is meant.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar

from trimtab.errors import StudyError, nearest

T = TypeVar("T")

# Of a field added after studies had been run: at its default it is left out of a cell, whose id stays the same.
ADDED_LATER: Final[Mapping[str, bool]] = MappingProxyType({"added_later": True})


def decode(cls: type[T], table: Mapping[str, object], where: str) -> T:
    """Build ``cls`` from ``table``; ``where`` is the file and key that messages begin with.

    Raises:
        StudyError: A key is unknown or missing, or a value has the wrong type.
    """
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in table:
        if key not in fields:
            raise StudyError(f"{where}: unknown key {key!r}", hint=nearest(key, fields))
    values = {key: _value(hints[key], value, f"{where}.{key}") for key, value in table.items()}
    missing = [name for name, field in fields.items() if _required(field) and name not in values]
    if missing:
        raise StudyError(f"{where}: missing key {missing[0]!r}", hint=f"it is a {_describe(hints[missing[0]])}")
    return cls(**values)


def encode(value: Any) -> Any:  # noqa: ANN401 - any dataclass of plain values
    """Return what :func:`decode` reads back as ``value``, without later fields that are at their default."""
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    if not dataclasses.is_dataclass(value):
        return value
    plain = {field: getattr(value, field.name) for field in dataclasses.fields(value)}
    return {
        field.name: encode(item)
        for field, item in plain.items()
        if not (field.metadata.get("added_later") and item == field.default)
    }


def table_of(value: object, where: str) -> dict[str, Any]:
    """Return ``value`` if it is a TOML table.

    Raises:
        StudyError: It is something else.
    """
    if not isinstance(value, dict):
        raise StudyError(f"{where}: expected a table, got {value!r}")
    return value


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _value(hint: Any, value: object, where: str) -> object:  # noqa: ANN401 - any type annotation
    """Check one value against its annotation."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        if value not in arguments:
            raise StudyError(f"{where}: {value!r} is not known", hint=nearest(str(value), map(str, arguments)))
        return value
    if origin in {typing.Union, types.UnionType}:
        # Optional only: TOML has no null, so None can come from a default alone.
        (inner,) = [argument for argument in arguments if argument is not type(None)]
        return _value(inner, value, where)
    if origin is tuple and isinstance(value, list):
        return tuple(_value(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(value))
    if isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(value, dict):
        return {key: _value(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if hint is float and type(value) is int:
        return float(value)
    if isinstance(hint, type) and type(value) is hint:
        return value
    raise StudyError(f"{where}: expected {_describe(hint)}, got {value!r} ({type(value).__name__})")


def _describe(hint: Any) -> str:  # noqa: ANN401 - any type annotation
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return f"list of {_describe(arguments[0])}"
    if origin is typing.Literal:
        return " or ".join(repr(argument) for argument in arguments)
    return hint.__name__ if isinstance(hint, type) else str(hint).replace(" | None", "")
