"""Whether experts are alive beyond being called: their weights, what they add, what they learn.

Loads alone do not show an expert that dies silently: Jin et al. (2026) saw layers whose experts' norms fell below a
tenth of their start and of the layers above while loads stayed even. Their description has no formal threshold; the
flag here asks for both tenths, and is confirmed by masking the layer.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.expert_layout import expert_layout

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from trimtab.moe.router import Router

SILENT_SHARE: Final = 0.1


def weight_norms(router: Router) -> NDArray[np.float64]:
    """Return the Euclidean norm [E] of all weights of each expert; NaN for experts without weights.

    Raises:
        ConfigurationError: Which numbers belong to which expert is not known: packed, or behind adapters.
    """
    layout = expert_layout(router)
    squares = np.full(router.num_experts, np.nan)
    squares[: layout.count] = 0
    for parts in layout.pieces.values():
        if not parts[0].is_floating_point() or parts[0].element_size() < 2:
            raise ConfigurationError(f"the experts beside {router.name} are packed numbers ({parts[0].dtype})")
        for expert, part in enumerate(parts):
            squares[expert] += float(torch.linalg.vector_norm(part.detach(), dtype=torch.float32)) ** 2
    norms: NDArray[np.float64] = np.sqrt(squares)
    return norms


def silent_death(now: Sequence[float], start: Sequence[float] | None, share: float = SILENT_SHARE) -> list[bool | None]:
    """Say which layers died silently by their median norms [L]; None where only the start could tell.

    A layer is flagged when its median norm is below ``share`` of its own start and of the median over layers. Without
    the start, a layer that is not small beside the others is cleared, and one that is is suspected (None).

    Args:
        now: Median norm of the experts of each layer.
        start: The same before training; None when it is not known.
        share: What counts as small.
    """
    usual = float(np.median(np.asarray(now)))
    beside = [value < share * usual for value in now]
    if start is None:
        return [None if small else False for small in beside]
    return [small and value < share * first for small, value, first in zip(beside, now, start, strict=True)]


def norm_record(norms: Mapping[int, NDArray[np.float64]]) -> dict[int, dict[str, Any]]:
    """Return by layer each expert's norm, and its ratio to the median of its layer and to that over layers."""
    medians = {layer: float(np.nanmedian(values)) for layer, values in norms.items()}
    usual = float(np.median(list(medians.values()))) if medians else 0.0
    return {
        layer: {
            "weight_norm": _plain(values),
            "norm_to_layer": _plain(values / max(medians[layer], 1e-300)),
            "norm_to_layers": _plain(values / max(usual, 1e-300)),
            "median_norm": medians[layer],
        }
        for layer, values in norms.items()
    }


@contextmanager
def expert_gradients(routers: Sequence[Router]) -> Iterator[dict[int, NDArray[np.float64]]]:
    """Collect by layer the squared norm [E] of each expert's gradient over the backward passes inside.

    Only the experts get gradients, and each is measured and let go as soon as it is there, so that they are never all
    in memory. Which parameters wanted one is as before at the end.

    Raises:
        ConfigurationError: Which numbers belong to which expert is not known.
    """
    squares: dict[int, NDArray[np.float64]] = {router.layer: np.zeros(router.num_experts) for router in routers}
    wanted: list[tuple[torch.nn.Parameter, bool]] = []
    handles = []
    for router in routers:
        pieces = defaultdict(list)
        for parts in expert_layout(router).pieces.values():
            for expert, part in enumerate(parts):
                pieces[_owner(router, part)].append((expert, part))
        for parameter in router.experts.parameters():
            wanted.append((parameter, parameter.requires_grad))
            parameter.requires_grad = True
            held = pieces[id(parameter)]

            def measure(
                reached: Tensor,
                held: list[tuple[int, Tensor]] = held,
                found: NDArray[np.float64] = squares[router.layer],
            ) -> None:
                gradient = reached.grad
                if gradient is None:
                    return
                gradient = gradient.contiguous()
                for expert, part in held:
                    # A piece is a view of its parameter; the same view of the gradient is its gradient.
                    offset = part.storage_offset() - reached.storage_offset()
                    view = gradient.as_strided(part.shape, part.stride(), offset)
                    found[expert] += float(torch.linalg.vector_norm(view, dtype=torch.float32)) ** 2
                reached.grad = None

            handles.append(parameter.register_post_accumulate_grad_hook(measure))
    try:
        yield squares
    finally:
        for handle in handles:
            handle.remove()
        for parameter, before in wanted:
            parameter.requires_grad = before


def _owner(router: Router, part: Tensor) -> int:
    """Return the identity of the parameter of the experts that ``part`` is a view of."""
    for parameter in router.experts.parameters():
        start = parameter.data_ptr()
        if start <= part.data_ptr() < start + parameter.numel() * parameter.element_size():
            return id(parameter)
    raise ConfigurationError(f"the experts beside {router.name} hold weights that are computed, not kept")


def shares(squares: NDArray[np.float64]) -> list[float | None]:
    """Return the roots of sums of squares [E] as shares of their sum."""
    roots = np.sqrt(squares)
    return _plain(roots / max(float(roots.sum()), 1e-300))


def _plain(values: NDArray[np.float64]) -> list[float | None]:
    return [None if np.isnan(value) else float(f"{value:.6g}") for value in values]
