"""Run rules over a stream: all seeds side by side, every rule on the same batches.

Axes: S seeds, T tokens, E experts, K experts a token. The rules are the ones of training, driven through their own four
acts, which work on leading axes, so that all seeds move at once; a rule that solves for its batch is asked seed by
seed. A test holds the two against each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from trimtab.moe import capacity as capacities
from trimtab.moe.balancers import Balancer, BiasBalancer, Context
from trimtab.moe.routing import Routing, scores_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from trimtab.moe.simulate.streams import Shape, Stream

Signal = Literal["routed", "kept", "padded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A rule under a capacity.

    Args:
        name: What tables call it.
        balancer: The rule.
        factor: Capacity factor; None is dropless.
        signal: What the rule counts: calls ``"routed"`` or ``"kept"``, or, as Megatron does when it pads experts to
            their capacity and counts then, ``"padded"``: every slot of every expert. A rule that observes scores is
            not asked.
        start: [S, E] bias of each seed to start from; None for the rule's own.
    """

    name: str
    balancer: Balancer
    factor: float | None = None
    signal: Signal = "routed"
    start: Tensor | None = None

    @property
    def counts_calls(self) -> bool:
        """Whether the rule counts calls, and not scores."""
        return type(self.balancer).observe is Balancer.observe


@dataclass(slots=True, kw_only=True, eq=False)
class Trace:
    """What one arm did: [N, S] for each of N batches and S seeds, and the state it ended with.

    Args:
        max_violation: Of the calls before drops.
        dropped: Share of calls dropped.
        affinity: Score kept a token.
        dual: The dual function at the rule's bias, a token.
        spread: Largest less smallest bias.
        load: [S, E] calls of the whole run.
        state: [S, ...] at the end.
    """

    max_violation: Tensor
    dropped: Tensor
    affinity: Tensor
    dual: Tensor
    spread: Tensor
    load: Tensor
    state: Tensor


def run(stream: Stream, shape: Shape, arms: Sequence[Arm], *, seeds: Sequence[int], steps: int) -> list[Trace]:
    """Return the trace of each arm over ``steps`` batches of ``stream``, for each seed."""
    draws = [stream.open(shape, seed) for seed in seeds]
    lanes = [_Lane(arm, shape, len(seeds), steps) for arm in arms]
    with torch.no_grad():
        for number in range(1, steps + 1):
            logits = torch.stack([draw(number) for draw in draws])
            scores = scores_of(logits, stream.score_function)
            context = Context(
                training=True,
                num_experts_per_tok=shape.num_experts_per_tok,
                score_function=stream.score_function,
            )
            for lane in lanes:
                lane.step(number, logits, scores, context)
    return [lane.trace for lane in lanes]


class _Lane:
    """One arm at work on all seeds."""

    def __init__(self, arm: Arm, shape: Shape, seeds: int, steps: int) -> None:
        self.arm, self.shape = arm, shape
        self.state = arm.balancer.initial(shape.num_experts).expand(seeds, -1).clone()
        if arm.start is not None:
            self.state[:, : shape.num_experts] = arm.start
        self.slots = capacities.room(
            arm.factor,
            tokens=shape.tokens,
            num_experts=shape.num_experts,
            num_experts_per_tok=shape.num_experts_per_tok,
        )
        empty = [torch.zeros(steps, seeds) for _ in range(5)]
        self.trace = Trace(
            max_violation=empty[0],
            dropped=empty[1],
            affinity=empty[2],
            dual=empty[3],
            spread=empty[4],
            load=torch.zeros(seeds, shape.num_experts, dtype=torch.int64),
            state=self.state,
        )

    def step(self, number: int, logits: Tensor, scores: Tensor, context: Context) -> None:
        """Choose, drop, measure, observe, move."""
        selected = self._select(scores, context)
        best = selected.topk(self.shape.num_experts_per_tok, dim=-1)
        weights = scores.gather(-1, best.indices)
        kept = self._keep(best.indices, weights)
        load = self._count(best.indices)
        kept_load = load if kept is None else self._count(best.indices, kept)
        self._record(number, best.values, weights if kept is None else weights * kept, (load, kept_load))
        observed = self._observe(logits, best.indices, weights, (load, kept_load), context)
        self.state = self.arm.balancer.update(self.state, observed, number)
        self.trace.state = self.state

    def _select(self, scores: Tensor, context: Context) -> Tensor:
        if self.arm.balancer.causal:
            return self.arm.balancer.select(scores, self.state[:, None, :], context)
        # A rule that solves for its batch solves for each seed alone.
        pairs = zip(scores, self.state, strict=True)
        return torch.stack([self.arm.balancer.select(batch, state, context) for batch, state in pairs])

    def _keep(self, experts: Tensor, weights: Tensor) -> Tensor | None:
        """Decide [S, T, K] who finds room; seeds do not compete, because each has experts of its own."""
        if self.slots is None or self.slots >= self.shape.tokens:
            return None
        kept = capacities.keep(self._own(experts).flatten(0, 1), weights.flatten(0, 1), None, slots=self.slots)
        return None if kept is None else kept.view_as(experts)

    def _count(self, experts: Tensor, kept: Tensor | None = None) -> Tensor:
        own = self._own(experts)
        flat = own.flatten() if kept is None else own[kept]
        return torch.bincount(flat, minlength=len(experts) * self.shape.num_experts).view(len(experts), -1)

    def _own(self, experts: Tensor) -> Tensor:
        return experts + self.shape.num_experts * torch.arange(len(experts))[:, None, None]

    def _record(self, number: int, best: Tensor, weights: Tensor, loads: tuple[Tensor, Tensor]) -> None:
        load, kept_load = loads
        calls = self.shape.tokens * self.shape.num_experts_per_tok
        mean, bias = calls / self.shape.num_experts, self.state[:, : self.shape.num_experts]
        trace, index = self.trace, number - 1
        trace.max_violation[index] = load.amax(1) / mean - 1
        trace.dropped[index] = 1 - kept_load.sum(1) / calls
        trace.affinity[index] = weights.sum((1, 2)) / self.shape.tokens
        trace.dual[index] = (best.sum((1, 2)) - mean * bias.sum(1)) / self.shape.tokens
        trace.spread[index] = bias.amax(1) - bias.amin(1)
        trace.load += load

    def _observe(
        self, logits: Tensor, experts: Tensor, weights: Tensor, loads: tuple[Tensor, Tensor], context: Context
    ) -> Tensor:
        if self.arm.counts_calls:
            if self.arm.signal == "padded" and self.slots is not None:
                return torch.full_like(loads[0], self.slots)
            return loads[1] if self.arm.signal == "kept" else loads[0]
        lanes = [(logits, experts, weights, self.state)]
        if not isinstance(self.arm.balancer, BiasBalancer):
            lanes = list(zip(logits, experts, weights, self.state, strict=True))
        seen = [
            self.arm.balancer.observe(
                Routing(logits=l, experts=e, weights=w, score_function=context.score_function), state, context
            )
            for l, e, w, state in lanes
        ]
        return seen[0] if isinstance(self.arm.balancer, BiasBalancer) else torch.stack(seen)
