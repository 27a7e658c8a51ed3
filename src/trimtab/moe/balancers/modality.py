"""ALF-LB with a bias for text tokens and one for image tokens.

Axes: T tokens, E experts. A state is [2E]: the bias of text, then that of images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

import torch

from trimtab.moe.balancers.interface import BiasBalancer
from trimtab.moe.balancers.step_size import warn_of_large_steps
from trimtab.moe.routing import load

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.balancers.interface import Context
    from trimtab.moe.router import Router
    from trimtab.moe.routing import Routing
    from trimtab.settings.capacities import Capacity
    from trimtab.settings.modality_rules import ModalityLossFree


@final
class ModalityBalancer(BiasBalancer):
    """What :class:`~trimtab.settings.modality_rules.ModalityLossFree` does."""

    __slots__ = ("settings",)
    reads_modality: ClassVar[bool] = True
    settings: ModalityLossFree

    def __init__(self, settings: ModalityLossFree) -> None:
        self.settings = settings

    @property
    def adds_only_bias(self) -> bool:
        """A router with a bias of its own knows one for all tokens."""
        return False

    def check(self, router: Router, capacity: Capacity) -> None:  # noqa: ARG002 - either load signal is a load
        """Warn where one step outweighs the scores."""
        warn_of_large_steps(router, self.settings.bias_update_rate)

    def initial(self, num_experts: int) -> Tensor:
        """Return no bias of either modality."""
        return torch.zeros(2 * num_experts)

    def nothing(self, num_experts: int) -> Tensor:
        """Return no calls of either modality."""
        return torch.zeros(2 * num_experts, dtype=torch.int64)

    def select(self, scores: Tensor, state: Tensor, context: Context) -> Tensor:
        """Add to each token the bias of its modality."""
        experts = scores.shape[-1]
        text, image = state[..., :experts], state[..., experts:]
        if context.image is None:
            return scores + text
        added: Tensor = torch.where(context.image.to(scores.device)[:, None], image, text)
        return scores + added

    def observe(self, routing: Routing, state: Tensor, context: Context) -> Tensor:
        """Count the calls [2E] of each modality."""
        if context.image is None:
            calls = super().observe(routing, state, context)
            return torch.cat([calls, torch.zeros_like(calls)], -1)
        image_T = context.image.to(routing.experts.device)
        parts = []
        for mine_T in (~image_T, image_T):
            counted_T = mine_T if routing.valid is None else mine_T & routing.valid.to(mine_T.device)
            wanted_TK = routing.experts if routing.demanded is None else routing.demanded
            if context.load_signal == "kept" and routing.kept is not None:
                # A call without room is counted as one of an expert too many, which is left out.
                wanted_TK = routing.experts.masked_fill(~routing.kept, routing.num_experts)
            parts.append(load(wanted_TK, routing.num_experts + 1, counted_T)[:-1])
        return torch.cat(parts)

    def update(self, state: Tensor, observed: Tensor, step: int) -> Tensor:  # noqa: ARG002 - no schedule
        """Move each bias against the load of its tokens."""
        calls = observed.to(state.dtype).unflatten(-1, (2, observed.shape[-1] // 2))
        missing = calls.mean(-1, keepdim=True) - calls
        step_2E: Tensor = self.settings.bias_update_rate * missing.sign().flatten(-2)
        return state + step_2E
