"""Likelihood of a pool's documents under an upcycled model, in batches of a stated composition.

Under a capacity, calls compete with those of whoever shares the batch, so the result is one of the model *and* the
batches. Batches hold whole documents, as many as fit into ``batch_tokens``. "shuffled" mixes all domains in one fixed
order; "by_domain" keeps each domain to itself, so that its calls all want the same experts. Dropless, both give the
same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from trimtab.lm.text_pool import PoolDocument
    from trimtab.lm.upcycled import UpcycledModel, Vocabulary

Order = Literal["shuffled", "by_domain"]
_ORDER_SEED: Final = 20_260_000


def batches(documents: Sequence[PoolDocument], *, order: Order, batch_tokens: int) -> list[list[PoolDocument]]:
    """Return the documents in batches of at most ``batch_tokens`` tokens (one long document: more)."""
    drawn = np.random.default_rng(_ORDER_SEED).permutation(len(documents))
    queue = [documents[index] for index in drawn]
    if order == "by_domain":
        queue.sort(key=lambda document: document.domain)  # stable: shuffled within each domain
    groups: list[list[PoolDocument]] = []
    held = batch_tokens
    for document in queue:
        other = bool(groups) and order == "by_domain" and groups[-1][0].domain != document.domain
        if held + document.length > batch_tokens or other:
            groups.append([])
            held = 0
        groups[-1].append(document)
        held += document.length
    return groups


@torch.inference_mode()
def place_nats(
    model: UpcycledModel, vocabulary: Vocabulary, groups: Sequence[Sequence[PoolDocument]]
) -> dict[tuple[str, str], tuple[float, int]]:
    """Return (nats, tokens scored) of each document by (domain, unit), over the whole vocabulary.

    Args:
        model: With the pool's states.
        vocabulary: Of its head.
        groups: The batches.
    """
    training = model.training
    model.eval()
    scored: dict[tuple[str, str], tuple[float, int]] = {}
    for group in groups:
        places, positions, needed = _pack(group)
        hidden = model(input_ids=places[None], position_ids=positions[None], needed=needed)
        nats = vocabulary.nats(hidden, model.tokens[places[needed] + 1])
        for document, part in zip(group, nats.split([document.scored for document in group]), strict=True):
            scored[document.domain, document.unit_id] = (float(part.sum()), document.scored)
    model.train(training)
    return scored


def _pack(group: Sequence[PoolDocument]) -> tuple[Tensor, Tensor, Tensor]:
    """Return the places [n] of a batch, their positions [n], and the indices whose next token is scored."""
    places = torch.cat([torch.arange(document.start, document.start + document.length) for document in group])
    positions = torch.cat([torch.arange(document.length) for document in group])
    ends = np.cumsum([document.length for document in group])
    needed = [
        torch.arange(end - document.scored - 1, end - 1) for end, document in zip(ends.tolist(), group, strict=True)
    ]
    return places, positions, torch.cat(needed)
