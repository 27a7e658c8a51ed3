"""What PEFT puts around routers: which module is used in a forward pass, and whether an adapter changes its weight.

PEFT is not imported: its classes are known by name. ``modules_to_save`` keeps a copy of a module for each adapter and
calls the active one; ``ParamWrapper`` (``target_parameters``, and ``all-linear``) calls the module with its weight
adapted; other adapters of linear layers add to what their base layer returns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn


def used(module: Any) -> Any:  # noqa: ANN401 - a module; what PEFT adds to it has no type without PEFT
    """Return the module within its wrappers that returns what a forward pass goes on with."""
    while True:
        if _is(module, "ModulesToSaveWrapper"):
            module = _active_copy(module)
        elif _is(module, "ParamWrapper"):
            module = module.base_layer
        else:
            return module


def reaches(outer: Any, inner: nn.Module) -> bool:  # noqa: ANN401
    """Tell whether calling ``outer`` calls ``inner``: itself, or what its wrappers call."""
    while outer is not inner:
        if _is(outer, "ModulesToSaveWrapper"):
            outer = _active_copy(outer)
        elif _is(outer, "BaseTunerLayer"):
            outer = outer.base_layer
        else:
            return False
    return True


def resting(outer: Any) -> bool:  # noqa: ANN401
    """Tell whether adapters are turned off, so that the module as it was before them is called."""
    return _is(outer, "ModulesToSaveWrapper") and _active_copy(outer) is outer.original_module


def adapted(outer: nn.Module) -> bool:
    """Tell whether an adapter changes what a module computes, beside its own weight."""
    return any(_is(module, "BaseTunerLayer") for module in outer.modules())


def packed(tensor: Any) -> bool:  # noqa: ANN401 - a tensor, of torch or of somebody else's class
    """Tell whether the numbers of a tensor are stored otherwise than they are used: integers, or a class of its own."""
    return type(tensor).__module__.partition(".")[0] != "torch" or not tensor.is_floating_point()


def adapter_parameters(module: nn.Module) -> frozenset[str]:
    """Return the names of the parameters in ``module`` that adapters brought."""
    return frozenset(
        f"{path}.{name}".strip(".")
        for path, layer in module.named_modules()
        if _is(layer, "BaseTunerLayer")
        for name, _ in layer.named_parameters()
        if not name.startswith("base_layer.")
    )


def used_modules(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield the name and module of all that a forward pass may use, without copies that are not active."""
    if _is(module, "ModulesToSaveWrapper"):
        active = _active_copy(module)
        inner = next(path for path, child in module.named_modules() if child is active)
        yield from used_modules(active, f"{name}.{inner}".strip("."))
        return
    yield name, module
    for child, inner in module.named_children():
        yield from used_modules(inner, f"{name}.{child}".strip("."))


def foreign(model: nn.Module) -> dict[str, str]:
    """Return the name and class of each module in ``model`` that PEFT put there."""
    return {
        name: type(module).__name__
        for name, module in model.named_modules()
        if _is(module, "BaseTunerLayer") or _is(module, "AuxiliaryTrainingWrapper")
    }


def _active_copy(wrapper: Any) -> Any:  # noqa: ANN401
    active = wrapper.active_adapters
    if wrapper.disable_adapters or not active or active[0] not in wrapper.modules_to_save:
        return wrapper.original_module
    return wrapper.modules_to_save[active[0]]


def _is(module: object, name: str) -> bool:
    return any(kind.__name__ == name and kind.__module__.startswith("peft.") for kind in type(module).__mro__)
