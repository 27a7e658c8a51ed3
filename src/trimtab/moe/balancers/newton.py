"""Newton balancing, a rule of our own: it solves for the bias, and averages what it found for as long as it holds.

The bias is the price of a load in an assignment problem (:mod:`trimtab.moe.dual`). The gradient of its dual is the load
less the target; its Hessian is the Laplacian of a graph of experts, weighted by how many tokens stand between two of
them. Both can be counted. See docs/concepts/newton-balancing.md for the theory, and for where the rule loses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.balancers import margins
from trimtab.moe.balancers.interface import BiasBalancer, Context

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.routing import Routing

# Windows, in steps, over which a lasting error is looked for.
_WINDOWS: Final = (2, 4, 8, 16, 32, 64)
# Steps over which densities and noise are averaged at most.
_MEMORY: Final = 32
# Share of the tokens whose K-th and (K+1)-th expert are close enough to be counted as standing between them.
_CLOSE: Final = 0.25
# Diagonal added to the Laplacian, as a share of its mean: a pair nobody stands between must not ask for infinity.
_RIDGE: Final = 0.05
_SCALARS: Final = 4


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NewtonBalancing(BiasBalancer):
    """Newton steps on the dual of the assignment, averaged over a memory that grows until the scores change.

    While the load is within its noise: b ← b − H⁺(A/T − K/E) / N, with N the steps since the last change, so that on a
    stationary stream the error of the bias falls as 1/√N (arXiv 2512.03915 for why 1/N). When a residual is too large
    for chance, by the bound of Laurent and Massart (2000, Eq. 4.3) on χ², over one step or over a window of them, N
    falls: to the window, or, for an error that a single batch shows, to 1 with one step to the quantile of margins that
    would have given each expert its share (Quantile Balancing's step, kexue.fm 11619). The longer the rule has been
    right, the more evidence it wants: a level of 1/eN.

    There is nothing to tune: scores of any range, runs of any length. It counts routed calls whatever the capacity. Its
    memory is 2E² + 8E + 4 numbers a layer. It assumes K < E; with groups (n_group > 1) the margins it counts are not
    the ones that decide. It is a bias, so exact twins (T6) and repeated tokens (T3) stay as indivisible as for any.
    """

    def initial(self, num_experts: int) -> Tensor:
        """Return no bias, and a memory of nothing."""
        return _Memory.empty(num_experts).pack(torch.zeros(num_experts))

    def nothing(self, num_experts: int) -> Tensor:
        """Return the counts of no tokens: margins [E, bins], pairs [E, E] and calls [E, 1], side by side."""
        return torch.zeros(num_experts, margins.BINS + num_experts + 1, dtype=torch.int64)

    def observe(self, routing: Routing, state: Tensor, context: Context) -> Tensor:  # noqa: ARG002 - of the interface
        """Count margins to the (K+1)-th expert, tokens between two experts, and calls.

        Raises:
            ConfigurationError: K is E, so that there is no load to balance.
        """
        experts, top_k = routing.num_experts, routing.num_experts_per_tok
        if top_k >= experts:
            raise ConfigurationError(
                f"NewtonBalancing needs fewer experts a token than experts, got {top_k} of {experts}"
            )
        state = state.to(routing.logits.device)
        biased = routing.select(routing.scores.detach()) + state[:experts]
        best = biased.topk(top_k + 1, dim=-1)
        last, next_one = best.values[:, -2], best.values[:, -1]
        pair = best.indices[:, -2] * experts + best.indices[:, -1]
        close = pair[last - next_one < state[-(experts**2) :][pair]]
        pairs = torch.bincount(close, minlength=experts**2).view(experts, experts)
        calls = torch.bincount(best.indices[:, :-1].flatten(), minlength=experts)
        return torch.cat([margins.histogram(biased - next_one[:, None]), pairs, calls[:, None]], 1)

    def update(self, state: Tensor, observed: Tensor, step: int) -> Tensor:
        """Move the bias; a step without tokens changes nothing."""
        if state.ndim > 1:
            return torch.stack([self.update(s, o, step) for s, o in zip(state, observed, strict=True)])
        experts = len(observed)
        seen = _Seen(observed)
        if not seen.tokens:
            return state
        bias, memory = _Memory.unpack(state, experts)
        residual = seen.residual()
        level = 1 + math.log(memory.steps + 1)
        first = memory.age == 0
        memory.note(residual)
        if first or float(residual.square().sum()) > 2 * memory.noise * _chance(experts - 1, level):
            bias = bias - seen.quantile
            memory.restart(seen)
        else:
            memory.learn(seen)
            memory.shorten(residual, level)
            bias = bias + memory.newton(seen) / memory.steps
        return memory.pack(bias - bias.mean())


def _chance(degrees: int, level: float) -> float:
    """Return what χ² exceeds with probability at most e^−level (Laurent and Massart 2000, Eq. 4.3)."""
    return degrees + 2 * math.sqrt(degrees * level) + 2 * level


class _Seen:
    """What was observed in a step."""

    def __init__(self, observed: Tensor) -> None:
        bins, experts = margins.BINS, len(observed)
        self.histogram = observed[:, :bins]
        self.pairs = observed[:, bins : bins + experts].float()
        self.pairs = self.pairs + self.pairs.T
        self.calls = observed[:, -1].float()
        self.tokens = int(self.histogram.sum()) // experts
        self.target = float(self.calls.mean())
        rank = torch.full((experts,), self.target)
        self.quantile = margins.from_top(self.histogram, rank + 1)
        # About three standard deviations of a load lie within this share of it.
        share = min(0.5, 3 / math.sqrt(max(self.target, 1e-9)))
        self.width = (margins.from_top(self.histogram, rank * (1 - share) + 1) - self.quantile).clamp(min=1e-6)

    def residual(self) -> Tensor:
        """Return the load less its target [E], in units of its binomial noise: its square sums to about E − 1."""
        experts = len(self.calls)
        chosen = self.target / self.tokens
        return (self.calls - self.target) / math.sqrt(self.target * (1 - chosen) * experts / (experts - 1))


@dataclass(slots=True, kw_only=True, eq=False)
class _Memory:
    """What the rule remembers beside the bias.

    Args:
        steps: N, since the last change.
        age: Steps of all.
        noise: Variance of the residual, as a multiple of the binomial one.
        learned: Steps that the densities are a mean of.
        previous: [E] the last residual.
        lasting: [6, E] means of residuals over windows.
        density: [E, E] tokens between two experts, a token and unit of margin.
        reach: [E, E] margin up to which they are counted.
    """

    steps: float
    age: float
    noise: float
    learned: float
    previous: Tensor
    lasting: Tensor
    density: Tensor
    reach: Tensor

    @classmethod
    def empty(cls, experts: int) -> _Memory:
        zeros, square = torch.zeros(experts), torch.zeros(experts, experts)
        lasting = torch.zeros(len(_WINDOWS), experts)
        return cls(
            steps=0.0, age=0.0, noise=1.0, learned=0.0, previous=zeros, lasting=lasting, density=square, reach=square
        )

    @classmethod
    def unpack(cls, state: Tensor, experts: int) -> tuple[Tensor, _Memory]:
        """Return the bias and the memory in a state."""
        sizes = [experts, _SCALARS, experts, len(_WINDOWS) * experts, experts**2, experts**2]
        bias, scalars, previous, lasting, density, reach = state.cpu().split(sizes)
        steps, age, noise, learned = scalars.tolist()
        memory = cls(
            steps=steps,
            age=age,
            noise=noise,
            learned=learned,
            previous=previous,
            lasting=lasting.view(-1, experts),
            density=density.view(experts, experts),
            reach=reach.view(experts, experts),
        )
        return bias, memory

    def pack(self, bias: Tensor) -> Tensor:
        """Return the state."""
        scalars = torch.tensor([self.steps, self.age, self.noise, self.learned])
        parts = [bias, scalars, self.previous, self.lasting.flatten(), self.density.flatten(), self.reach.flatten()]
        return torch.cat(parts)

    def note(self, residual: Tensor) -> None:
        """Learn how noisy loads are, from successive differences: tokens of a sequence are not independent."""
        if self.age:
            seen = float((residual - self.previous).square().sum()) / (2 * (len(residual) - 1))
            # A recovery is not noise: no more than a tripling at a time, and less with age.
            self.noise += (min(seen, 3 * self.noise) - self.noise) / min(self.age + 1, 2 * _MEMORY)
        self.age, self.previous = self.age + 1, residual

    def restart(self, seen: _Seen) -> None:
        """Forget everything but the noise, and look for tokens as far as this batch says they lie."""
        self.steps, self.learned = 1.0, 0.0
        self.lasting = torch.zeros_like(self.lasting)
        self.density = torch.zeros_like(self.density)
        self.reach = (seen.width[:, None] * seen.width).sqrt()

    def learn(self, seen: _Seen) -> None:
        """Average the densities, and let the reach of each pair find its share of the tokens."""
        self.learned = min(self.learned + 1, _MEMORY)
        found = seen.pairs / (2 * self.reach * seen.tokens)
        self.density = self.density + (found - self.density) / self.learned
        experts = len(seen.calls)
        wanted = seen.tokens * _CLOSE / (experts * (experts - 1) / 2)
        factor = ((wanted + 1) / (seen.pairs + 1)).clamp(0.5, 2) ** (1 / min(self.learned, 4))
        self.reach = (self.reach * factor).clamp(1e-7, 1)

    def shorten(self, residual: Tensor, level: float) -> None:
        """Count the step, and bring N down to any window whose mean residual is more than chance."""
        self.steps += 1
        windows = torch.tensor(_WINDOWS, dtype=residual.dtype)
        self.lasting = self.lasting + (residual - self.lasting) / windows[:, None]
        # A mean with weights (1 − 1/w)^i / w has 1/(2w − 1) of the variance.
        excess = self.lasting.square().sum(1) * (2 * windows - 1)
        bound = self.noise * _chance(len(residual) - 1, level)
        for window, value in zip(_WINDOWS, excess.tolist(), strict=True):
            if value > bound:
                self.steps = min(self.steps, float(window))

    def newton(self, seen: _Seen) -> Tensor:
        """Return −H⁺(A/T − K/E), no component further than four widths of its margins or its own quantile."""
        laplacian = self.density.sum(1).diag() - self.density
        mean = laplacian.diagonal().mean().clamp(min=1e-6)
        experts = len(seen.calls)
        system = laplacian + mean * (_RIDGE * torch.eye(experts) + 1 / experts)
        step: Tensor = -torch.linalg.solve(system, (seen.calls - seen.target) / seen.tokens)
        limit = torch.maximum(4 * seen.width, seen.quantile.abs())
        return step.clamp(-limit, limit)
