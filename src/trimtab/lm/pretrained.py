"""Models that others trained, as completers: a folder, a name on the Hugging Face hub, or a GGUF file."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from trimtab.errors import ConfigurationError, MissingExtraError
from trimtab.lm.generate import LocalCompleter, PromptReader
from trimtab.moe.whole_weights import check_gguf, gguf_options, load_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trimtab.codeeval.completion import Chat


def refuse_empty(tokenizer: Any, model: str) -> None:  # noqa: ANN401 - transformers' own
    """Refuse a tokenizer that knows no text: transformers 5.17 makes one of a folder without any tokenizer file.

    Raises:
        ConfigurationError: It gives no token for a letter.
    """
    if not tokenizer.encode("a", add_special_tokens=False):
        raise ConfigurationError(
            f"{model} holds a model without a tokenizer", hint="tokenizer.save_pretrained(folder) beside it"
        )


@dataclass(frozen=True, slots=True)
class HubTokenizer:
    """A transformers tokenizer that adds no special token by itself."""

    inner: Any

    def encode(self, text: str) -> list[int]:
        """Return the token ids of ``text``; special tokens spelled out in it are read as such."""
        return list(self.inner.encode(text, add_special_tokens=False))

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids`` as it was written, no spaces removed.

        Tokens that begin, end and fill a text are left out. Other special tokens stay: some models delimit their
        thoughts by them, and a thought without its delimiters is taken for the answer.
        """
        around = {self.inner.bos_token_id, self.inner.eos_token_id, self.inner.pad_token_id}
        inner = [token for token in ids if token not in around]
        return str(self.inner.decode(inner, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def render(self, chat: Chat) -> str:
        """Return a chat in the words of the model's template, ending where the model is to go on."""
        system = [{"role": "system", "content": chat.system}] if chat.system else []
        turns = [*system, {"role": "user", "content": chat.user}]
        return str(self.inner.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)) + chat.prefix


def load(model: str, *, batch_size: int = 64, device: str = "cpu", dtype: str = "float32") -> LocalCompleter:
    """Return a completer over a model that others trained.

    Args:
        model: A folder, a GGUF file, or a name on the hub.
        batch_size: Rows decoded together; part of the result, where rounding decides between near ties.
        device: Where it runs, as torch names it.
        dtype: Of weights and activations, as torch names it.

    Raises:
        ConfigurationError: There is no such model, what is there cannot be read, some of its weights are missing, left
            over or of another shape than it says, or torch lacks the dtype or device.
        MissingExtraError: It is a GGUF file and the package ``gguf`` is not installed.
    """
    where, options = place(model)
    read: dict[str, Any] = gguf_options(Path(model)) if "gguf_file" in options else {}
    kind = _dtype(dtype)
    try:
        with quiet():
            network: Any = load_whole(AutoModelForCausalLM, where, dtype=kind, **options, **read)
            if "gguf_file" in options:
                check_gguf(Path(model), network)
            tokenizer = AutoTokenizer.from_pretrained(where, **options)
            refuse_empty(tokenizer, model)
    except ConfigurationError:
        raise
    except Exception as error:  # a damaged file ends in whatever its reader stumbled over
        raise ConfigurationError(
            f"the model {model!r} cannot be loaded: {error}",
            hint="name a folder that transformers can load, a .gguf file, or a model on the hub",
        ) from error
    try:
        network.to(device)
    except (RuntimeError, AssertionError) as error:  # the second where torch was built without it
        raise ConfigurationError(f"the model cannot be put on the device {device!r}: {error}") from error
    reader = _reader(tokenizer)
    eos = _ends(network, tokenizer)
    return LocalCompleter(
        model=network,
        tokenizer=reader.tokenizer,
        batch_size=batch_size,
        pad=eos[0] if tokenizer.pad_token_id is None else tokenizer.pad_token_id,
        bos=reader.bos,
        eos=eos,
        render=reader.render,
    )


def load_reader(model: str) -> PromptReader:
    """Return what turns prompts into a model's tokens, without its weights.

    Args:
        model: See :func:`load`.

    Raises:
        ConfigurationError: There is no such model, or it has no tokenizer.
        MissingExtraError: It is a GGUF file and the package ``gguf`` is not installed.
    """
    where, options = place(model)
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(where, **options)
            refuse_empty(tokenizer, model)
    except ConfigurationError:
        raise
    except Exception as error:  # a damaged file ends in whatever its reader stumbled over
        raise ConfigurationError(
            f"the tokenizer of {model!r} cannot be loaded: {error}",
            hint="name a folder that transformers can load, a .gguf file, or a model on the hub",
        ) from error
    return _reader(tokenizer)


def _reader(tokenizer: Any) -> PromptReader:  # noqa: ANN401 - transformers' own
    hub = HubTokenizer(tokenizer)
    return PromptReader(
        tokenizer=hub,
        bos=tokenizer.bos_token_id if getattr(tokenizer, "add_bos_token", False) else None,
        render=hub.render if tokenizer.chat_template else None,
    )


def _dtype(name: str) -> torch.dtype:
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise ConfigurationError(f"torch has no dtype {name!r}", hint="for example float32 or bfloat16")
    return dtype


def place(model: str) -> tuple[str, dict[str, Any]]:
    """Return what ``from_pretrained`` is to be given.

    Raises:
        ConfigurationError: There is no such file.
        MissingExtraError: It is a GGUF file and the package ``gguf`` is not installed.
    """
    code = {"trust_remote_code": False}  # unset, a folder with code of its own is asked about, and run at a yes
    if not model.endswith(".gguf"):
        return model, code
    if find_spec("gguf") is None:
        raise MissingExtraError("gguf", extra="gguf")
    path = Path(model)
    if not path.is_file():
        raise ConfigurationError(f"there is no file {model}")
    return str(path.parent), code | {"gguf_file": path.name}


def _ends(network: Any, tokenizer: Any) -> tuple[int, ...]:  # noqa: ANN401 - transformers' own
    """Return the token ids that end a text, by the model's generation settings and its tokenizer."""
    named = getattr(network.generation_config, "eos_token_id", None)
    several = named if isinstance(named, list) else [named]
    tokens = dict.fromkeys(token for token in (*several, tokenizer.eos_token_id) if token is not None)
    if not tokens:
        raise ConfigurationError("the model names no token that ends a text (eos_token_id)")
    return tuple(tokens)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' progress bars off: loading is not what the user waits for."""
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.enable_progress_bar()
