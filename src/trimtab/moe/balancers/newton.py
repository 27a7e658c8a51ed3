"""Newton balancing, a rule of our own: it solves for the bias, and averages what it found for as long as it holds.

The bias is the price of a load in an assignment problem (:mod:`trimtab.moe.dual`). The gradient of its dual is the load
less the target; its Hessian is the Laplacian of a graph of experts, weighted by how many tokens stand between two of
them. Both can be counted. See docs/concepts/newton-balancing.md for the theory, and for where the rule loses.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final, final

import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.balancers import dither as dithering
from trimtab.moe.balancers import margins
from trimtab.moe.balancers.interface import BiasBalancer, Context, Ranked

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.routing import Routing
    from trimtab.settings.rules import NewtonBalancing

# Windows, in steps, over which a lasting error is looked for.
_WINDOWS: Final = (2, 4, 8, 16, 32, 64)
# Steps over which densities and noise are averaged at most.
_MEMORY: Final = 32
# Share of the tokens whose K-th and (K+1)-th expert are close enough to be counted as standing between them.
_CLOSE: Final = 0.25
# Diagonal added to the Laplacian, as a share of its mean, over the steps that the Laplacian is a mean of: a pair nobody
# was seen between must not ask for infinity.
_RIDGE: Final = 0.3
_SCALARS: Final = 4


@final
class NewtonBalancer(BiasBalancer):
    """What :class:`~trimtab.settings.rules.NewtonBalancing` does."""

    __slots__ = ("settings",)
    settings: NewtonBalancing

    def __init__(self, settings: NewtonBalancing) -> None:
        self.settings = settings

    @property
    def adds_only_bias(self) -> bool:
        """Whether there is no dither."""
        return not self.settings.dither

    def select(self, scores: Tensor, state: Tensor, context: Context) -> Tensor:  # noqa: ARG002 - one for all
        """Add the bias, and the dither."""
        biased = scores + state[..., : scores.shape[-1]]
        return biased + dithering.dither(scores, self.settings.dither) if self.settings.dither else biased

    def initial(self, num_experts: int) -> Tensor:
        """Return no bias, and a memory of nothing."""
        return _Memory.empty(num_experts).pack(torch.zeros(num_experts))

    def nothing(self, num_experts: int) -> Tensor:
        """Return the counts of no tokens: margins [E, bins], pairs [E, E] and calls [E, 1], side by side."""
        return torch.zeros(num_experts, margins.BINS + num_experts + 1, dtype=torch.int64)

    def observe(self, routing: Routing, state: Tensor, context: Context) -> Tensor:
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
        best = context.ranked or self._rank(routing, state, context)
        last, next_one = best.values[..., -2], best.values[..., -1:]
        pair = best.experts[..., -2] * experts + best.experts[..., -1]
        far = last - next_one[..., 0] >= state[..., -(experts**2) :].gather(-1, pair)
        pairs = margins.count(pair.masked_fill(far, experts**2), experts**2).unflatten(-1, (experts, experts))
        calls = margins.count(best.experts[..., :-1].flatten(-2), experts)
        return torch.cat([margins.histogram(best.selected - next_one), pairs, calls[..., None]], -1)

    def _rank(self, routing: Routing, state: Tensor, context: Context) -> Ranked:
        biased = self.select(routing.select(routing.scores.detach()), state[..., None, :], context)
        best = biased.topk(routing.num_experts_per_tok + 1, dim=-1)
        return Ranked(selected=biased, values=best.values, experts=best.indices)

    def update(self, state: Tensor, observed: Tensor, step: int) -> Tensor:  # noqa: ARG002 - no schedule
        """Move the bias; a step without tokens changes nothing."""
        seen = _Seen(observed.to(state.device))
        bias, memory = _Memory.unpack(state, observed.shape[-2])
        shock, lasting = memory.judge(seen)
        memory.note(seen, shock)
        memory.learn(seen, shock)
        memory.steps = torch.where(shock, torch.ones_like(lasting), lasting)
        change = torch.where(shock[..., None], -seen.quantile, memory.newton(seen) / memory.steps[..., None])
        after = bias + change
        after = memory.pack(after - after.mean(-1, keepdim=True))
        return torch.where(seen.tokens[..., None] > 0, after, state)


def _chance(degrees: int, level: Tensor) -> Tensor:
    """Return what χ² exceeds with probability at most e^−level (Laurent and Massart 2000, Eq. 4.3)."""
    return degrees + 2 * (degrees * level).sqrt() + 2 * level


@lru_cache(maxsize=1)
@torch.inference_mode(mode=False)
def _windows() -> Tensor:
    return torch.tensor(_WINDOWS, dtype=torch.float32)


class _Seen:
    """What was observed in a step; leading axes are cells of their own."""

    def __init__(self, observed: Tensor) -> None:
        bins, experts = margins.BINS, observed.shape[-2]
        self.histogram = observed[..., :bins]
        pairs = observed[..., bins : bins + experts].float()
        self.pairs = pairs + pairs.transpose(-1, -2)
        self.calls = observed[..., -1].float()
        self.tokens = self.histogram.sum((-2, -1)).div(experts)
        # Where nothing was seen nothing is moved; until then nothing is divided by it.
        self.size = self.tokens.clamp(min=1)
        self.target = self.calls.mean(-1, keepdim=True).clamp(min=1e-9)
        # About three standard deviations of a load lie within this share of it.
        share = (3 / self.target.sqrt()).clamp(max=0.5)
        # How far [..., E] below its threshold an expert has to reach for its share of calls, by its margins; and how
        # far it would for as many as chance may take.
        ranks = [self.calls + (self.target - self.calls), (self.target * (1 - share)).expand_as(self.calls)]
        self.quantile, wide = margins.all_from_top(self.histogram, torch.stack(ranks, -1) + 1).unbind(-1)
        self.width = (wide - self.quantile).clamp(min=1e-6)

    @cached_property
    def residual(self) -> Tensor:
        """The load less its target [..., E], in units of binomial noise: its square sums to about E − 1."""
        experts = self.calls.shape[-1]
        chosen = self.target / self.size[..., None]
        spread = (self.target * (1 - chosen).clamp(min=1e-9) * experts / (experts - 1)).sqrt()
        return (self.calls - self.target) / spread


@dataclass(slots=True, kw_only=True, eq=False)
class _Memory:
    """What the rule remembers beside the bias.

    Args:
        steps: [...] N, since the last change.
        age: [...] steps of all.
        noise: [...] variance of the residual, as a multiple of the binomial one.
        learned: [...] steps that the densities are a mean of.
        previous: [..., E] the last residual.
        lasting: [..., 6, E] means of residuals over windows.
        density: [..., E, E] tokens between two experts, a token and unit of margin.
        reach: [..., E, E] margin up to which they are counted.
    """

    steps: Tensor
    age: Tensor
    noise: Tensor
    learned: Tensor
    previous: Tensor
    lasting: Tensor
    density: Tensor
    reach: Tensor

    @classmethod
    def empty(cls, experts: int) -> _Memory:
        nothing, square = torch.zeros(()), torch.zeros(experts, experts)
        return cls(
            steps=nothing,
            age=nothing,
            noise=torch.ones(()),
            learned=nothing,
            previous=torch.zeros(experts),
            lasting=torch.zeros(len(_WINDOWS), experts),
            density=square,
            reach=square,
        )

    @classmethod
    def unpack(cls, state: Tensor, experts: int) -> tuple[Tensor, _Memory]:
        """Return the bias and the memory in a state."""
        sizes = [experts, _SCALARS, experts, len(_WINDOWS) * experts, experts**2, experts**2]
        bias, scalars, previous, lasting, density, reach = state.split(sizes, dim=-1)
        steps, age, noise, learned = scalars.unbind(-1)
        memory = cls(
            steps=steps,
            age=age,
            noise=noise,
            learned=learned,
            previous=previous,
            lasting=lasting.unflatten(-1, (len(_WINDOWS), experts)),
            density=density.unflatten(-1, (experts, experts)),
            reach=reach.unflatten(-1, (experts, experts)),
        )
        return bias, memory

    def pack(self, bias: Tensor) -> Tensor:
        """Return the state."""
        scalars = torch.stack([self.steps, self.age, self.noise, self.learned], -1)
        squares = [self.density.flatten(-2), self.reach.flatten(-2)]
        return torch.cat([bias, scalars, self.previous, self.lasting.flatten(-2), *squares], -1)

    def judge(self, seen: _Seen) -> tuple[Tensor, Tensor]:
        """Return whether this one batch is more than chance, and N as any window of batches allows it.

        The longer the rule has been right, the more evidence it wants: a level of 1/eN.
        """
        residual, level = seen.residual, 1 + (self.steps + 1).log()
        bound = self.noise * _chance(residual.shape[-1] - 1, level)
        shock = (self.age == 0) | (residual.square().sum(-1) > 2 * bound)
        windows = _windows().to(residual)
        self.lasting = self.lasting + (residual[..., None, :] - self.lasting) / windows[:, None]
        # A mean with weights (1 − 1/w)^i / w has 1/(2w − 1) of the variance.
        excess = self.lasting.square().sum(-1) * (2 * windows - 1)
        allowed = torch.where(excess > bound[..., None], windows, torch.inf).amin(-1)
        return shock, torch.minimum(self.steps + 1, allowed)

    def note(self, seen: _Seen, shock: Tensor) -> None:
        """Learn how noisy loads are, from successive differences: tokens of a sequence are not independent."""
        residual = seen.residual
        found = (residual - self.previous).square().sum(-1) / (2 * (residual.shape[-1] - 1))
        # A recovery is not noise: no more than a tripling at a time, and less with age.
        moved = (torch.minimum(found, 3 * self.noise) - self.noise) / (self.age + 1).clamp(max=2 * _MEMORY)
        self.noise = torch.where(self.age > 0, self.noise + moved, self.noise)
        self.age, self.previous = self.age + 1, residual
        self.lasting = self.lasting.masked_fill(shock[..., None, None], 0)

    def learn(self, seen: _Seen, shock: Tensor) -> None:
        """Average the densities, and let the reach of each pair find its share of the tokens; afresh after a shock."""
        learned = (self.learned + 1).clamp(max=_MEMORY)
        size = seen.size[..., None, None]
        found = seen.pairs / (2 * self.reach.clamp(min=1e-7) * size)
        density = self.density + (found - self.density) / learned[..., None, None]
        experts = seen.calls.shape[-1]
        wanted = size * _CLOSE / (experts * (experts - 1) / 2)
        pace = 1 / learned.clamp(max=4)[..., None, None]
        factor = ((wanted + 1) / (seen.pairs + 1)).clamp(0.5, 2) ** pace
        afresh, forget = (seen.width[..., :, None] * seen.width[..., None, :]).sqrt(), shock[..., None, None]
        self.reach = torch.where(forget, afresh, (self.reach * factor).clamp(1e-7, 1))
        self.density = density.masked_fill(forget, 0)
        self.learned = learned.masked_fill(shock, 0)

    def newton(self, seen: _Seen) -> Tensor:
        """Return −H⁺(A/T − K/E), shortened as a whole to where margins were looked at.

        As a whole, because experts that are nearly alike must move together: cutting one component alone tears them
        apart by more than what lies between them.
        """
        degree = self.density.sum(-1)
        experts = degree.shape[-1]
        mean = degree.mean(-1).clamp(min=1e-6)[..., None, None]
        doubt = (_RIDGE / self.learned.clamp(min=1))[..., None, None] * torch.eye(experts, device=degree.device)
        system = torch.diag_embed(degree) - self.density + mean * (doubt + 1 / experts)
        step: Tensor = -torch.linalg.solve(system, (seen.calls - seen.target) / seen.size[..., None])
        limit = torch.maximum(seen.width, seen.quantile.abs()).amax(-1, keepdim=True)
        return step * (limit / step.abs().amax(-1, keepdim=True).clamp(min=1e-12)).clamp(max=1)
