"""Attention that does not copy the cache of keys and values for every query head that shares it.

Models with fewer key heads than query heads (grouped-query attention, arXiv:2305.13245) are given all keys and values
repeated by transformers 5.17 wherever there is a mask, because torch's CUDA kernels need that. Its CPU kernel does not:
asked for groups, it reads keys and values as they are, and its result is the same but for rounding. In decoding, where
one query meets a long cache, the copy costs fourteen times the attention itself (64 rows of SmolLM2 at 600 tokens).
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn
    from transformers import PreTrainedModel

NAME: Final = "sdpa_without_copies"


def attend(  # noqa: PLR0913, PLR0917 - what transformers gives an attention
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **options: Any,  # noqa: ANN401 - passed on
) -> tuple[Tensor, None]:
    """Return the attention [B, S, H, D] of ``query`` [B, H, S, D] over ``key`` and ``value`` [B, H / groups, past, D].

    With a mask on a CPU this function's own way; everything else is transformers' own.
    """
    if attention_mask is None or query.device.type != "cpu" or options.get("position_bias") is not None:
        output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **options)
        return output, None
    output = scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=attention_mask,
        dropout_p=dropout,
        scale=scaling,
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return output.transpose(1, 2).contiguous(), None


@contextlib.contextmanager
def without_copies(model: PreTrainedModel) -> Iterator[None]:
    """Let a model attend by :func:`attend` where it uses torch's attention; other models are left as they are."""
    if model.config._attn_implementation != "sdpa":  # noqa: SLF001 - transformers has no other name for it
        yield
        return
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation("sdpa")
