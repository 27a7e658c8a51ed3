"""Rules that are no top-k: an expert chooses its tokens, or a token takes every expert above a threshold.

A token gets as many experts as chose it or passed: none, K or all. A router of transformers hands on exactly K, so
these live in the simulator alone, and :func:`trimtab.moe.attach.attach` refuses them. Beside balance their price is
what to look at: tokens without an expert, the mean number of experts a token, and, of a rule that is not causal, what
it tells a token of later ones.

Axes: S seeds, T tokens, E experts; K is the mean number of experts a token that is asked for.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, final

import torch
from pydantic import Field

from trimtab.moe.routing import scores_of
from trimtab.settings.reading import Positive, Setting, setting

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.routing import ScoreFunction
    from trimtab.moe.simulate.streams import Shape

_DRAWS = 10_000


class Choice(Setting, ABC):
    """One rule that gives tokens experts without ranking K of them.

    ``causal`` says that, given the state, later tokens of a batch do not change which experts earlier ones get.
    """

    __slots__ = ()
    causal: ClassVar[bool] = True

    @property
    def counts_calls(self) -> bool:
        """Whether the rule learns from calls, and not from scores."""
        return False

    def initial(self, shape: Shape, score_function: ScoreFunction) -> Tensor:  # noqa: ARG002 - most start at 0
        """Return the bias [E] before the first batch."""
        return torch.zeros(shape.num_experts)

    @abstractmethod
    def choose(self, scores: Tensor, state: Tensor, shape: Shape) -> Tensor:
        """Return [S, T, E] whether an expert gets a token, for scores [S, T, E] and a bias [S, E]."""

    def update(self, state: Tensor, scores: Tensor, load: Tensor, shape: Shape) -> Tensor:  # noqa: ARG002 - some learn
        """Return the bias [S, E] after a batch of scores [S, T, E] and a load of calls [S, E]."""
        return state


@final
@setting
class ExpertChoice(Choice):
    """Expert choice (arXiv 2202.09368, Eq. 1 and 2): each expert takes the c·T/E tokens that score highest with it.

    Balanced by construction, on any stream and from the first batch. Assumes the whole batch: whether an expert takes a
    token depends on every other token, later ones included, so that a causal language model learns from what it should
    predict (arXiv 2408.15664, section 5.2: :func:`leaked_bits`), and one token at a time cannot be routed so at all.
    Tokens that no expert ranks high are not served.

    Args:
        capacity_factor: c, the mean number of experts a token; None for the K of the layer.

    Raises:
        ConfigurationError: ``capacity_factor`` is not positive and finite.
    """

    capacity_factor: Positive | None = None
    causal: ClassVar[bool] = False

    def taken(self, shape: Shape) -> int:
        """Return the tokens k of each expert: c·T/E (Eq. 1), rounded down, at least one and at most all."""
        mean = shape.num_experts_per_tok if self.capacity_factor is None else self.capacity_factor
        return max(1, min(shape.tokens, math.floor(mean * shape.tokens / shape.num_experts + 1e-9)))

    def choose(self, scores: Tensor, state: Tensor, shape: Shape) -> Tensor:  # noqa: ARG002 - nothing is learned
        """Return the k largest scores of each column: TopK(Sᵀ, k) (Eq. 2)."""
        taken = scores.topk(self.taken(shape), dim=-2).indices
        return torch.zeros_like(scores, dtype=torch.bool).scatter_(-2, taken, value=True)


@final
@setting
class DynamicThreshold(Choice):
    """Dynamic threshold (Su, kexue.fm 10815 and 11626): a token takes every expert with s + b > 0 (10815, Eq. 3).

    Causal, and it needs no sorting of a token's experts. It assumes that scores of different experts can be compared
    with one number, and that the next batch is like the last one: nothing bounds the experts of a batch, only their
    mean is steered towards K, and tokens may get none or all of them.

    ``"quantile"`` sets b_j to minus the (⌊KT/E⌋ + 1)-th largest score of expert j in the batch before (11626): with it
    that batch would have had exactly KT/E calls an expert. With ``ema`` the thresholds are averaged over batches, which
    is the form of Expert Threshold routing (arXiv 2603.11535, whose abstract alone was read). ``"sign"`` steps each
    bias by u against its own error, b ← b − u·sign(F̃ − K/E) (10815, Eq. 9), with F̃ the calls a token. ``"budget"``
    splits the step into balance and number, b ← b − u·[sign(F − 1/E) − mean of it + sign(ΣF̃ − K)] with F = F̃/ΣF̃
    (10815, Eq. 7).

    Args:
        rule: How the bias moves.
        bias_update_rate: u of ``"sign"`` and ``"budget"``, in units of score a batch.
        ema: Share of the old threshold that ``"quantile"`` keeps, 0 ≤ ema < 1.
        logit_std: Spread of the normal logits for which the bias to start from gives K experts a token on average
            (10815: found there by bisection); 0 starts at no bias, where sigmoid scores take all experts.

    Raises:
        ConfigurationError: A value cannot work, or belongs to another rule.
    """

    rule: Literal["quantile", "sign", "budget"] = "quantile"
    bias_update_rate: Positive | None = None
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    logit_std: Annotated[float, Field(ge=0)] = 1.0

    def check_together(self) -> None:
        """Refuse a rate without a step, a step without a rate, and an average of what is not averaged."""
        if (self.bias_update_rate is None) != (self.rule == "quantile"):
            raise self.refused(
                f"got {self.bias_update_rate!r} with rule={self.rule!r}: 'sign' and 'budget' need a rate, 'quantile'"
                " has none",
                "bias_update_rate",
                hint="DynamicThreshold(rule='sign', bias_update_rate=1e-3)",
            )
        if self.ema and self.rule != "quantile":
            raise self.refused(f"{self.ema!r} does nothing with rule={self.rule!r}", "ema", hint="rule='quantile'")

    @property
    def counts_calls(self) -> bool:
        """Whether it is stepped by calls."""
        return self.rule != "quantile"

    def initial(self, shape: Shape, score_function: ScoreFunction) -> Tensor:
        """Return the bias that gives K experts a token on average where logits are N(0, ``logit_std``²)."""
        if not self.logit_std:
            return torch.zeros(shape.num_experts)
        drawn = torch.randn(_DRAWS, shape.num_experts, generator=torch.Generator().manual_seed(0))
        scores = scores_of(self.logit_std * drawn, score_function).flatten()
        least = scores.topk(_DRAWS * shape.num_experts_per_tok + 1).values[-1]
        return -least.repeat(shape.num_experts)

    def choose(self, scores: Tensor, state: Tensor, shape: Shape) -> Tensor:  # noqa: ARG002 - a threshold needs no K
        """Return s + b > 0."""
        return scores + state[:, None, :] > 0

    def update(self, state: Tensor, scores: Tensor, load: Tensor, shape: Shape) -> Tensor:
        """Move the bias as the class docstring says."""
        if self.rule == "quantile":
            share = shape.num_experts_per_tok * shape.tokens // shape.num_experts
            return self.ema * state - (1 - self.ema) * scores.topk(share + 1, dim=-2).values[..., -1, :]
        calls, top_k = load / shape.tokens, shape.num_experts_per_tok
        rate, experts = self.bias_update_rate or 0.0, shape.num_experts
        if self.rule == "sign":
            return state - rate * (calls - top_k / experts).sign()
        total = calls.sum(-1, keepdim=True)
        # sign(F − 1/E) of F̃/ΣF̃, multiplied out: no calls at all are even.
        uneven = (calls * experts - total).sign()
        return state - rate * (uneven - uneven.mean(-1, keepdim=True) + (total - top_k).sign())


def leaked_bits(num_experts: int, num_experts_per_tok: int) -> float:
    """Return K·log₂((1 − R)/R), R = K/E: bits a token and layer that expert choice can tell of later tokens at least.

    Of arXiv 2408.15664, section 5.2: 5.61 for 2 of 16 experts, 50.5 over nine layers.
    """
    share = num_experts_per_tok / num_experts
    return num_experts_per_tok * math.log2((1 - share) / share)
