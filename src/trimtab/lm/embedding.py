"""Sentence embeddings by a local transformers model: the mean of its last hidden states, at length one.

One text at a time, so that a vector depends on its text alone and not on what else was in the batch.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from trimtab.errors import ConfigurationError
from trimtab.lm import pretrained
from trimtab.moe.whole_weights import load_whole

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(slots=True, kw_only=True)
class LocalEmbedder:
    """A model in a folder, or in a GGUF file, as an embedder. It is loaded when the first vector is wanted.

    Args:
        path: The folder that transformers can load, or the file. Nothing is downloaded.
        longest: Tokens read of a text; the rest is cut off.
    """

    path: Path
    longest: int = 512
    _loaded: list[Any] = field(default_factory=list, repr=False)
    _sha256: str = ""

    @property
    def name(self) -> str:
        """Return the last part of the path."""
        return self.path.name

    @property
    def sha256(self) -> str:
        """Return the SHA-256 over the names and bytes of the model's files.

        Raises:
            ConfigurationError: There are none.
        """
        if not self._sha256:
            parts = sorted(self.path.rglob("*")) if self.path.is_dir() else [self.path]
            files = [part for part in parts if part.is_file()]
            if not files:
                raise ConfigurationError(f"there is no model in {self.path}", hint="name a model's folder, or a .gguf")
            whole = hashlib.sha256()
            for part in files:
                with part.open("rb") as file:
                    whole.update(part.name.encode() + b"\0" + hashlib.file_digest(file, "sha256").digest())
            self._sha256 = whole.hexdigest()
        return self._sha256

    def embed(self, text: str) -> NDArray[np.float32]:
        """Return the vector of a text, [D], of length one.

        Raises:
            ConfigurationError: The model cannot be loaded, or gives numbers that are none.
        """
        if not self._loaded:
            self._loaded.extend(_load(self.path))
        tokenizer, network = self._loaded
        read = tokenizer(text, truncation=True, max_length=self.longest, return_tensors="pt")
        with torch.inference_mode():
            states = network(input_ids=read["input_ids"], attention_mask=read["attention_mask"]).last_hidden_state
        vector = states[0].float().mean(dim=0)
        length = float(vector.norm())
        if not np.isfinite(length) or length == 0:
            raise ConfigurationError(f"the model {self.name} gives no vector for {text[:60]!r}")
        unit: NDArray[np.float32] = (vector / length).numpy()
        return unit


def _load(path: Path) -> tuple[Any, Any]:
    place, options = pretrained.place(str(path))
    try:
        with pretrained.quiet():
            tokenizer = AutoTokenizer.from_pretrained(place, local_files_only=True, **options)
            # A head is not needed: a model for embeddings is often the trunk of one that was trained for another task.
            head = r"pooler\.|^(lm_head|cls|score|classifier|qa_outputs)\."
            network: Any = load_whole(
                AutoModel, place, exempt=head, local_files_only=True, dtype=torch.float32, **options
            )
    except (OSError, ValueError, KeyError) as error:
        raise ConfigurationError(
            f"the model in {path} cannot be loaded: {error}",
            hint="name a folder that transformers can load, or a .gguf",
        ) from error
    return tokenizer, network.eval()
