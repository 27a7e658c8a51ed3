"""Quantile Balancing on raw logits, exact in each micro-batch and then averaged: Megatron's first form, and marin's."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.balancers.interface import BiasBalancer, Context
from trimtab.settings.quantile_forms import MegatronQuantileBalancing

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.routing import Routing
    from trimtab.settings.quantile_forms import MarinQuantileBalancing


@final
class LogitQuantileBalancer(BiasBalancer):
    """What Megatron's and marin's forms of Quantile Balancing do.

    Its state is b = −β [E], in units of logits. What is observed is the sum of β over micro-batches [E], and behind it
    their number: it adds up, and depends on how tokens are cut into micro-batches.
    """

    __slots__ = ("settings",)
    settings: MegatronQuantileBalancing | MarinQuantileBalancing
    cuts_matter: ClassVar[bool] = True

    def __init__(self, settings: MegatronQuantileBalancing | MarinQuantileBalancing) -> None:
        self.settings = settings

    @property
    def adds_only_bias(self) -> bool:
        """A router adds a bias to its scores, not to its logits."""
        return False

    def select(self, scores: Tensor, state: Tensor, context: Context) -> Tensor:
        """Add the bias to the logits.

        Raises:
            ConfigurationError: The context has no logits.
        """
        if context.logits is None:
            raise ConfigurationError(f"{self!r} ranks logits, and was given scores alone", hint="Context(logits=...)")
        logits = context.logits.detach().to(scores.dtype)
        return logits + state[..., : scores.shape[-1]]

    def nothing(self, num_experts: int) -> Tensor:
        """Return no β and no micro-batch."""
        return torch.zeros(num_experts + 1)

    def observe(self, routing: Routing, state: Tensor, context: Context) -> Tensor:
        """Return β [E] of this micro-batch, and behind it 1; nothing for no tokens."""
        experts, top_k = routing.num_experts, context.num_experts_per_tok
        logits = routing.select(routing.logits.detach()).float()
        tokens = logits.shape[-2]
        if not tokens:
            return self.nothing(experts).to(logits.device)
        if context.ranked is not None:
            threshold = context.ranked.values[..., -1:]
        else:
            biased = logits + state[..., None, :experts].to(logits.device)
            threshold = biased.topk(top_k + 1, dim=-1).values[..., -1:]
        share = tokens * top_k // experts
        rank = share + 1 if isinstance(self.settings, MegatronQuantileBalancing) else max(1, share)
        beta = largest(logits - threshold, rank)
        return torch.cat([beta, torch.ones_like(beta[..., :1])], -1)

    def update(self, state: Tensor, observed: Tensor, step: int) -> Tensor:  # noqa: ARG002 - no schedule
        """Set the bias [E]; a step without tokens moves none."""
        beta, batches = observed[..., :-1].to(state.dtype), observed[..., -1:].to(state.dtype)
        ema = self.settings.ema if isinstance(self.settings, MegatronQuantileBalancing) else 0.0
        after = ema * state - (1 - ema) * beta / batches.clamp(min=1)
        return torch.where(batches > 0, after - after.mean(-1, keepdim=True), state)


def largest(margins: Tensor, rank: int) -> Tensor:
    """Return the margin [..., E] of this rank from the largest, which is 1, over tokens of margins [..., T, E]."""
    tokens = margins.shape[-2]
    return margins.transpose(-1, -2).contiguous().kthvalue(max(1, tokens - rank + 1), dim=-1).values
