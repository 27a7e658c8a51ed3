"""What a sentence talks about: names, values and citation marks, each with its place.

A model's name is known from the registry, from the headers of the sources' tables, or by its shape: a word with a
digit, a hyphen before a digit or a capital inside. Numbers that describe a setting, count sections or belong to a name
are no values.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from trimtab.claims.claim_model import Citation
from trimtab.claims.name_registry import Mention, joined
from trimtab.claims.text_range import TextRange
from trimtab.claims.wording import key, word_set

if TYPE_CHECKING:
    from trimtab.claims.name_registry import Registry
    from trimtab.claims.vocabulary import Vocabulary

_SHAPED: Final = re.compile(r"(?<![\w@/.-])[A-Za-z][\w.+]*(?:-[\w.+]*\w)*(?<![.+])|(?<![\w@/.-])[A-Za-z][\w.+]*\w")
_NOT_NAMES: Final = word_set("""
moe moes relu gelu github openai deepmind pytorch arxiv huggingface transformers python3 cpu gpu gpus llm llms sota
pass1 pass5 pass10 pass100 top1 top2 topk figure1 appendix latex json
""")
_CHIP: Final = re.compile(r"(?:NVIDIA-?)?(?:[ABHLPTV]\d{2,3}[A-Z]?|RTX-?\d+\w*|TPUv?\d\w*|MI\d{3}X?)(?:s|-\w+)*")
_NAME: Final = r"[A-Z\u00c0-\u017d][\w'\u2019\-]+"
_NOBODY: Final = (
    r"(?!(?:In|Since|From|Until|During|By|Of|On|For|At|The|This|Early|Late|Mid|Table|Figure|Section|Version"
    r"|Jan\w*|Feb\w*|Mar|March|Apr\w*|May|June?|July?|Aug\w*|Sep\w*|Oct\w*|Nov\w*|Dec\w*)\b)"
)
_CITED: Final = re.compile(rf"({_NOBODY}{_NAME}(?:\s+(?:and|&)\s+{_NAME}|\s+et\s+al\.?)?),?\s+\(?((?:19|20)\d\d)[a-z]?")
_BRACKETS: Final = re.compile(
    rf"\s*\((?:see\s+|e\.g\.,?\s+)?(?:{_CITED.pattern}[;,]?\s*)+\)|\s*\[\d+(?:\s*[,\u2013-]\s*\d+)*\]"
)
_ADDRESS: Final = re.compile(
    r"(?:https?://)?(?:www\.)?arxiv\.org/(?:abs|pdf)/(?P<url>\d{4}\.\d{4,5})(?:v\d+)?"
    r"|arxiv[:\s]\s*(?P<id>\d{4}\.\d{4,5})(?:v\d+)?"
    r"|(?:https?://(?:dx\.)?doi\.org/|doi:\s*)(?P<doi>10\.\d{4,9}/[^\s>\])},]+)",
    re.IGNORECASE,
)
MARKS: Final = (_BRACKETS, _CITED, _ADDRESS, re.compile(r"https?://\S+"))
"""Expressions whose numbers are citation marks or addresses."""


def find(text: str, registry: Registry, vocabulary: Vocabulary | None = None) -> list[Mention]:
    """Return the names in ``text`` in order: registered ones, known models, then what has the shape of one."""
    known = registry.find(text, more=vocabulary)
    shaped = [
        Mention(match.start(), match.end(), id=key(match[0]), kind="models", text=match[0])
        for match in _SHAPED.finditer(text)
        if not any(TextRange.of(match).overlaps(mention) for mention in known)
        and _looks_like_a_model(match[0])
        and not joined(text, *match.span())
    ]
    return sorted((*known, *shaped), key=lambda mention: mention.start)


def _looks_like_a_model(word: str) -> bool:
    """Whether a word has the shape of a model's name.

    >>> [word for word in ("DeepseekCoder-33B-instruct", "o1-mini", "instruction-tuned") if _looks_like_a_model(word)]
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


def citations(text: str) -> list[Citation]:
    """Return the citation marks of ``text``: authors with a year, and addresses of works."""
    authors = [
        Citation(text=match[0] + ")" * ("(" in match[0]), authors=match[1], year=int(match[2]))
        for match in _CITED.finditer(text)
    ]
    return authors + [Citation(text=match[0], work=work_id(match)) for match in _ADDRESS.finditer(text)]


def addresses(text: str) -> list[tuple[str, int, int]]:
    """Return the works a text points to by address, as ids with their places."""
    return [(work_id(match), match.start(), match.end()) for match in _ADDRESS.finditer(text)]


def work_id(match: re.Match[str]) -> str:
    """Return the id of a matched address: "arxiv:2412.21199" or "doi:10.…"."""
    arxiv = match["url"] or match["id"]
    return f"arxiv:{arxiv}" if arxiv else f"doi:{match['doi'].rstrip('.').lower()}"


def without_citations(text: str) -> str:
    """Return text without its citation marks.

    >>> without_citations("MBPP (Austin et al., 2021) has tests [3, 4].")
    'MBPP has tests.'
    """
    return " ".join(_BRACKETS.sub("", text).split())
