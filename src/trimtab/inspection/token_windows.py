"""Texts as rows of token ids: cut to what a model can read, gathered into padded batches, none of it kept.

A text longer than a window is cut into several; the first token of each has nothing in front of it and is not scored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import torch

from trimtab.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from trimtab.inspection.domain_texts import DomainText

# Windows that are sorted by length before they are cut into batches: what padding costs is small, and so is this.
_SORTED: Final = 128


class TextTokenizer(Protocol):
    """Text to token ids."""

    def encode(self, text: str) -> list[int]:
        """Return the token ids of ``text``, with no special token added."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TokenWindow:
    """A run of one text's tokens.

    Args:
        domain, name: Of the text.
        start: Tokens of the text in front of this window.
        ids: [S] token ids, a leading special token included.
        scored: How many of the last ones are scored.
        num_bytes: UTF-8 bytes of what is scored, a share of the continuation's where it was cut.
    """

    domain: str
    name: str
    start: int
    ids: NDArray[np.int64]
    scored: int
    num_bytes: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WindowBatch:
    """Windows side by side, padded on the right: token ids [B, S] and a mask [B, S] that is True for text."""

    windows: tuple[TokenWindow, ...]
    ids: Tensor
    mask: Tensor

    @property
    def valid(self) -> Tensor | None:
        """[T] whether a token is text; None when all are."""
        return None if bool(self.mask.all()) else self.mask.flatten()

    @property
    def attention_mask(self) -> Tensor | None:
        """[B, S] what a model is given; None when nothing is padding."""
        return None if bool(self.mask.all()) else self.mask.long()


def windows(
    texts: Iterable[DomainText],
    tokenizer: TextTokenizer,
    *,
    length: int,
    bos: int | None,
    max_tokens: int | None = None,
) -> Iterator[TokenWindow]:
    """Yield the windows of ``texts`` in their order.

    Args:
        texts: The texts.
        tokenizer: Of the model.
        length: Most tokens of a window.
        bos: Id put before each text; None for none.
        max_tokens: Stop a domain after so many tokens.

    Raises:
        ConfigurationError: ``length`` is below 2.
    """
    if length < 2:
        raise ConfigurationError(f"windows of {length} tokens predict nothing", hint="2 or more")
    taken: dict[str, int] = {}
    for text in texts:
        if max_tokens is not None and taken.get(text.domain, 0) >= max_tokens:
            continue
        context = [*([] if bos is None else [bos]), *tokenizer.encode(text.context)]
        continuation = tokenizer.encode(text.continuation)
        ids = np.array(context + continuation, dtype=np.int64)
        if max_tokens is not None:
            ids = ids[: max_tokens - taken.get(text.domain, 0)]
        taken[text.domain] = taken.get(text.domain, 0) + len(ids)
        size = len(text.continuation.encode()) / max(1, len(continuation))
        for start in range(0, len(ids), length):
            part = ids[start : start + length]
            scored = min(len(part) - 1, max(0, start + len(part) - len(context)))
            yield TokenWindow(
                domain=text.domain, name=text.name, start=start, ids=part, scored=scored, num_bytes=size * scored
            )


def batches(found: Iterable[TokenWindow], *, batch_tokens: int, pad: int) -> Iterator[WindowBatch]:
    """Yield padded batches of at most ``batch_tokens`` (one long window: more), a few windows at a time."""
    held: list[TokenWindow] = []
    for window in found:
        held.append(window)
        if len(held) == _SORTED:
            yield from _cut(held, batch_tokens, pad)
            held = []
    yield from _cut(held, batch_tokens, pad)


def _cut(held: Sequence[TokenWindow], batch_tokens: int, pad: int) -> Iterator[WindowBatch]:
    row: list[TokenWindow] = []
    for window in sorted(held, key=lambda each: len(each.ids)):
        if row and (len(row) + 1) * len(window.ids) > batch_tokens:
            yield stack(row, pad)
            row = []
        row.append(window)
    if row:
        yield stack(row, pad)


def stack(row: Sequence[TokenWindow], pad: int) -> WindowBatch:
    """Return one padded batch of these windows, in this order."""
    width = max(len(window.ids) for window in row)
    ids = np.full((len(row), width), pad, dtype=np.int64)
    mask = np.zeros((len(row), width), dtype=bool)
    for place, window in enumerate(row):
        ids[place, : len(window.ids)] = window.ids
        mask[place, : len(window.ids)] = True
    return WindowBatch(windows=tuple(row), ids=torch.from_numpy(ids), mask=torch.from_numpy(mask))
