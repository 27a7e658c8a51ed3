"""Which tokens of a forward pass are text, and where sequences begin, from whatever a model was called with.

A model takes its mask in many forms: [B, S] with or without a cache in front, [B, 1, Q, KV] of booleans or of numbers
to be added, a dict of such masks by kind of layer, the mask function of flex attention; packed sequences come with
position ids, cumulative lengths or sequence numbers. What cannot be read is said to be unread instead of guessed.

Axes: B rows, S tokens of a row, Q = S queries, KV keys, T = B · S.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.nn import functional
from torch.nn.attention.flex_attention import BlockMask

from trimtab.moe.routing import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

# What is added to a score so that nobody attends: finfo.min, -inf, -1e4; a position bias is far above.
_CLOSED: Final = -1e3
_LENGTHS: Final = ("cu_seq_lens_q", "cu_seqlens_q", "cu_seq_lens", "cu_seqlens")
_READ: Final = (
    "input_ids", "inputs_embeds", "hidden_states", "attention_mask", "past_key_values", "position_ids", "seq_idx",
    *_LENGTHS,
)  # fmt: skip


@dataclass(kw_only=True, eq=False)
class TextTokens:
    """The text among the tokens of a forward pass.

    Args:
        rows, columns: B and S.
        valid: [T] whether a token is text; None when all are, or when that is unknown.
        unread: Why it is unknown; empty when it is not.
        ids: [B, S] the tokens; None where the model was called with embeddings.
        past: Tokens of each row in the cache in front, padding included.
        before: [B] how many of these are text; None where all are.
        starts: What says where sequences begin, each giving [B, S] or [T] when it is asked.
    """

    rows: int
    columns: int
    valid: Tensor | None = None
    unread: str = ""
    ids: Tensor | None = None
    past: int = 0
    before: Tensor | None = None
    starts: list[Callable[[], Tensor]] = field(default_factory=list)
    _sizes: dict[bool, tuple[Tensor | None, tuple[int, ...]]] = field(default_factory=dict, repr=False)

    def of_the_same_tokens(self, other: TextTokens) -> bool:
        """Tell whether ``other``, of a model called within, has as many rows and columns."""
        return (self.rows, self.columns) == (other.rows, other.columns)

    def take_over(self, other: TextTokens) -> None:
        """Learn from what a model called within was called with, where that says more."""
        if other.valid is not None and self.valid is None:
            self.valid = other.valid
        if not self.past:
            self.past, self.before = other.past, other.before
        self.ids = other.ids if self.ids is None else self.ids
        if self.unread and not other.unread:
            self.unread = ""

    @property
    def count(self) -> int:
        """Tokens of text."""
        return self.sizes(by_sequence=False)[0]

    def sizes(self, *, by_sequence: bool) -> tuple[int, ...]:
        """Return how many tokens of text there are, or how many each sequence has.

        Where there is no padding and every row is a sequence, nothing is read from a tensor; else once a pass.
        """
        if self.valid is None and not (by_sequence and self.starts):
            return (self.columns,) * self.rows if by_sequence else (self.rows * self.columns,)
        read = self._sizes.get(by_sequence)
        if read is None or read[0] is not self.valid:
            read = self._sizes[by_sequence] = (self.valid, self._read_sizes(by_sequence=by_sequence))
        return read[1]

    def _read_sizes(self, *, by_sequence: bool) -> tuple[int, ...]:
        if not by_sequence:
            assert self.valid is not None  # noqa: S101 - else nothing is read
            return (int(self.valid.sum()),)
        last = self.sequence[-1:].tolist()
        parts = last[0] + 1 if last else 0
        text = (
            self.sequence
            if self.valid is None
            else self.sequence.masked_fill(~self.valid.to(self.sequence.device), parts)
        )
        return tuple(counted(text, parts + 1)[:-1].tolist())

    @cached_property
    def sequence(self) -> Tensor:
        """[T] number of the sequence of each token: rows, cut wherever a new sequence begins."""
        if not self.starts:
            device = None if self.ids is None else self.ids.device
            return torch.arange(self.rows, device=device).repeat_interleave(self.columns)
        first, *others = (starts().reshape(self.rows, self.columns) for starts in self.starts)
        begins_BS = first.clone()
        for starts_BS in others:
            begins_BS |= starts_BS.to(begins_BS.device)
        begins_BS[:, 0] = True
        return begins_BS.flatten().cumsum(0) - 1


def read(arguments: Mapping[str, Any]) -> TextTokens:
    """Return the text among the tokens of a forward pass, given the arguments of the model by name."""
    tokens = arguments.get("input_ids")
    tokens = tokens if tokens is not None else arguments.get("inputs_embeds")
    hidden = arguments.get("hidden_states")
    if tokens is None and isinstance(hidden, torch.Tensor) and hidden.ndim == 3:
        tokens = hidden  # a layer of a model, attached to by itself
    rows, columns = (1, 0) if tokens is None or tokens.ndim < 2 else tuple(tokens.shape[:2])
    past = _past(arguments.get("past_key_values"))
    text = TextTokens(rows=rows, columns=columns, ids=arguments.get("input_ids"), past=past or 0)
    if hidden is tokens is not None and "attention_mask" not in arguments:
        text.unread = "a layer that is called without a mask"
    if columns:
        _read_mask(text, arguments.get("attention_mask"), past)
        _read_positions(text, arguments.get("position_ids"))
        _read_numbers(text, arguments.get("seq_idx"))
        _read_lengths(text, next((arguments[name] for name in _LENGTHS if arguments.get(name) is not None), None))
    if text.valid is not None and bool(text.valid.all()):
        text.valid = None
    return text


def alike(arguments: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    """Tell whether :func:`read` would read the very same objects in both."""
    return all(arguments.get(name) is others.get(name) for name in _READ)


def _read_mask(text: TextTokens, mask: Any, past: int | None) -> None:  # noqa: ANN401 - whatever a model accepts
    while isinstance(mask, dict):
        # A kind of layer without a mask has nothing to hide; a window hides no token from itself.
        masks = list(mask.values())
        mask = mask.get("full_attention", masks[0]) if all(part is not None for part in masks) and masks else None
    if mask is None:
        return
    if isinstance(mask, BlockMask):
        _read_function(text, mask)
    elif not isinstance(mask, torch.Tensor):
        text.unread = f"an attention mask of type {type(mask).__name__}"
    elif mask.ndim == 2:
        _read_columns(text, mask, past)
    elif mask.ndim in {3, 4}:
        _read_square(text, mask if mask.ndim == 4 else mask[:, None], past)
    else:
        text.unread = f"an attention mask of shape {tuple(mask.shape)}"


def _read_columns(text: TextTokens, mask: Tensor, past: int | None) -> None:
    """[B, KV]: a number for each token, that of its sequence where there are more than 0 and 1."""
    if mask.shape[0] not in {1, text.rows} or mask.shape[1] < text.columns:
        text.unread = f"an attention mask of shape {tuple(mask.shape)} for {text.rows} rows of {text.columns}"
        return
    start = _start(mask.shape[1], text.columns, past)
    text.past, text.before = start, mask[:, :start].bool().sum(1).expand(text.rows) if start else None
    own_BS = mask[:, start : start + text.columns].expand(text.rows, -1)
    text.valid = own_BS.bool().flatten()
    if not own_BS.is_floating_point() and own_BS.dtype != torch.bool and int(own_BS.max()) > 1:
        text.starts.append(partial(_changes, own_BS))


def _read_square(text: TextTokens, mask: Tensor, past: int | None) -> None:
    """[B, heads, Q, KV]: a token is text if a query that says something attends to it."""
    if mask.shape[0] not in {1, text.rows} or mask.shape[2] != text.columns or mask.shape[3] < text.columns:
        text.unread = f"an attention mask of shape {tuple(mask.shape)} for {text.rows} rows of {text.columns}"
        return
    if mask.is_floating_point() and bool((mask > 0).any()):
        text.unread = "an attention mask of floats above 0, which may be added or may be ones and zeros"
        return
    open_BQK = (mask > _CLOSED if mask.is_floating_point() else mask.bool()).any(1).expand(text.rows, -1, -1)
    start = _start(open_BQK.shape[2], text.columns, past)
    own_BQQ = open_BQK[:, :, start : start + text.columns]
    # A row of padding is opened as a whole by some kernels, so that softmax has something to share out.
    speaks_BQ = ~open_BQK.all(-1)
    if text.columns > 1 and bool((~speaks_BQ[:, -2:].any(1) & speaks_BQ.any(1)).any()):
        text.unread = "an attention mask that ends in rows that are open as a whole, which may be padding or an image"
        return
    speaks_BQ[:, -1] = True
    valid_BS = (own_BQQ & speaks_BQ[..., None]).any(1)
    if text.columns > 1:
        alone_BS, unclear = _alone(own_BQQ, open_BQK)
        if unclear:
            text.unread = "an attention mask with a row whose tokens attend to themselves alone"
            return
        if bool(_passed_over(own_BQQ).any()):
            text.unread = "an attention mask with tokens that see earlier ones and that later ones do not see"
            return
        valid_BS &= ~alone_BS
        text.starts.append(partial(_cuts, own_BQQ))
    text.valid = valid_BS.flatten()


def _alone(own_BQQ: Tensor, open_BQK: Tensor) -> tuple[Tensor, bool]:
    """Return [B, S] the tokens at either end of a row that attend to themselves alone and that no other attends to.

    Padding is often left so, because an empty row of a mask gives NaN. A row of nothing else may be padding or short
    sequences: then the second is True.
    """
    alone_BS = own_BQQ.diagonal(0, 1, 2) & (open_BQK.sum(-1) == 1) & (own_BQQ.sum(1) == 1)
    left_BS = alone_BS.int().cumprod(1).bool()
    right_BS = alone_BS.flip(1).int().cumprod(1).bool().flip(1)
    others_B = (own_BQQ.any(1) & ~alone_BS).any(1)
    return (left_BS | right_BS) & others_B[:, None], bool((~others_B & (alone_BS.sum(1) > 1)).any())


def _passed_over(own_BQQ: Tensor) -> Tensor:
    """Return [B, S] the tokens in front of which a later token sees something, and that no other token sees.

    Padding behind a text is so where it was opened to itself; so are the branches of a tree of drafts, which are text.
    A single padding token at the very end is not told from text: nothing comes later.
    """
    others_BQQ = own_BQQ.clone()
    others_BQQ.diagonal(0, 1, 2).fill_(False)
    seen_BS = others_BQQ.any(1)
    sees_BQ, first_BQ = own_BQQ.max(2)
    # The first thing that any later token sees, for each token: the least over the rows behind it.
    first_BQ = first_BQ.masked_fill(~sees_BQ, own_BQQ.shape[2])
    later_BQ = first_BQ.flip(1).cummin(1).values.flip(1).roll(-1, 1)
    later_BQ[:, -1] = own_BQQ.shape[2]
    place_S = torch.arange(own_BQQ.shape[2], device=own_BQQ.device)
    return own_BQQ.diagonal(0, 1, 2) & ~seen_BS & (later_BQ < place_S)


def _read_function(text: TextTokens, mask: BlockMask) -> None:
    """Flex attention's mask: a token is text if it attends to itself."""
    if tuple(mask.seq_lengths) != (text.columns, text.columns):
        text.unread = f"a BlockMask of {tuple(mask.seq_lengths)} for rows of {text.columns}"
        return
    device = mask.kv_num_blocks.device
    row_B1 = torch.arange(text.rows, device=device)[:, None]
    place_1S = torch.arange(text.columns, device=device)[None]
    try:
        valid = mask.mask_mod(row_B1, torch.zeros_like(row_B1), place_1S, place_1S)
    except (RuntimeError, IndexError, TypeError, ValueError) as error:
        text.unread = f"a BlockMask whose function cannot be asked: {error}"
        return
    text.valid = valid.expand(text.rows, text.columns).flatten()


def _read_positions(text: TextTokens, positions: Any) -> None:  # noqa: ANN401
    """[B, S], or [4, B, S] with those of the text in front: a sequence begins where they do not go on by one."""
    if not isinstance(positions, torch.Tensor):
        return
    if positions.ndim == 3 and len(positions) == 4:
        positions = positions[0]
    if positions.ndim == 2 and positions.shape[1] == text.columns and positions.shape[0] in {1, text.rows}:
        text.starts.append(partial(_jumps, positions, text.rows))


def _read_numbers(text: TextTokens, numbers: Any) -> None:  # noqa: ANN401
    """[B, S] the number of each token's sequence."""
    if isinstance(numbers, torch.Tensor) and numbers.numel() == text.rows * text.columns:
        text.starts.append(partial(_changes, numbers.view(text.rows, text.columns)))


def _read_lengths(text: TextTokens, lengths: Any) -> None:  # noqa: ANN401
    """[sequences + 1] where each begins among all T tokens; what lies behind the last is padding."""
    if not isinstance(lengths, torch.Tensor) or lengths.ndim != 1 or len(lengths) < 2:
        return
    total, bounds = text.rows * text.columns, lengths.long()
    text.starts.append(partial(_bounds, bounds, total))
    if int(bounds[-1]) < total:
        text_T = torch.arange(total, device=lengths.device) < bounds[-1]
        text.valid = text_T if text.valid is None else text.valid & text_T.to(text.valid.device)


def _changes(numbers_BS: Tensor) -> Tensor:
    """Return [B, S] where a number differs from the one before."""
    return functional.pad(numbers_BS.diff(dim=1) != 0, (1, 0))


def _jumps(positions: Tensor, rows: int) -> Tensor:
    """Return [B, S] where a position [1 or B, S] is not the next of the one before."""
    return functional.pad(positions.expand(rows, -1).diff(dim=1) != 1, (1, 0))


def _cuts(own_BQQ: Tensor) -> Tensor:
    """Return [B, S] the tokens that do not attend to the one before."""
    return functional.pad(~own_BQQ.diagonal(-1, 1, 2), (1, 0))


def _bounds(bounds: Tensor, total: int) -> Tensor:
    """Return [T] the tokens with which a sequence begins."""
    begins_T = torch.zeros(total + 1, dtype=torch.bool, device=bounds.device)
    begins_T[bounds.clamp(max=total)] = True
    return begins_T[:total]


def _start(keys: int, columns: int, past: int | None) -> int:
    """Return the column of the first query: behind what is in the cache, which may have room for more."""
    return past if past is not None and past + columns <= keys else keys - columns


def _past(cache: Any) -> int | None:  # noqa: ANN401
    """Return how many tokens a cache holds; None where it does not say."""
    try:
        return None if cache is None else int(cache.get_seq_length())
    except (AttributeError, TypeError, ValueError, IndexError, RuntimeError):
        return None
