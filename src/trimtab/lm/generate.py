"""Batched sampling from a local model: a :class:`~trimtab.codeeval.completion.Completer`.

Prompts are sorted by length, padded on the left and decoded together with a key-value cache; rows that have stopped
leave the batch; a prompt with several samples is read once. Under an evaluation capacity the experts' room is shared by
the batch, so batch size and order are part of the result: they are fixed by the arguments and never depend on the
machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import torch

from trimtab.codeeval.completion import Completion
from trimtab.errors import ConfigurationError
from trimtab.lm import cache as caches
from trimtab.lm import grouped_attention

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from torch import Tensor
    from transformers import DynamicCache, PreTrainedModel

    from trimtab.codeeval.completion import Chat, Prompt, Sampling


class TokenizerLike(Protocol):
    """Text to token ids and back."""

    def encode(self, text: str) -> list[int]:
        """Return the token ids of ``text``, with no special token added."""

    def decode(self, ids: list[int]) -> str:
        """Return the text of ``ids``."""


@dataclass(slots=True)
class _DecodedRow:
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
        pad, bos: Token ids; ``bos`` is put before each prompt that is plain text, unless it is None.
        eos: Token ids that end a row.
        render: Turns a chat into the text the model was taught, special tokens and all; None for models without.
    """

    model: PreTrainedModel
    tokenizer: TokenizerLike
    batch_size: int = 256
    pad: int = 0
    bos: int | None = 1
    eos: tuple[int, ...] = (2,)
    render: Callable[[Chat], str] | None = None

    def complete(
        self, prompts: Sequence[Prompt], sampling: Sampling, *, done: Collection[tuple[int, int]] = ()
    ) -> Iterator[Completion]:
        """Yield ``sampling.n`` completions of each prompt without those in ``done``, batch by batch.

        A batch is decoded whole or not at all, so what is ``done`` does not change who shares a batch.

        Raises:
            ConfigurationError: A prompt is a chat and the model has no way to read one.
        """
        encoded = [self.reader.read(prompt) for prompt in prompts]
        there = set(done)
        for batch in batches(encoded, sampling.n, self.batch_size):
            if not there.issuperset(batch):
                decoded = self._decoded(dict(enumerate(encoded)), batch, sampling)
                yield from (row for row in decoded if (row.prompt_index, row.sample_index) not in there)

    def complete_batch(
        self, prompts: Mapping[int, Prompt], rows: Sequence[tuple[int, int]], sampling: Sampling
    ) -> list[Completion]:
        """Return the completions of one batch of :func:`batches`.

        Args:
            prompts: Index → prompt; those of the batch suffice.
            rows: Index of the prompt and number of the sample of each row of the batch.
            sampling: How.

        Raises:
            ConfigurationError: A prompt is a chat and the model has no way to read one.
        """
        return self._decoded({at: self.reader.read(prompt) for at, prompt in prompts.items()}, rows, sampling)

    @property
    def reader(self) -> PromptReader:
        """What turns prompts into tokens."""
        return PromptReader(tokenizer=self.tokenizer, bos=self.bos, render=self.render)

    def _decoded(
        self, encoded: Mapping[int, list[int]], batch: Sequence[tuple[int, int]], sampling: Sampling
    ) -> list[Completion]:
        rows = [_DecodedRow(p, s, encoded[p], _generator(sampling.seed, p, s)) for p, s in batch]
        training = self.model.training
        self.model.eval()
        try:
            with grouped_attention.without_copies(self.model):
                self._decode(rows, sampling)
        finally:
            self.model.train(training)
        return list(map(_completion, rows))

    @torch.inference_mode()
    def _decode(self, rows: list[_DecodedRow], sampling: Sampling) -> None:
        cache, logits, mask = self._prefill(rows)
        live = rows
        for _ in range(sampling.max_new_tokens):
            chosen = _choose(logits.float().cpu(), sampling, [row.generator for row in live])
            keep = [
                index
                for index, (row, token) in enumerate(zip(live, chosen, strict=True))
                if self._grow(row, token, sampling)
            ]
            if not keep:
                return
            if len(keep) < len(live):
                places = torch.tensor(keep, device=mask.device)
                cache.batch_select_indices(places)
                mask, live = mask[places], [live[index] for index in keep]
            ids = torch.tensor([[row.ids[-1]] for row in live], device=mask.device)
            mask = torch.cat([mask, mask.new_ones(len(live), 1)], dim=1)
            logits = self._forward(ids, mask, cache)
        for row in live:
            row.finished = "length"

    def _prefill(self, rows: list[_DecodedRow]) -> tuple[DynamicCache, Tensor, Tensor]:
        """Read each distinct prompt once; return the cache, the logits [B, V] and the mask [B, S] of every row."""
        first = {row.prompt_index: row.prompt for row in reversed(rows)}
        prompts = dict(sorted(first.items(), key=lambda item: (len(item[1]), item[0])))
        width = max(map(len, prompts.values()))
        device = self.model.device
        ids = torch.tensor([[self.pad] * (width - len(ids)) + ids for ids in prompts.values()], device=device)
        starts = torch.tensor([[width - len(ids)] for ids in prompts.values()], device=device)
        mask = (torch.arange(width, device=device) >= starts).long()
        cache = caches.growing(self.model.config)
        logits = self._forward(ids, mask, cache)
        if len(prompts) < len(rows):
            place = {prompt_index: at for at, prompt_index in enumerate(prompts)}
            each = torch.tensor([place[row.prompt_index] for row in rows], device=device)
            cache.batch_select_indices(each)
            logits, mask = logits[each], mask[each]
        return cache, logits, mask

    def _forward(self, ids: Tensor, mask: Tensor, cache: DynamicCache) -> Tensor:
        """Return the logits [B, V] after the last of ``ids`` [B, S]."""
        positions = (mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        output = self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: Tensor = output.logits[:, -1]
        return logits

    def _grow(self, row: _DecodedRow, token: int, sampling: Sampling) -> bool:
        """Append a token; False when the row has stopped."""
        if token in self.eos:
            row.finished = "eos"
            return False
        row.ids.append(token)
        row.text = self.tokenizer.decode(row.ids)
        cut = min((at for stop in sampling.stop if (at := row.text.find(stop)) >= 0), default=-1)
        if cut >= 0:
            row.text, row.finished = row.text[:cut], "stop"
        return cut < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptReader:
    """Turns prompts into tokens.

    Args:
        tokenizer: Must not add special tokens by itself.
        bos: Put before each prompt that is plain text, unless it is None.
        render: Turns a chat into the text the model was taught, special tokens and all; None for models without.
    """

    tokenizer: TokenizerLike
    bos: int | None
    render: Callable[[Chat], str] | None

    def read(self, prompt: Prompt) -> list[int]:
        """Return the token ids of a prompt.

        Raises:
            ConfigurationError: It is a chat and the model has no way to read one.
        """
        if isinstance(prompt, str):
            return [*([] if self.bos is None else [self.bos]), *self.tokenizer.encode(prompt)]
        if self.render is None:
            raise ConfigurationError("this model has no chat template", hint="use a prompt style that is plain text")
        return self.tokenizer.encode(self.render(prompt))


def batches(encoded: Sequence[Sequence[int]], samples: int, size: int) -> list[list[tuple[int, int]]]:
    """Return who shares a batch, as (index of the prompt, number of the sample): prompts of a length go together.

    Args:
        encoded: Tokens of each prompt.
        samples: Samples of each.
        size: Rows of a batch.
    """
    rows = [(prompt, sample) for prompt in range(len(encoded)) for sample in range(samples)]
    rows.sort(key=lambda row: (len(encoded[row[0]]), *row))
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _completion(row: _DecodedRow) -> Completion:
    return Completion(
        prompt_index=row.prompt_index,
        sample_index=row.sample_index,
        text=row.text,
        finished=row.finished,
        prompt_tokens=len(row.prompt),
        new_tokens=len(row.ids),
    )


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
