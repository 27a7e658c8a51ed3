"""What the rules that keep experts evenly loaded do with tensors, one file an idea.

What can be set in a rule is in :mod:`trimtab.settings.rules`; :func:`~trimtab.moe.balancers.behaviors.behavior` binds
the two. A behavior is a value with pure methods (:mod:`~trimtab.moe.balancers.interface`). What it has learned, the
state of a layer, is held by the gate (:mod:`trimtab.moe.gate`).

Rules can be imported from here as from :mod:`trimtab`: ``from trimtab.moe.balancers import LossFree``.

A rule of your own is a subclass of :class:`BiasBalancer`, :class:`LossBalancer` or :class:`BatchBalancer`, and goes to
``attach`` as it is.
"""

from trimtab.moe.balancers.behaviors import behavior
from trimtab.moe.balancers.interface import Balancer, BatchBalancer, BiasBalancer, Context, LossBalancer
from trimtab.settings.families import Rule
from trimtab.settings.rules import BY_NAME

__all__ = ["Balancer", "BatchBalancer", "BiasBalancer", "Context", "LossBalancer", "behavior"]


def __getattr__(name: str) -> type[Rule]:
    if name in BY_NAME:
        return BY_NAME[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
