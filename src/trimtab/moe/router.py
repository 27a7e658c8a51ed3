"""One router of a model: where it is, what it computes, and where its bias is.

Found and read by :mod:`trimtab.moe.discovery`; heard through its port (:mod:`trimtab.moe.ports`).
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import torch

if TYPE_CHECKING:
    from torch import Tensor, nn

    from trimtab.moe.ports import Port
    from trimtab.moe.routing import ScoreFunction

BIAS_NAME: Final = "e_score_correction_bias"


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """How combine weights come from scores: gathered, divided by their sum or not, scaled.

    Args:
        renormalize: Whether the K weights of a token are divided by their sum.
        scale: Factor of all weights.
        per_expert: Name of a parameter [E] of the router that multiplies the weights of each expert (Gemma 4).
    """

    renormalize: bool
    scale: float = 1.0
    per_expert: str | None = None

    def weights(self, scores: Tensor, experts: Tensor, factors: Tensor | None = None) -> Tensor:
        """Return the weights [T, K] of ``experts`` [T, K] from ``scores`` [T, E]; ``factors`` [E] are per expert."""
        weights = scores.gather(1, experts)
        if self.renormalize:
            weights = weights / weights.sum(-1, keepdim=True)
        if self.scale != 1:
            weights = weights * self.scale
        return weights if factors is None else weights * factors[experts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Group-limited routing (arXiv 2405.04434, section 2.2.2): experts of the best groups alone can be chosen.

    Args:
        count: Groups, of equal size.
        chosen: Groups a token may use.
        by: What ranks a group: the ``"max"`` of its scores (DeepSeek-V2) or the sum of its ``"top2"`` (DeepSeek-V3).
    """

    count: int
    chosen: int
    by: Literal["max", "top2"]

    def limit(self, scores: Tensor) -> Tensor:
        """Return ``scores`` [T, E] with −∞ outside the chosen groups: 0 would beat a negative biased score."""
        grouped = scores.unflatten(-1, (self.count, -1))
        rank = grouped.amax(-1) if self.by == "max" else grouped.topk(min(2, grouped.shape[-1]), dim=-1).values.sum(-1)
        best = rank.topk(self.chosen, dim=-1).indices
        excluded = torch.ones_like(rank, dtype=torch.bool).scatter_(-1, best, value=False)
        limited: Tensor = grouped.masked_fill(excluded[..., None], -torch.inf)
        return limited.flatten(-2)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BiasPlace:
    """Where a bias lives: a buffer or a parameter ``name`` of ``owner``, of E numbers in whatever shape."""

    owner: nn.Module
    name: str

    def read(self) -> Tensor:
        """Return the bias [E], sharing memory with the model."""
        tensor: Tensor = getattr(self.owner, self.name)
        return tensor.detach().view(-1)

    def write(self, bias: Tensor) -> None:
        """Make the model hold ``bias`` [E] itself, not a copy of it."""
        held: Tensor = getattr(self.owner, self.name)
        if isinstance(held, torch.nn.Parameter):
            held.data = bias.view(held.shape)
        elif self.name in self.owner._parameters:  # noqa: SLF001 - lent by functional_call for the time of a call
            self.owner._parameters[self.name] = bias.view(held.shape)  # type: ignore[assignment]  # noqa: SLF001
        else:
            setattr(self.owner, self.name, bias.view(held.shape))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Router:
    """One router of a model.

    Args:
        name: Qualified name in the model, e.g. ``model.layers.1.mlp.gate``.
        layer: Number of its layer in the model.
        module: The router: within wrappers of PEFT, the module that returns the decision.
        block: What holds it.
        attribute: Its name there, under which wrappers are put around it.
        experts: The module with the expert weights.
        port: How its decisions are heard and changed.
        weight_name: Name of the weight [≥ E, H] within the router.
        num_experts, num_experts_per_tok: E and K.
        score_function: How scores come from logits.
        formula: How weights come from scores; None when the router has a way of its own.
        groups: The limit on what can be chosen; None for none.
        plain: Whether the experts are the top-k of the scores, within ``groups``.
        native: Where its own bias is; None when it has none.
    """

    name: str
    layer: int
    module: nn.Module
    block: nn.Module
    attribute: str
    experts: nn.Module
    port: Port
    weight_name: str
    num_experts: int
    num_experts_per_tok: int
    score_function: ScoreFunction
    formula: Formula | None
    groups: Groups | None
    plain: bool
    native: BiasPlace | None

    @property
    def weight(self) -> Tensor:
        """The rows [E, H] that make the logits, sharing memory with the model."""
        # By attribute, because a parametrized weight is no parameter while an adapter of PEFT is at work.
        rows: Tensor = operator.attrgetter(self.weight_name)(self.module)
        return rows if len(rows) == self.num_experts else rows[: self.num_experts]

    @property
    def outer(self) -> nn.Module:
        """The module that the block calls: the router, or the outermost wrapper around it."""
        outer: nn.Module = getattr(self.block, self.attribute)
        return outer

    @property
    def learns(self) -> bool:
        """Whether a matrix of the router or of an adapter around it is trained."""
        return any(parameter.requires_grad and parameter.ndim > 1 for parameter in self.outer.parameters())

    @property
    def native_bias(self) -> bool:
        """Whether the router adds a bias of its own before top-k."""
        return self.native is not None

    @property
    def renormalize(self) -> bool:
        """Whether the K weights of a token are known to be divided by their sum."""
        return self.formula is not None and self.formula.renormalize

    @property
    def takes_bias(self) -> bool:
        """Whether a bias can steer it: its own, or one added, for which choice and weights must be reproducible."""
        return self.native_bias or (self.plain and self.formula is not None)

    def choose(self, scores: Tensor) -> Tensor:
        """Return the experts [T, K] of the highest ``scores`` [T, E], within the groups."""
        limited = scores if self.groups is None else self.groups.limit(scores)
        return limited.topk(self.num_experts_per_tok, dim=-1).indices

    def weights_of(self, scores: Tensor, experts: Tensor) -> Tensor:
        """Return the combine weights [T, K] of chosen experts, from scores without bias; needs a formula."""
        assert self.formula is not None  # noqa: S101 - checked when a rule with a bias is attached
        per_expert = self.formula.per_expert
        return self.formula.weights(scores, experts, self.module.get_parameter(per_expert) if per_expert else None)
