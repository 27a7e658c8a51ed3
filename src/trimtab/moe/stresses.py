"""Initializations at work: what each of :mod:`trimtab.settings.initializations` does to a model, and its record."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

import torch

from trimtab.errors import BalancerWarning, ConfigurationError
from trimtab.moe import depth_init, expert_init, upcycled_init
from trimtab.moe.attach import is_attached
from trimtab.moe.balancers.interface import shape_of
from trimtab.moe.discovery import find_routers
from trimtab.moe.expert_layout import UNWRAP, wrappers
from trimtab.moe.stressed import Changes, Stressed
from trimtab.moe.wrappers import packed
from trimtab.settings import initializations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

    from trimtab.moe.router import Router

STRESSES: Final[Mapping[type[initializations.Initialization], Callable[[Any, Stressed], None]]] = {
    initializations.Random: expert_init.leave,
    initializations.ScaledRouter: expert_init.scale,
    initializations.SkewedRouter: expert_init.skew,
    initializations.TwinRows: expert_init.twin,
    initializations.IdenticalExperts: expert_init.copy_first,
    initializations.DeadExpert: expert_init.kill,
    initializations.BiasedRouter: expert_init.bias,
    initializations.DropUpcycled: upcycled_init.copy_and_redraw,
    initializations.VirtualGroups: upcycled_init.lay_out_groups,
    initializations.DepthScaled: depth_init.scale_by_depth,
    initializations.CollapsedInputs: depth_init.collapse,
    initializations.NoisyCopies: upcycled_init.add_noise,
    initializations.DyingExpert: upcycled_init.wither,
    initializations.PromptRouter: expert_init.prompt,
    initializations.DoubledExperts: upcycled_init.double,
}


@torch.no_grad()
def initialize(
    model: nn.Module, init: initializations.Initialization, sample_batch: Tensor, generator: torch.Generator
) -> Changes:
    """Change ``model`` in place, and say what changed.

    Everything is computed once before anything is written: what is refused leaves the model as it was.

    Args:
        model: A transformers model, before :func:`~trimtab.moe.attach.attach`.
        init: What to do.
        sample_batch: [B, S] token ids on which inputs are measured, where that is needed.
        generator: Source of every draw; draws do not depend on the model's weights.

    Raises:
        ConfigurationError: The model has no room for it, its weights cannot be read, or nothing would change.
    """
    if type(init) not in STRESSES:
        raise ConfigurationError(f"{init!r} is no initialization", hint="one of trimtab.settings.initializations")
    routers = find_routers(model)
    _refuse(init, routers)
    before = generator.get_state()
    on = _run(model, init, routers, sample_batch, generator, rehearsal=True)
    _refuse_nothing(on)
    generator.set_state(before)
    on = _run(model, init, routers, sample_batch, generator, rehearsal=False)
    zeros = tuple(router.name for router in routers if not router.weight.any())
    if zeros:
        warnings.warn(
            f"the rows of {zeros[0]} are all zero{_as_fresh(len(zeros))}: every token scores all experts alike, and"
            " top-k gives all tokens the same ones",
            BalancerWarning,
            stacklevel=3,
        )
    return Changes(init=repr(init), written=tuple(on.written), experts=dict(on.experts), zero_routers=zeros)


def _run(
    model: nn.Module,
    init: initializations.Initialization,
    routers: list[Router],
    sample_batch: Tensor,
    generator: torch.Generator,
    *,
    rehearsal: bool,
) -> Stressed:
    on = Stressed(
        model=model, init=init, routers=routers, sample_batch=sample_batch, generator=generator, rehearsal=rehearsal
    )
    STRESSES[type(init)](init, on)
    return on


def _refuse(init: initializations.Initialization, routers: list[Router]) -> None:
    """Refuse routers that it has no room on, that are attached, or whose weights something stands before."""
    if isinstance(init, initializations.Random):
        return
    if not routers and init.of_experts:
        raise ConfigurationError(
            f"{init!r} would change nothing: the model has no router", hint="Random() is the model as it is"
        )
    for router in routers:
        init.check_fit(shape_of(router))
        if is_attached(router):
            raise ConfigurationError(f"{init!r}: {router.name} is attached already", hint=UNWRAP)
        if wrapped := wrappers(router.module):
            raise ConfigurationError(f"{init!r}: {router.name} is wrapped by {wrapped}", hint=UNWRAP)
        if packed(router.weight):
            kind = type(router.weight).__name__
            raise ConfigurationError(f"{init!r}: {router.name} is quantized ({kind})", hint=UNWRAP)


def _refuse_nothing(on: Stressed) -> None:
    """Refuse to leave a layer as it is."""
    if isinstance(on.init, initializations.Random):
        return
    changed = dict.fromkeys((entry.part for entry in on.written), 0)
    for entry in on.written:
        changed[entry.part] += entry.changed
    idle = [part for part, count in changed.items() if not count]
    if not idle and changed:
        return
    zeros = [router.name for router in on.routers if router.name in idle and not router.weight.any()]
    reason = f"its rows are all zero{_as_fresh(len(zeros))}" if zeros else "it is so already"
    raise ConfigurationError(
        f"{on.init!r} would change nothing at {(zeros or idle or ['the model'])[0]}: {reason}",
        hint="SkewedRouter() and BiasedRouter() start from zeros; or load trained weights first"
        if zeros
        else "Random() is the model as it is",
    )


def _as_fresh(count: int) -> str:
    others = f", and those of {count - 1} others" if count > 1 else ""
    return f"{others}, as some families (ERNIE 4.5, AFMoE) initialize them"
