"""transformers' auxiliary loss as it is, for comparison with runs that were trained with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import torch

from trimtab.moe.balancers.checks import positive
from trimtab.moe.balancers.interface import Context, LossBalancer
from trimtab.moe.balancers.layer_pool import LayerPool, score_sum

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.routing import Routing


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PooledSwitchLoss(LossBalancer):
    """The auxiliary loss of transformers (``load_balancing_loss_func``), for runs that are to be reproduced.

    coef · E · Σ_e f_e·P_e, with f (calls per token) and P (mean softmax score, of sigmoid routers too) taken over *all
    layers at once*: K at balance, and also K where collapsed layers cancel. Layers report their shares of the value one
    after the other; each gradient uses the f of the whole forward pass, which is known by the time of the backward one.

    Args:
        coef: transformers' ``router_aux_loss_coef``.
        times_accumulation: Give every micro-batch the whole coefficient, as transformers' Trainer 5.17 does, so that
            the strength grows with gradient accumulation (transformers issue 48690).

    Raises:
        ConfigurationError: ``coef`` is not positive and finite.
    """

    coef: float
    times_accumulation: bool = False
    pools: ClassVar[bool] = True

    def __post_init__(self) -> None:
        positive(self.coef, "PooledSwitchLoss(coef=...)")

    def penalty(self, routing: Routing, context: Context) -> Tensor:
        """Return what this layer adds to the pooled loss; without a pool, the loss of this layer alone."""
        pool = context.pool
        if pool is None:
            pool = LayerPool(routing.num_experts)
            pool.add(routing)
        if not len(routing.select(routing.logits)):
            return routing.logits.new_zeros(())
        repeat = context.accumulation if self.times_accumulation else 1
        value: Tensor = _LinearInScores.apply(score_sum(routing), pool)
        return self.coef * repeat * value


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
