"""Run rules over a stream: all seeds side by side, every rule on the same batches.

Axes: S seeds, T tokens, E experts, K experts a token. The rules are the ones of training, driven through their own four
acts, which work on leading axes, so that all seeds move at once; a rule that solves for its batch is asked seed by
seed. A test holds the two against each other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import torch

from trimtab import heap
from trimtab.moe import capacity as capacities
from trimtab.moe.balancers import Balancer, BiasBalancer, Context, behavior
from trimtab.moe.balancers.interface import Ranked
from trimtab.moe.routing import Routing, scores_of
from trimtab.moe.simulate.choices import Choice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from trimtab.moe.simulate.streams import Shape, Stream
    from trimtab.settings.families import Rule

Signal = Literal["routed", "kept", "padded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedArm:
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
    balancer: Rule | Choice
    factor: float | None = None
    signal: Signal = "routed"
    start: Tensor | None = None

    @property
    def counts_calls(self) -> bool:
        """Whether the rule counts calls, and not scores."""
        if isinstance(self.balancer, Choice):
            return self.balancer.counts_calls
        return type(behavior(self.balancer)).observe is Balancer.observe


@dataclass(slots=True, kw_only=True, eq=False)
class Trace:
    """What one arm did: [N, S] for each of N batches and S seeds, and the state it ended with.

    Args:
        max_violation: Of the calls before drops.
        dropped: Share of calls dropped.
        affinity: Score kept a token.
        dual: The dual function at the rule's bias, a token; 0 for a rule that is no top-k.
        spread: Largest less smallest bias.
        served: Experts a token that found room, on average.
        alone: Share of the tokens without any.
        load: [S, E] calls of the whole run.
        state: [S, ...] at the end.
    """

    max_violation: Tensor
    dropped: Tensor
    affinity: Tensor
    dual: Tensor
    spread: Tensor
    served: Tensor
    alone: Tensor
    load: Tensor
    state: Tensor


def run(stream: Stream, shape: Shape, arms: Sequence[SimulatedArm], *, seeds: Sequence[int], steps: int) -> list[Trace]:
    """Return the trace of each arm over ``steps`` batches of ``stream``, for each seed."""
    heap.keep_freed_memory()
    draws = [stream.open(shape, seed) for seed in seeds]
    lanes = [_lane(arm, shape, stream, (len(seeds), steps)) for arm in arms]
    # A step is some hundred small operations; each is a sixth cheaper where nothing could ask for a gradient.
    with torch.inference_mode():
        for number in range(1, steps + 1):
            logits = torch.stack([draw(number) for draw in draws])
            scores = scores_of(logits, stream.score_function)
            context = Context(
                training=True,
                num_experts_per_tok=shape.num_experts_per_tok,
                score_function=stream.score_function,
                logits=logits,
            )
            for lane in lanes:
                lane.step(number, logits, scores, context)
    for lane in lanes:
        lane.trace.state = lane.state.clone()  # an ordinary tensor, as what is filled in place is
    return [lane.trace for lane in lanes]


def _lane(arm: SimulatedArm, shape: Shape, stream: Stream, size: tuple[int, int]) -> _Ranking | _Choosing:
    if isinstance(arm.balancer, Choice):
        return _Choosing(arm, arm.balancer, arm.balancer.initial(shape, stream.score_function), shape, size)
    rule = behavior(arm.balancer)
    return _Ranking(arm, rule, rule.initial(shape.num_experts), shape, size)


class _ArmLane:
    """One arm at work on all seeds."""

    def __init__(self, arm: SimulatedArm, start: Tensor, shape: Shape, size: tuple[int, int]) -> None:
        self.arm, self.shape = arm, shape
        seeds, steps = size
        self.state = start.expand(seeds, -1).clone()
        if arm.start is not None:
            self.state[:, : shape.num_experts] = arm.start
        self.slots = capacities.room(
            arm.factor,
            tokens=shape.tokens,
            num_experts=shape.num_experts,
            num_experts_per_tok=shape.num_experts_per_tok,
        )
        # Seeds have experts of their own: expert e of seed s counts as number s·E + e.
        self.first = shape.num_experts * torch.arange(seeds)[:, None, None]
        empty = [torch.zeros(steps, seeds) for _ in range(7)]
        self.trace = Trace(
            max_violation=empty[0],
            dropped=empty[1],
            affinity=empty[2],
            dual=empty[3],
            spread=empty[4],
            served=empty[5],
            alone=empty[6],
            load=torch.zeros(seeds, shape.num_experts, dtype=torch.int64),
            state=self.state,
        )

    @property
    def bias(self) -> Tensor:
        """The bias [S, E] of each seed."""
        return self.state[:, : self.shape.num_experts]

    def _signal(self, load: Tensor, kept_load: Tensor) -> Tensor:
        """Return the calls [S, E] that a rule which counts calls is shown."""
        if self.arm.signal == "padded" and self.slots is not None:
            return torch.full_like(load, self.slots)
        return kept_load if self.arm.signal == "kept" else load

    def _move(self, state: Tensor) -> None:
        self.state = state


class _Choosing(_ArmLane):
    """An arm whose rule is no top-k; an expert without room keeps its highest scores."""

    def __init__(self, arm: SimulatedArm, rule: Choice, start: Tensor, shape: Shape, size: tuple[int, int]) -> None:
        super().__init__(arm, start, shape, size)
        self.rule = rule

    def step(self, number: int, logits: Tensor, scores: Tensor, context: Context) -> None:  # noqa: ARG002 - as its kin
        """Choose, drop, measure, move."""
        chosen = self.rule.choose(scores, self.state, self.shape)
        kept = self._keep(chosen, scores)
        load, kept_load = chosen.sum(1), kept.sum(1)
        self._record(number - 1, scores * kept, kept, (load, kept_load))
        self._move(self.rule.update(self.state, scores, self._signal(load, kept_load), self.shape))

    def _keep(self, chosen: Tensor, scores: Tensor) -> Tensor:
        if self.slots is None or self.slots >= self.shape.tokens:
            return chosen
        best = scores.masked_fill(~chosen, -torch.inf).topk(self.slots, dim=1).indices
        return torch.zeros_like(chosen).scatter_(1, best, value=True) & chosen

    def _record(self, index: int, weights: Tensor, kept: Tensor, loads: tuple[Tensor, Tensor]) -> None:
        load, kept_load = (one.float() for one in loads)
        mean, trace = load.mean(1).clamp(min=1e-9), self.trace
        trace.max_violation[index] = (load.amax(1) / mean - 1).clamp(min=0)
        trace.dropped[index] = 1 - kept_load.mean(1).clamp(min=1e-9) / mean
        trace.affinity[index] = weights.sum((1, 2)) / self.shape.tokens
        trace.spread[index] = self.bias.amax(1) - self.bias.amin(1)
        trace.served[index] = kept_load.sum(1) / self.shape.tokens
        trace.alone[index] = 1 - kept.any(-1).float().mean(1)
        trace.load += loads[0]


class _Ranking(_ArmLane):
    """An arm whose rule says what top-k sees."""

    def __init__(self, arm: SimulatedArm, rule: Balancer, start: Tensor, shape: Shape, size: tuple[int, int]) -> None:
        super().__init__(arm, start, shape, size)
        self.rule = rule

    def step(self, number: int, logits: Tensor, scores: Tensor, context: Context) -> None:
        """Choose, drop, measure, observe, move."""
        contexts = [context] if self.rule.causal else [replace(context, notes={}) for _ in scores]
        ranked = self._rank(self._select(scores, contexts))
        top_k = self.shape.num_experts_per_tok
        values, experts = (one[..., :top_k].contiguous() for one in (ranked.values, ranked.experts))
        weights = scores.gather(-1, experts)
        kept = self._keep(experts, weights)
        load = self._count(experts)
        kept_load = load if kept is None else self._count(experts, kept)
        self._record(number, values, weights if kept is None else weights * kept, (load, kept_load))
        self._spread_out(number, kept)
        if self.arm.counts_calls:
            observed = self._signal(load, kept_load)
        elif isinstance(self.rule, BiasBalancer):
            seen = self._routing(logits, scores, experts, weights, context)
            observed = self.rule.observe(seen, self.state, replace(context, ranked=ranked))
        else:
            lanes = zip(contexts, self.state, logits, scores, experts, weights, strict=True)
            observed = torch.stack(
                [self.rule.observe(self._routing(l, s, e, w, own), q, own) for own, q, l, s, e, w in lanes]
            )
        self._move(self.rule.update(self.state, observed, number))

    def _rank(self, selected: Tensor) -> Ranked:
        """Rank the experts chosen, and one more for rules whose bias is about margins."""
        margins = isinstance(self.rule, BiasBalancer) and not self.arm.counts_calls
        best = selected.topk(self.shape.num_experts_per_tok + margins, dim=-1)
        return Ranked(selected=selected, values=best.values, experts=best.indices)

    def _spread_out(self, number: int, kept: Tensor | None) -> None:
        """Note how many experts serve a token."""
        if kept is None:
            self.trace.served[number - 1] = self.shape.num_experts_per_tok
            return
        served = kept.sum(-1)
        self.trace.served[number - 1] = served.float().mean(1)
        self.trace.alone[number - 1] = (served == 0).float().mean(1)

    def _select(self, scores: Tensor, contexts: list[Context]) -> Tensor:
        if self.rule.causal:
            return self.rule.select(scores, self.state[:, None, :], contexts[0])
        # A rule that solves for its batch solves for each seed alone.
        lanes = zip(scores, self.state, contexts, strict=True)
        return torch.stack([self.rule.select(batch, state, context) for batch, state, context in lanes])

    def _keep(self, experts: Tensor, weights: Tensor) -> Tensor | None:
        """Decide [S, T, K] who finds room; seeds do not compete, because each has experts of its own."""
        if self.slots is None or self.slots >= self.shape.tokens:
            return None
        own = experts + self.first
        kept = capacities.keep(own.flatten(0, 1), weights.flatten(0, 1), None, slots=self.slots)
        return None if kept is None else kept.view_as(experts)

    def _count(self, experts: Tensor, kept: Tensor | None = None) -> Tensor:
        own = experts + self.first
        flat = own.flatten() if kept is None else own[kept]
        return torch.bincount(flat, minlength=len(experts) * self.shape.num_experts).view(len(experts), -1)

    def _record(self, number: int, best: Tensor, weights: Tensor, loads: tuple[Tensor, Tensor]) -> None:
        load, kept_load = loads
        calls = self.shape.tokens * self.shape.num_experts_per_tok
        mean, bias = calls / self.shape.num_experts, self.bias
        trace, index = self.trace, number - 1
        trace.max_violation[index] = load.amax(1) / mean - 1
        if kept_load is not load:
            trace.dropped[index] = 1 - kept_load.sum(1) / calls
        trace.affinity[index] = weights.sum((1, 2)) / self.shape.tokens
        trace.dual[index] = (best.sum((1, 2)) - mean * bias.sum(1)) / self.shape.tokens
        trace.spread[index] = bias.amax(1) - bias.amin(1)
        trace.load += load

    def _routing(self, logits: Tensor, scores: Tensor, experts: Tensor, weights: Tensor, context: Context) -> Routing:
        routing = Routing(logits=logits, experts=experts, weights=weights, score_function=context.score_function)
        vars(routing)["scores"] = scores  # the same for all arms, found once
        return routing
