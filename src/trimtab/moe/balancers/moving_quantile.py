"""Rules that read each sequence from its start: moving quantiles, and the causal bias."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, final

from trimtab.errors import ConfigurationError
from trimtab.moe.balancers.interface import BiasBalancer, Context, Ranked
from trimtab.moe.balancers.quantile import QuantileBalancer
from trimtab.moe.balancers.sequences import Sequences, causal_pressure, moving_thresholds
from trimtab.settings.rules import QuantileBalancing

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.router import Router
    from trimtab.moe.routing import Routing, ScoreFunction
    from trimtab.settings.capacities import Capacity
    from trimtab.settings.sequence_rules import CausalBias, MovingQuantileBalancing


class _SequenceBalancer(BiasBalancer):
    """A bias on the selection that also depends on the tokens of the sequence so far."""

    __slots__ = ()
    reads_sequences: ClassVar[bool] = True
    plain_at_rest: ClassVar[bool] = False

    @property
    def adds_only_bias(self) -> bool:
        """A router knows nothing of the tokens before."""
        return False


@final
class MovingQuantileBalancer(_SequenceBalancer):
    """What :class:`~trimtab.settings.sequence_rules.MovingQuantileBalancing` does."""

    __slots__ = ("settings", "within_step")
    settings: MovingQuantileBalancing

    def __init__(self, settings: MovingQuantileBalancing) -> None:
        self.settings = settings
        self.within_step = QuantileBalancer(QuantileBalancing())

    def check(self, router: Router, capacity: Capacity) -> None:
        """Refuse scores without a bound, and what the settings refuse."""
        super().check(router, capacity)
        self._refuse_unbounded(router.score_function, router.name)

    def _refuse_unbounded(self, score_function: ScoreFunction, name: str) -> None:
        if score_function == "sqrtsoftplus":
            raise ConfigurationError(
                f"{name} has \N{SQUARE ROOT}softplus scores, which may exceed 1: {self.settings!r} counts scores from 0"
                " to 1",
                hint="QuantileBalancing() takes scores of any range",
            )

    def select(self, scores: Tensor, state: Tensor, context: Context) -> Tensor:
        """Return s − λ·β + b."""
        self._refuse_unbounded(context.score_function, "the router")
        if scores.ndim == 3:
            thresholds = self._thresholds(scores, context)
        else:
            by = Sequences.of(context, len(scores), scores.device)
            thresholds = by.gather(self._thresholds(by.spread(scores), context), scores)
        return scores - self.settings.strength * thresholds + state[..., : scores.shape[-1]].to(scores.device)

    def _thresholds(self, scores: Tensor, context: Context) -> Tensor:
        return moving_thresholds(
            scores,
            1 - context.num_experts_per_tok / scores.shape[-1],
            memory=self.settings.memory,
            bins=self.settings.bins,
            start=self.settings.start,
        )

    def nothing(self, num_experts: int) -> Tensor:
        """Return what Quantile Balancing observes of nothing."""
        return self.within_step.nothing(num_experts)

    def observe(self, routing: Routing, state: Tensor, context: Context) -> Tensor:
        """Count the margins of what is selected by, as Quantile Balancing does."""
        if context.ranked is None:
            own = state[..., None, :] if routing.logits.ndim == 3 else state
            selected = routing.select(self.select(routing.scores.detach(), own, context))
            best = selected.topk(context.num_experts_per_tok + 1, dim=-1)
            context = replace(context, ranked=Ranked(selected=selected, values=best.values, experts=best.indices))
        return self.within_step.observe(routing, state, context)

    def update(self, state: Tensor, observed: Tensor, step: int) -> Tensor:
        """Move the bias as Quantile Balancing does."""
        return self.within_step.update(state, observed, step)


@final
class CausalBiasBalancer(_SequenceBalancer):
    """What :class:`~trimtab.settings.sequence_rules.CausalBias` does; a bias that a router has already stays."""

    __slots__ = ("settings",)
    settings: CausalBias

    def __init__(self, settings: CausalBias) -> None:
        self.settings = settings

    def select(self, scores: Tensor, state: Tensor, context: Context) -> Tensor:
        """Return s − β, with the bias that the router has."""
        scores = scores + state[..., : scores.shape[-1]].to(scores.device)
        top_k, rate = context.num_experts_per_tok, self.settings.rate
        if scores.ndim == 3:
            return scores - causal_pressure(scores, top_k, rate)
        by = Sequences.of(context, len(scores), scores.device)
        return scores - by.gather(causal_pressure(by.spread(scores), top_k, rate), scores)

    def update(self, state: Tensor, observed: Tensor, step: int) -> Tensor:  # noqa: ARG002 - nothing is learned
        """Return the state as it is."""
        return state

    def resting(self, step: int) -> bool:  # noqa: ARG002 - always
        """Nothing is learned between steps."""
        return True
