"""Negative log-likelihood of texts: the measure of code ability where pass@k is zero.

A document is a context and a continuation; the continuation is scored, given the context. The unit is nats; callers
divide by tokens or bytes. Ranking compares a canonical solution with mutants of it under the same context.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredDocument:
    """Token ids of a context (never scored, not empty) and of its continuation (scored)."""

    context: tuple[int, ...]
    continuation: tuple[int, ...]

    def tokens(self, limit: int) -> tuple[list[int], int]:
        """Return at most ``limit`` ids, cut on the left of the context, and how many of them are scored.

        A continuation longer than ``limit`` − 1 loses its end.
        """
        continuation = self.continuation[: limit - 1]
        context = self.context[-(limit - len(continuation)) :]
        return [*context, *continuation], len(continuation)


@torch.inference_mode()
def nats(
    model: PreTrainedModel, documents: Sequence[ScoredDocument], *, batch_tokens: int = 8192, pad: int = 0
) -> list[tuple[float, int]]:
    """Return (nats of the continuation, tokens scored) for each document, in order.

    Batches hold documents of similar length, padded on the right, and are a function of the documents alone.
    """
    limit = model.config.max_position_embeddings
    cut = [document.tokens(limit) for document in documents]
    order = sorted(range(len(cut)), key=lambda index: (len(cut[index][0]), index))
    result: list[tuple[float, int]] = [(0.0, 0)] * len(cut)
    training = model.training
    model.eval()
    for batch in _batches(order, [len(ids) for ids, _ in cut], batch_tokens):
        scores = _batch_nats(model, [cut[index] for index in batch], pad)
        for index, score in zip(batch, scores, strict=True):
            result[index] = (score, cut[index][1])
    model.train(training)
    return result


def _batches(order: Sequence[int], lengths: Sequence[int], batch_tokens: int) -> list[list[int]]:
    """Cut ``order`` (shortest first) into runs whose padded size stays within ``batch_tokens``."""
    batches: list[list[int]] = [[]]
    for index in order:
        if batches[-1] and (len(batches[-1]) + 1) * lengths[index] > batch_tokens:
            batches.append([])
        batches[-1].append(index)
    return [batch for batch in batches if batch]


def _batch_nats(model: PreTrainedModel, rows: Sequence[tuple[list[int], int]], pad: int) -> list[float]:
    width = max(len(ids) for ids, _ in rows)
    tokens = torch.tensor([ids + [pad] * (width - len(ids)) for ids, _ in rows])
    positions = torch.arange(width)
    lengths = torch.tensor([[len(ids)] for ids, _ in rows])
    scored = torch.tensor([[count] for _, count in rows])
    mask = (positions < lengths).long()
    attention = None if bool(mask.all()) else mask
    logits = model(input_ids=tokens, attention_mask=attention, use_cache=False).logits
    losses = _token_losses(logits, tokens)
    inside = (positions >= lengths - scored) & (positions < lengths)
    totals = (losses.double() * inside).sum(1)
    return [float(total) for total in totals]


def _token_losses(logits: Tensor, tokens: Tensor) -> Tensor:
    """Negative log-likelihood [B, S] of each token given those before it; 0 for the first."""
    losses = functional.cross_entropy(logits[:, :-1].transpose(1, 2).float(), tokens[:, 1:], reduction="none")
    return functional.pad(losses, (1, 0))
