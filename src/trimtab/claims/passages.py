"""Statements against passages: is it said, nearly in these words, with the same numbers, years, names and negations?

Word overlap finds a passage and says nothing about its stance (measured: AUC 0.557 for support against refutation on
CLIMATE-FEVER). So a passage supports only when the statement's words stand in it in order, and everything that can
turn a sentence around is equal: every number and its order, every name, the parity of negations, and no word replaced
by its opposite. One replaced number or an opposite contradicts; one replaced name says it of something else. A citation
mark of another year than the passage's is flagged.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Final, Literal

from trimtab.claims import citation_marks
from trimtab.claims.claim_verdict import Flag
from trimtab.claims.vocabulary import HeaderTerm, HeaderVocabulary
from trimtab.claims.wording import OPPOSITES, content, negates, plain, stem, stems, tokens, word_set
from trimtab.documents import numerals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from trimtab.claims.claim_model import Claim
    from trimtab.claims.name_registry import Mention, Registry
    from trimtab.claims.wording import PlacedWord
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
        passages = [judge(statement, place.document, place.span, self.registry) for place in shortlist]
        if not any(passage.finding in ("verbatim", "supported") for passage in passages):
            together = (_together(set(words), place) for place in shortlist[:3])
            passages += {passage.matched: passage for passage in together if passage}.values()
        order = ("verbatim", "supported", "contradicted", "misattributed", "partial", "none")
        return sorted(passages, key=lambda passage: (order.index(passage.finding), -passage.score))

    def nearest(self, text: str, documents: frozenset[str], most: int) -> list[Span]:
        """Return the sentences of ``documents`` (SHA-256) that share most rare words with a text, nearest first."""
        return [place.span for place in self._shortlist(set(stems(text)), documents)[:most]]

    def _shortlist(self, words: set[str], documents: frozenset[str]) -> list[_Place]:
        scores: dict[int, float] = defaultdict(float)
        total = len(self._places) + 1
        for word in sorted(words):
            places = self._postings.get(word, ())
            # A word of every second sentence finds nothing and costs a pass over all of them.
            if places and len(places) <= max(50, total // 2):
                for place in places:
                    scores[place] += math.log(total / len(places))
        ranked = (self._places[place] for place in sorted(scores, key=lambda place: (-scores[place], place)))
        return list(islice((place for place in ranked if place.document.sha256 in documents), _SHORTLIST))


def _together(words: set[str], place: _Place) -> Passage | None:
    """Return whether neighboring sentences of one section hold the statement's words together: said in part."""
    spans, at = place.document.spans, place.index
    near = [
        span
        for span in spans[max(0, at - _NEIGHBORS) : at + _NEIGHBORS + 1]
        if span.section == place.span.section and span.kind != "reference"
    ]
    held = {span: words & {stem(word) for word, _, _ in tokens(span.text)} for span in near}
    chosen: list[Span] = []
    covered: set[str] = set()
    while len(chosen) < _NEIGHBORS:
        gain = max(near, key=lambda span: len(held[span] - covered))
        if not held[gain] - covered:
            break
        chosen.append(gain)
        covered |= held[gain]
    share = len(covered) / len(words)
    digits = {word for word in words if word[0].isdigit()}
    if share < NEAR - 0.1 or len(chosen) < 2 or not digits <= covered:
        return None
    chosen.sort(key=lambda span: span.start)
    matched: list[tuple[int, int]] = []
    for span in chosen:
        placed = _placed(span.text)
        runs = _runs([index for index, word in enumerate(placed) if word.word in words], placed)
        matched += [(span.start + start, span.start + end) for start, end in runs]
    return Passage(
        finding="partial",
        spans=tuple(chosen),
        document=place.document,
        score=share,
        why=f"{share:.0%} of its words are spread over {len(chosen)} neighboring passages; no single one says it",
        start=chosen[0].start,
        end=chosen[-1].end,
        matched=tuple(matched),
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
        matched=tuple((span.start + first, span.start + last) for first, last in aligned.runs),
    )


def _placed(text: str) -> list[PlacedWord]:
    """Return the stems of the words with content, with their places."""
    return [word._replace(word=stem(word.word)) for word in tokens(text) if content(word.word)]


def _runs(indices: Sequence[int], placed: Sequence[PlacedWord]) -> list[tuple[int, int]]:
    """Return the characters of runs of words; what stands between two words of a run belongs to it."""
    runs: list[tuple[int, int]] = []
    for before, index in pairwise((-2, *indices)):
        start = runs.pop()[0] if index == before + 1 else placed[index].start
        runs.append((start, placed[index].end))
    return runs


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
        mine, its = {index for index, _ in self.pairs}, {index for _, index in self.pairs}
        inside = range(min(its, default=0) - 1, max(its, default=-1) + 2)
        return (
            [word for index, word in enumerate(self.ours) if index not in mine],
            [word for index, word in enumerate(self.theirs) if index in inside and index not in its],
        )


def _align(text: str, passage: str) -> _Alignment:
    ours, placed = stems(text), _placed(passage)
    theirs = [word.word for word in placed]
    blocks = SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks()
    pairs = [(block.a + step, block.b + step) for block in blocks for step in range(block.size)]
    runs = _runs([index for _, index in pairs], placed)
    window = (runs[0][0], runs[-1][1]) if runs else (0, 0)
    return _Alignment(ours=ours, theirs=theirs, pairs=pairs, window=window, runs=runs)


def _finding(statement: Statement, span: Span, aligned: _Alignment, registry: Registry) -> tuple[Finding, str]:
    """Return what a passage does to a statement, and why."""
    if f" {plain(statement.whole)} " in f" {plain(span.text)} ":
        return "verbatim", "the passage holds the statement word for word"
    mine, theirs = aligned.left()
    swapped = [(word, other) for word in mine for other in theirs if other in OPPOSITES.get(word, ())]
    printed = _numbers(span.text)
    missing = [number for number in _numbers(statement.text) if number not in printed]
    known = {name: HeaderTerm(kind="models", spellings=frozenset()) for name in statement.names}
    named = registry.mentions(span.text, HeaderVocabulary(known))
    strangers = [name for name in dict.fromkeys(statement.names) if name not in {other.id for other in named}]
    # What was replaced counts as one place: the sentence around it is what makes the passage the same statement.
    around = (len(aligned.pairs) + len(missing) + len(swapped) + len(strangers)) / max(1, len(aligned.ours))
    overlap = f"{aligned.score:.0%} of its words stand in the passage in order"
    if around < NEAR:
        enough = aligned.score >= PART and not missing and not strangers and not swapped
        return ("partial", overlap) if enough else ("none", overlap)
    start, end = aligned.window
    inside = span.text[max(0, len(span.text[:start].rstrip()) - 12) : end]  # with the word before it: "does not"
    replaced = _replaced(statement, inside, strangers, missing, named)
    finding, how = replaced or _turned(statement, span, inside, swapped, named)
    return finding, f"{overlap}, {how}"


def _replaced(
    statement: Statement, inside: str, strangers: Sequence[str], missing: Sequence[str], named: Sequence[Mention]
) -> tuple[Finding, str] | None:
    """Return what a sentence that is there about another name, or with another number, does; None for any other."""
    numbers, theirs = _numbers(statement.text), _numbers(inside)
    others = [name for name in named if name.id not in statement.names and name.kind in ("models", "benchmarks")]
    if strangers and (not others or len(strangers) > 1):
        return "none", f"but not {', '.join(strangers)}"
    if strangers:
        return "misattributed", f"but of {', '.join(dict.fromkeys(name.text for name in others))}, not {strangers[0]}"
    if missing and len(theirs) < len(numbers):
        return "none", f"but not {', '.join(missing)}"
    if missing:
        instead = [number for number in theirs if number not in numbers] or theirs
        return "contradicted", f"with {', '.join(instead)} where it says {', '.join(missing)}"
    return None


def _turned(
    statement: Statement, span: Span, inside: str, swapped: Sequence[tuple[str, str]], named: Sequence[Mention]
) -> tuple[Finding, str]:
    """Return what a sentence that is there with the same numbers and names does: it may be turned around."""
    if swapped:
        return "contradicted", f"with {swapped[0][1]!r} where it says {swapped[0][0]!r}"
    negations = [sum(negates(word.word) for word in tokens(text)) for text in (statement.text, inside)]
    if negations[0] % 2 != negations[1] % 2:
        return "contradicted", "but one is negated and the other is not"
    compares = not _COMPARES.isdisjoint(word.word for word in tokens(statement.text))
    in_order = _in_order(_numbers(statement.text), _numbers(span.text))
    if not in_order or (compares and not _in_order(statement.names, [name.id for name in named])):
        return "contradicted", "but its numbers or names stand in another order"
    return "supported", "with the same numbers, names and negations"


def _numbers(text: str) -> list[str]:
    return [format(number.value.normalize(), "f") for number in numerals.read(text)]


def _in_order(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    """Whether ``ours`` is a subsequence of ``theirs``."""
    rest = iter(theirs)
    return all(item in rest for item in ours)


def year_flags(claim: Claim, passages: Sequence[Passage]) -> Iterator[Flag]:
    """Yield a flag for each cited year that the passage gives otherwise, and for each author it does not cite there."""
    telling = next((passage for passage in passages if passage.finding in ("verbatim", "supported", "partial")), None)
    marks = citation_marks.citations(" ".join(span.text for span in telling.spans)) if telling else []
    there = [mark for mark in marks if mark.authors]
    for cited in (mark for mark in claim.citations if mark.authors):
        first_author = cited.authors.casefold().split()[0]
        same = [mark for mark in there if mark.authors.casefold().split()[0] == first_author]
        printed = ", ".join(dict.fromkeys(mark.text for mark in same or there))
        if same and cited.year not in {mark.year for mark in same}:
            yield Flag(name="citation year", text=f"cited as {cited.text}; the source says {printed}")
        elif there and not same:
            yield Flag(name="citation", text=f"{cited.text} is not cited there; the source cites {printed}")
