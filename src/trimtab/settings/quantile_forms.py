"""Quantile Balancing as three frameworks ship it, to the letter.

Ours is :class:`~trimtab.settings.rules.QuantileBalancing`.

All take the (K+1)-th largest of what is ranked, α_i, as what an expert has to beat, and set each bias to where its
expert would have had its share of the calls had the others stayed. They differ in what is ranked, in the rank, and in
how micro-batches and processes are put together. All refuse K = E, routers limited to groups, and
``load_signal="kept"``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from trimtab.settings.families import BiasRule, refuse_unsolvable
from trimtab.settings.reading import Count, setting

if TYPE_CHECKING:
    from trimtab.settings.capacities import Capacity
    from trimtab.settings.shapes import RouterShape


@setting
class MegatronQuantileBalancing(BiasRule):
    """Quantile Balancing as Megatron-LM first shipped it (PR 5349, main at 33706f968e).

    Ranks raw logits: selection by logit_ij + b_j, α_i their (K+1)-th largest, β_j the (⌊TK/E⌋ + 1)-th largest over the
    tokens of a micro-batch of logit_ij − α_i. Then β ← ema·β_old + (1 − ema)·(mean of β over micro-batches and
    processes), less its mean over experts, and b = −β. A mean of quantiles is not the quantile of all: cutting the same
    tokens into other micro-batches gives another bias. Weights come from the router's own scores, without b.

    Megatron refuses groups, padding masks and an auxiliary loss beside it, and asserts that E divides TK; here padding
    is left out and the rank rounded down. A model trained so chooses so only while it is attached: other engines add a
    bias to scores, and this one is in units of logits.

    Args:
        ema: Share of the old β that is kept, 0 ≤ ema < 1.

    Raises:
        ConfigurationError: ``ema`` is out of range.
    """

    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0

    key: ClassVar[str] = "quantile_megatron"

    def check_fit(self, router: RouterShape, capacity: Capacity) -> None:
        """Refuse what the module docstring says."""
        refuse_unsolvable(self, router, capacity)


@setting
class MarinQuantileBalancing(BiasRule):
    """Quantile Balancing as marin trains with it (experiments/grug/moe/model.py at 008049861c).

    As :class:`MegatronQuantileBalancing` with another rank, the max(1, ⌊TK/E⌋)-th largest, and without an average over
    steps: selection by logit_ij + b_j, and b = −β less its mean, with β the mean over micro-batches and processes
    (devices there). A model trained so chooses so only while it is attached.
    """

    key: ClassVar[str] = "quantile_marin"

    def check_fit(self, router: RouterShape, capacity: Capacity) -> None:
        """Refuse what the module docstring says."""
        refuse_unsolvable(self, router, capacity)


@setting
class KimiQuantileBalancing(BiasRule):
    """Quantile Balancing as Kimi K3 is trained (report, section 2.3.3 and appendices C and D; torchtitan PR 4577).

    Ranks scores: selection by s_ij + b_j, α_i their (K+1)-th largest, r_ij = α_i − s_ij. The r of all micro-batches and
    processes are counted in ``bins`` bins of equal width between min(b) − 1 and max(b) + 1, which hold every r there
    can be. b_j is the (TK/E)-th smallest r_ij, which may be a fraction, interpolated within its bin; then less its
    mean. Its error is a bin's width at most, 0.002 and more, while that of
    :class:`~trimtab.settings.rules.QuantileBalancing` shrinks with the correction.

    Where scores tie at a cutoff, TransformerEngine drops the largest index and here torch.topk decides. Megatron
    (PRs 6637, 6638) and torchtitan start from the bounds −1 and 1, which are those of no bias, and take sigmoid scores
    alone. Here bounds follow the bias from the first step, and softmax scores work as well; √softplus scores, which
    have no bound, are refused. A step without tokens changes nothing (torchtitan divides 0 by 0).

    Args:
        bins: Of the histogram of an expert; the report found 10,000 no better than 1,000.

    Raises:
        ConfigurationError: ``bins`` is not positive.
    """

    bins: Count = 1000

    key: ClassVar[str] = "quantile_kimi"

    def check_fit(self, router: RouterShape, capacity: Capacity) -> None:
        """Refuse what the module docstring says."""
        refuse_unsolvable(self, router, capacity)
