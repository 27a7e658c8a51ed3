"""Counts of all processes, added up in one call.

What gates count are plain tensors, of which each process has its own share. A balancer observes things that can be
added up, so one sum over processes of everything, stacked, is all that a step needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import distributed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from trimtab.moe.gate import Gate


def over_processes(gates: Sequence[Gate]) -> None:
    """Replace what each gate counted in this step by its sum over processes; nothing without torch.distributed."""
    if not (gates and distributed.is_initialized()):
        return
    parts = [tensor for gate in gates for tensor in (gate.observed, gate.tally.routed, gate.tally.kept)]
    summed = iter(_sums(parts))
    for gate in gates:
        gate.observed, gate.tally.routed, gate.tally.kept = next(summed), next(summed), next(summed)


def _sums(parts: list[Tensor]) -> list[Tensor]:
    # In float64, because some rules observe more than counts; counts below 2^53 are exact in it.
    flat = torch.cat([part.double().flatten() for part in parts])
    distributed.all_reduce(flat)
    pieces = flat.split([part.numel() for part in parts])
    return [piece.to(part.dtype).view_as(part) for piece, part in zip(pieces, parts, strict=True)]
