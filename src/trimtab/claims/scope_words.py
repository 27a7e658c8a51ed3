"""What stands above a sentence or a table, and may make other numbers of everything below it: "Dev split", "4-bit".

A heading, a caption or a sentence such as "All numbers in this section are zero-shot" says how numbers came about, and
no list holds all of such words. So every word of them may, but for names and the few that headings are made of. Where
the source has the word in its own headers or caption, too, it sets nothing apart.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trimtab.claims.header_reader import USUAL_METRICS
from trimtab.claims.number_kinds import numbers
from trimtab.claims.other_measurements import may_change
from trimtab.claims.text_range import TextRange, outside
from trimtab.claims.wording import WORD, any_case, word_set

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trimtab.claims.name_registry import Mention, Registry
    from trimtab.claims.vocabulary import HeaderVocabulary
    from trimtab.documents.parts import Document

_HEADINGS: Final = word_set("""
main results result experiment experiments experimental evaluation evaluations setup introduction abstract conclusion
conclusions discussion analysis benchmark benchmarks performance summary overview comparison comparisons
findings
quantitative key highlights news updates update model models background related work readme report paper study
leaderboard tables table figure figures key takeaways takeaway details what how we our the quality downstream research
project
ours et al avg all baseline baselines methods method systems capabilities general about across different various several
""")
_HEADERS: Final = word_set("""
a an the of on in and or for model models method methods system systems name score scores acc accuracy result results
value values performance benchmark benchmarks dataset datasets task tasks ours our et al average avg mean
""")
"""Words of headers that make no other quantity of a number."""
SYMBOL: Final = re.compile("[\u00b1\u0394#]")
"""Marks in headers that make a spread, a difference or a count of a number."""
# "4.2 Results", "Table 3": the number says nothing of the results.
_NUMBERED: Final = any_case(
    r"^\W*(?:[A-Z]|\d+)(?:\.\d+)*[.):]?\s+|\b(?:table|figure|fig|section|appendix)s?\.?\s*[A-Z]?\d+"
)
_SETTING: Final = any_case(
    r"dev|development|validation|val|splits?|subsets?|replications?|reproductions?|errors?|external|quantized|hypothes[ei]s"
    r"|drafts?|wrong|incorrect|\d+-?bits?|int[48]|fp(?:4|8|16)|(?:\d+|zero|one|few)-shot|minutes|latency|energy|seconds"
    r"|ranks?"
)
_ABOVE: Final = any_case(
    r"\b(?:in this (?:section|part|chapter)|as follows|the following|hypothes[ei]s|wanted to test|drafts?|wrong"
    r"|incorrect|others? (?:report|claim|found)\w*|could not reproduce|did the same|as a whole"
    r"|(?:all|these|the (?:published|reported|following)) (?:numbers|results|scores|values|figures))\b"
)
"""How a sentence without a result speaks of those that follow."""


def scope_words(text: str, registry: Registry, vocabulary: HeaderVocabulary) -> tuple[str, ...]:
    """Return the words and numbers of a heading or a caption that may make other numbers of what stands under it."""
    names = [name for name in _known(text, registry, vocabulary) if name.kind != "metrics" or name.id in USUAL_METRICS]
    words = _left(_NUMBERED.sub(lambda match: " " * len(match[0]), text), names)
    return tuple(word for word in words if may_change(word) and word.casefold() not in _HEADINGS)


def header_words(text: str, registry: Registry, vocabulary: HeaderVocabulary) -> tuple[str, ...]:
    """Return the words of a table's headers that may make another quantity of a number: "rank" of "MMLU rank"."""
    words = (word for word in _left(text, _known(text, registry, vocabulary)) if word.casefold() not in _HEADERS)
    return (*words, *SYMBOL.findall(text))


def sets_apart(word: str) -> bool:
    """Whether a word is of a setting or a measure, so that it certainly makes other numbers of what stands below it."""
    return bool(_SETTING.fullmatch(word))


def _known(text: str, registry: Registry, vocabulary: HeaderVocabulary) -> list[Mention]:
    """Return the names of a text that are known; one that nobody knows may be what all numbers below it are of."""
    names = registry.mentions(text, vocabulary)
    return [name for name in names if name.kind != "models" or name.id in vocabulary]


def _left(text: str, names: Sequence[Mention]) -> dict[str, None]:
    """Return the words outside some names of a text, in order."""
    words = (TextRange.of(word) for word in WORD.finditer(text))
    return dict.fromkeys(text[word.start : word.end] for word in outside(words, names))


def speaks_of_what_follows(text: str) -> bool:
    """Whether a sentence says something about the numbers of those behind it."""
    return bool(_ABOVE.search(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class AboveLine:
    """What stands above a line of a document: its headings, sentences that speak of what follows, and the last one."""

    line: int
    section: str = ""
    speaking: tuple[str, ...] = ()
    last: str = ""

    @property
    def sentences(self) -> tuple[str, ...]:
        """The sentences that may speak of what follows; one with a result speaks of itself."""
        if not self.last or any(number.kind == "value" for number in numbers(self.last)):
            return self.speaking
        return tuple(dict.fromkeys((*self.speaking, self.last)))


def lines_above(document: Document) -> list[AboveLine]:
    """Return, in order, what stands above each line; the last sentence before a table may be what it is called."""
    lines = [AboveLine(line=0)]
    speaking: tuple[str, ...] = ()
    for span in document.spans:
        if span.kind != "sentence" or span.position.line is None:
            continue
        if span.section != lines[-1].section:
            speaking = ()
        if speaks_of_what_follows(span.text):
            speaking += (span.text,)
        lines.append(AboveLine(line=span.position.line, section=span.section, speaking=speaking, last=span.text))
    return lines


def above_line(lines: Sequence[AboveLine], line: int | None) -> AboveLine:
    """Return what stands above a line; nothing for a page of a PDF, which has none."""
    return lines[bisect_right(lines, line or 0, key=lambda above: above.line) - 1]
