"""What stands around a sentence or a table of a report, and may make other numbers of it than a source has.

Headings and labels ("INT8:") hold for what is below them, a sentence without a result ("The encoder is frozen.") for
the rest of its section, a condition of a result ("On LJSpeech, VITS has …") for the rest of its paragraph. A sentence
that looks back ("These are for the eight-bit models.") holds for the paragraph before it, a note for the lines of a
table that have its mark.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from trimtab.claims.scope_words import (
    condition_words,
    is_a_caption,
    is_about_the_work,
    is_abstract,
    said_of_results_before,
    scope_words,
    sets_apart,
    setup_words,
    title_words,
)
from trimtab.claims.understanding import makes_a_condition
from trimtab.claims.wording import any_case, key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trimtab.claims.claim_model import Claim
    from trimtab.claims.name_registry import Mention, Registry
    from trimtab.claims.vocabulary import HeaderVocabulary
    from trimtab.documents.parts import Document, Position, Span, TableCell

_MARKS: Final = "*\u2217\u2020\u2021\u00a7\u00b6"
_NOTE: Final = re.compile(rf"\W*?([{_MARKS}])")
_LABEL: Final = re.compile(r"([^:.;]{1,60}):\s")
_DONE: Final = re.compile(r"\b(?:[Ww]e|[Oo]ur|was|were|is|are|been)\b")
"""How a sentence says that something was done."""
_SETUP: Final = any_case(
    r"(?:[\d.]+\s+)?(?:experimental\s+|evaluation\s+)?"
    r"(?:set-?up|settings?|protocol|conditions|configuration|(?:training|implementation) details)"
)
"""Headings of sections that hold for those behind them."""
_MOST: Final = 100
"""Words of set-up sentences that are kept: the last of a long section, so that no claim holds all of its words."""
_LOOKED_BACK: Final = 20
"""Sentences before it of which one that looks back speaks, at most."""
_OPENING: Final = re.compile(r"[^,]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSentence:
    """A sentence of a report, as it is read without its bullet, and what it claims by itself."""

    span: Span
    text: str
    named: Sequence[Mention]
    claim: Claim
    result: bool


@dataclass(slots=True, kw_only=True)
class _Line:
    """What holds at a line: words above it, those of one system, by its key, those said later, notes by their mark."""

    line: int
    words: tuple[str, ...] = ()
    systems: dict[str, tuple[str, ...]] = field(default_factory=dict)
    after: list[str] = field(default_factory=list)
    notes: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)


class ReportContext:
    """The words around each sentence and each table of a report that may make other numbers of its own.

    Args:
        report: The report.
        sentences: Its sentences, in order.
        registry: Known names.
        vocabulary: The headers of the sources' tables.
    """

    def __init__(
        self, report: Document, sentences: Sequence[ReportSentence], registry: Registry, vocabulary: HeaderVocabulary
    ) -> None:
        self._names = registry, vocabulary
        self._title = report.title.strip()
        self._of_parts: dict[str, tuple[str, ...]] = {}
        self._words: dict[int, list[str]] = {}
        self._lines = [_Line(line=0)]
        self._section = ""
        self._headings: tuple[str, ...] = ()
        self._label: tuple[str, ...] = ()
        self._setups: tuple[str, ...] = ()
        self._paragraph: list[int] = []
        self._of_systems: dict[str, tuple[str, ...]] = {}
        self._conditions: tuple[str, ...] = ()
        self._position: Position | None = None
        self._tables = sorted({cell.position.line for cell in report.cells if cell.position.line})
        read = {sentence.span.start: sentence for sentence in sentences}
        for span in report.spans:
            if span.kind == "heading":
                self._enter(" > ".join(filter(None, (span.section, span.text))))
                self._mark(span)
            elif span.start in read:
                self._add(read[span.start])

    def of_sentence(self, span: Span) -> tuple[str, ...]:
        """Return the words around a sentence."""
        return tuple(dict.fromkeys(self._words.get(span.start, ())))

    def of_cell(self, cell: TableCell) -> tuple[str, ...]:
        """Return the words around a cell's table, with the notes whose mark is in its headers or beside its value."""
        at = bisect_right(self._lines, cell.position.line or 0, key=lambda place: place.line) - 1
        place, marked = self._lines[at], "".join((*cell.row_path, *cell.column_path, cell.text))
        notes = [word for mark, words in place.notes if mark in marked for word in words]
        systems = (key(part) for part in (*cell.row_path, *cell.column_path))
        own = [word for system in systems for word in place.systems.get(system, ())]
        return (*place.words, *own, *place.after, *notes)

    def _enter(self, section: str) -> None:
        """Begin a section; what was said in another one does not hold in it."""
        if section == self._section:
            return
        self._section, self._label, self._paragraph, self._position = section, (), [], None
        self._of_systems = {}
        self._conditions = ()
        headings = [part.strip() for part in section.split(" > ")]
        parents = (" > ".join(headings[:depth]) for depth in range(1, len(headings)))
        self._setups = tuple(word for parent in parents for word in self._of_parts.get(parent, ()))
        # A title above other headings says what the report is about.
        below = [part for part in headings if part != self._title]
        words = [word for part in below or headings for word in scope_words(part, *self._names)]
        self._headings = (*words, *(title_words(self._title, *self._names) if below else ()))

    def _mark(self, span: Span) -> None:
        """Say what holds from a span's line on."""
        if span.position.line is not None:
            words = (*self._headings, *self._label, *self._setups)
            self._lines.append(_Line(line=span.position.line, words=words, systems=dict(self._of_systems)))

    def _add(self, sentence: ReportSentence) -> None:
        """Say what holds for a sentence, and what it says of others."""
        span, text = sentence.span, sentence.text
        self._enter(span.section)
        before: list[int] = []
        if span.position != self._position:
            before, self._paragraph, self._conditions, self._position = self._paragraph, [], (), span.position
        about = {key(name.text) for name in sentence.named} | {key(fact.subject) for fact in sentence.claim.facts}
        own = [word for system in sorted(about) for word in self._of_systems.get(system, ())]
        above = (*self._headings, *self._label, *self._setups, *own, *self._conditions)
        stated = set(text.casefold().split())
        self._words[span.start] = [word for word in above if word.casefold() not in stated]
        if (label := _LABEL.match(text)) and not makes_a_condition(text):
            self._words[span.start] += scope_words(label[1], *self._names)
        if sentence.result:
            self._conditions = (*self._conditions, *self._carried_on(sentence))[-_MOST:]
        elif note := _NOTE.match(span.text):
            self._lines[-1].notes.append((note[1], scope_words(text, *self._names)))
        elif text.endswith(":"):
            self._label = scope_words(text, *self._names)
        else:
            self._look_back(text, [*before, *self._paragraph], behind_table=self._behind_table(span, before))
            self._set_up(text, self._begins_with(sentence))
        self._paragraph.append(span.start)
        if not sentence.result:
            self._keep_or_mark(span)

    def _begins_with(self, sentence: ReportSentence) -> str:
        """Return the key of the source's system that a sentence is about: "Foo-7B was pruned" says nothing else."""
        first = next((name for name in sentence.named if name.kind == "models"), None)
        if first is None or key(first.text) not in self._names[1] or sentence.text[: first.start].strip(" *The"):
            return ""
        return key(first.text)

    def _set_up(self, text: str, system: str) -> None:
        """Read a sentence without a result as how the numbers behind it, and in the sections below, came about."""
        *above, heading = (part.strip() for part in self._section.split(" > "))
        words = (condition_words if is_about_the_work(heading) else setup_words)(text, *self._names)
        if is_abstract(heading):
            words = tuple(filter(sets_apart, words))
        if system:
            self._of_systems[system] = (*self._of_systems.get(system, ()), *words)[-_MOST:]
            return
        self._setups = tuple(dict.fromkeys((*self._setups, *words)))[-_MOST:]
        done = words if _DONE.search(text) else ()
        part = " > ".join(above) if _SETUP.fullmatch(heading) else self._section
        self._of_parts[part] = tuple(dict.fromkeys((*self._of_parts.get(part, ()), *done)))[-_MOST:]

    def _keep_or_mark(self, span: Span) -> None:
        """Say what holds behind a sentence without a result, but for a note, which is of the table above it."""
        if not _NOTE.match(span.text):
            self._mark(span)

    def _behind_table(self, span: Span, before: Sequence[int]) -> bool:
        """Whether a table stands between a sentence that begins a paragraph and what was read before it."""
        at = bisect_right(self._tables, span.position.line or 0) - 1
        return bool(before or not self._paragraph) and at >= 0 and self._tables[at] >= self._lines[-1].line

    def _look_back(self, text: str, sentences: Sequence[int], *, behind_table: bool) -> None:
        """Say of the paragraph, or the table, before it what a sentence says of them."""
        if not said_of_results_before(text) and not (behind_table and is_a_caption(text)):
            return
        words = scope_words(text, *self._names)
        if behind_table:
            self._lines[-1].after += words
        for start in sentences[-_LOOKED_BACK:]:
            self._words[start] += words

    def _carried_on(self, sentence: ReportSentence) -> tuple[str, ...]:
        """Return the words of a result's condition, which holds for the next sentences, too: "On LJSpeech, …"."""
        claim, (registry, vocabulary) = sentence.claim, self._names
        heading = self._section.rpartition(" > ")[2].strip()
        marks = [fact.benchmark for fact in claim.facts if fact.benchmark and key(fact.benchmark) not in vocabulary]
        if (claim.uncertain or not claim.facts) and not is_abstract(heading):
            opening = _OPENING.match(sentence.text)
            marks += [opening[0]] if opening and makes_a_condition(sentence.text) else []
            marks += claim.unread if not is_about_the_work(heading) else ()
        return tuple(word for mark in marks for word in scope_words(mark, registry, vocabulary))
