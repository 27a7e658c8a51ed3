"""transformers' auxiliary loss as it is, for comparison with runs that were trained with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, final

import torch

from trimtab.moe.balancers.interface import Context, LossBalancer
from trimtab.moe.balancers.layer_pool import LayerPool, score_sum

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.routing import Routing
    from trimtab.settings.rules import PooledSwitchLoss


@final
class PooledSwitchBalancer(LossBalancer):
    """What :class:`~trimtab.settings.rules.PooledSwitchLoss` does."""

    __slots__ = ("settings",)
    settings: PooledSwitchLoss
    pools: ClassVar[bool] = True

    def __init__(self, settings: PooledSwitchLoss) -> None:
        self.settings = settings

    def penalty(self, routing: Routing, context: Context) -> Tensor:
        """Return what this layer adds to the pooled loss; without a pool, the loss of this layer alone."""
        pool = context.pool
        if pool is None:
            pool = LayerPool(routing.num_experts)
            pool.add(routing)
        if not len(routing.select(routing.logits)):
            return routing.logits.new_zeros(())
        repeat = context.accumulation if self.settings.times_accumulation else 1
        value: Tensor = _LinearInScores.apply(score_sum(routing), pool)
        return self.settings.coef * repeat * value


class _LinearInScores(torch.autograd.Function):
    """The last layer's share of a pooled loss, with the gradient of the loss of the finished pool."""

    @staticmethod
    def forward(ctx: Any, score_sum: Tensor, pool: LayerPool) -> Tensor:  # noqa: ANN401
        ctx.pool, ctx.like = pool, (score_sum.dtype, score_sum.device)
        return (pool.loss() - pool.before).to(score_sum)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        pool, (dtype, device) = ctx.pool, ctx.like
        return grad * (len(pool.calls) * pool.share() / max(pool.tokens, 1)).to(dtype=dtype, device=device), None
