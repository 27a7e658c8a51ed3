"""What lies in front of the first expert layer, computed once: it does not depend on what a capacity drops.

The layers in front of it are stepped over, and the layer is given the states that it got when the texts were first
read. Nothing is known of a family but that its layers are in a list; whether stepping over works is found out by
comparing logits, and where it does not, every setting reads the texts from the start.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from trimtab.inspection.inspected_model import InspectedModel

# Logits that differ by more than rounding and padding explain are other logits.
_CLOSE: Final = 1e-3


class SharedPrefix:
    """The layers of a model in front of its first expert layer.

    Args:
        model: The model.
    """

    def __init__(self, model: InspectedModel) -> None:
        self.skipped: list[nn.Module] = []
        self.first: nn.Module | None = None
        match = re.match(r"(.*?)\.(\d+)\.", model.routers[0].name)
        if match is None:
            return
        layers = model.model.get_submodule(match[1])
        # The first expert layer by its place: routers come in the order of layers.
        if isinstance(layers, nn.ModuleList) and int(match[2]) > 0:
            self.skipped, self.first = list(layers[: int(match[2])]), layers[int(match[2])]
        self._tuples: dict[int, bool] = {}

    @property
    def works(self) -> bool:
        """Whether there is something to step over."""
        return self.first is not None

    def give_up(self) -> None:
        """Read texts from the start from now on."""
        self.skipped, self.first = [], None

    @contextmanager
    def recording(self) -> Iterator[list[Tensor]]:
        """Collect the states [B, S, ...] that the first expert layer gets in each pass inside."""
        found: list[Tensor] = []
        if self.first is None:
            yield found
            return

        def keep(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            found.append(args[0] if args else kwargs["hidden_states"])

        def note(_module: nn.Module, _args: Any, output: Any, *, place: int) -> None:  # noqa: ANN401 - a layer's own
            self._tuples[place] = isinstance(output, tuple)

        handles = [self.first.register_forward_pre_hook(keep, with_kwargs=True)]
        handles += [layer.register_forward_hook(partial(note, place=place)) for place, layer in enumerate(self.skipped)]
        try:
            yield found
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def replaying(self, states: Tensor | None) -> Iterator[None]:
        """Inside, one pass starts at the first expert layer, with ``states`` [B, S, ...]."""
        if self.first is None or states is None:
            yield
            return

        def give(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
            if args:
                return (states, *args[1:]), kwargs
            return args, {**kwargs, "hidden_states": states}

        handle = self.first.register_forward_pre_hook(give, with_kwargs=True)
        try:
            for place, layer in enumerate(self.skipped):
                layer.__dict__["forward"] = partial(_step_over, self._tuples.get(place, False))
            yield
        finally:
            handle.remove()
            for layer in self.skipped:
                layer.__dict__.pop("forward", None)

    def check(self, whole: Tensor, replayed: Tensor) -> bool:
        """Tell whether logits of a replayed pass are those of the whole one; give up where they are not."""
        size = float(whole.float().abs().max().clamp_min(1e-6))
        same = whole.shape == replayed.shape and float((whole - replayed).abs().max()) <= _CLOSE * size
        if not same:
            self.give_up()
        return same


def _step_over(gives_tuple: bool, hidden_states: Tensor, *_args: object, **_kwargs: object) -> Any:  # noqa: ANN401, FBT001
    """Stand in for a layer."""
    return (hidden_states, None) if gives_tuple else hidden_states
