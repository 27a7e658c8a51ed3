"""How a router is heard: where logits, weights and experts are in what it returns, and how to put others there.

Families of transformers return them in several orders, as a dense [T, E] table, or choose in a method of the block. A
port knows one such way; what a gate decides (:class:`~trimtab.moe.gate.Gate`) is the same for all.

Axes: T tokens, E experts, K experts a token.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

CHOICE_METHOD: Final = "route_tokens_to_experts"
# What torch.compile says where it may not break a graph.
OUTSIDE: Final = "trimtab counts, drops and chooses outside of compiled graphs: compile without fullgraph=True"


class Decide(Protocol):
    """What changes a decision: a gate."""

    def __call__(self, logits_TE: Tensor, weights_TK: Tensor, experts_TK: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weights [T, K] and experts [T, K] to use instead."""


class Port(ABC):
    """One way of hearing a router."""

    __slots__ = ()

    @property
    def recomputes(self) -> bool:
        """Whether logits are computed again from the router's weight, because they are not returned."""
        return False

    @property
    def normalized(self) -> bool:
        """Whether logits are logarithms of probabilities, which are returned in their place."""
        return False

    @abstractmethod
    def read(self, arguments: tuple[Any, ...], output: Any) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ANN401
        """Return logits [T, E], weights [T, K] and experts [T, K] of one call."""

    @abstractmethod
    def write(self, output: Any, weights: Tensor, experts: Tensor) -> Any:  # noqa: ANN401
        """Return ``output`` with other weights and experts in it."""

    def listen(self, router: nn.Module, decide: Decide) -> Callable[[], object]:
        """Let ``decide`` change what ``router`` returns from now on; return what stops it."""
        # First of the router's hooks, so that whatever transformers records or others do comes after it.
        return router.register_forward_hook(RouterHook(self, decide), prepend=True).remove

    def listeners(self, router: nn.Module) -> list[Decide]:
        """Return what changes the decisions of ``router`` now."""
        hooks = router._forward_hooks.values()  # noqa: SLF001 - torch has no public way to ask
        return [hook.decide for hook in hooks if isinstance(hook, RouterHook)]


class RouterHook:
    """Forward hook of a router: an object, so that a copied or pickled model has its own."""

    def __init__(self, port: Port, decide: Decide) -> None:
        self.port = port
        self.decide = decide

    @torch.compiler.disable(reason=OUTSIDE)  # type: ignore[untyped-decorator]
    def __call__(self, _module: nn.Module, arguments: tuple[Any, ...], output: Any) -> Any:  # noqa: ANN401
        """Return the output with the decision changed."""
        return self.port.write(output, *self.decide(*self.port.read(arguments, output)))


@dataclass(frozen=True, slots=True, kw_only=True)
class TuplePort(Port):
    """A router that returns a tuple.

    Args:
        weights, experts: Their positions in it.
        logits: Their position; None when they are not returned and have to be computed again (LongCat-Flash).
        probabilities: Whether there are probabilities in place of logits (Gemma 4): their logarithm is as good.
        rows: Gives the router's weight, for logits that are not returned.
    """

    weights: int
    experts: int
    logits: int | None
    probabilities: bool = False
    rows: Callable[[], Tensor] | None = None

    @property
    def recomputes(self) -> bool:
        """Whether there is no position of logits."""
        return self.logits is None

    @property
    def normalized(self) -> bool:
        """Whether there are probabilities."""
        return self.probabilities

    def read(self, arguments: tuple[Any, ...], output: Any) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ANN401
        """Pick them out of the tuple."""
        if self.logits is None:
            assert self.rows is not None  # noqa: S101 - given by whoever left the logits out
            rows = self.rows().float()
            logits = functional.linear(arguments[0].reshape(-1, rows.shape[1]).float(), rows)
        else:
            logits = output[self.logits]
        if self.probabilities:
            logits = logits.clamp(min=torch.finfo(logits.dtype).tiny).log()
        return logits, output[self.weights], output[self.experts]

    def write(self, output: Any, weights: Tensor, experts: Tensor) -> Any:  # noqa: ANN401
        """Put them in the tuple."""
        changed = list(output)
        changed[self.weights], changed[self.experts] = weights, experts
        return tuple(changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class DensePort(Port):
    """A router that returns a table [T, E] of weights, 0 for experts not chosen, beside its logits (Llama 4)."""

    weights: int
    logits: int
    num_experts_per_tok: int

    def read(self, arguments: tuple[Any, ...], output: Any) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ANN401, ARG002
        """Take the K largest of each row."""
        weights, experts = output[self.weights].topk(self.num_experts_per_tok, dim=-1)
        return output[self.logits], weights, experts

    def write(self, output: Any, weights: Tensor, experts: Tensor) -> Any:  # noqa: ANN401
        """Scatter them into an empty table."""
        changed = list(output)
        changed[self.weights] = torch.zeros_like(output[self.weights]).scatter(1, experts, weights)
        return tuple(changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodPort(Port):
    """A router that returns logits, of which a method of the block (or of the experts) makes the choice (Jamba).

    Args:
        owner: The module with the method.
        logits: Position of the logits among the method's arguments.
        weights, experts: Their positions in the pair it returns.
    """

    owner: nn.Module
    logits: int
    weights: int
    experts: int

    def read(self, arguments: tuple[Any, ...], output: Any) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ANN401
        """Logits from the arguments of the method, the rest from its pair."""
        return arguments[self.logits], output[self.weights], output[self.experts]

    def write(self, output: Any, weights: Tensor, experts: Tensor) -> Any:  # noqa: ANN401, ARG002
        """Return the pair in its order."""
        return (weights, experts) if self.weights == 0 else (experts, weights)

    def listen(self, router: nn.Module, decide: Decide) -> Callable[[], object]:  # noqa: ARG002 - the method is heard
        """Cover the method of this one module by one that asks ``decide``."""
        setattr(self.owner, CHOICE_METHOD, CoveredMethod(self, getattr(self.owner, CHOICE_METHOD), decide))
        return partial(delattr, self.owner, CHOICE_METHOD)

    def listeners(self, router: nn.Module) -> list[Decide]:  # noqa: ARG002 - the method is heard
        """Return what covers the method now."""
        covered = vars(self.owner).get(CHOICE_METHOD)
        return [covered.decide] if isinstance(covered, CoveredMethod) else []


class CoveredMethod:
    """A method of one block that asks what it covers and then ``decide``; an object, so that a copy has its own."""

    def __init__(self, port: MethodPort, method: Callable[..., Any], decide: Decide) -> None:
        self.port = port
        self.method = method
        self.decide = decide

    @torch.compiler.disable(reason=OUTSIDE)  # type: ignore[untyped-decorator]
    def __call__(self, *arguments: Any) -> Any:  # noqa: ANN401
        """Return the pair with the decision changed."""
        output = self.method(*arguments)
        return self.port.write(output, *self.decide(*self.port.read(arguments, output)))
