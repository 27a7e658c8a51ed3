"""The rules that keep experts evenly loaded: two families, one interface.

A balancer is a frozen value of hyper-parameters with pure methods. :class:`BiasBalancer` (ALF-LB and kin) adds a bias
to the scores that top-k sees, and has no loss. :class:`LossBalancer` (Switch and kin) has a loss, and no bias. The two
abstract classes are the two sides of the research question; :class:`Stack` puts one bias and any losses together
(DeepSeek-V3). What a rule has learned, the bias [E] of a layer, is held by the gate (:mod:`trimtab.moe.attach`).

Units: a bias is in units of score; a loss is per layer, 1 at perfect balance before its coefficient (Megatron's
normalization), added over layers. Errors of load are relative, (mean − load) / mean, so that a step size means the same
for any batch.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, final, get_args

import torch

from trimtab.errors import ConfigurationError, nearest
from trimtab.moe.routing import scores_of

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.capacity import LoadSignal
    from trimtab.moe.routing import Routing

Scope = Literal["sequence", "micro", "global"]
Rule = Literal["sign", "proportional"]
Schedule = Literal["constant", "inv_sqrt", "inv"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Context:
    """What surrounds a routing.

    Args:
        training: Whether this is a training step.
        load_so_far: [E] calls of this optimizer step up to and with this micro-batch, over all processes.
        sequence: [T] number of the sequence of each token, from 0; None when there is one sequence.
        load_signal: Which calls count as load.
        router_weight: [E, H] the rows of the router.
    """

    training: bool
    load_so_far: Tensor
    sequence: Tensor | None = None
    load_signal: LoadSignal = "routed"
    router_weight: Tensor | None = None


class Balancer(ABC):
    """One rule. ``has_bias`` and ``has_penalty`` say which acts are not the identity, so that a gate can skip them."""

    __slots__ = ()
    has_bias: ClassVar[bool] = False
    has_penalty: ClassVar[bool] = False

    @abstractmethod
    def select(self, scores: Tensor, state: Tensor) -> Tensor:
        """Return the scores [T, E] that top-k sees; weights always come from ``scores``."""

    @abstractmethod
    def penalty(self, routing: Routing, context: Context) -> Tensor:
        """Return the loss of this layer and micro-batch, coefficient included: a scalar with a gradient to logits."""

    def observe(self, routing: Routing, context: Context) -> Tensor:
        """Return what :meth:`update` learns from; the gate adds it up over micro-batches, then processes."""
        return routing.kept_load if context.load_signal == "kept" else routing.load

    @abstractmethod
    def update(self, state: Tensor, observed: Tensor, step: int) -> Tensor:
        """Return the state after optimizer step ``step`` (from 1)."""


class BiasBalancer(Balancer):
    """A rule that acts through a bias on the selection alone (arXiv 2408.15664, Eq. 3): no gradient is disturbed."""

    __slots__ = ()
    has_bias: ClassVar[bool] = True

    @final
    def select(self, scores: Tensor, state: Tensor) -> Tensor:
        """Add the bias."""
        return scores + state

    @final
    def penalty(self, routing: Routing, context: Context) -> Tensor:  # noqa: ARG002 - the family has none
        """Return 0."""
        return routing.logits.new_zeros(())


class LossBalancer(Balancer):
    """A rule that acts through the gradient alone; selection is plain top-k."""

    __slots__ = ()
    has_penalty: ClassVar[bool] = True

    @final
    def select(self, scores: Tensor, state: Tensor) -> Tensor:  # noqa: ARG002 - the family has no bias
        """Return the scores as they are."""
        return scores

    @final
    def update(self, state: Tensor, observed: Tensor, step: int) -> Tensor:  # noqa: ARG002 - nothing is learned
        """Return the state as it is."""
        return state


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NoBalancer(LossBalancer):
    """No balancing: the control arm."""

    has_penalty: ClassVar[bool] = False

    def penalty(self, routing: Routing, context: Context) -> Tensor:  # noqa: ARG002 - there is none
        """Return 0."""
        return routing.logits.new_zeros(())


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LossFree(BiasBalancer):
    """ALF-LB (arXiv 2408.15664, Algorithm 1), with the step sizes of its theory (arXiv 2512.03915).

    b ← b + u_n · sign(mean − load), or with ``rule="proportional"`` b ← b + u_n · (mean − load) / mean. A bias can
    travel at most Σ u_n, so ``bias_update_rate`` × steps is the setting that counts in a short run.

    Args:
        bias_update_rate: u, in units of score a step.
        rule: ``"sign"`` (the paper's default) or ``"proportional"``.
        schedule: u_n = u, u/√n or u/n at step n from 1.
        centered: Take the mean off each step (torchtitan), so that the biases keep their mean; changes no selection.
    """

    bias_update_rate: float
    rule: Rule = "sign"
    schedule: Schedule = "constant"
    centered: bool = False

    def __post_init__(self) -> None:
        _check_positive(self.bias_update_rate, "LossFree(bias_update_rate=...)")
        _check_name(self.rule, Rule, "LossFree(rule=...)")
        _check_name(self.schedule, Schedule, "LossFree(schedule=...)")

    def update(self, state: Tensor, observed: Tensor, step: int) -> Tensor:
        """Move the bias [E] of overloaded experts down and of underloaded ones up; a step without calls moves none."""
        calls = observed.to(state.dtype)
        mean = calls.mean()
        if not mean > 0:
            return state
        error = (mean - calls) / mean
        delta = self.step_size(step) * (error.sign() if self.rule == "sign" else error)
        return state + (delta - delta.mean() if self.centered else delta)

    def step_size(self, step: int) -> float:
        """Return u_n, for n from 1."""
        divisor = {"constant": 1.0, "inv_sqrt": math.sqrt(step), "inv": float(step)}[self.schedule]
        return self.bias_update_rate / divisor


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchLoss(LossBalancer):
    """The auxiliary loss of Switch Transformers (arXiv 2101.03961, Eq. 4) for top-k, per layer, 1 at balance.

    coef · E · Σ_e f_e·P_e, with f_e the share of calls that went to e (counted, before drops) and P_e the mean score.
    Sigmoid scores are first divided by their sum over experts (arXiv 2412.19437, Eq. 19). Where a bias moves the
    selection, f is counted from the top-k of the scores without it (same paper, Eq. 18).

    Args:
        coef: Coefficient α.
        scope: Whose calls f counts: each ``"sequence"`` for itself (then the mean over sequences), the ``"micro"``
            batch, or ``"global"``, the optimizer step so far over all micro-batches and processes (arXiv 2501.11873).
    """

    coef: float
    scope: Scope = "micro"

    def __post_init__(self) -> None:
        _check_positive(self.coef, "SwitchLoss(coef=...)")
        _check_name(self.scope, Scope, "SwitchLoss(scope=...)")

    def penalty(self, routing: Routing, context: Context) -> Tensor:
        """Return coef · E · Σ f·P; 0 for a batch of padding."""
        # Rows of text first: padding may hold anything, NaN included, and must not reach the gradient.
        scores = scores_of(routing.select(routing.logits), routing.score_function)
        if not len(scores):
            return routing.logits.new_zeros(())
        if routing.score_function == "sigmoid":
            scores = scores / scores.sum(-1, keepdim=True)
        if self.scope == "sequence" and context.sequence is not None:
            value = _sequence_wise(scores, routing.select(routing.experts), routing.select(context.sequence))
        else:
            counts = (context.load_so_far if self.scope == "global" else routing.load).to(scores.dtype)
            share = counts / counts.sum()
            value = routing.num_experts * (scores @ share).mean()
        return self.coef * value


def _sequence_wise(scores: Tensor, experts: Tensor, sequence: Tensor) -> Tensor:
    """Mean over sequences of E · Σ_e f_e·P_e; scores [T, E], experts [T, K], sequence [T]."""
    num_experts, per_tok = scores.shape[1], experts.shape[1]
    present, row = sequence.unique(return_inverse=True)
    size = torch.bincount(row).to(scores.dtype)
    cell = (row[:, None] * num_experts + experts).flatten()
    calls = torch.bincount(cell, minlength=len(present) * num_experts).view(-1, num_experts).to(scores.dtype)
    share = calls / (per_tok * size[:, None])
    mean_score = scores.new_zeros(len(present), num_experts).index_add(0, row, scores) / size[:, None]
    return num_experts * (share * mean_score).sum(1).mean()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RouterZLoss(LossBalancer):
    """The router z-loss (arXiv 2202.08906, Eq. 5): coef · mean of logsumexp(logits)². Stability, not balance."""

    coef: float

    def __post_init__(self) -> None:
        _check_positive(self.coef, "RouterZLoss(coef=...)")

    def penalty(self, routing: Routing, context: Context) -> Tensor:  # noqa: ARG002 - logits are all it needs
        """Return coef · mean(logsumexp²) over tokens; 0 for a batch of padding."""
        logits = routing.select(routing.logits)
        if not len(logits):
            return routing.logits.new_zeros(())
        return self.coef * logits.float().logsumexp(-1).square().mean()


@final
class Stack(Balancer):
    """One bias rule and any losses together, as DeepSeek-V3 does (arXiv 2412.19437, section 2.1.2).

    Raises:
        ConfigurationError: The first is no bias rule, another is no loss, or there is no loss.
    """

    __slots__ = ("bias", "losses")
    has_bias: ClassVar[bool] = True
    has_penalty: ClassVar[bool] = True
    bias: BiasBalancer
    losses: tuple[LossBalancer, ...]

    def __init__(self, bias: BiasBalancer, *losses: LossBalancer) -> None:
        if not isinstance(bias, BiasBalancer):
            raise ConfigurationError(f"Stack takes a bias rule first, got {bias!r}", hint="Stack(LossFree(...), ...)")
        if not (losses and all(isinstance(loss, LossBalancer) for loss in losses)):
            raise ConfigurationError(f"Stack takes losses after its bias rule, got {losses!r}")
        object.__setattr__(self, "bias", bias)
        object.__setattr__(self, "losses", losses)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen; {name!r} stays")

    def __repr__(self) -> str:
        return f"Stack({', '.join(map(repr, (self.bias, *self.losses)))})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stack) and (self.bias, self.losses) == (other.bias, other.losses)

    def __hash__(self) -> int:
        return hash((self.bias, self.losses))

    def select(self, scores: Tensor, state: Tensor) -> Tensor:
        """Add the bias."""
        return self.bias.select(scores, state)

    def penalty(self, routing: Routing, context: Context) -> Tensor:
        """Return the sum of the losses."""
        return torch.stack([loss.penalty(routing, context) for loss in self.losses]).sum()

    def update(self, state: Tensor, observed: Tensor, step: int) -> Tensor:
        """Move the bias."""
        return self.bias.update(state, observed, step)


def _check_positive(value: float, where: str) -> None:
    if not (value > 0 and math.isfinite(value)):
        raise ConfigurationError(
            f"{where} must be positive and finite, got {value!r}", hint="NoBalancer() does nothing"
        )


def _check_name(value: str, literal: object, where: str) -> None:
    if value not in get_args(literal):
        raise ConfigurationError(f"{where} does not know {value!r}", hint=nearest(str(value), get_args(literal)))
