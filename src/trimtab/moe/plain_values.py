"""Balancers and capacities as plain values for a file, and back.

A balancer is ``{"class": "LossFree", "settings": {...}}``, a stack of them ``{"class": "Stack", "parts": [...]}``.
Classes are looked up among trimtab's own, so that a file can name no other code.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final, TypeVar

from trimtab.errors import ConfigurationError, nearest
from trimtab.moe import balancers
from trimtab.moe.balancers import Balancer, Stack
from trimtab.moe.capacity import Capacity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Built = TypeVar("Built")
_RULES: Final[dict[str, type[Balancer]]] = {
    name: found
    for name in balancers.__all__
    if isinstance(found := getattr(balancers, name), type)
    and issubclass(found, Balancer)
    and (found is Stack or dataclasses.is_dataclass(found))
}


def of_balancer(balancer: Balancer) -> dict[str, Any]:
    """Return the name and settings of ``balancer``; of one that is not trimtab's, ``{"class": None, "is": repr}``."""
    name = type(balancer).__name__
    if _RULES.get(name) is not type(balancer):
        return {"class": None, "is": repr(balancer)}
    if isinstance(balancer, Stack):
        return {"class": name, "parts": [of_balancer(part) for part in (balancer.bias, *balancer.losses)]}
    return {"class": name, "settings": _settings(balancer)}


def to_balancer(values: Mapping[str, Any], where: str) -> Balancer:
    """Return the balancer that :func:`of_balancer` wrote down.

    Raises:
        ConfigurationError: The rule or a setting is unknown, or the rule is not trimtab's.
    """
    name = values.get("class")
    if name is None:
        raise ConfigurationError(
            f"{where}: {values.get('is')} is not one of trimtab's rules", hint="give it: load(..., balancer=...)"
        )
    if name not in _RULES:
        raise ConfigurationError(f"{where}: unknown rule {name!r}", hint=nearest(str(name), _RULES))
    parts = [to_balancer(part, where) for part in values.get("parts", ())]
    return _build(_RULES[name], parts, values.get("settings", {}), where)


def of_capacity(capacity: Capacity) -> dict[str, Any]:
    """Return the settings of ``capacity``."""
    return _settings(capacity)


def to_capacity(values: Mapping[str, Any], where: str) -> Capacity:
    """Return the capacity that :func:`of_capacity` wrote down.

    Raises:
        ConfigurationError: A setting is unknown or impossible.
    """
    return _build(Capacity, (), values, where)


def _settings(value: Any) -> dict[str, Any]:  # noqa: ANN401 - a dataclass
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}


def _build(kind: Callable[..., Built], parts: Sequence[Balancer], settings: Mapping[str, Any], where: str) -> Built:
    # JSON has no tuples, and frozen settings no lists.
    frozen = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
    try:
        return kind(*parts, **frozen)
    except TypeError as error:
        raise ConfigurationError(
            f"{where}: {error}", hint="the file is from another version of trimtab, or was edited"
        ) from error
