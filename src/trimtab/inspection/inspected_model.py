"""A mixture of experts that others trained, loaded to be looked at: its routers, and how to call it on texts."""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from trimtab.errors import ConfigurationError, UnsupportedModelError
from trimtab.inspection.token_windows import windows
from trimtab.lm import pretrained, weights
from trimtab.moe import loading
from trimtab.moe.discovery import find_routers
from trimtab.moe.saving import CONFIG
from trimtab.settings.capacities import Capacity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor

    from trimtab.inspection.domain_texts import DomainText
    from trimtab.inspection.token_windows import TextTokenizer, TokenWindow, WindowBatch
    from trimtab.moe.router import Router

# Beyond this a window costs more attention than it tells about routing; --window asks for more.
USUAL_WINDOW: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectedModel:
    """A model in evaluation mode with at least one router.

    Args:
        name: As it was asked for.
        model: The model; what was attached when it was saved is attached, and dropless.
        tokenizer: Its tokenizer.
        pad, bos: Token ids; no ``bos`` is put in front of a text where it is None.
        routers: Its routers in the order of their layers.
    """

    name: str
    model: Any
    tokenizer: TextTokenizer
    pad: int = 0
    bos: int | None = None
    routers: tuple[Router, ...] = field(init=False)

    def __post_init__(self) -> None:
        routers = tuple(find_routers(self.model))
        if not routers:
            raise UnsupportedModelError(
                f"{self.name} is a dense model: {type(self.model).__name__} has no router",
                hint="a mixture of experts; trimtab.upcycle makes one of a dense model",
            )
        self.model.eval()
        object.__setattr__(self, "routers", routers)

    @property
    def limit(self) -> int:
        """Most tokens that the model reads at once."""
        config = self.model.config.get_text_config()
        return int(getattr(config, "max_position_embeddings", None) or USUAL_WINDOW)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        device: torch.device = next(self.model.parameters()).device
        return device

    def windows(
        self, texts: Iterable[DomainText], *, length: int | None = None, max_tokens: int | None = None
    ) -> Iterator[TokenWindow]:
        """Yield the windows of ``texts``, as long as the model reads and at most ``length`` tokens.

        Raises:
            ConfigurationError: ``length`` is more than the model reads.
        """
        if length is not None and length > self.limit:
            raise ConfigurationError(
                f"windows of {length} tokens are longer than {self.name} reads, {self.limit}",
                hint=f"--window {self.limit} or less",
            )
        size = min(self.limit, length or USUAL_WINDOW)
        return windows(texts, self.tokenizer, length=size, bos=self.bos, max_tokens=max_tokens)

    def run(self, batch: WindowBatch, *, logits: bool = False) -> Any:  # noqa: ANN401 - a model's own output
        """Return what the model gives for a batch; without ``logits`` its head reads as little as it can."""
        mask = batch.attention_mask
        options: dict[str, Any] = {"use_cache": False}
        if not logits and "logits_to_keep" in inspect.signature(self.model.forward).parameters:
            options["logits_to_keep"] = 1
        return self.model(
            input_ids=batch.ids.to(self.device),
            attention_mask=None if mask is None else mask.to(self.device),
            **options,
        )

    @contextmanager
    def selected_logits(self, rows: Tensor) -> Iterator[None]:
        """Inside, the head is given the flattened tokens ``rows`` [N] alone, so that logits are [1, N, V].

        Raises:
            UnsupportedModelError: The model has no head that reads hidden states.
        """
        head = self.model.get_output_embeddings()
        if head is None:
            raise UnsupportedModelError(f"{type(self.model).__name__} has no language-model head to score texts with")
        picked = rows.to(self.device)
        handle = head.register_forward_pre_hook(lambda _head, args: (args[0].flatten(0, -2)[picked][None], *args[1:]))
        try:
            yield
        finally:
            handle.remove()

    def identity(self) -> str:
        """Return what names the checkpoint's weights: a SHA-256 of its files, or a hub name with its commit.

        Raises:
            ConfigurationError: The folder holds no weights.
        """
        path = Path(self.name)
        if path.exists():
            return weights.identity(path)
        return f"{self.name}@{getattr(self.model.config, '_commit_hash', None) or 'unknown'}"


def load(name: str, *, device: str = "cpu", dtype: str = "float32") -> InspectedModel:
    """Load a model to be looked at.

    Args:
        name: A folder (of transformers, or written by :meth:`Gates.save_pretrained`), a GGUF file, or a hub name.
        device: As torch names it.
        dtype: Of weights and activations, as torch names it.

    Raises:
        ConfigurationError: There is no such model, or what is there cannot be read.
        UnsupportedModelError: It is a dense model, or its routers cannot be read.
        MissingExtraError: It is a GGUF file and the package ``gguf`` is not installed.
    """
    folder = Path(name)
    if not (folder / CONFIG).is_file():
        completer = pretrained.load(name, device=device, dtype=dtype)
        return InspectedModel(
            name=name, model=completer.model, tokenizer=completer.tokenizer, pad=completer.pad, bos=completer.bos
        )
    from transformers import AutoTokenizer  # noqa: PLC0415 - heavy, and needed only here

    kind = getattr(torch, dtype, None)
    if not isinstance(kind, torch.dtype):
        raise ConfigurationError(f"torch has no dtype {dtype!r}", hint="for example float32 or bfloat16")
    with pretrained.quiet():
        model, _ = loading.load(folder, capacity=Capacity(), dtype=kind)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"the tokenizer of {name} cannot be loaded: {error}", hint="tokenizer.save_pretrained(folder) beside it"
        ) from error
    pretrained.refuse_empty(tokenizer, name)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    bos = tokenizer.bos_token_id if getattr(tokenizer, "add_bos_token", False) else None
    placed: Any = model
    placed.to(device)
    return InspectedModel(name=name, model=placed, tokenizer=pretrained.HubTokenizer(tokenizer), pad=pad or 0, bos=bos)
