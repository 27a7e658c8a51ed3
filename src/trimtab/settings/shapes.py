"""What of a router decides whether a setting can work on it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterShape:
    """A router in numbers: of a model that is here, or of one that a study file describes.

    Args:
        name: What messages call it.
        num_experts, num_experts_per_tok, hidden_size: E, K and H.
        renormalize: Whether the weights of a token's experts sum to 1.
        groups: Of group-limited routing, how many groups a token may use and how many there are; None elsewhere.
    """

    name: str
    num_experts: int
    num_experts_per_tok: int
    hidden_size: int
    renormalize: bool
    groups: tuple[int, int] | None = None
