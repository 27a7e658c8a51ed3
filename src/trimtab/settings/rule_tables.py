"""Rules in files: the tables of a study, and the records of saved attachments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trimtab.errors import ConfigurationError, StudyError, nearest
from trimtab.settings.families import BiasRule, LossRule, Rule
from trimtab.settings.reading import chosen, encode, read, table_of, without
from trimtab.settings.rules import BY_KEY, BY_NAME, RULES, Stack

if TYPE_CHECKING:
    from collections.abc import Mapping


def read_rule(table: Mapping[str, Any], where: str) -> Rule:
    """Read a rule from a table of a study file: its key ``rule`` says which other keys there are.

    Raises:
        StudyError: The rule is unknown, or a value cannot work.
    """
    if "rule" not in table:
        raise StudyError(f"{where}: missing key 'rule'", hint=nearest("", BY_KEY))
    kind, settings = chosen(BY_KEY, table["rule"], f"{where}.rule", "balancer"), without(table, "rule")
    if kind is Stack:
        settings = _read_parts(settings, where)
    return read(kind, settings, where, beside={f"rule = {rule.key!r}": rule for rule in RULES})


def to_record(rule: Rule) -> dict[str, Any]:
    """Return a rule as plain values for a saved attachment.

    ``{"class": "LossFree", "settings": {...}}``, of a stack ``{"class": "Stack", "parts": [...]}``, and of a rule that
    is not trimtab's ``{"class": None, "is": repr}``.
    """
    name = type(rule).__name__
    if BY_NAME.get(name) is not type(rule):
        return {"class": None, "is": repr(rule)}
    if isinstance(rule, Stack):
        return {"class": name, "parts": [to_record(part) for part in (rule.bias, *rule.losses)]}
    return {"class": name, "settings": encode(rule)}


def from_record(values: Mapping[str, Any], where: str) -> Rule:
    """Return the rule that :func:`to_record` wrote down, now or in an earlier version.

    Raises:
        ConfigurationError: The rule or a setting is unknown, or the rule is not trimtab's.
    """
    name = values.get("class")
    if name is None:
        raise ConfigurationError(
            f"{where}: {values.get('is')} is not one of trimtab's rules", hint="give it: load(..., balancer=...)"
        )
    if name not in BY_NAME:
        raise ConfigurationError(f"{where}: unknown rule {name!r}", hint=nearest(str(name), BY_NAME))
    settings = dict(values.get("settings", {}))
    if name == "Stack":
        parts = [from_record(part, where) for part in values.get("parts", ())]
        settings = Stack.by_position(*parts) if parts else {}
    return read(BY_NAME[name], settings, where, ConfigurationError)


def _read_parts(settings: dict[str, Any], where: str) -> dict[str, Any]:
    """Read the tables of a stack, whose parts are rules themselves."""
    if "bias" in settings:
        table = table_of(settings["bias"], f"{where}.bias")
        settings["bias"] = _part(table, BiasRule, f"{where}.bias", "bias rule")
    if "losses" in settings:
        if not isinstance(settings["losses"], list | tuple) or not settings["losses"]:
            raise StudyError(f"{where}.losses: expected a list of tables, got {settings['losses']!r}")
        places = [(part, f"{where}.losses[{index}]") for index, part in enumerate(settings["losses"])]
        settings["losses"] = tuple(_part(table_of(part, at), LossRule, at, "loss") for part, at in places)
    return settings


def _part(table: dict[str, Any], family: type[Rule], where: str, what: str) -> Rule:
    rule = read_rule(table, where)
    if not isinstance(rule, family):
        names = [name for name, kind in BY_KEY.items() if issubclass(kind, family)]
        raise StudyError(f"{where}.rule: {table['rule']!r} is no {what}", hint=nearest(str(table["rule"]), names))
    return rule
