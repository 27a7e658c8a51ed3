"""What an arm's trace says: recovery, tail over its floor, drops over theirs, affinity kept, regret."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch

from trimtab.moe import capacity, dual, routing
from trimtab.moe.balancers import Context, NewtonBalancing
from trimtab.moe.routing import Routing, scores_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from trimtab.moe.simulate.engine import Arm, Trace
    from trimtab.moe.simulate.streams import Shape, Stream

# Recovered: MaxVio below this, or twice its floor where that is more, for so many batches in a row.
RECOVERED: Final = 0.5
_IN_A_ROW: Final = 5
_SOLVER_STEPS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One arm on one stream with one seed.

    Args:
        stream, rule: Names.
        seed: Of the stream.
        capacity: Capacity factor; None is dropless.
        signal: What the rule counted.
        recovery: Batches before MaxVio is small and stays so for five; None if never.
        tail: Mean MaxVio of the last quarter.
        floor: What sampling, or the stream itself, makes inevitable.
        dropped, drop_floor: Share of calls dropped in the last quarter, and of a uniform router.
        affinity: Score kept in three batches of the last quarter, over the optimum of the assignment problem.
        regret: Σ over batches of the dual function, a token, over that of the last quarter's mean best.
        spread: Largest less smallest bias at the end.
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
    regret: float
    spread: float


def recovery(violation: Tensor, limit: float) -> int | None:
    """Return the batches before the first of five in a row whose MaxVio [N] is below ``limit``; None if never."""
    good = (violation < limit).unfold(0, min(_IN_A_ROW, len(violation)), 1).all(1)
    return int(good.int().argmax()) if bool(good.any()) else None


def optimum(scores: Tensor, top_k: int) -> float:
    """Return the affinity a balanced assignment of scores [T, E] can keep, from above: the least dual value found.

    Weak duality makes every value an upper bound; tests hold it within 1e-3 of the linear program's optimum.
    """
    rule = NewtonBalancing()
    state = rule.initial(scores.shape[1])
    routed = Routing(
        logits=torch.logit(scores.double()),
        experts=scores.topk(top_k).indices,
        weights=scores,
        score_function="sigmoid",
    )
    context = Context(training=True, num_experts_per_tok=top_k, score_function="sigmoid")
    best = float("inf")
    for step in range(1, _SOLVER_STEPS + 1):
        best = min(best, float(dual.dual_value(scores, state[: scores.shape[1]], top_k)))
        state = rule.update(state, rule.observe(routed, state, context), step)
    return best


def checkpoints(steps: int) -> list[int]:
    """Return the three batches of the last quarter whose optimum is found."""
    return [steps - round(part * (steps // 4)) for part in (0.8, 0.4, 0)]


def optima(stream: Stream, shape: Shape, seed: int, steps: int) -> list[float]:
    """Return the optimum a token at each checkpoint."""
    draw = stream.open(shape, seed)
    found = []
    for number in checkpoints(steps):
        scores = scores_of(draw(number), stream.score_function).clamp(1e-7, 1 - 1e-7)
        found.append(optimum(scores, shape.num_experts_per_tok) / shape.tokens)
    return found


def cells(
    named: tuple[str, Stream], shape: Shape, arms: Sequence[Arm], traces: Sequence[Trace], seeds: Sequence[int]
) -> list[Cell]:
    """Return the cells of all arms and seeds on one stream."""
    name, stream = named
    steps = len(traces[0].max_violation)
    best = [optima(stream, shape, seed, steps) for seed in seeds]
    return [
        _cell(name, stream, shape, (arm, trace), (seed, index, best[index]))
        for arm, trace in zip(arms, traces, strict=True)
        for index, seed in enumerate(seeds)
    ]


def _cell(name: str, stream: Stream, shape: Shape, run: tuple[Arm, Trace], lane: tuple[int, int, list[float]]) -> Cell:
    (arm, trace), (seed, index, best) = run, lane
    size = (shape.tokens, shape.num_experts, shape.num_experts_per_tok)
    floor = max(routing.max_violation_floor(*size), stream.floor(shape))
    steps = len(trace.max_violation)
    tail = slice(steps - max(1, steps // 4), None)
    slots = capacity.room(arm.factor, tokens=size[0], num_experts=size[1], num_experts_per_tok=size[2])
    kept = [float(trace.affinity[number - 1, index]) for number in checkpoints(steps)]
    return Cell(
        stream=name,
        rule=arm.name,
        seed=seed,
        capacity=arm.factor,
        signal=arm.signal,
        recovery=recovery(trace.max_violation[:, index], max(RECOVERED, 2 * floor)),
        tail=float(trace.max_violation[tail, index].mean()),
        floor=floor,
        dropped=float(trace.dropped[tail, index].mean()),
        drop_floor=routing.drop_floor(*size, slots),
        affinity=statistics.fmean(k / b for k, b in zip(kept, best, strict=True)),
        regret=float((trace.dual[:, index] - statistics.fmean(best)).sum()),
        spread=float(trace.spread[-1, index]),
    )
