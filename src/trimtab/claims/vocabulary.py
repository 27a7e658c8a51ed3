"""The headers of the sources' tables as vocabulary: which of them name systems, and which what was measured.

A table has its systems on one axis and its benchmarks on the other. Known benchmarks and metrics say which is which;
where there are none, the axis with more names of the shape of a model's has the systems; else the rows have.
A name may be spread over columns or rows (name, size, variant), so every run of neighboring parts is a name, too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

from trimtab.claims.text_range import TextRange
from trimtab.claims.wording import SAYING, any_case, key, name_words, stem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trimtab.claims.setting_columns import SettingHead

_WITHOUT: Final = any_case(r"^\s*(?:w/o\.?|without)\s+")
# A hyphen or dash before a capital, or before "w/o", may as well mark a row that belongs to the one above.
_MINUS: Final = re.compile(r"^\s*(?:\u2212\s*(?=[A-Za-z])|[\u2013\u2014-]\s+(?=[a-z]))(?!w/|with)")
_DASH: Final = re.compile(r"^\s*[\u2212\u2013\u2014-]\s+")
_WITH: Final = any_case(r"^\s*(?:[\u2514\u21b3\u2570>]\s*)?(?:\+|w/|with\b|&)\s*")
_BRACKET: Final = re.compile(r"\s*[(\[][^()\[\]]*[)\]]\s*$")
_SELF: Final = any_case(r"\bours?\b|this (?:work|paper)|et al|\b(?:19|20)\d\d\b|shot|pass@|%|^\W*$")
_MARKS: Final = re.compile(r"[\s*\u2020\u2021\u00a7\u00b6\u2217\u2191\u2193]+$")

GENERIC: Final = SAYING | frozenset(map(stem, SAYING)) | {"acc", "avg", "%", "\u2191", "\u2193"}
"""Words that name nothing in a header."""
ORDINARY: Final = frozenset(
    {"model", "models", "method", "methods", "name", "average", "avg", "all", "total", "overall"}
)
"""Headers that are no names."""

SYSTEM_BEHIND: Final = re.compile(
    r"\s(?:baseline|model|method|approach|system|classifier|variant|network|architecture|policy|prior|scheduler|strategy)\b"
)
"""What makes a system of an ordinary word before it."""
SHAPED: Final = re.compile(r"[A-Za-z]\d|\d[A-Za-z]|[a-z][A-Z]|[A-Za-z]-\d")
"""What a model's name looks like."""

# A measure's height, and not whether it is better, which its header may not say; a high rank is a low number.
_COMPARED_BEFORE: Final = any_case(r"\b(?:higher|lower|greater|smaller|larger)\s+$")
_MOST_BEFORE: Final = any_case(r"\bthe\s+(?:highest|lowest)\s+$")
_RANKS: Final = frozenset({"rank", "ranking", "place", "position"})

Axis = Literal["row", "column"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderTerm:
    """A header as a name in sentences.

    Attributes:
        kind: "models" for a system, "benchmarks" for what was measured.
        spellings: As printed; an ordinary word in other letters is no name ("Base", but not "base"). None: in any
            letters.
        either: Whether it may be told of as a system and as what was measured, for tables have it as both.
    """

    kind: str
    spellings: frozenset[str]
    either: bool = False

    def printed(self, text: str, start: int) -> TextRange | None:
        """Return where the longest of its spellings stands in a text as it is printed, its first word at ``start``."""
        places = (
            TextRange(begin, begin + len(spelling))
            for spelling in self.spellings
            for begin in (start - lead(spelling),)
            if begin >= 0 and text.startswith(spelling, begin)
        )
        return max(places, key=lambda place: place.end - place.start, default=None)

    def fits(self, text: str, start: int, end: int) -> bool:
        """Whether words of a sentence are this name; an ordinary word is with a noun behind it: "hybrid model".

        A measure in small letters is one where its height is said: "a lower recall than", "a recall of 0.7".
        """
        word = text[start:end]
        if not word.isalpha() or not self.spellings or word in self.spellings:
            return True
        if self.kind == "models":
            return SYSTEM_BEHIND.match(text, end) is not None
        before = text[:start]
        return word not in _RANKS and bool(
            (_COMPARED_BEFORE.search(before) and re.match(r"\s+than\b", text[end:]))
            or _MOST_BEFORE.search(before)
            or (re.search(r"\b(?:an?|the)\s+$", before) and re.match(r"\s+of\s+\d", text[end:]))
        )


def lead(spelling: str) -> int:
    """Return how many characters stand before the first word of a spelling."""
    return next((word.start for word in name_words(spelling)), 0)


class HeaderVocabulary(dict[str, HeaderTerm]):
    """key → term; see :func:`~trimtab.claims.wording.key`.

    Args:
        terms: The terms.
        settings: The columns that say how the rows of their tables were measured.
    """

    def __init__(
        self, terms: Mapping[str, HeaderTerm] = MappingProxyType({}), settings: Sequence[SettingHead] = ()
    ) -> None:
        super().__init__(terms)
        self.settings = settings


NO_HEADERS: Final = HeaderVocabulary()
"""Of no tables."""


def called(part: str) -> str:
    """Return a header as it is named in words: "− tool use" is without tool use, and never called by what it lacks.

    >>> called("\u2212 tool use"), called("+ tool use")
    ('without tool use', '+ tool use')
    """
    minus = _MINUS.match(part)
    return f"without {part[minus.end() :]}" if minus else part


@lru_cache(maxsize=65536)
def spellings(part: str) -> tuple[str, ...]:
    """Return what one header may be called: as printed, without marks and brackets at its end, with its "+" in words.

    >>> spellings("+ execution feedback")
    ('+ execution feedback', 'with execution feedback', 'execution feedback')
    >>> spellings("Foo-7B (ours)")
    ('Foo-7B (ours)', 'Foo-7B')
    """
    part = called(part)
    names = [part]
    if (match := _WITHOUT.match(part)) or (match := _DASH.match(part)):
        names.append(f"without {part[match.end() :]}")
    elif match := _WITH.match(part):
        names += [f"with {part[match.end() :]}", part[match.end() :]]
    plain = _MARKS.sub("", part)
    names += [plain, _MARKS.sub("", _BRACKET.sub("", plain))]
    return tuple(dict.fromkeys(text for text in names if text.strip()))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunName:
    """What a run of header parts may be called.

    Attributes:
        text: The spelling.
        behind: Parts of the path behind the run.
        cut: Whether the name leaves out what stands in brackets at its end.
    """

    text: str
    behind: int
    cut: bool

    @property
    def open(self) -> int:
        """How much of the header the name leaves open."""
        return self.behind + self.cut


def _in_words(part: str) -> str:
    """Return a header without marks and brackets at its end, and with its "+" as "with"."""
    return next((text for text in spellings(part) if text.startswith(("with ", "without "))), spellings(part)[-1])


@lru_cache(maxsize=65536)
def names(path: tuple[str, ...]) -> Mapping[str, RunName]:
    """Return, by its key, the name of every run of neighboring parts of a path.

    Open are the parts behind the run, and what stands in brackets at its end: "GPT-4 (March)" may be called GPT-4.
    """
    by_key: dict[str, RunName] = {}
    for start in range(len(path)):
        for end in range(start + 1, min(len(path), start + 6) + 1):
            run = path[start:end]
            texts = spellings(run[0]) if len(run) == 1 else (" ".join(map(called, run)), " ".join(map(_in_words, run)))
            bracket = _BRACKET.search(_MARKS.sub("", run[-1]))
            for text in texts:
                cut = bool(bracket and not _SELF.search(bracket[0]) and bracket[0].strip() not in text)
                name, squashed = RunName(text=text, behind=len(path) - end, cut=cut), key(text)
                if squashed and (squashed not in by_key or by_key[squashed].open > name.open):
                    by_key[squashed] = name
    return by_key


def nameable(name: str, printed: str = "") -> bool:
    """Whether a header's key can be a name in a sentence: no number, no single letter, no word of saying.

    One of two letters is a name where it is printed in capitals: "IS" is a measure, and "is" is none.
    """
    if re.fullmatch(r"[\d.]+[bmkt]?", name):
        return False
    if len(name) == 2 and name.isalpha() and name.isascii():
        return printed.strip().isupper()
    return len(name) > 1 and name not in SAYING and name not in ORDINARY
