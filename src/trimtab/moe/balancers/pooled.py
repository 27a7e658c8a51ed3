"""transformers' auxiliary loss as it is, for comparison with runs that were trained with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import torch

from trimtab.moe.balancers.checks import positive
from trimtab.moe.balancers.interface import Context, LossBalancer

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.routing import Routing


class Pool:
    """What the layers of one forward pass sum to so far: calls [E], scores [E] and tokens, padding left out."""

    def __init__(self, num_experts: int) -> None:
        self.calls = torch.zeros(num_experts)
        self.scores = torch.zeros(num_experts)
        self.tokens = 0
        self.before = torch.zeros(())

    def add(self, routing: Routing) -> None:
        """Add a layer; what the loss was before it stays in ``before``."""
        self.before = self.loss()
        self.calls = self.calls + routing.load.to(self.calls)
        # Without a graph: checkpointing wants the same tensors saved for backward when this does not run again.
        with torch.no_grad():
            self.scores = self.scores + _score_sum(routing).to(self.scores)
        self.tokens += len(routing.select(routing.experts))

    def loss(self) -> Tensor:
        """E · Σ_e f_e·P_e, with f and P over all layers so far."""
        return len(self.calls) * (self.share() * self.scores).sum() / max(self.tokens, 1)

    def share(self) -> Tensor:
        """Calls [E] per token; they sum to K."""
        return self.calls / max(self.tokens, 1)


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
            pool = Pool(routing.num_experts)
            pool.add(routing)
        if not len(routing.select(routing.logits)):
            return routing.logits.new_zeros(())
        repeat = context.accumulation if self.times_accumulation else 1
        value: Tensor = _LinearInScores.apply(_score_sum(routing), pool)
        return self.coef * repeat * value


def _score_sum(routing: Routing) -> Tensor:
    """Σ over text of softmax scores [E]."""
    logits = routing.select(routing.logits)
    return (logits if logits.dtype == torch.float64 else logits.float()).softmax(-1).sum(0)


class _LinearInScores(torch.autograd.Function):
    """The last layer's share of a pooled loss, with the gradient of the loss of the finished pool."""

    @staticmethod
    def forward(ctx: Any, score_sum: Tensor, pool: Pool) -> Tensor:  # noqa: ANN401
        ctx.pool, ctx.like = pool, (score_sum.dtype, score_sum.device)
        return (pool.loss() - pool.before).to(score_sum)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        pool, (dtype, device) = ctx.pool, ctx.like
        return grad * (len(pool.calls) * pool.share() / max(pool.tokens, 1)).to(dtype=dtype, device=device), None
