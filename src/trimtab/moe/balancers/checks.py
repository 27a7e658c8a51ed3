"""Refusing settings that cannot work, in the same words everywhere."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, get_args

from trimtab.errors import ConfigurationError, nearest

if TYPE_CHECKING:
    from trimtab.moe.balancers.interface import Balancer
    from trimtab.moe.capacity import Capacity
    from trimtab.moe.router import Router


def positive(value: float, where: str) -> None:
    """Refuse a rate or coefficient that does nothing or explodes.

    Raises:
        ConfigurationError: ``value`` is not positive and finite.
    """
    if not (value > 0 and math.isfinite(value)):
        raise ConfigurationError(
            f"{where} must be positive and finite, got {value!r}", hint="NoBalancer() does nothing"
        )


def known(value: str, literal: object, where: str) -> None:
    """Refuse a name that is not among the arguments of a ``Literal``.

    Raises:
        ConfigurationError: With the nearest valid name.
    """
    if value not in get_args(literal):
        raise ConfigurationError(f"{where} does not know {value!r}", hint=nearest(str(value), get_args(literal)))


def refuse_unsolvable(balancer: Balancer, router: Router, capacity: Capacity) -> None:
    """Refuse what a rule that solves the assignment from scores does not know.

    Raises:
        ConfigurationError: All experts are chosen, tokens are limited to groups, or kept calls are to be counted.
    """
    refuse_other_choices(balancer, router)
    if capacity.load_signal == "kept":
        raise ConfigurationError(
            f"{type(balancer).__name__} looks at scores, not at calls: load_signal='kept' means nothing to it",
            hint="Capacity(load_signal='routed')",
        )


def refuse_other_choices(balancer: Balancer, router: Router) -> None:
    """Refuse routers that do not choose the K < E best of all scores, from which a rule takes its margins.

    Raises:
        ConfigurationError: All experts are chosen, or tokens are limited to groups.
    """
    name = type(balancer).__name__
    if router.num_experts_per_tok >= router.num_experts:
        raise ConfigurationError(f"{router.name} chooses all its experts: {name} has no load to balance")
    if router.groups is not None:
        raise ConfigurationError(
            f"{router.name} limits tokens to {router.groups.chosen} of {router.groups.count} groups, where the"
            f" (K+1)-th score is not what an expert has to beat: {name} would be wrong",
            hint="LossFree(...) works with groups",
        )
