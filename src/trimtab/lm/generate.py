"""Batched sampling from a local model: a :class:`~trimtab.codeeval.completion.Completer`.

Prompts are sorted by length, padded on the left and decoded together with a key-value cache; rows that have stopped
leave the batch. Under an evaluation capacity the experts' room is shared by the batch, so batch size and order are part
of the result: they are fixed by the arguments and never depend on the machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import torch
from transformers import DynamicCache

from trimtab.codeeval.completion import Completion

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor
    from transformers import PreTrainedModel

    from trimtab.codeeval.completion import Sampling


class Tokenizer(Protocol):
    """Text to token ids and back."""

    def encode(self, text: str) -> list[int]:
        """Return the token ids of ``text``, with no special token added."""

    def decode(self, ids: list[int]) -> str:
        """Return the text of ``ids``."""


@dataclass(slots=True)
class _Row:
    """One sample being decoded."""

    prompt_index: int
    sample_index: int
    prompt: list[int]
    generator: torch.Generator
    ids: list[int] = field(default_factory=list)
    text: str = ""
    finished: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalCompleter:
    """Completes prompts with a transformers causal language model.

    Args:
        model: The model; put into evaluation mode while it decodes.
        tokenizer: Must not add special tokens by itself.
        batch_size: Rows decoded together.
        pad, bos, eos: Token ids; ``bos`` is put before each prompt.
    """

    model: PreTrainedModel
    tokenizer: Tokenizer
    batch_size: int = 256
    pad: int = 0
    bos: int = 1
    eos: int = 2

    def complete(self, prompts: Sequence[str], sampling: Sampling) -> Iterator[Completion]:
        """Yield ``sampling.n`` completions of each prompt, batch by batch."""
        rows = [
            _Row(p, s, [self.bos, *self.tokenizer.encode(text)], _generator(sampling.seed, p, s))
            for p, text in enumerate(prompts)
            for s in range(sampling.n)
        ]
        rows.sort(key=lambda row: (len(row.prompt), row.prompt_index, row.sample_index))
        training = self.model.training
        self.model.eval()
        try:
            for start in range(0, len(rows), self.batch_size):
                batch = rows[start : start + self.batch_size]
                self._decode(batch, sampling)
                for row in batch:
                    yield Completion(
                        prompt_index=row.prompt_index,
                        sample_index=row.sample_index,
                        text=row.text,
                        finished=row.finished,
                    )
        finally:
            self.model.train(training)

    @torch.inference_mode()
    def _decode(self, rows: list[_Row], sampling: Sampling) -> None:
        width = max(len(row.prompt) for row in rows)
        ids = torch.tensor([[self.pad] * (width - len(row.prompt)) + row.prompt for row in rows])
        mask = (torch.arange(width) >= torch.tensor([[width - len(row.prompt)] for row in rows])).long()
        cache, live = DynamicCache(config=self.model.config), rows
        for _ in range(sampling.max_new_tokens):
            positions = (mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
            logits = self.model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]
            chosen = _choose(logits.float(), sampling, [row.generator for row in live])
            keep = [
                index
                for index, (row, token) in enumerate(zip(live, chosen, strict=True))
                if self._grow(row, token, sampling)
            ]
            if not keep:
                return
            if len(keep) < len(live):
                kept = torch.tensor(keep)
                cache.batch_select_indices(kept)
                mask, live = mask[kept], [live[index] for index in keep]
            ids = torch.tensor([[row.ids[-1]] for row in live])
            mask = torch.cat([mask, mask.new_ones(len(live), 1)], dim=1)
        for row in live:
            row.finished = "length"

    def _grow(self, row: _Row, token: int, sampling: Sampling) -> bool:
        """Append a token; False when the row has stopped."""
        if token == self.eos:
            row.finished = "eos"
            return False
        row.ids.append(token)
        row.text = self.tokenizer.decode(row.ids)
        cut = min((at for stop in sampling.stop if (at := row.text.find(stop)) >= 0), default=-1)
        if cut >= 0:
            row.text, row.finished = row.text[:cut], "stop"
        return cut < 0


def _generator(seed: int, prompt_index: int, sample_index: int) -> torch.Generator:
    """One stream a sample, so that a sample does not depend on how many others are drawn."""
    mixed = (seed * 1_000_003 + prompt_index) * 1_009 + sample_index
    return torch.Generator().manual_seed(mixed % 2**63)


def _choose(logits: Tensor, sampling: Sampling, generators: list[torch.Generator]) -> list[int]:
    """Pick the next token of each row: the largest logit at temperature 0, else a draw from the nucleus."""
    if sampling.temperature == 0:
        return list(map(int, logits.argmax(-1)))
    probabilities, order = (logits / sampling.temperature).softmax(-1).sort(-1, descending=True)
    outside = probabilities.cumsum(-1) - probabilities >= sampling.top_p
    nucleus = probabilities.masked_fill(outside, 0.0)
    drawn = [torch.multinomial(p, 1, generator=g) for p, g in zip(nucleus, generators, strict=True)]
    return list(map(int, order.gather(1, torch.stack(drawn)).flatten()))
