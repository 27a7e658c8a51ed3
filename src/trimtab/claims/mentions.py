"""The names in a sentence, each with its place.

A model's name is known from the registry, from the headers of the sources' tables, or by its shape: a word with a
digit, a hyphen before a digit or a capital inside.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from trimtab.claims.name_registry import Mention, joined
from trimtab.claims.text_range import TextRange
from trimtab.claims.wording import key, word_set

if TYPE_CHECKING:
    from trimtab.claims.name_registry import Registry
    from trimtab.claims.vocabulary import HeaderVocabulary

_SHAPED: Final = re.compile(r"(?<![\w@/.-])[A-Za-z][\w.+]*(?:-[\w.+]*\w)*(?<![.+])|(?<![\w@/.-])[A-Za-z][\w.+]*\w")
_NOT_NAMES: Final = word_set("""
moe moes relu gelu github openai deepmind pytorch arxiv huggingface transformers python3 cpu gpu gpus llm llms sota
pass1 pass5 pass10 pass100 top1 top2 topk figure1 appendix latex json
""")
_CHIP: Final = re.compile(r"(?:NVIDIA-?)?(?:[ABHLPTV]\d{2,3}[A-Z]?|RTX-?\d+\w*|TPUv?\d\w*|MI\d{3}X?)(?:s|-\w+)*")


def find(text: str, registry: Registry, vocabulary: HeaderVocabulary | None = None) -> list[Mention]:
    """Return the names in ``text`` in order: registered ones, known models, then what has the shape of one."""
    known = registry.find(text, more=vocabulary)
    shaped = [
        Mention(match.start(), match.end(), id=key(match[0]), kind="models", text=match[0])
        for match in _SHAPED.finditer(text)
        if not any(TextRange.of(match).overlaps(mention) for mention in known)
        and looks_like_a_model(match[0])
        and not joined(text, *match.span())
    ]
    return sorted((*known, *shaped), key=lambda mention: mention.start)


@lru_cache(maxsize=65536)
def looks_like_a_model(word: str) -> bool:
    """Whether a word has the shape of a model's name.

    >>> [word for word in ("DeepseekCoder-33B-instruct", "o1-mini", "instruction-tuned") if looks_like_a_model(word)]
    ['DeepseekCoder-33B-instruct', 'o1-mini']
    """
    if (
        key(word) in _NOT_NAMES
        or _CHIP.fullmatch(word)
        or len(word) < 3
        or re.fullmatch(r"\w+-(?:shot|of-\w+)|[Tt]op-\d+", word)
    ):
        return False
    if re.search(r"-(?:based|style|like|free|level|trained|tuned|aware|hours?|only|shot|pro)$", word):
        return bool(re.search(r"\d", word))
    hyphened = "-" in word and re.search(r"[a-z][A-Z]|[A-Z]{2}[\w.+]*-|-[A-Z0-9]", word)
    return bool(re.search(r"\d", word) or hyphened)
