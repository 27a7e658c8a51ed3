"""A model under stress: what an initialization works on, and the record of what it changed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.wrappers import packed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from trimtab.moe.router import Router
    from trimtab.settings.initializations import Initialization


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One tensor that was written.

    Args:
        tensor: Its name, as of the model.
        part: The router whose layer it belongs to; empty for what belongs to none.
        changed, size: How many of its numbers changed, and how many there are.
        largest: The largest absolute change.
    """

    tensor: str
    part: str
    changed: int
    size: int
    largest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What an initialization changed.

    Args:
        init: The initialization, as Python writes it.
        written: Every tensor it wrote.
        experts: The experts it drew, by the name of their router.
        zero_routers: Routers whose rows are all zero now: all their experts tie for every token.
    """

    init: str
    written: tuple[Written, ...]
    experts: Mapping[str, tuple[int, ...]]
    zero_routers: tuple[str, ...]

    @property
    def changed(self) -> int:
        """How many numbers changed."""
        return sum(entry.changed for entry in self.written)

    def record(self) -> dict[str, Any]:
        """Return plain values, for a file."""
        return asdict(self)


@dataclass(slots=True, kw_only=True, eq=False)
class Stressed:
    """A fresh model, where draws and inputs come from, and the only way to write.

    Args:
        model: A transformers model, before :func:`~trimtab.moe.attach.attach`.
        init: The initialization at work.
        routers: The routers of the model.
        sample_batch: [B, S] token ids on which inputs are measured, where that is needed.
        generator: Source of every draw; draws do not depend on the model's weights.
        rehearsal: Whether nothing is written yet, only looked at.
    """

    model: nn.Module
    init: Initialization
    routers: list[Router]
    sample_batch: Tensor
    generator: torch.Generator
    rehearsal: bool
    written: list[Written] = field(default_factory=list)
    experts: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def draw(self, router: Router, count: int, among: int | None = None) -> Tensor:
        """Return ``count`` experts of a layer, drawn among the first ``among``, and note them."""
        order = torch.randperm(router.num_experts, generator=self.generator)
        drawn = order[order < (router.num_experts if among is None else among)][:count]
        self.experts[router.name] = tuple(drawn.tolist())
        return drawn

    def write(self, name: str, target: Tensor, value: Tensor, part: str = "") -> None:
        """Write ``value`` to ``target``, which shares memory with the model, and note what that changes.

        Raises:
            ConfigurationError: The tensor cannot be written, or the value is not finite.
        """
        where = f"{self.init!r}: {name}"
        if target.is_meta:
            raise ConfigurationError(f"{where} is on the meta device, where there is nothing to write")
        if packed(target):
            stored = type(target).__name__ if target.is_floating_point() else target.dtype
            raise ConfigurationError(
                f"{where} is stored as {stored}: its numbers are packed, and writing to them would damage it",
                hint="stress the model before it is quantized",
            )
        made = value.to(target)
        if not bool(made.isfinite().all()):
            raise ConfigurationError(f"{where} would hold numbers that are not finite in {target.dtype}")
        differs = made != target
        largest = float((made.double() - target.double()).abs().max()) if target.numel() else 0.0
        self.written.append(
            Written(tensor=name, part=part, changed=int(differs.sum()), size=target.numel(), largest=largest)
        )
        if not self.rehearsal:
            target.copy_(made)
