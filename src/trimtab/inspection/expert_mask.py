"""Take experts out of a model's reach without touching it: its routers choose among the others.

Axes: T tokens, E experts, K experts a token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from trimtab.errors import UnsupportedModelError
from trimtab.inspection.router_ear import deciding
from trimtab.moe.router import BIAS_NAME
from trimtab.moe.routing import scores_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from torch import Tensor

    from trimtab.inspection.router_ear import HeardDecision
    from trimtab.moe.router import Router


def masked(routers: Sequence[Router], removed: Mapping[int, Sequence[int]]) -> AbstractContextManager[None]:
    """Inside, no token is routed to the experts of ``removed``, by layer.

    Scores are those of the others alone, as of a model without the removed ones; the model's bias goes on choosing.

    Raises:
        UnsupportedModelError: A router weighs its experts in a way of its own.
    """
    for router in routers:
        if router.formula is None or not (router.plain or router.native_bias):
            raise UnsupportedModelError(
                f"{router.name} weighs its experts in a way of its own, so that it cannot choose among fewer"
            )
    return deciding([router for router in routers if removed.get(router.layer)], _Mask(removed))


class _Mask:
    """Decides in place of routers."""

    def __init__(self, removed: Mapping[int, Sequence[int]]) -> None:
        self.removed = {layer: torch.tensor(list(experts)) for layer, experts in removed.items()}

    @torch.no_grad()
    def __call__(self, decision: HeardDecision) -> tuple[Tensor, Tensor]:
        router = decision.router
        gone = self.removed[router.layer].to(decision.logits.device)
        scores_TE = scores_of(decision.logits.index_fill(1, gone, -torch.inf), router.score_function)
        bias = selection_bias(router)
        selection_TE = scores_TE if bias is None else scores_TE + bias.to(scores_TE)
        experts_TK = router.choose(selection_TE.index_fill(1, gone, -torch.inf))
        weights_TK = router.weights_of(scores_TE, experts_TK)
        return weights_TK.to(decision.weights.dtype), experts_TK.to(decision.experts.dtype)


def selection_bias(router: Router) -> Tensor | None:
    """Return the bias [E] that a router chooses with: its own, or one that was attached; None without."""
    if router.native is not None:
        return router.native.read()
    added = getattr(router.module, BIAS_NAME, None)
    return added.detach() if isinstance(added, torch.Tensor) else None
