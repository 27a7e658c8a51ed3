"""EvalPlus' inputs as Python values, and the comparison each task asks for.

Its files are JSON, which has no tuples, sets or complex numbers; which arguments of MBPP+ are to become which is part
of the data set's definition (v0.2.0), kept here as a table. The assertions in the same file, which are Python, are the
check: the base inputs equal the arguments of the assertions, type by type.
"""

from __future__ import annotations

import dataclasses
from itertools import cycle
from typing import TYPE_CHECKING, Any, Final

from trimtab.codeeval.problem import Arguments, Differential, Oracle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def _keep(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    return value


def _tuples(value: Sequence[Any]) -> list[Any]:
    return [tuple(item) for item in value]


def _tuple_of_tuples(value: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(tuple(item) for item in value)


def _tuple_of_maybe_tuples(value: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(tuple(item) if isinstance(item, list) else item for item in value)


def _deep_tuple(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    return tuple(map(_deep_tuple, value)) if isinstance(value, list) else value


def _sets(value: Sequence[Any]) -> list[Any]:
    """Lists become sets; an empty list, which JSON made of an empty dict, becomes that again."""
    return [set(item) if isinstance(item, list) and item else {} for item in value]


def _tuple_values(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(item) for key, item in value.items()}


# Conversions argument by argument, repeated as often as there are arguments, and the tasks they are for.
_TABLE: Final[tuple[tuple[tuple[Callable[[Any], Any], ...], str], ...]] = (
    ((tuple,), "2 116 132 143 222 261 273 394 399 421 424 429 470 560 579 596 616 630 726 740 744 809"),
    ((_tuples,), "63 64 70 94 120 237 272 299 400 409 417 438 473 614 780"),
    ((_tuples, _keep), "75 413 444 753"),
    ((_keep, tuple), "106 750"),
    ((_sets,), "115"),
    ((float, complex), "124"),
    ((tuple, _keep), "250 405 446 617 720 763 808"),
    ((complex,), "252"),
    ((_tuple_of_tuples,), "259 401 445"),
    ((_tuple_of_maybe_tuples,), "278"),
    ((tuple, _keep, _keep), "307"),
    ((_deep_tuple,), "580 615 791"),
    ((_tuple_values, _keep, _keep), "722"),
)
_CONVERSIONS: Final = {f"Mbpp/{number}": row for row, numbers in _TABLE for number in numbers.split()}

_ORACLES: Final[Mapping[str, Oracle]] = {
    "HumanEval/32": Oracle.ROOT,
    "Mbpp/558": Oracle.DIGITS,
    "Mbpp/581": Oracle.PYRAMID,
    **{f"Mbpp/{number}": Oracle.SAME_SET for number in (2, 7, 111, 140, 232, 579, 769)},
    **{f"Mbpp/{number}": Oracle.NOT_NONE for number in (737, 787, 794)},
}


def differential(record: Mapping[str, Any]) -> Differential:
    """Return inputs, tolerance and comparison of a record of HumanEval+ or MBPP+."""
    task_id = record["task_id"]
    return Differential(
        base=_arguments(task_id, record["base_input"]),
        plus=_arguments(task_id, record["plus_input"] or []),  # Mbpp/793 has {} for none
        atol=float(record["atol"]),
        oracle=_ORACLES.get(task_id, Oracle.EQUAL),
    )


def base_comparison(record: Mapping[str, Any]) -> Differential:
    """Return the same comparison on the inputs of a record's own assertions alone, which EvalPlus calls *base*."""
    return dataclasses.replace(differential(record), plus=())


def _arguments(task_id: str, inputs: Sequence[Sequence[Any]]) -> tuple[Arguments, ...]:
    convert = _CONVERSIONS.get(task_id, (_keep,))
    return tuple(tuple(each(value) for each, value in zip(cycle(convert), row, strict=False)) for row in inputs)
