"""Ask a router what it computes: run it on a few random tokens with random weights, touching nothing of the model.

Names of attributes and orders of results differ from family to family; what a router *does* does not. Its integers
[T, K] are the experts, the table [T, E] the logits; the score function and formula that reproduce its weights are the
ones it has; and a tensor [E] which, raised for one expert, makes every token choose it while the logits stay, is its
bias.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import torch

from trimtab.errors import UnsupportedModelError

if TYPE_CHECKING:
    from torch import Tensor, nn

TOKENS: Final = 16
_RAISED: Final = 1e3


@dataclass(slots=True, kw_only=True)
class Probe:
    """A router with stand-in weights.

    Args:
        where: Name and class of the router, for messages.
        bare: A copy of it that nobody listens to, in evaluation mode.
        values: Stand-ins of its parameters and buffers.
        extra: Arguments it takes after the hidden states, from the block that holds it.
        hidden: H.
    """

    where: str
    bare: nn.Module
    values: dict[str, Tensor]
    extra: dict[str, Tensor]
    hidden: int
    tokens: Tensor = field(init=False)
    deep: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(1)
        self.tokens = torch.randn(TOKENS, self.hidden, generator=generator) / self.hidden**0.5

    def run(self, **changed: Tensor) -> Any:  # noqa: ANN401 - routers return many things
        """Return what the router returns, with some values or arguments ``changed``.

        Raises:
            UnsupportedModelError: It cannot be called like this.
        """
        values = {name: changed.get(name, value) for name, value in self.values.items()}
        extra = tuple(changed.get(name, value) for name, value in self.extra.items())
        tokens = self.tokens[None] if self.deep else self.tokens
        try:
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                return torch.func.functional_call(self.bare, values, (tokens.clone(), *extra))
        except (TypeError, RuntimeError, ValueError, IndexError, AttributeError) as error:
            if not self.deep:
                self.deep = True  # some want [B, S, H]
                return self.run(**changed)
            raise UnsupportedModelError(f"{self.where} cannot be called with hidden states: {error}") from error

    def find_bias(self, read: Any, num_experts: int) -> str | None:  # noqa: ANN401 - a port's read
        """Return the name of the value or argument [E] that steers the choice and nothing else, or None."""
        tensors = {**self.values, **self.extra}
        for name in (name for name, tensor in tensors.items() if tensor.numel() == num_experts):
            if all(self._steers(read, name, expert, num_experts) for expert in (0, num_experts - 1)):
                return name
        return None

    def _steers(self, read: Any, name: str, expert: int, num_experts: int) -> bool:  # noqa: ANN401
        zeros = torch.zeros_like({**self.values, **self.extra}[name])
        raised = zeros.flatten().index_fill(0, torch.tensor([expert]), _RAISED).view_as(zeros)
        logits, _, _ = read((self.tokens,), self.run(**{name: zeros}))
        after, _, experts = read((self.tokens,), self.run(**{name: raised}))
        return bool(torch.equal(logits, after) and (experts == expert).any(1).all()) and num_experts > experts.shape[1]


def probe(where: str, gate: nn.Module, block: nn.Module) -> Probe:
    """Prepare a probe of ``gate``, which ``block`` holds.

    Raises:
        UnsupportedModelError: It has no weight, or wants what its block does not hold.
    """
    matrices = [tensor for _, tensor in gate.named_parameters() if tensor.ndim == 2]
    if not matrices or not all(tensor.is_floating_point() for tensor in matrices):
        raise UnsupportedModelError(
            f"{where} has no weight [experts, hidden] of floating point numbers",
            hint="keep routers out of quantization (modules_to_not_convert, llm_int8_skip_modules)",
        )
    generator = torch.Generator().manual_seed(0)
    values = {name: _stand_in(tensor, generator) for name, tensor in gate.named_parameters()}
    values |= {name: torch.zeros(tensor.shape, dtype=_wide(tensor)) for name, tensor in gate.named_buffers()}
    extra = {name: torch.zeros(tensor.shape) for name, tensor in arguments_from(gate, block, where).items()}
    return Probe(where=where, bare=bare_copy(gate), values=values, extra=extra, hidden=matrices[0].shape[1])


def arguments_from(gate: nn.Module, block: nn.Module, where: str) -> dict[str, Tensor]:
    """Return the tensors of ``block`` that its router takes after the hidden states (MiniMax-M2, LFM2), by name.

    Raises:
        UnsupportedModelError: It takes something else.
    """
    arguments = {}
    for parameter in list(inspect.signature(gate.forward).parameters.values())[1:]:
        held = getattr(block, parameter.name, None)
        if isinstance(held, torch.Tensor):
            arguments[parameter.name] = held
        elif parameter.default is inspect.Parameter.empty and parameter.kind == parameter.POSITIONAL_OR_KEYWORD:
            raise UnsupportedModelError(f"{where} wants {parameter.name!r} beside hidden states")
    return arguments


def bare_copy(module: nn.Module) -> nn.Module:
    """Return a shallow copy without hooks, children included, in evaluation mode."""
    bare = object.__new__(type(module))
    bare.__dict__ = dict(vars(module))  # not copy.copy, which a parametrized module refuses
    for name in ("_forward_hooks", "_forward_pre_hooks"):
        setattr(bare, name, OrderedDict())
    for name in ("_parameters", "_buffers"):
        setattr(bare, name, dict(getattr(module, name)))
    children = {name: child and bare_copy(child) for name, child in module._modules.items()}  # noqa: SLF001
    bare._modules = children
    bare.training = False
    return bare


def _stand_in(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """Return random rows, factors near 1, and nothing where no gradient goes: that is where biases are."""
    if tensor.ndim >= 2:
        return torch.randn(tensor.shape, generator=generator) * (tensor.shape[0] > 1)
    if not tensor.requires_grad:
        return torch.zeros(tensor.shape)
    return 1 + 0.1 * torch.randn(tensor.shape, generator=generator)


def _wide(tensor: Tensor) -> torch.dtype:
    return torch.float32 if tensor.is_floating_point() else tensor.dtype
