"""Logits of a model's routers, written down for :class:`~trimtab.moe.simulate.dumped_logits.Dumped` to draw from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from trimtab.errors import ConfigurationError
from trimtab.moe import masks
from trimtab.moe.discovery import find_routers

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from torch import Tensor, nn

    from trimtab.moe.ports import Decide
    from trimtab.moe.router import Router


@torch.no_grad()
def record(
    model: nn.Module, batches: Iterable[Mapping[str, Any]], folder: str | os.PathLike[str], *, most: int = 65536
) -> dict[int, str]:
    """Run ``model`` over ``batches`` and write the logits of the text in them, a file ``layer-N.npy`` [≤ most, E] each.

    Args:
        model: With routers; attached or not. It is run as it is: call ``eval()`` first.
        batches: Keyword arguments of its forward pass; padding is left out, whatever the form of the mask.
        folder: Where to; made if need be.
        most: Tokens a layer to keep, the first ones.

    Returns:
        Of each layer the stream to simulate, as ``trimtab simulate --stream`` reads it.

    Raises:
        ConfigurationError: The model has no router, no token went through it, or a mask cannot be read.
    """
    routers = find_routers(model)
    seen: dict[int, list[Tensor]] = {router.layer: [] for router in routers}
    valid: list[Tensor | None] = [None]
    stop = [router.port.listen(router.module, _listener(seen[router.layer], valid)) for router in routers]
    try:
        for batch in batches:
            text = masks.read(batch)
            if text.unread:
                raise ConfigurationError(f"{text.unread} does not say which tokens are text", hint="a mask [B, S] does")
            valid[0] = text.valid
            model(**batch)
    finally:
        for end in stop:
            end()
    if not any(seen.values()):
        raise ConfigurationError("no logits were seen: the model has no router, or there was no batch")
    Path(folder).mkdir(parents=True, exist_ok=True)
    return {router.layer: _write(router, torch.cat(seen[router.layer])[:most], Path(folder)) for router in routers}


def _listener(seen: list[Tensor], valid: list[Tensor | None]) -> Decide:
    def listen(logits_TE: Tensor, weights_TK: Tensor, experts_TK: Tensor) -> tuple[Tensor, Tensor]:
        text = valid[0]
        seen.append(logits_TE.detach().float().cpu() if text is None else logits_TE.detach()[text].float().cpu())
        return weights_TK, experts_TK

    return listen


def _write(router: Router, logits: Tensor, folder: Path) -> str:
    path = folder / f"layer-{router.layer}.npy"
    np.save(path, logits.numpy(), allow_pickle=False)
    return f"Dumped(path={str(path)!r}, scores={router.score_function!r})"
