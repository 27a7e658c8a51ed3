"""How much each call adds to the residual stream: the norm of weight · expert(token), call by call.

Where experts are called with hidden states, choices and weights, as nearly all of transformers' are, they are called
once more, each choice as a token of its own, which costs what they cost. Elsewhere (Aria, Llama 4) the block is: with
all weights but those of one choice at zero, minus with all at zero. Llama 4 weighs what goes in, not what comes out.

Axes: T tokens, K experts a token.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

import torch

from trimtab.inspection.router_ear import listening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor, nn

    from trimtab.inspection.router_ear import HeardDecision
    from trimtab.moe.router import Router

    Report = Callable[[Router, Tensor, Tensor], None]

_NOT_ASKED: Final = torch.zeros(0)


@contextmanager
def call_norms(routers: Sequence[Router], report: Report) -> Iterator[None]:
    """Call ``report`` with each router's calls inside: its experts [T, K] and the norms [T, K] of what they add."""
    with ExitStack() as stack:
        for router in routers:
            caller = _Caller(router, report)
            stack.enter_context(listening([router], caller.decide))
            stack.callback(router.block.register_forward_hook(caller.after, with_kwargs=True).remove)
            stack.callback(router.experts.register_forward_pre_hook(caller.experts_called).remove)
        yield


class _Caller:
    """Measures the calls of one router."""

    def __init__(self, router: Router, report: Report) -> None:
        self.router = router
        self.report = report
        self.decision: HeardDecision | None = None
        self.weights: Tensor | None = None

    def decide(self, decision: HeardDecision) -> Tensor | None:
        """Note the decision; while the block is called again, give the weights of one choice alone."""
        if self.weights is not None:
            return self.weights
        self.decision = decision
        return None

    @torch.no_grad()
    def experts_called(self, module: Any, args: tuple[Any, ...]) -> None:  # noqa: ANN401 - any family's experts
        """Forward pre-hook of the experts."""
        decision = self.decision
        if self.weights is not None or decision is None or not called_as_usual(args, decision):
            return
        hidden_TH, experts_TK, weights_TK = args
        norms_TK = single_norms(module, hidden_TH, experts_TK)
        if norms_TK is None:
            return  # measured by the block instead
        self.decision = None
        self.report(self.router, experts_TK, norms_TK * weights_TK.abs())

    @torch.no_grad()
    def after(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], _output: Any) -> None:  # noqa: ANN401
        """Forward hook of the block, for experts that are called in another way."""
        decision = self.decision
        if decision is None or self.weights is not None:
            return
        self.decision, weights_TK = None, decision.weights
        norms = []
        try:
            self.weights = torch.zeros_like(weights_TK)
            nothing = _tensor(module.forward(*args, **kwargs))
            for k in range(weights_TK.shape[1]):
                self.weights = torch.zeros_like(weights_TK)
                self.weights[:, k] = weights_TK[:, k]
                added = _tensor(module.forward(*args, **kwargs)) - nothing
                norms.append(torch.linalg.vector_norm(added.float(), dim=-1).flatten())
        finally:
            self.weights = None
        self.report(self.router, decision.experts, torch.stack(norms, 1))


def single_norms(experts: Any, hidden_TH: Tensor, experts_TK: Tensor) -> Tensor | None:  # noqa: ANN401 - any family's
    """Return the norm [T, K], in float32, of what each chosen expert gives for a token alone, before its weight.

    None for experts that cannot be called with one choice a token (LongCat-Flash).

    Args:
        experts: A module of experts, which takes hidden states, choices and weights.
        hidden_TH: [T, H] what the experts read.
        experts_TK: [T, K] the choices.
    """
    calls = experts_TK.shape[1]
    once_N1 = hidden_TH.new_ones((experts_TK.numel(), 1))
    forward = type(experts).forward  # not a call of the module, whose hooks measure
    try:
        outputs_NH = forward(experts, hidden_TH.repeat_interleave(calls, 0), experts_TK.reshape(-1, 1), once_N1)
    except (ValueError, RuntimeError):
        return None
    norms_N: Tensor = torch.linalg.vector_norm(outputs_NH, dim=-1, dtype=torch.float32)
    return norms_N.view(experts_TK.shape)


def called_as_usual(args: tuple[Any, ...], decision: HeardDecision) -> bool:
    """Tell whether experts are called with hidden states [T, H], the choices and the weights [T, K]."""
    if len(args) != 3 or not all(isinstance(part, torch.Tensor) for part in args):
        return False
    return bool(args[1].shape == args[2].shape == decision.experts.shape and torch.equal(args[1], decision.experts))


def _tensor(output: Any) -> Tensor:  # noqa: ANN401 - a block's own
    found: Tensor = output[0] if isinstance(output, tuple) else output
    return found
