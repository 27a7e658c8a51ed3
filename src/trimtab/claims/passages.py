"""Statements against passages: is it said, nearly in these words, with the same numbers, years, names and negations?

Word overlap finds a passage and says nothing about its stance (measured: AUC 0.557 for support against refutation on
CLIMATE-FEVER). So a passage supports only when the statement's words stand in it in order, and everything that can
turn a sentence around is equal: every number and its order, every name, the parity of negations, and no word replaced
by its opposite. One replaced number or an opposite contradicts; one replaced name says it of something else.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Final, Literal

from trimtab.claims import mentions
from trimtab.claims.vocabulary import HeaderTerm, HeaderVocabulary
from trimtab.claims.wording import OPPOSITES, content, negates, plain, stem, stems, tokens, word_set
from trimtab.documents import numerals

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trimtab.claims.name_registry import Mention, Registry
    from trimtab.documents.parts import Document, Span

NEAR: Final = 0.8
"""Share of the statement's words that must stand in a passage, in order, to call it nearly verbatim."""

PART: Final = 0.55
"""The same, to call it said in part; also the share that a few neighboring sentences must hold together."""

_SHORTLIST: Final = 10
_COMPARES: Final = word_set("""
than over compared outperform outperforms surpass surpasses exceed exceeds beat beats
""")
_NEIGHBORS: Final = 4

Finding = Literal["verbatim", "supported", "partial", "contradicted", "misattributed", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """What one passage, or a few neighboring ones, say about a statement.

    ``matched`` are the runs of words it has in common with the statement, as characters [start, end) of the document.
    """

    finding: Finding
    spans: tuple[Span, ...]
    document: Document
    score: float
    why: str
    start: int
    end: int
    matched: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement, read once.

    Attributes:
        text: Without its citation marks.
        whole: As written.
        names: Ids of the models and benchmarks in it, in order.
    """

    text: str
    whole: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    document: Document
    index: int

    @property
    def span(self) -> Span:
        return self.document.spans[self.index]


class Passages:
    """All sentences of some documents, found by the rare words they share with a statement."""

    def __init__(self, documents: Iterable[Document], registry: Registry) -> None:
        self.registry = registry
        self._places: list[_Place] = []
        self._postings: dict[str, list[int]] = defaultdict(list)
        for document in documents:
            for index, span in enumerate(document.spans):
                if span.kind == "reference":
                    continue
                for word in set(stems(span.text)):
                    self._postings[word].append(len(self._places))
                self._places.append(_Place(document, index))

    def find(self, statement: Statement, documents: frozenset[str]) -> list[Passage]:
        """Return what the passages of ``documents`` (SHA-256) say, the most telling first."""
        words = stems(statement.text)
        if len(words) < 3:
            return []
        shortlist = self._shortlist(set(words), documents)
        found = [judge(statement, place.document, place.span, self.registry) for place in shortlist]
        if shortlist and not any(one.finding in ("verbatim", "supported") for one in found):
            together = [one for place in shortlist[:3] if (one := self._together(set(words), place))]
            found += {one.matched: one for one in together}.values()
        order = ("verbatim", "supported", "contradicted", "misattributed", "partial", "none")
        return sorted(found, key=lambda one: (order.index(one.finding), -one.score))

    def nearest(self, text: str, documents: frozenset[str], most: int) -> list[Span]:
        """Return the sentences of ``documents`` (SHA-256) that share most rare words with a text, nearest first."""
        words = set(stems(text))
        return [place.span for place in self._shortlist(words, documents)[:most]]

    def _shortlist(self, words: set[str], documents: frozenset[str]) -> list[_Place]:
        scores: dict[int, float] = defaultdict(float)
        total = len(self._places) + 1
        for word in sorted(words):
            places = self._postings.get(word, ())
            # A word of every second sentence finds nothing and costs a pass over all of them.
            if places and len(places) <= max(50, total // 2):
                for place in places:
                    scores[place] += math.log(total / len(places))
        ranked = sorted(scores, key=lambda place: (-scores[place], place))
        ranked_places = (self._places[place] for place in ranked)
        return [
            place
            for _, place in zip(
                range(_SHORTLIST), (p for p in ranked_places if p.document.sha256 in documents), strict=False
            )
        ]

    def _together(self, words: set[str], place: _Place) -> Passage | None:
        """Return whether neighboring sentences of one section hold the statement's words together: said in part."""
        spans, at = place.document.spans, place.index
        near = [
            one
            for one in spans[max(0, at - _NEIGHBORS) : at + _NEIGHBORS + 1]
            if one.section == place.span.section and one.kind != "reference"
        ]
        held = {one: words & {stem(word) for word, _, _ in tokens(one.text)} for one in near}
        chosen: list[Span] = []
        covered: set[str] = set()
        while len(chosen) < _NEIGHBORS:
            gain = max(near, key=lambda one: len(held[one] - covered))
            if not held[gain] - covered:
                break
            chosen.append(gain)
            covered |= held[gain]
        share = len(covered) / len(words)
        digits = {word for word in words if word[0].isdigit()}
        if share < NEAR - 0.1 or len(chosen) < 2 or not digits <= covered:
            return None
        chosen.sort(key=lambda one: one.start)
        return Passage(
            finding="partial",
            spans=tuple(chosen),
            document=place.document,
            score=share,
            why=f"{share:.0%} of its words are spread over {len(chosen)} neighboring passages; no single one says it",
            start=chosen[0].start,
            end=chosen[-1].end,
            matched=tuple(run for one in chosen for run in _held(one, words)),
        )


def judge(statement: Statement, document: Document, span: Span, registry: Registry) -> Passage:
    """Return what one passage says about a statement."""
    aligned = _align(statement.text, span.text)
    finding, why = _finding(statement, span, aligned, registry)
    start, end = aligned.window if aligned.pairs else (0, len(span.text))
    return Passage(
        finding=finding,
        spans=(span,),
        document=document,
        score=aligned.score,
        why=why,
        start=span.start + start,
        end=span.start + end,
        matched=tuple((span.start + one, span.start + other) for one, other in aligned.runs),
    )


def _held(span: Span, words: set[str]) -> list[tuple[int, int]]:
    """Return the characters of the runs of a passage's words that are among ``words``."""
    placed = [(stem(word), start, end) for word, start, end in tokens(span.text) if content(word)]
    found = _runs([index for index, (word, _, _) in enumerate(placed) if word in words], placed)
    return [(span.start + start, span.start + end) for start, end in found]


def _runs(indices: Iterable[int], placed: Sequence[tuple[str, int, int]]) -> list[tuple[int, int]]:
    """Return the characters of runs of words; what stands between two words of a run belongs to it."""
    found: list[tuple[int, int]] = []
    last = -2
    for index in indices:
        _, start, end = placed[index]
        if index == last + 1:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
        last = index
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Alignment:
    """The words of a statement beside those of a passage.

    Attributes:
        ours: Stems of the statement's content.
        theirs: Stems of the passage's.
        pairs: Indices of equal words, in order.
        window: Characters of the passage between the first and last paired word.
        runs: Characters of the passage's paired words, neighbors together.
    """

    ours: list[str]
    theirs: list[str]
    pairs: list[tuple[int, int]]
    window: tuple[int, int]
    runs: list[tuple[int, int]]

    @property
    def score(self) -> float:
        return len(self.pairs) / max(1, len(self.ours))

    def left(self) -> tuple[list[str], list[str]]:
        """Return the unpaired words of the statement, and of the passage inside the window."""
        mine, other = {one for one, _ in self.pairs}, {one for _, one in self.pairs}
        low, high = (min(other), max(other)) if other else (0, -1)
        return (
            [word for index, word in enumerate(self.ours) if index not in mine],
            [word for index, word in enumerate(self.theirs) if low - 1 <= index <= high + 1 and index not in other],
        )


def _align(text: str, passage: str) -> _Alignment:
    ours = stems(text)
    placed = [(stem(word), start, end) for word, start, end in tokens(passage) if content(word)]
    theirs = [word for word, _, _ in placed]
    blocks = SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks()
    pairs = [(block.a + step, block.b + step) for block in blocks for step in range(block.size)]
    window = (placed[pairs[0][1]][1], placed[pairs[-1][1]][2]) if pairs else (0, 0)
    runs = _runs([index for _, index in pairs], placed)
    return _Alignment(ours=ours, theirs=theirs, pairs=pairs, window=window, runs=runs)


def _finding(statement: Statement, span: Span, aligned: _Alignment, registry: Registry) -> tuple[Finding, str]:
    if f" {plain(statement.whole)} " in f" {plain(span.text)} ":
        return "verbatim", "the passage holds the statement word for word"
    mine, theirs = aligned.left()
    score = aligned.score
    swapped = [(word, other) for word in mine for other in theirs if other in OPPOSITES.get(word, ())]
    numbers = _numbers(statement.text)
    missing = [one for one in numbers if one not in _numbers(span.text)]
    known = {one: HeaderTerm(kind="models", spellings=frozenset()) for one in statement.names}
    theirs_named = mentions.find(span.text, registry, HeaderVocabulary(known))
    strangers = [one for one in dict.fromkeys(statement.names) if one not in {other.id for other in theirs_named}]
    # What was replaced counts as one place: the sentence around it is what makes the passage the same statement.
    around = (len(aligned.pairs) + len(missing) + len(swapped) + len(strangers)) / max(1, len(aligned.ours))
    overlap = f"{score:.0%} of its words stand in the passage in order"
    if around < NEAR:
        enough = score >= PART and not missing and not strangers and not swapped
        return ("partial", overlap) if enough else ("none", overlap)
    turned = (
        _other_name(strangers, theirs_named, statement)
        or _other_number(missing, numbers, span, aligned)
        or _turned(statement, span, aligned, swapped, theirs_named)
    )
    finding, how = turned or ("supported", "with the same numbers, names and negations")
    return finding, f"{overlap}, {how}"


def _turned(
    statement: Statement,
    span: Span,
    aligned: _Alignment,
    swapped: Sequence[tuple[str, str]],
    named: Sequence[Mention],
) -> tuple[Finding, str] | None:
    """A sentence that is there, turned around."""
    if swapped:
        return "contradicted", f"with {swapped[0][1]!r} where it says {swapped[0][0]!r}"
    window = span.text[slice(*_widened(aligned.window, span.text))]
    if _negations(statement.text) % 2 != _negations(window) % 2:
        return "contradicted", "but one is negated and the other is not"
    if not _in_order(_numbers(statement.text), _numbers(span.text)) or not _same_order(statement, named):
        return "contradicted", "but its numbers or names stand in another order"
    return None


def _other_name(
    strangers: list[str], named: Sequence[Mention], statement: Statement
) -> tuple[Finding, str] | None:  # fmt: skip
    """A sentence that is there, about another name."""
    if not strangers:
        return None
    others = [one.text for one in named if one.id not in statement.names and one.kind in ("models", "benchmarks")]
    if not others or len(strangers) > 1:
        return "none", f"but not {', '.join(strangers)}"
    return "misattributed", f"but of {', '.join(dict.fromkeys(others))}, not {strangers[0]}"


def _other_number(
    missing: list[str], numbers: list[str], span: Span, aligned: _Alignment
) -> tuple[Finding, str] | None:  # fmt: skip
    """A sentence that is there, with another number."""
    if not missing:
        return None
    inside = _numbers(span.text[slice(*_widened(aligned.window, span.text))])
    if len(inside) < len(numbers):
        return "none", f"but not {', '.join(missing)}"
    instead = [one for one in inside if one not in numbers] or inside
    return "contradicted", f"with {', '.join(instead)} where it says {', '.join(missing)}"


def _numbers(text: str) -> list[str]:
    return [format(one.value.normalize(), "f") for one in numerals.read(text)]


def _widened(window: tuple[int, int], text: str) -> tuple[int, int]:
    """Return the window with the word before it: "does not", "without"."""
    before = text[: window[0]].rstrip()
    return max(0, len(before) - 12), window[1]


def _negations(text: str) -> int:
    return sum(negates(word) for word, _, _ in tokens(text))


def _in_order(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    """Whether ``ours`` is a subsequence of ``theirs``."""
    rest = iter(theirs)
    return all(one in rest for one in ours)


def _same_order(statement: Statement, named: Sequence[Mention]) -> bool:
    """Whether the names come in the passage's order; only a comparison depends on it."""
    if not _COMPARES & {word for word, _, _ in tokens(statement.text)}:
        return True
    return _in_order(statement.names, [one.id for one in named])
