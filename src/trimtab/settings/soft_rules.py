"""Bias rules whose step shrinks with the error, where ALF-LB's sign does not: SMEBU and the soft-clipped update."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from trimtab.settings.families import BiasRule
from trimtab.settings.reading import Positive, setting


@setting
class SMEBU(BiasRule):
    """Soft-clamped momentum expert bias updates of Trinity Large (arXiv 2602.17004, section 2.2, Eq. 24 to 28).

    With e = (mean − load) / mean: d = λ·tanh(κ·e), less its own mean over experts; m ← β·m + (1 − β)·d; b ← b + m, once
    a step. A step is at most λ and fades near balance; the momentum averages over steps. At an even load the bias still
    moves by β·m. The published run has beside it ``SwitchLoss(coef=1e-4, scope="sequence", count="selection")``.

    The report has no ablation: it changed six things together after runs that collapsed.

    Assumes scores whose differences are large beside λ: on softmax scores, a mean score 1/E below λ brings a warning.
    The memory of a layer is m [E].

    Args:
        bias_update_rate: λ, in units of score a step.
        sharpness: κ: errors of the load above 1/κ take nearly a whole step.
        momentum: β, the share of the last step that goes on.

    Raises:
        ConfigurationError: A value is out of range.
    """

    bias_update_rate: Positive = 5e-4
    sharpness: Positive = 2.0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.5

    key: ClassVar[str] = "smebu"


@setting
class SoftClippedBias(BiasRule):
    """The soft bias update of Jin et al. (2026, "Silent expert death", appendix B; code puguJin, ``blog/llal``).

    With L_i the load of expert i and L the mean: u_i = max(0, (L − L_i)/L), o_i = max(0, (L_i − L)/L_i), both below 1;
    c = u·Σo/Σu − o, which sums to 0; b ← b + γ·c, or with momentum M ← β·M + (1 − β)·c and b ← b + γ·M, once a step.

    In the source it did not bring dead experts back (60B parameters: loss nearly the same, collapse unchanged), and
    momentum balanced slightly worse. It gives neither γ nor β.

    Assumes scores whose differences are large beside γ: on softmax scores, a mean score 1/E below γ brings a warning.

    Args:
        bias_update_rate: γ, in units of score a step.
        momentum: β, the share of the last step that goes on; 0 for none.

    Raises:
        ConfigurationError: A value is out of range.
    """

    bias_update_rate: Positive
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0

    key: ClassVar[str] = "soft_clipped"
