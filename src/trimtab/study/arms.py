"""What a study says beside a setting itself: which draws a balancer gets, and where evaluation capacities belong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trimtab.errors import StudyError
from trimtab.settings import rules
from trimtab.settings.capacities import Capacity
from trimtab.settings.reading import encode, read, without
from trimtab.settings.rule_tables import read_rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trimtab.settings.families import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """``[balancers.NAME]``.

    Args:
        rule: The name of the rule as the study spells it; an alias stays, because it is part of a cell's identity.
        balancer: The rule.
        seed_offset: Added to the seed of the cell: other draws for the same rule, as a negative control needs.
        parts: Of a stack, its bias rule and its losses, each with what its own table says.
    """

    rule: str
    balancer: Rule
    seed_offset: int = 0
    parts: tuple[Arm, ...] = ()


def from_table(table: Mapping[str, Any], where: str) -> Arm:
    """Read ``[balancers.NAME]``.

    Raises:
        StudyError: The rule is unknown, or a value cannot work.
    """
    offset = table.get("seed_offset", 0)
    if type(offset) is not int:
        raise StudyError(f"{where}.seed_offset: expected int, got {offset!r} ({type(offset).__name__})")
    settings = without(table, "seed_offset")
    parts: tuple[Arm, ...] = ()
    if settings.get("rule") == rules.Stack.key:
        tables = [settings.get("bias"), *(losses if isinstance(losses := settings.get("losses"), list | tuple) else ())]
        settings |= {"bias": _bare(tables[0])} if "bias" in settings else {}
        settings |= {"losses": [_bare(part) for part in tables[1:]]} if tables[1:] else {}
        balancer = read_rule(settings, where)
        parts = tuple(from_table(part, where) for part in tables if isinstance(part, dict))
    else:
        balancer = read_rule(settings, where)
    return Arm(rule=settings["rule"], balancer=balancer, seed_offset=offset, parts=parts)


def to_table(arm: Arm) -> dict[str, Any]:
    """Return what :func:`from_table` reads back as ``arm``: what a cell holds, and its identity is made of."""
    settings = encode(arm.balancer)
    if arm.parts:
        bias, *losses = map(to_table, arm.parts)
        settings = {"bias": bias, "losses": losses}
    return {"rule": arm.rule, **settings, "seed_offset": arm.seed_offset}


def capacity_from_table(table: Mapping[str, Any], where: str) -> Capacity:
    """Read ``[capacities.NAME]``.

    Raises:
        StudyError: A value cannot work, or would do nothing.
    """
    capacity = read(Capacity, table, where)
    if capacity.eval_factor is not None:
        raise StudyError(
            f"{where}.eval_factor: a study measures every cell dropless and under each of [evaluation] capacities",
            hint=f"[evaluation] capacities = [{capacity.eval_factor}]",
        )
    if capacity.idle:
        raise StudyError(f"{where}: without 'factor' nothing is dropped, so its other keys would do nothing")
    return capacity


def _bare(part: object) -> object:
    """Return the table of a part of a stack as a rule reads it."""
    return without(part, "seed_offset") if isinstance(part, dict) else part
