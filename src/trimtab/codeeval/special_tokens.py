"""The special tokens of a model's tokenizer, read from its files: no tokenizer is loaded for that.

A reply may still hold them where a server, or another tool, decoded it with them. Those of most families are known by
their shape (:mod:`trimtab.codeeval.reply_marks`); these are known exactly.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from trimtab.disk import read_json
from trimtab.errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FILES: Final = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
# A word, or a sign or two, would be found in every program.
_PLAIN: Final = re.compile(r"[\w\s]*|[^\w\s]{1,2}|`+")


def read(path: Path) -> tuple[str, ...]:
    """Return the special tokens that the files of a tokenizer name, in their order.

    Args:
        path: The folder of a model or tokenizer, or one of its files.

    Raises:
        BenchmarkError: There is no such file, it is damaged, or it names no special token.
    """
    files = [path] if path.is_file() else [path / name for name in _FILES if (path / name).is_file()]
    if not files:
        raise BenchmarkError(f"{path} has no tokenizer: expected a folder with {' or '.join(_FILES)}")
    texts = dict.fromkeys(text for file in files for text in _named(read_json(file, error=BenchmarkError)))
    tokens = tuple(text for text in texts if not _PLAIN.fullmatch(text))
    if not tokens:
        raise BenchmarkError(f"{path} names no special token")
    return tokens


def _named(config: Any) -> Iterator[str]:  # noqa: ANN401 - whatever a file holds
    """Yield what each of the three files calls special: flagged tokens, and the tokens of named roles."""
    if not isinstance(config, dict):
        return
    added = config.get("added_tokens") or []
    decoder = config.get("added_tokens_decoder") or {}
    for token in [*added, *(decoder.values() if isinstance(decoder, dict) else [])]:
        if isinstance(token, dict) and token.get("special") and isinstance(token.get("content"), str):
            yield token["content"]
    extra = config.get("additional_special_tokens") or config.get("extra_special_tokens") or []
    roles = [value for key, value in config.items() if key.endswith("_token")]
    for token in [*roles, *(extra.values() if isinstance(extra, dict) else extra)]:
        text = token.get("content") if isinstance(token, dict) else token
        if isinstance(text, str):
            yield text
