"""Rules that balance within each sequence as it is read: causal, and with a memory that starts anew with each."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from trimtab.settings.families import BiasRule, refuse_other_choices, refuse_unsolvable
from trimtab.settings.reading import Count, InnerShare, Positive, Share, setting

if TYPE_CHECKING:
    from trimtab.settings.capacities import Capacity
    from trimtab.settings.shapes import RouterShape


@setting
class MovingQuantileBalancing(BiasRule):
    """Moving-quantile balancing (MQB; Su 2026, kexue.fm 11760): a threshold an expert that moves along each sequence.

    The scores of an expert are counted in ``bins`` bins from 0 to 1 and averaged along the sequence, its own token
    included: h̄_i = γ·h̄_(i−1) + (1 − γ)·h_i; β_i is the middle of the first bin at which the average reaches 1 − K/E.
    Selection by s_i − λ·β_i + b; weights come from s alone. b is learned by
    :class:`~trimtab.settings.rules.QuantileBalancing` on that difference, once a step, as the source asks for top-k.

    In the source (3B parameters, 4 of 128, first layer, one run each) λ = 1 balanced nearly perfectly at a loss 0.06
    higher, and λ = 0.3 balanced better than without at hardly any loss.

    It changes choices from the first step on, in training and evaluation alike, so a model trained with it has to be
    attached to choose the same, and has to see whole sequences: a call with earlier tokens in a cache is refused.
    Assumes scores from 0 to 1; √softplus scores, K = E, groups and ``load_signal="kept"`` are refused.

    Args:
        strength: λ.
        memory: γ.
        bins: Of the histogram of an expert.
        start: What stands in for the tokens before a sequence, which the source leaves open: nothing, with the average
            divided by its weight so far 1 − γ^i (``"debias"``), or its first token over and over (``"first"``). From
            nothing alone the threshold could not be reached for hundreds of tokens.

    Raises:
        ConfigurationError: A value is out of range.
    """

    strength: Share = 0.3
    memory: InnerShare = 0.99
    bins: Count = 100
    start: Literal["debias", "first"] = "debias"

    key: ClassVar[str] = "moving_quantile"

    def check_fit(self, router: RouterShape, capacity: Capacity) -> None:
        """Refuse what the class docstring says."""
        refuse_unsolvable(self, router, capacity)


@setting
class CausalBias(BiasRule):
    """Causal bias (Chang, jonathanc.net, as restated in kexue.fm 11760, Eq. 3): each token pays for those before it.

    Selection by s_i − β_i with β_i = β_(i−1) + η·(f_(i−1) − 1/E), f the share of the calls of the token before, and
    β = 0 at the start of each sequence. Each sequence is balanced to within its last calls; nothing is learned between
    steps. The choice of a token depends on those before it, one after the other, so that it costs a loop over tokens.

    The source gives no η. Like :class:`MovingQuantileBalancing` it changes choices from the first step on, and a call
    with earlier tokens in a cache is refused; so are K = E and groups. The restatement's other form, scores less their
    moving average, is not built: its author saw no help from it where layers are very unbalanced.

    Args:
        rate: η, in units of score a call.

    Raises:
        ConfigurationError: ``rate`` is not positive and finite.
    """

    rate: Positive

    key: ClassVar[str] = "causal_bias"

    def check_fit(self, router: RouterShape, capacity: Capacity) -> None:  # noqa: ARG002 - it counts its own calls
        """Refuse what the class docstring says."""
        refuse_other_choices(self, router)
