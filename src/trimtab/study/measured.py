"""What a cell's measurements are while they are being taken, and what its training log says of the routing."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from trimtab import disk
from trimtab.moe.capacity import room
from trimtab.moe.routing import drop_floor, max_violation_floor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trimtab.moe.gates import Gates
    from trimtab.study import store

DROPLESS: Final = "dropless"
_BALANCED: Final = 0.25
_STEADY: Final = 4


@dataclass(slots=True)
class Measured:
    """The measurements of :class:`~trimtab.study.store.CellResult`, being filled in."""

    passes: dict[str, dict[str, dict[str, list[int]]]] = field(default_factory=dict)
    losses: dict[str, dict[str, dict[str, list[float]]]] = field(default_factory=dict)
    unigram: dict[str, dict[str, float]] = field(default_factory=dict)
    ranking: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    routing: list[dict[str, Any]] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    mixtures: list[dict[str, Any]] = field(default_factory=list)

    def fields(self) -> dict[str, Any]:
        """Return the measurements by name."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}


def train_tail(gates: Gates, folder: store.CellFolder, tokens: int) -> list[dict[str, Any]]:
    """Return the routing of the last fifth of training, averaged over steps, one record a layer, with its floors.

    The last fifth of the steps is an equal share of the learning rate's schedule in every cell of a study.

    Args:
        gates: As attached in training.
        folder: Of the cell.
        tokens: Routed tokens of an optimizer step.
    """
    lines = disk.read_lines(folder.train_log)
    tail = lines[-max(1, len(lines) // 5) :]
    found = [_tail_of_layer(gates, tail, tokens, index) for index in range(len(tail[0]["layers"]))] if tail else []
    return [{**record, "recovery_step": _recovery(lines, index, record)} for index, record in enumerate(found)]


def _tail_of_layer(gates: Gates, tail: Sequence[Mapping[str, Any]], tokens: int, index: int) -> dict[str, Any]:
    records = [line["layers"][index] for line in tail]
    router = gates.routers[index]
    # Calls compete within a micro-batch, and are counted over the whole step.
    micro_batch = tokens // gates.accumulation
    slots = room(
        gates.capacity.factor,
        tokens=micro_batch,
        num_experts=router.num_experts,
        num_experts_per_tok=router.num_experts_per_tok,
    )
    means = {key: sum(r[key] for r in records) / len(records) for key in records[0] if key != "layer"}
    return {
        **means,
        "layer": records[0]["layer"],
        "phase": "train_tail",
        "eval_capacity": None,
        "tokens": tokens,
        "max_violation_floor": max_violation_floor(tokens, router.num_experts, router.num_experts_per_tok),
        "drop_floor": drop_floor(micro_batch, router.num_experts, router.num_experts_per_tok, slots),
    }


def _recovery(lines: Sequence[Mapping[str, Any]], index: int, tail: Mapping[str, Any]) -> int | None:
    """Return the first of four steps whose mean MaxVio is at most 0.25 above the sampling floor; None for none."""
    values = [line["layers"][index]["max_violation"] - tail["max_violation_floor"] for line in lines]
    for start in range(len(values) - _STEADY + 1):
        if sum(values[start : start + _STEADY]) / _STEADY <= _BALANCED:
            return start + 1
    return None
