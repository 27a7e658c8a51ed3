"""One attempt at one base problem: how far it came, and why no further."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt at one base problem.

    Attributes:
        base: Its task id.
        attempt: Counted from 0.
        stage: The step it ended in: "reply", "run", "gates", or "accepted".
        reason: Why, for people and for the next attempt; empty when accepted.
        prompt_sha256: Of the prompt.
        reply: The answer as it came.
        fields: The problem in HumanEval Pro's schema, once there is one.
        inputs: How many inputs were asked, how many gave a stable result, how many became assertions.
        found: What each gate found.
    """

    base: str
    attempt: int
    stage: str
    reason: str = ""
    prompt_sha256: str = ""
    reply: str = ""
    fields: dict[str, Any] | None = None
    inputs: tuple[int, int, int] = (0, 0, 0)
    found: dict[str, tuple[bool, str]] | None = None
