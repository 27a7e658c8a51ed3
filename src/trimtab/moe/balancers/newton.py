"""Newton balancing, a rule of our own: it solves for the bias, and averages what it found for as long as it holds.

The bias is the price of a load in an assignment problem (:mod:`trimtab.moe.dual`). The gradient of its dual is the load
less the target; its Hessian is the Laplacian of a graph of experts, weighted by how many tokens stand between two of
them. Both can be counted. See docs/concepts/newton-balancing.md for the theory, and for where the rule loses.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

import numpy as np
import torch
from numpy.typing import NDArray

from trimtab.errors import ConfigurationError
from trimtab.moe.balancers import dither as dithering
from trimtab.moe.balancers import margins
from trimtab.moe.balancers.interface import BiasBalancer, Context, Ranked

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.routing import Routing
    from trimtab.settings.rules import NewtonBalancing

Numbers: TypeAlias = NDArray[Any]

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
        return _Memory.initial(num_experts)

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
        # On arrays: a step is some eighty operations on few numbers, and each costs a tenth of what it does on tensors.
        before = state.detach().cpu().numpy()
        with np.errstate(all="ignore"):  # where nothing was seen nothing is moved, whatever came out
            seen = _Seen(observed.cpu())
            bias, memory = _Memory.unpack(before, observed.shape[-2])
            shock, lasting = memory.judge(seen)
            memory.note(seen, shock)
            memory.learn(seen, shock)
            memory.steps = np.where(shock, 1, lasting).astype(before.dtype)
            change = np.where(shock[..., None], -seen.quantile, memory.newton(seen) / memory.steps[..., None])
            after = bias + change
            after = memory.pack(after - after.mean(-1, keepdims=True))
            moved = np.where(seen.tokens[..., None] > 0, after, before)
        return torch.from_numpy(moved.astype(before.dtype, copy=False)).to(state.device)


def _chance(degrees: int, level: Numbers) -> Numbers:
    """Return what χ² exceeds with probability at most e^−level (Laurent and Massart 2000, Eq. 4.3)."""
    return np.asarray(degrees + 2 * np.sqrt(degrees * level) + 2 * level)


class _Seen:
    """What was observed in a step; leading axes are cells of their own."""

    def __init__(self, observed: Tensor) -> None:
        bins, experts = margins.BINS, observed.shape[-2]
        counts = observed.numpy()
        pairs = counts[..., bins : bins + experts].astype(np.float32)
        self.pairs = pairs + pairs.swapaxes(-1, -2)
        self.calls = counts[..., -1].astype(np.float32)
        self.tokens = counts[..., :bins].sum((-2, -1)).astype(np.float32) / np.float32(experts)
        # Where nothing was seen nothing is moved; until then nothing is divided by it.
        self.size = np.maximum(self.tokens, 1)
        self.target = np.maximum(self.calls.mean(-1, keepdims=True), np.float32(1e-9))
        # About three standard deviations of a load lie within this share of it.
        share = np.minimum(3 / np.sqrt(self.target), np.float32(0.5))
        # How far [..., E] below its threshold an expert has to reach for its share of calls, by its margins; and how
        # far it would for as many as chance may take.
        fewer = np.broadcast_to(self.target * (1 - share), self.calls.shape)
        ranks = np.stack([self.calls + (self.target - self.calls), fewer], -1) + 1
        reach = margins.all_from_top(observed[..., :bins], torch.from_numpy(ranks)).numpy()
        self.quantile, wide = reach[..., 0], reach[..., 1]
        self.width = np.maximum(wide - self.quantile, np.float32(1e-6))

    @cached_property
    def residual(self) -> Numbers:
        """The load less its target [..., E], in units of binomial noise: its square sums to about E − 1."""
        experts = self.calls.shape[-1]
        chosen = self.target / self.size[..., None]
        spread = np.sqrt(self.target * np.maximum(1 - chosen, np.float32(1e-9)) * experts / (experts - 1))
        return np.asarray((self.calls - self.target) / spread)


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

    steps: Numbers
    age: Numbers
    noise: Numbers
    learned: Numbers
    previous: Numbers
    lasting: Numbers
    density: Numbers
    reach: Numbers

    @classmethod
    def initial(cls, experts: int) -> Tensor:
        """Return the state without a bias and without a memory."""
        state = torch.zeros(experts + _SCALARS + (1 + len(_WINDOWS)) * experts + 2 * experts**2)
        state[experts + 2] = 1  # the noise is the binomial one until it is known better
        return state

    @classmethod
    def unpack(cls, state: Numbers, experts: int) -> tuple[Numbers, _Memory]:
        """Return the bias and the memory in a state."""
        sizes = [experts, _SCALARS, experts, len(_WINDOWS) * experts, experts**2]
        bias, scalars, previous, lasting, density, reach = np.split(state, np.cumsum(sizes), axis=-1)
        cells = state.shape[:-1]
        memory = cls(
            steps=scalars[..., 0],
            age=scalars[..., 1],
            noise=scalars[..., 2],
            learned=scalars[..., 3],
            previous=previous,
            lasting=lasting.reshape(*cells, len(_WINDOWS), experts),
            density=density.reshape(*cells, experts, experts),
            reach=reach.reshape(*cells, experts, experts),
        )
        return bias, memory

    def pack(self, bias: Numbers) -> Numbers:
        """Return the state."""
        cells = bias.shape[:-1]
        scalars = np.stack([self.steps, self.age, self.noise, self.learned], -1)
        parts = [bias, scalars, self.previous, self.lasting, self.density, self.reach]
        return np.concatenate([part.reshape(*cells, -1) for part in parts], -1)

    def judge(self, seen: _Seen) -> tuple[Numbers, Numbers]:
        """Return whether this one batch is more than chance, and N as any window of batches allows it.

        The longer the rule has been right, the more evidence it wants: a level of 1/eN.
        """
        residual, level = seen.residual, 1 + np.log(self.steps + 1)
        bound = self.noise * _chance(residual.shape[-1] - 1, level)
        shock = np.asarray((self.age == 0) | (np.square(residual).sum(-1) > 2 * bound))
        windows = np.array(_WINDOWS, dtype=residual.dtype)
        self.lasting = self.lasting + (residual[..., None, :] - self.lasting) / windows[:, None]
        # A mean with weights (1 − 1/w)^i / w has 1/(2w − 1) of the variance.
        excess = np.square(self.lasting).sum(-1) * (2 * windows - 1)
        allowed = np.where(excess > np.asarray(bound)[..., None], windows, np.float32(np.inf)).min(-1)
        return shock, np.minimum(self.steps + 1, allowed)

    def note(self, seen: _Seen, shock: Numbers) -> None:
        """Learn how noisy loads are, from successive differences: tokens of a sequence are not independent."""
        residual = seen.residual
        variance = np.square(residual - self.previous).sum(-1) / (2 * (residual.shape[-1] - 1))
        # A recovery is not noise: no more than a tripling at a time, and less with age.
        moved = (np.minimum(variance, 3 * self.noise) - self.noise) / np.minimum(self.age + 1, 2 * _MEMORY)
        self.noise = np.where(self.age > 0, self.noise + moved, self.noise)
        self.age, self.previous = self.age + 1, residual
        self.lasting = np.where(shock[..., None, None], 0, self.lasting)

    def learn(self, seen: _Seen, shock: Numbers) -> None:
        """Average the densities, and let the reach of each pair find its share of the tokens; afresh after a shock."""
        learned = np.asarray(np.minimum(self.learned + 1, _MEMORY))
        size = seen.size[..., None, None]
        seen_density = seen.pairs / (2 * np.maximum(self.reach, np.float32(1e-7)) * size)
        density = self.density + (seen_density - self.density) / learned[..., None, None]
        experts = seen.calls.shape[-1]
        wanted = size * np.float32(_CLOSE / (experts * (experts - 1) / 2))
        pace = 1 / np.minimum(learned, 4)[..., None, None]
        factor = ((wanted + 1) / (seen.pairs + 1)).clip(0.5, 2) ** pace
        forget = shock[..., None, None]
        afresh = np.sqrt(seen.width[..., :, None] * seen.width[..., None, :])
        self.reach = np.where(forget, afresh, (self.reach * factor).clip(1e-7, 1))
        self.density = np.where(forget, 0, density)
        self.learned = np.where(shock, 0, learned)

    def newton(self, seen: _Seen) -> Numbers:
        """Return −H⁺(A/T − K/E), shortened as a whole to where margins were looked at.

        As a whole, because experts that are nearly alike must move together: cutting one component alone tears them
        apart by more than what lies between them.
        """
        degree = self.density.sum(-1)
        experts = degree.shape[-1]
        identity = np.eye(experts, dtype=degree.dtype)
        mean = np.maximum(np.asarray(degree.mean(-1)), np.float32(1e-6))[..., None, None]
        doubt = np.asarray(_RIDGE / np.maximum(self.learned, 1))[..., None, None] * identity
        system = degree[..., None] * identity - self.density + mean * (doubt + 1 / experts)
        excess = (seen.calls - seen.target) / seen.size[..., None]
        step = -torch.linalg.solve(torch.from_numpy(system), torch.from_numpy(excess)).numpy()
        limit = np.maximum(seen.width, np.abs(seen.quantile)).max(-1, keepdims=True)
        longest = np.maximum(np.abs(step).max(-1, keepdims=True), np.float32(1e-12))
        return np.asarray(step * np.minimum(limit / longest, 1))
