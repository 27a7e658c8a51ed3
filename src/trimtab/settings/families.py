"""The families of balancing rules, and what several of them refuse in the same words."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - annotations of settings are resolved
from typing import TYPE_CHECKING, ClassVar

from trimtab.errors import ConfigurationError
from trimtab.settings.reading import Setting

if TYPE_CHECKING:
    from trimtab.settings.capacities import Capacity
    from trimtab.settings.shapes import RouterShape


class Rule(Setting):
    """What :func:`trimtab.moe.attach.attach` takes: one of the rules below, or a behavior of a user's own."""

    __slots__ = ()
    # What a study file calls the rule, and other names that files have used for it.
    key: ClassVar[str] = ""
    aliases: ClassVar[tuple[str, ...]] = ()
    hints: ClassVar[Mapping[str, str]] = {
        "coef": "NoBalancer() does nothing",
        "bias_update_rate": "NoBalancer() does nothing",
    }
    # Why a simulator of selections cannot run it; empty where it can.
    not_simulated: ClassVar[str] = ""

    def check_fit(self, router: RouterShape, capacity: Capacity) -> None:
        """Refuse a router or capacity that the rule cannot work with.

        Raises:
            ConfigurationError: With the reason and the way out.
        """

    def for_run(self, steps: int) -> Rule:  # noqa: ARG002 - most rules do not count steps
        """Return the rule for a run of ``steps`` optimizer steps, where it needs to know them and was not told."""
        return self


class BiasRule(Rule):
    """Acts through a bias on the selection alone (arXiv 2408.15664, Eq. 3)."""

    __slots__ = ()


class LossRule(Rule):
    """Acts through the gradient of a loss alone."""

    __slots__ = ()
    not_simulated: ClassVar[str] = "acts through the gradient of a loss, and frozen scores have none"


class BatchRule(Rule):
    """Solves for a whole batch before it chooses: not causal."""

    __slots__ = ()


def refuse_unsolvable(rule: Rule, router: RouterShape, capacity: Capacity) -> None:
    """Refuse what a rule that solves the assignment from scores does not know."""
    refuse_other_choices(rule, router)
    if capacity.load_signal == "kept":
        raise ConfigurationError(
            f"{type(rule).__name__} looks at scores, not at calls: load_signal='kept' means nothing to it",
            hint="load_signal='routed'",
        )


def refuse_other_choices(rule: Rule, router: RouterShape) -> None:
    """Refuse routers that do not choose the K < E best of all scores, from which a rule takes its margins."""
    name = type(rule).__name__
    if router.num_experts_per_tok >= router.num_experts:
        raise ConfigurationError(f"{router.name} chooses all its experts: {name} has no load to balance")
    if router.groups is not None:
        raise ConfigurationError(
            f"{router.name} limits tokens to {router.groups[0]} of {router.groups[1]} groups, where the"
            f" (K+1)-th score is not what an expert has to beat: {name} would be wrong",
            hint="LossFree(...) works with groups",
        )
