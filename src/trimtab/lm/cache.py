"""A key-value cache that grows in place: transformers' copies everything it holds at each step.

Room for :data:`STEP` more tokens is taken at a time, so a cache is copied once in so many tokens and wastes no more
than that. Layers that forget (sliding windows) stay transformers' own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from transformers.cache_utils import DynamicCache, DynamicLayer

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PretrainedConfig

STEP: Final = 128


def growing(config: PretrainedConfig) -> DynamicCache:
    """Return an empty cache for a model with this configuration."""
    cache = DynamicCache(config=config)
    cache.layers = [GrowingLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


class GrowingLayer(DynamicLayer):
    """Keys and values [B, H, S, D] of one layer, as views of tensors that are longer along S."""

    def __init__(self) -> None:
        super().__init__()
        self._room: tuple[Tensor, Tensor] | None = None

    def update(self, key_states: Tensor, value_states: Tensor, *_: object, **__: object) -> tuple[Tensor, Tensor]:
        """Append states [B, H, new, D]; return all there are."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        length = self.get_seq_length()
        total = length + key_states.shape[-2]
        if self._room is None or self._room[0].shape[-2] < total:
            self._room = (_longer(self.keys, key_states, total), _longer(self.values, value_states, total))
        for room, new in zip(self._room, (key_states, value_states), strict=True):
            room[..., length:total, :] = new
        return self._show(self._room, total)

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep some rows, and the room behind them."""
        if self._room is not None:
            self._room = (self._room[0][indices], self._room[1][indices])
            self._show(self._room, self.get_seq_length())

    def _show(self, room: tuple[Tensor, Tensor], length: int) -> tuple[Tensor, Tensor]:
        keys, values = room[0][..., :length, :], room[1][..., :length, :]
        self.keys, self.values = keys, values
        return keys, values


def _longer(held: Tensor | None, new: Tensor, total: int) -> Tensor:
    """Return a copy of what is held, with room for more."""
    room = new.new_empty((*new.shape[:-2], total + STEP, new.shape[-1]))
    if held is not None and held.numel():
        room[..., : held.shape[-2], :] = held
    return room
