"""What an arm's trace says: recovery, tail over its floor, drops over theirs, affinity kept, regret."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

import torch

from trimtab.moe import capacity, dual, routing
from trimtab.moe.balancers import BiasBalancer, Context, behavior
from trimtab.moe.routing import Routing, scores_of
from trimtab.moe.simulate import engine
from trimtab.moe.simulate.choices import Choice
from trimtab.moe.simulate.engine import SimulatedArm
from trimtab.settings.rules import NewtonBalancing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from trimtab.moe.simulate.engine import Trace
    from trimtab.moe.simulate.streams import Shape, Stream

# Recovered: MaxVio below this, or twice its floor where that is more, for so many batches in a row.
RECOVERED: Final = 0.5
_IN_A_ROW: Final = 5
_SOLVER_STEPS: Final = 30
_SAMPLE: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedCell:
    """One arm on one stream with one seed.

    Args:
        stream, rule: Names.
        seed: Of the stream.
        capacity: Capacity factor; None is dropless.
        signal: Which calls the rule counted; ``"scores"`` if it does not count calls.
        recovery: Batches before MaxVio is small and stays so for five; None if never.
        tail: Mean MaxVio of the last quarter.
        floor: What sampling, or the stream itself, makes inevitable.
        dropped, drop_floor: Share of calls dropped in the last quarter, and of a uniform router.
        affinity: Score kept in three batches of the last quarter, over the optimum of the assignment problem (which
            does not bind rules that are no top-k).
        regret: Σ over batches of the dual function, a token, less that of the best fixed bias in hindsight (T4). Where
            scores change, a rule that follows them can have less than none. None for a rule that is no top-k.
        spread: Largest less smallest bias at the end.
        bias_mean: Mean bias at the end.
        experts_per_token: Mean number of experts that served a token in the last quarter.
        unserved: Share of the tokens that no expert served in the last quarter.
    """

    stream: str
    rule: str
    seed: int
    capacity: float | None
    signal: str
    recovery: int | None
    tail: float
    floor: float
    dropped: float
    drop_floor: float
    affinity: float
    regret: float | None
    spread: float
    bias_mean: float
    experts_per_token: float
    unserved: float


def recovery(violation: Tensor, limit: float) -> int | None:
    """Return the batches before the first of five in a row whose MaxVio [N] is below ``limit``; None if never."""
    good = (violation < limit).unfold(0, min(_IN_A_ROW, len(violation)), 1).all(1)
    return int(good.int().argmax()) if bool(good.any()) else None


def prices(scores: Tensor, top_k: int) -> tuple[Tensor, Tensor]:
    """Return the least dual value [...] found for scores [..., T, E], and the bias [..., E] that has it.

    Weak duality makes every value an upper bound of the affinity that a balanced assignment keeps; tests hold it within
    1e-3 of the linear program's optimum.
    """
    if float(scores.max()) > 1:
        # Scores beyond those of a sigmoid: their prices are those of scores scaled into its range.
        scale = float(scores.max())
        least, bias = prices(scores / scale, top_k)
        return least * scale, bias * scale
    rule, experts = behavior(NewtonBalancing()), scores.shape[-1]
    state = rule.initial(experts).expand(*scores.shape[:-2], -1)
    best, bias = torch.full(scores.shape[:-2], torch.inf, dtype=torch.float64), state[..., :experts]
    shown = Routing(
        logits=torch.logit(scores.double().clamp(1e-7, 1 - 1e-7)),
        experts=scores.topk(top_k).indices,
        weights=scores,
        score_function="sigmoid",
    )
    context = Context(training=True, num_experts_per_tok=top_k, score_function="sigmoid")
    for step in range(1, _SOLVER_STEPS + 1):
        value = dual.dual_value(scores.double(), state[..., :experts].double(), top_k)
        bias = torch.where((value < best)[..., None], state[..., :experts], bias)
        best = torch.minimum(best, value)
        state = rule.update(state, rule.observe(shown, state, context), step)
    return best, bias


def optimum(scores: Tensor, top_k: int) -> float:
    """Return the affinity that a balanced assignment of scores [T, E] can keep, from above."""
    return float(prices(scores, top_k)[0])


def checkpoints(steps: int) -> list[int]:
    """Return the three batches of the last quarter whose optimum is found."""
    return [steps - round(part * (steps // 4)) for part in (0.8, 0.4, 0)]


def optima(stream: Stream, shape: Shape, seed: int, steps: int) -> list[float]:
    """Return the optimum a token at each checkpoint."""
    draw = stream.open(shape, seed)
    shown = torch.stack([scores_of(draw(number), stream.score_function) for number in checkpoints(steps)])
    least, _ = prices(shown, shape.num_experts_per_tok)
    return [float(value) / shape.tokens for value in least]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Still(BiasBalancer):
    """Any bias, for ever."""

    def update(self, state: Tensor, observed: Tensor, step: int) -> Tensor:  # noqa: ARG002
        return state


def hindsight(stream: Stream, shape: Shape, seeds: Sequence[int], steps: int) -> tuple[SimulatedArm, Tensor]:
    """Return an arm that keeps the best bias of eight batches of the run, and the Hessian [S, E, E] of f/T there."""
    shown, top_k = [], shape.num_experts_per_tok
    for seed in seeds:
        draw = stream.open(shape, seed)
        batches = [draw(round(1 + (steps - 1) * (part + 0.5) / _SAMPLE)) for part in range(_SAMPLE)]
        shown.append(scores_of(torch.cat(batches), stream.score_function))
    _, bias = prices(torch.stack(shown), top_k)
    bends = []
    for scores, own in zip(shown, bias, strict=True):
        best = (scores + own).topk(top_k + 1, dim=-1).values
        margin = best[:, -2] - best[:, -1]
        bends.append(dual.hessian(scores, own, top_k, max(float(margin.quantile(0.1)), 1e-6)))
    return SimulatedArm(name="hindsight", balancer=_Still(), start=bias), torch.stack(bends)


def least(trace: Trace, hessian: Tensor, shape: Shape) -> Tensor:
    """Return min over p of Σ_n f_n(p) a token [S], from the run of a bias near it.

    Σ f_n(p) falls from there by ½·N·ḡᵀH⁺ḡ, with ḡ the mean gradient over the run: one Newton step, whose error is of
    third order. It makes the comparator of regret (T4) right where eight batches alone would not be.
    """
    steps = len(trace.dual)
    mean = trace.load / (steps * shape.tokens) - shape.num_experts_per_tok / shape.num_experts
    bend = hessian + 0.02 * hessian.diagonal(dim1=-2, dim2=-1).mean(-1)[:, None, None] * torch.eye(shape.num_experts)
    step = torch.linalg.lstsq(bend, mean[..., None]).solution[..., 0]
    total: Tensor = trace.dual.sum(0) - 0.5 * steps * (mean * step).sum(-1)
    return total


def run(
    named: tuple[str, Stream], shape: Shape, arms: Sequence[SimulatedArm], *, seeds: Sequence[int], steps: int
) -> tuple[list[SimulatedCell], list[Trace]]:
    """Run all arms on one stream, beside the best bias in hindsight, and measure them."""
    name, stream = named
    beside, hessian = hindsight(stream, shape, seeds, steps)
    *traces, still = engine.run(stream, shape, [*arms, beside], seeds=seeds, steps=steps)
    bound = least(still, hessian, shape)
    best = [optima(stream, shape, seed, steps) for seed in seeds]
    found = [
        _cell(name, stream, shape, (arm, trace), (seed, index, best[index], float(bound[index])))
        for arm, trace in zip(arms, traces, strict=True)
        for index, seed in enumerate(seeds)
    ]
    return found, traces


def _cell(
    name: str, stream: Stream, shape: Shape, ran: tuple[SimulatedArm, Trace], lane: tuple[int, int, list[float], float]
) -> SimulatedCell:
    (arm, trace), (seed, index, best, bound) = ran, lane
    size = (shape.tokens, shape.num_experts, shape.num_experts_per_tok)
    floor = max(routing.max_violation_floor(*size), stream.floor(shape))
    steps = len(trace.max_violation)
    tail = slice(steps - max(1, steps // 4), None)
    slots = capacity.room(arm.factor, tokens=size[0], num_experts=size[1], num_experts_per_tok=size[2])
    affinity = [float(trace.affinity[number - 1, index]) for number in checkpoints(steps)]
    return SimulatedCell(
        stream=name,
        rule=arm.name,
        seed=seed,
        capacity=arm.factor,
        signal=arm.signal if arm.counts_calls else "scores",
        recovery=recovery(trace.max_violation[:, index], max(RECOVERED, 2 * floor)),
        tail=float(trace.max_violation[tail, index].mean()),
        floor=floor,
        dropped=float(trace.dropped[tail, index].mean()),
        drop_floor=routing.drop_floor(*size, slots),
        affinity=statistics.fmean(k / b for k, b in zip(affinity, best, strict=True)),
        regret=None if isinstance(arm.balancer, Choice) else float(trace.dual[:, index].sum()) - bound,
        spread=float(trace.spread[-1, index]),
        bias_mean=float(trace.state[index, : shape.num_experts].mean()),
        experts_per_token=float(trace.served[tail, index].mean()),
        unserved=float(trace.alone[tail, index].mean()),
    )
