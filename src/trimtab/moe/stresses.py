"""What each initialization of :mod:`trimtab.settings.initializations` does to a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

from trimtab.errors import ConfigurationError
from trimtab.moe import depth_init, expert_init, upcycled_init
from trimtab.moe.stressed import Stressed
from trimtab.settings import initializations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

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
) -> None:
    """Change ``model`` in place.

    Args:
        model: A transformers model, before :func:`~trimtab.moe.attach.attach`.
        init: What to do.
        sample_batch: [B, S] token ids on which inputs are measured, where that is needed.
        generator: Source of every draw; draws do not depend on the model's weights.

    Raises:
        ConfigurationError: The model has no room for it.
    """
    if type(init) not in STRESSES:
        raise ConfigurationError(f"{init!r} is no initialization", hint="one of trimtab.settings.initializations")
    STRESSES[type(init)](init, Stressed(model=model, sample_batch=sample_batch, generator=generator))
