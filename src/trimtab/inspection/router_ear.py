"""Hear what routers decide, behind whatever else changes their decisions, and change it if asked.

A listener gets the router and its decision: logits [T, E], weights [T, K] and experts [T, K] in their final form, that
is with the bias of attached gates. What it returns, other weights, is what the experts see.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from trimtab.moe.ports import CHOICE_METHOD, CoveredMethod, MethodPort, RouterHook
from trimtab.moe.routing import scores_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from trimtab.moe.ports import Decide
    from trimtab.moe.router import Router


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeardDecision:
    """A router's decision for T tokens: logits [T, E], weights [T, K], experts [T, K]."""

    router: Router
    logits: Tensor
    weights: Tensor
    experts: Tensor

    @property
    def probabilities(self) -> Tensor:
        """[T, E] scores in float32 divided by their sum, without a bias."""
        scores = scores_of(self.logits, self.router.score_function)
        return scores / scores.sum(-1, keepdim=True) if self.router.score_function != "softmax" else scores


class Listener(Protocol):
    """What is told of a decision."""

    def __call__(self, decision: HeardDecision) -> Tensor | None:
        """Return other weights [T, K] for the experts, or None to leave them."""


@contextmanager
def listening(routers: Sequence[Router], listener: Listener) -> Iterator[None]:
    """Tell ``listener`` of every decision of ``routers`` inside."""
    with ExitStack() as stack:
        for router in routers:
            stack.callback(_listen(router, _Ear(router, listener)))
        yield


class Decider(Protocol):
    """What decides in place of a router."""

    def __call__(self, decision: HeardDecision) -> tuple[Tensor, Tensor]:
        """Return weights [T, K] and experts [T, K]."""


@contextmanager
def deciding(routers: Sequence[Router], decider: Decider) -> Iterator[None]:
    """Let ``decider`` decide in place of ``routers`` inside."""
    with ExitStack() as stack:
        for router in routers:
            stack.callback(_listen(router, _Substitute(router, decider)))
        yield


class _Substitute:
    """Asks a decider for a router's decisions."""

    def __init__(self, router: Router, decider: Decider) -> None:
        self.router = router
        self.decider = decider

    def __call__(self, logits_TE: Tensor, weights_TK: Tensor, experts_TK: Tensor) -> tuple[Tensor, Tensor]:
        return self.decider(HeardDecision(router=self.router, logits=logits_TE, weights=weights_TK, experts=experts_TK))


class _Ear:
    """Asks a listener about a router's decisions."""

    def __init__(self, router: Router, listener: Listener) -> None:
        self.router = router
        self.listener = listener

    def __call__(self, logits_TE: Tensor, weights_TK: Tensor, experts_TK: Tensor) -> tuple[Tensor, Tensor]:
        decision = HeardDecision(router=self.router, logits=logits_TE, weights=weights_TK, experts=experts_TK)
        changed = self.listener(decision)
        return (weights_TK if changed is None else changed.to(weights_TK.dtype)), experts_TK


def _listen(router: Router, decide: Decide) -> Callable[[], object]:
    """Put ``decide`` last; return what takes it off."""
    port = router.port
    if not isinstance(port, MethodPort):
        return router.module.register_forward_hook(RouterHook(port, decide)).remove
    covered = vars(port.owner).get(CHOICE_METHOD)
    setattr(port.owner, CHOICE_METHOD, CoveredMethod(port, getattr(port.owner, CHOICE_METHOD), decide))
    return partial(_restore, port, covered)


def _restore(port: MethodPort, covered: object | None) -> None:
    delattr(port.owner, CHOICE_METHOD)
    if covered is not None:
        setattr(port.owner, CHOICE_METHOD, covered)
