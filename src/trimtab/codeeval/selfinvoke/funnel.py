"""How many problems came through each step and each gate: of the attempts of a build, and of its bases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trimtab.codeeval.selfinvoke.problem_gates import ProblemGate

if TYPE_CHECKING:
    from collections.abc import Iterable

Row = tuple[str, int, int]


def funnel(attempts: Iterable[dict[str, Any]]) -> list[Row]:
    """Return (what, attempts, bases) for each step, then for each gate by itself, then for all gates together."""
    rows = list(attempts)
    proposals = [row for row in rows if row["stage"] != "reply"]
    problems = [row for row in proposals if row["fields"]]
    passing = [
        _row(gate.value, [row for row in problems if row["found"].get(gate.value, (False, ""))[0]])
        for gate in ProblemGate
        if gate is not ProblemGate.NEW
    ]
    earlier = [row for row in problems if all(ok for name, (ok, _) in row["found"].items() if name != ProblemGate.NEW)]
    return [
        _row("asked", rows),
        _row("1 proposed", proposals),
        _row("2 executed", problems),
        *passing,
        _row("every gate", earlier),
        _row("and new", [row for row in rows if row["stage"] == "accepted"]),
    ]


def _row(name: str, rows: list[dict[str, Any]]) -> Row:
    return name, len(rows), len({row["base"] for row in rows})
