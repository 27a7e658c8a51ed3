"""The forward passes of a step: which tokens are text, what counts, and what was decided in each.

A router sees rows of hidden states and no mask, so hooks on the models around it note what they were called with.
Recomputation under activation checkpointing runs inside the backward pass, where the pass it repeats is found by its
logits.
"""

from __future__ import annotations

import inspect
import itertools
import warnings
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch

from trimtab.errors import BalancerWarning
from trimtab.moe import image_tokens, masks
from trimtab.moe.ports import OUTSIDE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

    from trimtab.moe.balancers.layer_pool import LayerPool

_MOST_PASSES: Final = 256


def in_backward() -> bool:
    """Tell whether a backward pass is running, which is when checkpointing recomputes, reentrant or not."""
    return bool(torch._C._current_graph_task_id() != -1)  # noqa: SLF001 - the one sign that works for both kinds


@dataclass(slots=True, kw_only=True)
class Decision:
    """What a gate decided for its tokens in a forward pass, for its recomputation."""

    tokens: int
    fingerprint: Tensor
    experts: Tensor
    demanded: Tensor | None
    kept: Tensor | None
    load_so_far: Tensor | None


class ModelCall(NamedTuple):
    """A model that is being called, with what, and the pass that it is in."""

    module: nn.Module
    arguments: Mapping[str, Any]
    passed: ForwardPass


@dataclass(slots=True, kw_only=True)
class ForwardPass:
    """One forward pass of a model.

    Args:
        text: The text among its tokens.
        training: Whether the model is in training mode.
        counted: Whether its load counts: training, with gradients.
        ordinal: Number of the pass within its optimizer step, from 0.
        step: Number of the optimizer step, from 1; 0 in evaluation.
        replayed: Whether its experts were those of recorded routes: then nothing of it is counted or penalized.
        image: [T] whether a token is one of an image, where a rule asked; None when all are text.
        decisions: What was decided, by layer, one for each call of its router: a router that two layers share, or a
            block that is called on a piece at a time, decides more than once.
        pool: The layers so far, for rules that pool them.
    """

    text: masks.TextTokens
    training: bool = False
    counted: bool = False
    ordinal: int = 0
    step: int = 0
    replayed: bool = False
    image: Tensor | None = None
    decisions: dict[int, list[Decision]] = field(default_factory=dict)
    pool: LayerPool | None = None


class Passes:
    """The forward passes of the current step.

    Attributes:
        ordinal: Number of the next pass that counts within its step, from 0.
        step: Number of the step, from 1.
        own_loss: Coefficient of an auxiliary loss that the model added itself in this step; 0 for none.
    """

    def __init__(self) -> None:
        self._open: list[ModelCall] = []  # outermost first
        # Bounded for loops that never call update().
        self._counted: deque[ForwardPass] = deque(maxlen=_MOST_PASSES)
        self._said: set[str] = set()
        self.ordinal = 0
        self.step = 1
        self.own_loss = 0.0

    def __getstate__(self) -> dict[str, Any]:
        """Leave passes behind when a model is copied: their backward passes are those of the original."""
        return {**self.__dict__, "_open": [], "_counted": deque(maxlen=_MOST_PASSES)}

    def begin(self, module: nn.Module, arguments: Mapping[str, Any]) -> bool:
        """Note that ``module`` is called with ``arguments``; one that another calls takes part in its pass.

        Returns:
            Whether a pass begins, and not only a call within one.
        """
        # A model does not call itself: what is open above it was interrupted.
        self._open = list(itertools.takewhile(lambda call: call.module is not module, self._open))
        around = self._open[-1] if self._open else None
        if around is not None and masks.alike(arguments, around.arguments):
            self._open.append(ModelCall(module, arguments, around.passed))
            return False
        text = masks.read(arguments)
        if around is not None and (not text.columns or around.passed.text.of_the_same_tokens(text)):
            around.passed.text.take_over(text)
            self._open.append(ModelCall(module, arguments, around.passed))
            return False
        counted = module.training and torch.is_grad_enabled()
        ordinal = self.ordinal if around is None else around.passed.ordinal
        passed = ForwardPass(
            text=text,
            training=module.training,
            counted=counted,
            ordinal=ordinal if counted else 0,
            step=self.step if counted else 0,
        )
        self._open.append(ModelCall(module, arguments, passed))
        if counted:
            self._counted.append(passed)
            self.ordinal += around is None
        return True

    def end(self, module: nn.Module) -> None:
        """Note that ``module`` has been called, even when it failed."""
        if self._open and self._open[-1].module is module:
            self._open.pop()

    @property
    def arguments(self) -> Mapping[str, Any]:
        """What the innermost model under way was called with."""
        return self._open[-1].arguments if self._open else {}

    def note_images(self, passed: ForwardPass) -> Tensor | None:
        """Return which tokens [T] of a pass are of images, noting it for the recomputation; None when all are text."""
        if passed.image is None and not in_backward():
            passed.image = image_tokens.image_tokens((call.module, call.arguments) for call in self._open)
        return passed.image

    @property
    def current(self) -> ForwardPass | None:
        """The pass under way."""
        return self._open[-1].passed if self._open else None

    @property
    def only_replayed(self) -> bool:
        """Whether all passes of the step, and there were some, had the experts of recorded routes."""
        return bool(self._counted) and all(passed.replayed for passed in self._counted)

    def say_once(self, message: str) -> None:
        """Warn of something that holds for every pass, the first time."""
        if message not in self._said:
            self._said.add(message)
            warnings.warn(message, BalancerWarning, stacklevel=2)

    def find(self, layer: int, logits: Tensor) -> tuple[ForwardPass, Decision | None]:
        """Return the pass that a router call belongs to, and what was decided in it if this is its recomputation."""
        if not in_backward():
            # A block called by itself: every token is text, and nothing is counted.
            return (self._open[-1].passed if self._open else _alone(len(logits))), None
        known = [
            (passed, decision)
            for passed in self._counted
            for decision in passed.decisions.get(layer, ())
            if decision.tokens == len(logits)
        ]
        if not known:
            return _alone(len(logits)), None
        if len(known) == 1:
            return known[0]
        # Recomputed logits are equal to those of their forward pass, up to what the hardware rounds.
        mine = logits.detach().sum(0)
        return min(known, key=lambda pair: float((pair[1].fingerprint - mine).abs().sum()))

    def finish_step(self) -> None:
        """Forget the passes of the step."""
        self._counted.clear()
        self.ordinal = 0
        self.own_loss = 0.0
        self.step += 1


class PassHook:
    """Both hooks of one model around routers: what it is called with, and when it has been called.

    Args:
        passes: The passes to note it in.
        model: The model.
        look: Called once the pass has begun.
        look_back: Called with the model, its arguments and its output before the pass ends.
    """

    def __init__(
        self,
        passes: Passes,
        model: nn.Module,
        look: Callable[[], None],
        look_back: Callable[[nn.Module, Mapping[str, Any], Any], None],
    ) -> None:
        self.passes = passes
        self.names = tuple(inspect.signature(model.forward).parameters)
        self.look = look
        self.look_back = look_back

    @torch.compiler.disable(reason=OUTSIDE)  # type: ignore[untyped-decorator]
    def begin(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Forward pre-hook of the model."""
        if in_backward():
            return
        arguments = {**dict.fromkeys(self.names), **dict(zip(self.names, args, strict=False)), **kwargs}
        if self.passes.begin(module, arguments):
            self.look()

    @torch.compiler.disable(reason=OUTSIDE)  # type: ignore[untyped-decorator]
    def end(self, module: nn.Module, _args: Any, output: Any) -> None:  # noqa: ANN401 - a forward hook
        """Forward hook of the model, called even when it failed."""
        if not in_backward():
            self.look_back(module, self.passes.arguments, output)
            self.passes.end(module)


def _alone(tokens: int) -> ForwardPass:
    return ForwardPass(text=masks.TextTokens(rows=1, columns=tokens))
