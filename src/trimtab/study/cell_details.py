"""What a report shows of a finished cell beside its counts, as named records of what ``result.json`` holds."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from trimtab.study.endpoints import ENDPOINTS, unigram

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trimtab.study.store import CellResult

TRAIN_TAIL: Final = "train_tail"
"""The phase of what was measured over the last steps of training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingState:
    """How one layer routed in one phase; None where it was not measured.

    Attributes:
        phase: :data:`TRAIN_TAIL`, or "eval:" and what was evaluated.
        eval_capacity: Capacity of the evaluation; None in training.
        layer: Its number.
        max_violation: Largest load above the mean load, relative to the mean (MaxVio, arXiv 2408.15664).
        max_violation_floor: What a uniform router would show on as many tokens.
        entropy: Of the load, relative to its maximum.
        dead_experts: Experts below a tenth of the mean load.
        bias_spread: Largest minus smallest selection bias.
        drop_rate: Share of calls dropped.
        drop_floor: What a uniform router would drop.
    """

    phase: str
    eval_capacity: str | None
    layer: int | None
    max_violation: float | None
    max_violation_floor: float | None
    entropy: float | None
    dead_experts: float | None
    bias_spread: float | None
    drop_rate: float | None
    drop_floor: float | None

    @classmethod
    def of(cls, line: Mapping[str, Any]) -> RoutingState:
        """Return the record of one line of a result; lines of older results lack some fields."""
        return cls(**{field.name: line.get(field.name, "" if field.name == "phase" else None) for field in fields(cls)})


@dataclass(frozen=True, slots=True, kw_only=True)
class CellDetails:
    """What a report shows of a cell beside its counts.

    Attributes:
        tokens: Of training.
        routing: One record a layer and phase.
        unigram: Endpoint → what the training text's unigram distribution scores on the same text.
    """

    tokens: int
    routing: tuple[RoutingState, ...]
    unigram: Mapping[str, float]

    @classmethod
    def of(cls, result: CellResult) -> CellDetails:
        """Return the details of a result.

        Raises:
            RunFolderError: A count is not one.
        """
        scored = {endpoint.name: unigram(endpoint, result) for endpoint in ENDPOINTS.values()}
        return cls(
            tokens=result.training.get("tokens", 0),
            routing=tuple(map(RoutingState.of, result.routing)),
            unigram={name: value for name, value in scored.items() if value is not None},
        )
