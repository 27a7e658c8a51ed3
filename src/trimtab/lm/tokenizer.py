"""A byte-level BPE tokenizer: any text there and back, digits one by one.

Digits are split because a constant is copied, not memorized; bytes are the alphabet because then nothing is unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from tokenizers import Tokenizer as Engine
from tokenizers import decoders, models, pre_tokenizers, trainers

from trimtab.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

PAD, BOS, EOS = 0, 1, 2
SPECIALS: Final = ("<pad>", "<bos>", "<eos>")
SMALLEST_VOCABULARY: Final = len(SPECIALS) + 256


class Tokenizer:
    """Text to token ids and back; adds no special token by itself and reads none from text."""

    def __init__(self, engine: Engine) -> None:
        engine.encode_special_tokens = True  # "<eos>" in a text is five signs, not the end
        self._engine = engine

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int) -> Tokenizer:
        """Learn merges from ``texts``; the same texts give the same tokenizer.

        Raises:
            ConfigurationError: ``vocab_size`` has no room for the bytes and the special tokens.
        """
        if vocab_size < SMALLEST_VOCABULARY:
            raise ConfigurationError(f"vocab_size {vocab_size} is less than {SMALLEST_VOCABULARY}: bytes and specials")
        engine = Engine(models.BPE())
        engine.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
        engine.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=list(SPECIALS),
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        engine.train_from_iterator(texts, trainer)
        return cls(engine)

    @classmethod
    def load(cls, path: Path) -> Tokenizer:
        """Read what :meth:`save` wrote."""
        return cls(Engine.from_file(str(path)))

    def save(self, path: Path) -> None:
        """Write ``tokenizer.json`` as the tokenizers library reads it."""
        self._engine.save(str(path))

    @property
    def vocab_size(self) -> int:
        """Number of token ids, special ones included."""
        return int(self._engine.get_vocab_size())

    def encode(self, text: str) -> list[int]:
        """Return the token ids of ``text``."""
        return list(self._engine.encode(text, add_special_tokens=False).ids)

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text, on all cores."""
        return [encoding.ids for encoding in self._engine.encode_batch_fast(list(texts), add_special_tokens=False)]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids``; special tokens are silent, half a character is U+FFFD."""
        return str(self._engine.decode(list(ids), skip_special_tokens=True))

    def byte_lengths(self) -> NDArray[np.int64]:
        """Return how many bytes of text each id stands for; 0 for the special ones."""
        # One character of the byte-level alphabet is one byte.
        lengths = [len(self._engine.id_to_token(number) or "") for number in range(self.vocab_size)]
        lengths[: len(SPECIALS)] = [0] * len(SPECIALS)
        return np.array(lengths, dtype=np.int64)
