"""A sentence taken apart: names, numbers, and clauses that each say one thing.

A name is read with what stands beside it: "CodeQux 7B" and "Foo-7B Turbo" are not CodeQux and Foo-7B, so where no
header has the longer name, nothing is known about it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from trimtab.claims import mentions
from trimtab.claims.name_registry import Mention
from trimtab.claims.number_kinds import TextNumber, numbers
from trimtab.claims.result_verbs import RESULT_VERB, RESULT_VERBS
from trimtab.claims.wording import SAYING, key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trimtab.claims.name_registry import Registry
    from trimtab.claims.vocabulary import Vocabulary

_SIZE: Final = r"v?\d+(?:\.\d+)*\s?[BMK]?(?![\w%.]|\s?points?\b)"
_BEHIND: Final = re.compile(rf"\s(?:{_SIZE}|(?-i:[A-Z][\w.+]*(?:-[\w.+]+)*)(?<![.])(?!\s*[:=]))")
_SIZE_BEHIND: Final = re.compile(r"\s\d+(?:\.\d+)?\s?[BM](?!\w)")
_SIZE_BEFORE: Final = re.compile(r"(?<![\w.-])(\d+(?:\.\d+)?[BM])\s+$")
_CAPITAL: Final = r"(?:[A-Z][\w+-]*(?:\.\w+)*|(?:19|20)\d\d)"
_PROPER: Final = re.compile(
    rf"\b(?P<word>[Oo]n|[Ff]or|[Ii]n)\s+(?:the\s+)?"
    r"(?!Table|Figure|Section|Appendix|Jan|Feb|March|April|May |June|July|Aug|Sept|Oct|Nov|Dec)"
    rf"(?P<name>{_CAPITAL}(?:[\s/]+(?:{_CAPITAL}|of(?=\s[A-Z])|\d(?:\.\d)?(?=\s|$)))*)"
)
_NOUN_BEHIND: Final = re.compile(
    r"['\u2019]?s?\s+(?:benchmarks?|data\s?sets?|test sets?|leaderboards?|suites?)\b", re.IGNORECASE
)
_LISTED_BEFORE: Final = re.compile(r"\s*,?\s*(?:and|or|&)\s*(?:the\s+)?")
_ORIGIN: Final = re.compile(
    r"\b(?:trained|fine-?tuned|distilled|initiali[sz]ed|built|based|derived|upcycled|adapted|continued|merged)\s+"
    r"(?:from|on top of|on|upon)\s+(?:the\s+|our\s+|a\s+)?(?:base\s+|original\s+)?(?:model\s+|checkpoint\s+)?$",
    re.IGNORECASE,
)
_VARIANT: Final = re.compile(r"(?:with|without|w/o?|\+)\s", re.IGNORECASE)
_PRONOUN: Final = re.compile(
    r"^\s*(?:it(?!\s+(?:can|could|may|might|should|must|has|is|was)\s+(?:also\s+)?(?:be(?:en)?\s+)?(?:seen|noted|observed"
    r"|worth|clear|evident|shown|important|found|interesting|noteworthy|known|obvious|possible|likely)\b)"
    r"|the model|this model|the method|this method)\b",
    re.IGNORECASE,
)
_WORD_BEFORE: Final = re.compile(r"\b[Oo]n\s+(?:the\s+)?$")
_JOINT: Final = re.compile(
    r"\s*;\s*|,?\s+(?:and|but|while|whereas|although|though|yet)\s+(?:also\s+|it\s+|even\s+)?", re.IGNORECASE
)
_UNDERSCORED: Final = re.compile(r"\b[A-Za-z]\w*_\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A sentence, or one clause of it, with everything in it that a fact is made of, in order.

    Attributes:
        text: The whole sentence.
        start: First character of the clause.
        end: One past its last.
        systems: Names of what was measured.
        benchmarks: Names of what it was measured on.
        metrics: Names of measures.
        numbers: Every number.
        origins: The words that say what a system was made from, "trained from Foo-7B": no system of this sentence.
        carried: The system a clause is about that names none before its verb.
    """

    text: str
    start: int
    end: int
    systems: tuple[Mention, ...]
    benchmarks: tuple[Mention, ...]
    metrics: tuple[Mention, ...]
    numbers: tuple[TextNumber, ...]
    carried: str
    origins: tuple[tuple[int, int], ...] = ()

    @property
    def values(self) -> tuple[TextNumber, ...]:
        """The measured values."""
        return tuple(one for one in self.numbers if one.kind == "value")

    @property
    def named(self) -> tuple[tuple[int, int], ...]:
        """The characters of benchmarks, metrics and numbers."""
        marks = [(one.start, one.end) for one in (*self.benchmarks, *self.metrics)]
        return (*marks, *((one.start, one.end) for one in self.numbers))

    @property
    def own(self) -> str:
        """The clause's text; what stands before it is blank, so that places stay places of the sentence."""
        return " " * self.start + self.text[self.start : self.end]

    def between(self, start: int, end: int) -> str:
        """Return the text between two places."""
        return self.text[start:end]

    def part(self, start: int, end: int, carried: str) -> Sentence:
        """Return the clause between two places."""

        def inside(one: Mention | TextNumber) -> bool:
            return start <= one.start and one.end <= end

        return replace(
            self,
            start=start,
            end=end,
            systems=tuple(filter(inside, self.systems)),
            benchmarks=tuple(filter(inside, self.benchmarks)),
            metrics=tuple(filter(inside, self.metrics)),
            numbers=tuple(filter(inside, self.numbers)),
            carried=carried,
        )


def parse(text: str, registry: Registry, vocabulary: Vocabulary | None, carried: str = "") -> Sentence:
    """Find names and numbers; a name after "on" that no one knows is a benchmark, not a system."""
    found = mentions.find(text, registry, vocabulary)
    systems = [one for one in found if one.kind == "models"]
    marks = [one for one in found if one.kind == "benchmarks"]
    known = vocabulary or {}
    for one in systems:
        if one.id not in known and _stands_for_a_benchmark(one, text, marks):
            marks.append(replace(one, kind="benchmarks"))
    systems = [one for one in systems if not any(mark.start == one.start for mark in marks)]
    marks += _proper(text, found, only_on=bool(marks))
    others = [one for one in found if one not in systems]
    merged = _merged(systems, text)
    origins = [] if len(merged) < 2 else [one for one in merged[1:] if _ORIGIN.search(text[: one.start])]
    systems = [
        _extended(one, text, [*others, *marks, *(other for other in merged if other is not one)], known, registry)
        for one in merged
        if one not in origins
    ]
    metrics = (*(one for one in found if one.kind == "metrics"), *_in_endpoints(text, registry))
    names = [(one.start, one.end) for one in (*systems, *marks, *metrics)]
    return Sentence(
        text=text,
        start=0,
        end=len(text),
        systems=tuple(systems),
        benchmarks=tuple(sorted(marks, key=lambda one: one.start)),
        metrics=metrics,
        numbers=tuple(numbers(text, [*names, *((one.start, one.end) for one in origins)])),
        origins=tuple((_ORIGIN.search(text[: one.start]).start(), one.end) for one in origins),  # type: ignore[union-attr]
        carried=carried if begins_with_pronoun(text) else "",
    )


def begins_with_pronoun(text: str) -> bool:
    """Whether a sentence is about the system of the one before: "It reaches 85 %"."""
    return _PRONOUN.match(text) is not None


def _stands_for_a_benchmark(one: Mention, text: str, marks: Sequence[Mention]) -> bool:
    """Whether an unknown name is what was measured on: behind "on", before "benchmark", or in a list behind one."""
    if _WORD_BEFORE.search(text[: one.start]) or _NOUN_BEHIND.match(text, one.end):
        return True
    before = [mark for mark in marks if mark.end <= one.start]
    return bool(before) and bool(_LISTED_BEFORE.fullmatch(text[max(mark.end for mark in before) : one.start]))


def clauses(sentence: Sentence, cue: re.Pattern[str]) -> list[Sentence]:
    """Return the clauses of a sentence that each have a verb of their own; one that names no system goes on about it.

    Args:
        sentence: The sentence.
        cue: What compares, which counts as a verb.
    """

    def says(start: int, end: int) -> bool:
        return bool(RESULT_VERB.search(sentence.text, start, end) or cue.search(sentence.text, start, end))

    def acts(start: int, end: int) -> bool:
        """Whether a verb comes first, or right behind a name."""
        first = next((one.end for one in sentence.systems if start <= one.start < start + 6 and one.end <= end), start)
        rest = sentence.text[first:end]
        return bool(re.match(rf"\s*(?:also\s+)?(?:{RESULT_VERBS})\b", rest, re.IGNORECASE) or cue.match(rest.lstrip()))

    def verbal(start: int, end: int) -> bool:
        """Whether a name is followed by any word in small letters, or the result comes first."""
        return says(start, end) or any(
            start <= one.start and one.end < end and re.match(r"\s+[a-z]{3,}s\b", sentence.text[one.end : end])
            for one in sentence.systems
        )

    edges = [0]
    for joint in _JOINT.finditer(sentence.text):
        if verbal(edges[-1], joint.start()) and acts(joint.end(), sentence.end):
            edges.append(joint.end())
    found: list[Sentence] = []
    about = sentence.carried
    for start, end in zip(edges, [*edges[1:], sentence.end], strict=True):
        part = sentence.part(start, end, about)
        if found and part.systems and part.values and not part.benchmarks and len(found[-1].benchmarks) == 1:
            part = replace(part, benchmarks=found[-1].benchmarks)  # "…, while Y scores 61.1": on the same one
        found.append(part)
        about = part.systems[0].text if part.systems else about
    return found


def _merged(systems: Sequence[Mention], text: str) -> list[Mention]:
    """Return systems, each with the variant behind it: "Foo-7B" and "with feedback" are one."""
    found: list[Mention] = []
    for one in systems:
        if found and _VARIANT.match(one.text) and not text[found[-1].end : one.start].strip():
            longer = text[found[-1].start : one.end]
            found[-1] = replace(found[-1], id=key(longer), text=longer, end=one.end)
        else:
            found.append(one)
    return found


def _extended(
    one: Mention, text: str, others: Iterable[Mention], known: Vocabulary, registry: Registry
) -> Mention:  # fmt: skip
    """Return a system's name with the size, version or capitalized word beside it that belongs to it."""

    def free(start: int, end: int) -> bool:
        return not any(start < other.end and other.start < end for other in others)

    start, end = one.start, one.end
    before = _SIZE_BEFORE.search(text[:start])
    if before and key(one.text + before[1]) != one.id:
        sized = f"{one.text} {before[1]}"
        if key(sized) in known or not re.search(r"\d+(?:\.\d+)?[BM]", one.text):
            return replace(one, id=_id(sized, known, registry), text=sized, start=before.start())
    sized_behind = _SIZE_BEHIND.match(text, end)
    while match := sized_behind or _BEHIND.match(text, end):
        sized_behind = None
        word = match[0].strip()
        if not free(match.start() + 1, match.end()) or key(word) in SAYING or (word.isdigit() and len(word) > 2):
            break
        if word.replace(".", "").isdigit() and (
            RESULT_VERB.search(text[:start]) or not re.match(r"\s(?:[a-z]|\d+(?:\.\d+)?[BM]\b)", text[match.end() :])
        ):
            break
        end = match.end()
    if end == one.end:
        return one
    longer = text[start:end]
    return replace(one, id=_id(longer, known, registry), text=longer, end=end)


def _id(name: str, known: Vocabulary, registry: Registry) -> str:
    return key(name) if key(name) in known else registry.id_of(name, "models") or key(name)


def _in_endpoints(text: str, registry: Registry) -> Iterable[Mention]:
    """Yield the metrics inside words such as "humaneval_nll"."""
    for match in _UNDERSCORED.finditer(text):
        for one in registry.endpoint(match[0]):
            yield replace(one, start=match.start() + one.start, end=match.start() + one.end)


def _proper(text: str, found: Sequence[Mention], *, only_on: bool) -> list[Mention]:
    """Return capitalized names that nobody knows: after "on", and after "for" and "in" if nothing else is named."""
    marks = []
    for match in _PROPER.finditer(text):
        start, end = match.span("name")
        if only_on and match["word"].casefold() != "on":
            continue
        if not any(start < one.end and one.start < end for one in found):
            marks.append(Mention(id="", kind="benchmarks", start=start, end=end, text=match["name"]))
    return marks
