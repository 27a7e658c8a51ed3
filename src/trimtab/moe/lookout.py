"""What is looked at when a model is called: whether its routers are those attached to, and whether it balances itself.

A model may be wrapped, copied in part, cut, set to other numbers or given a loss of its own between attaching and
training. Each of that changes what a balancer does without changing anything a balancer sees, so it is looked for where
it can still be named.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.wrappers import adapted, reaches, resting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from trimtab.moe.attachment import Attachment
    from trimtab.moe.router import Router

# Names of the numbers that a router chooses and weighs by.
_DECISIVE: Final = re.compile(r"top_?k|expert|norm|scal|group|factor")


class Lookout:
    """Looks at each forward pass of an attached model as it begins.

    Args:
        routers: Those attached to.
        attachment: What is attached, its roots included.
    """

    def __init__(self, routers: Sequence[Router], attachment: Attachment) -> None:
        self.routers = routers
        self.attachment = attachment
        self.places = [RouterPlace(router, attachment.roots) for router in routers]

    def look(self) -> None:
        """Look at the pass that has begun.

        Raises:
            ConfigurationError: The model calls another router than the one attached to, or it is called within a
                transform of ``torch.func``.
        """
        balancer = self.attachment.balancer
        if (balancer.has_bias or balancer.has_penalty) and torch._C._functorch.peek_interpreter_stack() is not None:  # noqa: SLF001
            raise ConfigurationError(
                f"{balancer!r} works with backward passes, and not within torch.func.grad, vmap and the like",
                hint="loss.backward(), or torch.autograd.grad; gates.detach() for a model without a balancer",
            )
        current = self.attachment.passes.current
        counted = current is not None and current.counted
        for router, place in zip(self.routers, self.places, strict=True):
            _check(router, counted=counted)
            place.check(counted=counted)

    def look_back(self, module: nn.Module, arguments: Mapping[str, Any], output: Any) -> None:  # noqa: ANN401
        """Look at what ``module`` returned; warn once of an auxiliary loss of its own beside what is attached."""
        current = self.attachment.passes.current
        if current is None or not current.counted:
            return
        coefficient = own_coefficient(module, arguments, output)
        own = _own_loss(arguments, output)
        if coefficient:
            self._note(coefficient)
        elif own is not None and own.requires_grad:
            # A trainer may add it to a loss of its own (TRL): then a gradient comes back to it, which is its factor.
            own.register_hook(self._note_gradient)

    def _note_gradient(self, gradient: Tensor) -> None:
        factor = float(gradient.abs().sum()) * self.attachment.accumulation / self.attachment.loss_scale
        if factor:
            self._note(factor)

    def _note(self, coefficient: float) -> None:
        self.attachment.passes.own_loss = coefficient
        if self.attachment.balancer.has_bias or self.attachment.balancer.has_penalty:
            self.attachment.passes.say_once(two_balancers(repr(self.attachment.balancer), coefficient))


class RouterPlace:
    """Where a router was when it was attached to, and the numbers it decided by.

    Args:
        router: The router.
        roots: The models around it, outermost first.
    """

    def __init__(self, router: Router, roots: Sequence[nn.Module]) -> None:
        self.router = router
        paths = ((root, name) for root in roots for name, module in root.named_modules() if module is router.block)
        self.root, name = next(paths, (router.block, ""))
        # What PEFT wraps may be another of its copies by the time it is called, so a path ends at the wrapper.
        self.path = re.split(r"\.?(?:modules_to_save|original_module|base_layer)\b", name)[0].split(".")
        self.numbers = [
            (kind, module, name, value)
            for kind, module in (("router", router.module), ("block", router.block))
            for name, value in vars(module).items()
            if type(value) in {int, float, bool} and _DECISIVE.search(name)
        ]

    def check(self, *, counted: bool) -> None:
        """Compare with what is there now; a pass that does not count may leave layers out.

        Raises:
            ConfigurationError: The router has left the model, or chooses by other numbers.
        """
        if counted and not self._there():
            raise ConfigurationError(
                f"{self.router.name} is no longer part of the model: {'.'.join(self.path)} is gone, or another module",
                hint="detach(), change the layers of the model, and attach(...) again",
            )
        for kind, module, name, value in self.numbers:
            now = vars(module).get(name)
            if now != value:
                raise ConfigurationError(
                    f"{self.router.name}: {kind}.{name} is {now}, and was {value} when it was attached to",
                    hint="detach(), set it, and attach(...) again; gates.state_dict() keeps the biases",
                )

    def _there(self) -> bool:
        block = self.router.block
        module: Any = self.root
        for name in filter(None, self.path):
            module = getattr(module, name, None)  # not _modules: wrappers of torch hand on what they wrap
            if module is None:
                return False
        if module is block or reaches(module, block):
            return True
        # A wrapper of somebody else's holds the block; that it calls it is taken for granted.
        return not adapted(module) and any(inner is block for inner in module.modules())


def _check(router: Router, *, counted: bool) -> None:
    outer = router.outer
    if outer is router.module:
        return
    if not reaches(outer, router.module):
        if resting(outer) and not counted:
            return  # the model as it was before its adapters, as a reference: it is nobody's to balance
        raise ConfigurationError(
            f"{router.name}: the model now calls {_words(outer)} in its place, which is another router than the one"
            " attached to",
            hint="detach(), wrap the model (PEFT's get_peft_model copies what modules_to_save names), and attach(...)"
            " to what is then trained",
        )
    if router.port.recomputes and adapted(router.module):
        raise ConfigurationError(
            f"{router.name} returns no logits, and an adapter inside changes those that its weight would give",
            hint="leave routers out of target_modules",
        )


def _words(outer: Any) -> str:  # noqa: ANN401 - a module; what PEFT adds to it has no type without PEFT
    kind = type(outer).__name__
    if not hasattr(outer, "active_adapters"):
        return f"a {kind}"
    rests = resting(outer)
    return f"PEFT's {kind} with {'no active adapter' if rests else f'the adapter {outer.active_adapters[0]!r}'}"


def own_coefficient(model: nn.Module, arguments: Mapping[str, Any], output: Any) -> float:  # noqa: ANN401
    """Return the coefficient of the auxiliary loss that ``model`` added to the loss it returns, 0 for none.

    transformers adds one where there are labels and ``output_router_logits`` is set, by a call or the configuration,
    and returns it beside: what is looked for is that loss, and not a setting that a family may ignore.
    """
    if arguments.get("labels") is None or _own_loss(arguments, output) is None:
        return 0.0
    return _coefficient(model, model.config)


def _own_loss(arguments: Mapping[str, Any], output: Any) -> Tensor | None:  # noqa: ANN401
    """Return the auxiliary loss that a model returned; in a tuple it is the number behind the loss, if there is one."""
    if isinstance(output, tuple):
        place = 0 if arguments.get("labels") is None else 1
        own = output[place] if len(output) > place else None
        return own if isinstance(own, torch.Tensor) and own.ndim == 0 else None
    own = getattr(output, "aux_loss", None)
    return own if isinstance(own, torch.Tensor) else None


def wants_own_loss(config: Any) -> bool:  # noqa: ANN401 - a transformers configuration
    """Tell whether a configuration sets ``output_router_logits``, for itself or for its text model."""
    return any(bool(getattr(part, "output_router_logits", False)) for part in (config, _text(config)))


def two_balancers(balancer: str, coefficient: float) -> str:
    """Say that a model adds its own auxiliary loss beside a balancer."""
    return (
        f"{balancer} is attached, and the model's own auxiliary loss is added to the loss with coefficient"
        f" {coefficient:g}, because output_router_logits is set (TRL's trainers set it): two balancers are at work. Set"
        " model.config.output_router_logits = False (in TRL router_aux_loss_coef=0); a loss that is wanted beside a"
        " bias is Stack(bias, loss)"
    )


def _coefficient(model: Any, config: Any) -> float:  # noqa: ANN401
    for holder in (model, config, _text(config)):
        coefficient = getattr(holder, "router_aux_loss_coef", None)
        if coefficient is not None:
            return float(coefficient)
    return 0.0


def _text(config: Any) -> Any:  # noqa: ANN401
    return config.get_text_config() if hasattr(config, "get_text_config") else config
