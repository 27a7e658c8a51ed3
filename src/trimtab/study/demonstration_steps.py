"""What a demonstration shows: one record a training step and rule; no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One training step under one rule.

    Attributes:
        rule: Name of the rule.
        step: From 1.
        loss: Nats a token, without penalties.
        max_violation: MaxVio of the routed layer.
        calls: Calls of each expert in this step, before drops.
    """

    rule: str
    step: int
    loss: float
    max_violation: float
    calls: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """What every rule did, in the order of training, and the MaxVio that a perfectly balanced router would show."""

    steps: int
    seed: int
    floor: float
    moments: tuple[Moment, ...]

    def of(self, rule: str) -> tuple[Moment, ...]:
        """Return the steps of one rule."""
        return tuple(moment for moment in self.moments if moment.rule == rule)
