"""Balancing as an assignment problem: what a bias is the price of, as code (arXiv 2512.03915; arXiv 2408.15664).

Give T tokens K of E experts each, every expert L = K·T/E calls, with as much affinity as possible::

    max Σ γ_ik x_ik   subject to   Σ_k x_ik = K,   Σ_i x_ik = L,   0 ≤ x ≤ 1

A bias p_k is the price of the second constraint. Given p, top-K of γ + p solves what is left, so that the dual function
is f(p) = Σ_i TopKSum(γ_i + p) − L Σ_k p_k; it is convex, its (sub)gradient is the load less its target, and a bias
rule is a way to descend it: ALF-LB by the sign of the gradient, its proportional form by the gradient, Quantile
Balancing one coordinate at a time.

Axes: T tokens, E experts, K experts a token. Everything is exact arithmetic on the scores given: pass float64 where
identities matter. A function takes the scores γ [T, E], a bias p [E], and ``chosen`` [T, E], True where a token has an
expert. Theorems are numbered as in docs/concepts/dual.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import sparse
from scipy.optimize import linprog

from trimtab.errors import ConfigurationError

if TYPE_CHECKING:
    from torch import Tensor


def assign(scores: Tensor, bias: Tensor, top_k: int) -> Tensor:
    """Return ``chosen`` [T, E]: the top-K of biased scores, the primal step; torch decides ties."""
    chosen = torch.zeros_like(scores, dtype=torch.bool)
    return chosen.scatter_(-1, (scores + bias[..., None, :]).topk(top_k, dim=-1).indices, True)


def target(scores: Tensor, top_k: int) -> float:
    """Return L = K·T/E, the calls of an expert at balance."""
    return top_k * scores.shape[-2] / scores.shape[-1]


def objective(scores: Tensor, chosen: Tensor) -> Tensor:
    """Return the affinity Σ γ x that an assignment keeps."""
    return (scores * chosen).sum((-2, -1))


def lagrangian(scores: Tensor, bias: Tensor, chosen: Tensor, top_k: int) -> Tensor:
    """Return L(x, p) = Σ (γ + p) x − L Σ p (arXiv 2512.03915, section 3)."""
    return objective(scores + bias[..., None, :], chosen) - target(scores, top_k) * bias.sum(-1)


def dual_value(scores: Tensor, bias: Tensor, top_k: int) -> Tensor:
    """Return f(p) = max over x of L(x, p): never below what any balanced assignment keeps."""
    best = (scores + bias[..., None, :]).topk(top_k, dim=-1).values.sum((-2, -1))
    return best - target(scores, top_k) * bias.sum(-1)


def gradient(scores: Tensor, bias: Tensor, top_k: int) -> Tensor:
    """Return a subgradient [E] of f at p: the load less its target (T4)."""
    return assign(scores, bias, top_k).sum(-2).to(scores.dtype) - target(scores, top_k)


def hessian(scores: Tensor, bias: Tensor, top_k: int, bandwidth: float) -> Tensor:
    """Estimate the Hessian [E, E] of f/T at p: a weighted graph Laplacian (T4).

    The weight between two experts is the density, at margin 0, of tokens to whom they are K-th and (K+1)-th best: those
    that the next small difference of bias moves. Rows sum to 0, so a common shift of the bias changes nothing.

    Args:
        scores: [T, E].
        bias: [E].
        top_k: K < E.
        bandwidth: Margins up to here are counted; in units of score.
    """
    best = (scores + bias).topk(top_k + 1, dim=-1)
    close = best.values[:, -2] - best.values[:, -1] < bandwidth
    experts = scores.shape[-1]
    pair = best.indices[close, -2] * experts + best.indices[close, -1]
    weight = torch.bincount(pair, minlength=experts**2).view(experts, experts).to(scores.dtype)
    weight = (weight + weight.T) / (2 * bandwidth * len(scores))  # margins of either sign up to the bandwidth
    return weight.sum(1).diag() - weight


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Step:
    """One step of a bias rule on scores that stay as they are: what moved, and what that did to the Lagrangian.

    Args:
        scores: [T, E].
        before, after: The bias [E] before and after.
        top_k: K.
    """

    scores: Tensor
    before: Tensor
    after: Tensor
    top_k: int

    @property
    def chosen(self) -> Tensor:
        """[T, E] before the step."""
        return assign(self.scores, self.before, self.top_k)

    @property
    def newly(self) -> Tensor:
        """[T, E] after it."""
        return assign(self.scores, self.after, self.top_k)

    @property
    def excess(self) -> Tensor:
        """[E] load less target, A − L, before the step."""
        return gradient(self.scores, self.before, self.top_k)

    def switching_benefit(self) -> Tensor:
        """Return B [T] ≥ 0: what each token gains, in biased score, by choosing again (T1)."""
        biased = self.scores + self.after
        return (biased * self.newly).sum(1) - (biased * self.chosen).sum(1)

    def change(self) -> Tensor:
        """Return the change of the Lagrangian, by its definition."""
        now = lagrangian(self.scores, self.after, self.newly, self.top_k)
        return now - lagrangian(self.scores, self.before, self.chosen, self.top_k)

    def predicted_change(self) -> Tensor:
        """Return the same by T1: Σ B_i − Σ_k (p' − p)_k (L − A_k); the last term is Σ ε_k (A_k − L)² for ALF-LB."""
        return self.switching_benefit().sum() + ((self.after - self.before) * self.excess).sum()

    def swaps(self) -> int:
        """Count (token, expert) pairs newly chosen."""
        return int((self.newly & ~self.chosen).sum())

    def descends(self) -> bool:
        """Tell whether T1b promises that the Lagrangian does not rise: no more swaps than misplaced calls.

        For the sign rule: each swap gains at most 2u, and the bias gives up u for each call above or below target.
        """
        return self.swaps() <= float(self.excess.abs().sum()) / 2

    def crossings(self) -> int:
        """Return m, the most tokens for whom one expert overtook another in this step, over ordered pairs (T3)."""
        before, after = self.scores + self.before, self.scores + self.after
        overtaken = (before[:, :, None] > before[:, None, :]) & (after[:, :, None] < after[:, None, :])
        return int(overtaken.sum(0).max())


def band(crossings: int, num_experts: int) -> int:
    """Return m(E − 1): once the sign rule has a load this close to its target, it keeps it there (T3)."""
    return crossings * (num_experts - 1)


def spread_bound(rate: float, steps: int) -> float:
    """Return 2·n·u, the largest spread of a sign rule's bias after n steps (T5)."""
    return 2 * steps * rate


def recovery_bound(rate: float, gap: float = 1.0) -> tuple[float, float]:
    """Return the least and most steps that a sign rule may need to close a gap of scores: gap/2u and gap/u (T5)."""
    return gap / (2 * rate), gap / rate


def atom_floor(share: float, num_experts: int, num_experts_per_tok: int) -> float:
    """Return the least MaxVio when a share of the tokens is identical and goes one way: E·f/K − 1, or 0 (T3)."""
    return max(0.0, num_experts * share / num_experts_per_tok - 1)


def regret_bound(gradient_square: float, modulus: float, steps: int) -> float:
    """Return G²/2λ · (1 + ln N): the expected regret of online descent with steps 1/λn (T4; arXiv 2512.03915).

    Args:
        gradient_square: G², a bound on E‖A/T − K/E‖².
        modulus: λ, the second smallest eigenvalue of the Hessian of f/T where the bias goes.
        steps: N.
    """
    return gradient_square / (2 * modulus) * (1 + math.log(steps))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Optimum:
    """The solution of the assignment problem.

    Args:
        value: The affinity kept.
        assignment: x [T, E] in 0 to 1.
        bias: p [E], centered: prices of the loads.
    """

    value: float
    assignment: Tensor
    bias: Tensor


def lp_optimum(scores: Tensor, top_k: int) -> Optimum:
    """Solve the linear program exactly, by HiGHS: an oracle for up to some thousand calls (seconds at 10⁴).

    Args:
        scores: [T, E], finite.
        top_k: K.

    Raises:
        ConfigurationError: Scores are not finite, or K is not between 1 and E.
    """
    tokens, experts = scores.shape
    if not (1 <= top_k <= experts and bool(torch.isfinite(scores).all())):
        raise ConfigurationError(f"lp_optimum wants finite scores and 1 <= top_k <= {experts}, got top_k={top_k}")
    rows = sparse.kron(sparse.eye_array(tokens), np.ones((1, experts)))
    columns = sparse.kron(np.ones((1, tokens)), sparse.eye_array(experts))
    result = linprog(  # type: ignore[call-overload] # the stubs do not know that A_eq may be sparse
        -scores.double().numpy().ravel(),
        A_eq=sparse.vstack([rows, columns]).tocsr(),
        b_eq=np.r_[np.full(tokens, top_k), np.full(experts, target(scores, top_k))],
        bounds=(0, 1),
        method="highs-ds",
    )
    bias = torch.from_numpy(np.array(result.eqlin.marginals[tokens:]))
    return Optimum(
        value=-float(result.fun),
        assignment=torch.from_numpy(result.x.reshape(tokens, experts)),
        bias=bias - bias.mean(),
    )
