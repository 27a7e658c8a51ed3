"""Whether a step of a bias is small beside the scores that it is added to."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from trimtab.errors import BalancerWarning

if TYPE_CHECKING:
    from trimtab.moe.router import Router


def warn_of_large_steps(router: Router, bias_update_rate: float) -> None:
    """Warn where one step outweighs the scores (Megatron refuses a bias on softmax scores altogether)."""
    if router.score_function == "softmax" and bias_update_rate * router.num_experts > 1:
        warnings.warn(
            f"{router.name}: a step of {bias_update_rate:g} is larger than the mean softmax score"
            f" 1/{router.num_experts}, so one step may send every token elsewhere",
            BalancerWarning,
            stacklevel=3,
        )
