"""Kimi K3's Quantile Balancing: a histogram of equal bins between bounds that hold every margin there can be."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.balancers import margins
from trimtab.moe.balancers.interface import BiasBalancer, Context

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.router import Router
    from trimtab.moe.routing import Routing, ScoreFunction
    from trimtab.settings.capacities import Capacity
    from trimtab.settings.quantile_forms import KimiQuantileBalancing


@final
class KimiQuantileBalancer(BiasBalancer):
    """What :class:`~trimtab.settings.quantile_forms.KimiQuantileBalancing` does.

    What is observed is a histogram [E, bins], and behind it all experts' calls.
    """

    __slots__ = ("settings",)
    settings: KimiQuantileBalancing

    def __init__(self, settings: KimiQuantileBalancing) -> None:
        self.settings = settings

    def check(self, router: Router, capacity: Capacity) -> None:
        """Refuse scores without a bound, and what the settings refuse."""
        super().check(router, capacity)
        self._refuse_unbounded(router.score_function, router.name)

    def _refuse_unbounded(self, score_function: ScoreFunction, name: str) -> None:
        if score_function == "sqrtsoftplus":
            raise ConfigurationError(
                f"{name} has \N{SQUARE ROOT}softplus scores, which may exceed 1: {self.settings!r} counts margins"
                " between bounds that hold those of scores from 0 to 1 alone",
                hint="QuantileBalancing() takes scores of any range",
            )

    def nothing(self, num_experts: int) -> Tensor:
        """Return an empty histogram, and behind it 0 calls."""
        return torch.zeros(num_experts, self.settings.bins + 1, dtype=torch.int64)

    def observe(self, routing: Routing, state: Tensor, context: Context) -> Tensor:
        """Return the histogram [E, bins] of α − s of the text, and behind it all experts' calls.

        Raises:
            ConfigurationError: The scores have no bound.
        """
        self._refuse_unbounded(context.score_function, "the router")
        scores = routing.select(routing.scores.detach())
        bias = state[..., : routing.num_experts].to(scores.device)
        if context.ranked is not None:
            threshold = context.ranked.values[..., -1:]
        else:
            threshold = (scores + bias[..., None, :]).topk(context.num_experts_per_tok + 1, dim=-1).values[..., -1:]
        counts = histogram(threshold - scores, bounds(bias), self.settings.bins)
        calls = counts.new_full((*counts.shape[:-1], 1), scores.shape[-2] * context.num_experts_per_tok)
        return torch.cat([counts, calls], -1)

    def update(self, state: Tensor, observed: Tensor, step: int) -> Tensor:  # noqa: ARG002 - no schedule
        """Set the bias [E] to the quantiles less their mean; a step without tokens moves none."""
        counts, calls = observed[..., :-1], observed[..., -1]
        share = calls.to(state.dtype) / observed.shape[-2]
        after = quantile(counts, share, bounds(state))
        return torch.where(calls > 0, after - after.mean(-1, keepdim=True), state)


def bounds(bias: Tensor) -> Tensor:
    """Return [..., 2] between which α − s lies for any scores from 0 to 1 and a bias [..., E]."""
    return torch.stack([bias.amin(-1) - 1, bias.amax(-1) + 1], -1)


def histogram(values: Tensor, limits: Tensor, bins: int) -> Tensor:
    """Count values [..., T, E] in bins of equal width between limits [..., 2], for each expert: [..., E, bins]."""
    low, high = limits[..., :1, None], limits[..., 1:, None]
    places = ((values - low) * bins / (high - low)).floor().clamp_(0, bins - 1)
    return margins.count(places.long().transpose(-1, -2), bins)


def quantile(counts: Tensor, share: Tensor, limits: Tensor) -> Tensor:
    """Return the value [..., E] below which ``share`` [..., E] of the counts [..., E, bins] lie, from its bin."""
    bins = counts.shape[-1]
    below = counts.cumsum(-1)
    rank = share.ceil().clamp(min=1)[..., None].to(below.dtype)
    place = torch.searchsorted(below, rank).clamp(max=bins - 1)
    inside = counts.gather(-1, place)
    before = (below.gather(-1, place) - inside).to(share.dtype)
    part = ((share[..., None] - before) / inside.clamp(min=1)).clamp(0, 1)
    low, high = limits[..., :1], limits[..., 1:]
    return low + (place + part)[..., 0] * (high - low) / bins
