"""A sentence taken apart: names, numbers, and clauses that each say one thing.

A name is read with what stands beside it: "CodeQux 7B" and "Foo-7B Turbo" are not CodeQux and Foo-7B, so where no
header has the longer name, nothing is known about it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from trimtab.claims import setting_columns
from trimtab.claims.name_registry import Mention
from trimtab.claims.number_kinds import TextNumber, numbers
from trimtab.claims.result_words import RESULT_VERB, RESULT_VERBS
from trimtab.claims.text_range import TextRange
from trimtab.claims.wording import SAYING, any_case, key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trimtab.claims.name_registry import Registry
    from trimtab.claims.setting_columns import SettingPhrase
    from trimtab.claims.vocabulary import HeaderVocabulary

_SIZE: Final = r"v?\d+(?:\.\d+)*\s?[BMK]?(?![\w%.]|\s?points?\b)"
_BEHIND: Final = re.compile(rf"\s(?:{_SIZE}|(?-i:[A-Z][\w.+]*(?:-[\w.+]+)*)(?<![.])(?!\s*[:=]))")
_SIZED: Final = re.compile(r"\d+(?:\.\d+)?[BM]")
_GOES_ON: Final = re.compile(r"\s(?:[a-z]|\d+(?:\.\d+)?[BM]\b)")
_SIZE_BEHIND: Final = re.compile(r"\s\d+(?:\.\d+)?\s?[BM](?!\w)")
_SIZE_BEFORE: Final = re.compile(r"(?<![\w.-])(\d+(?:\.\d+)?[BM])\s+$")
_CAPITAL: Final = r"(?:[A-Z][\w+-]*(?:\.\w+)*|(?:19|20)\d\d)"
_PROPER: Final = re.compile(
    rf"\b(?P<word>[Oo]n|[Ff]or|[Ii]n)\s+(?:the\s+)?"
    r"(?!Table|Figure|Section|Appendix|Jan|Feb|March|April|May |June|July|Aug|Sept|Oct|Nov|Dec)"
    rf"(?P<name>{_CAPITAL}(?:[\s/]+(?:{_CAPITAL}|of(?=\s[A-Z])|\d(?:\.\d)?(?=\s|$)))*)"
)
_NOUN_BEHIND: Final = any_case(r"['\u2019]?s?\s+(?:benchmarks?|data\s?sets?|test sets?|leaderboards?|suites?)\b")
_LISTED_WITH: Final = any_case(
    r"\s*(?:,|,?\s*(?:and|or|&)|,?\s*as well as)\s*(?:also\s+)?(?:in\s+|on\s+)?(?:the\s+|its\s+)?"
    r"(?:(?:best|highest|lowest|worst)\s+|\d+(?:\.\d+)?\s?%?\s+)?"
)
_AND_BEFORE: Final = re.compile(r"\s*,?\s*(?:and|or|&)\s*(?:the\s+)?")
_ORIGIN: Final = any_case(
    r"\b(?:trained|fine-?tuned|distilled|initiali[sz]ed|built|based|derived|upcycled|adapted|continued|merged)\s+"
    r"(?:from|on top of|on|upon)\s+(?:the\s+|our\s+|a\s+)?(?:base\s+|original\s+)?(?:model\s+|checkpoint\s+)?$"
)
_VARIANT: Final = any_case(r"(?:with|without|w/o?|\+)\s")
PRONOUN: Final = any_case(
    r"^\s*(?:it(?!\s+(?:can|could|may|might|should|must|has|is|was)\s+(?:also\s+)?(?:be(?:en)?\s+)?(?:seen|noted"
    r"|observed|worth|clear|evident|shown|important|found|interesting|noteworthy|known|obvious|possible|likely)\b)"
    r"|the model|this model|the method|this method)\b"
)
"""How a sentence begins that is about the system of the one before: "It reaches 85 %"."""
_ONE_WORD: Final = re.compile(r"[\w.@/+*-]+")
_MEASURED_BEFORE: Final = any_case(r"\b(?:on|in terms of)\s+(?:the\s+)?$")
_THE_BEFORE: Final = any_case(r"\bthe\s+$")
_WORD_BEFORE: Final = re.compile(r"\b[Oo]n\s+(?:the\s+)?$")
_JOINT: Final = any_case(r"\s*;\s*|,?\s+(?:and|but|while|whereas|although|though|yet)\s+(?:also\s+|it\s+|even\s+)?")
_VERB_FIRST: Final = any_case(rf"\s*(?:also\s+)?(?:{RESULT_VERBS})\b")
_DENIED_FIRST: Final = any_case(
    r"\s*(?:(?:does|do|did|is|are|was|were|can|could)(?:n['\u2019]t|\s+not)|cannot|never)\b"
)
_ANY_VERB: Final = re.compile(r"\s+[a-z]{3,}s\b")
_UNDERSCORED: Final = re.compile(r"\b[A-Za-z]\w*_\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence(TextRange):
    """A sentence, or one clause of it, with everything in it that a fact is made of, in order.

    Attributes:
        text: The whole sentence, its headers of several words hidden: "only" in "Phase 2 (temporal only)" says nothing.
        printed: The whole sentence as it is printed, character for character as long.
        systems: Names of what was measured.
        benchmarks: Names of what it was measured on.
        metrics: Names of measures.
        numbers: Every number.
        origins: The words that say what a system was made from, "trained from Foo-7B": no system of this sentence.
        carried: The system a clause is about that names none before its verb.
        settings: What it says of columns that part the rows of a table.
        several: What it says of one column twice and not once for each value: "X at 3 bits beats Y at 4 bits".
    """

    text: str
    printed: str
    systems: tuple[Mention, ...]
    benchmarks: tuple[Mention, ...]
    metrics: tuple[Mention, ...]
    numbers: tuple[TextNumber, ...]
    carried: str
    origins: tuple[TextRange, ...] = ()
    settings: tuple[SettingPhrase, ...] = ()
    several: tuple[SettingPhrase, ...] = ()

    @property
    def values(self) -> tuple[TextNumber, ...]:
        """The measured values."""
        return tuple(number for number in self.numbers if number.kind == "value")

    @property
    def names(self) -> tuple[Mention, ...]:
        """Every name."""
        return (*self.systems, *self.benchmarks, *self.metrics)

    @property
    def own(self) -> str:
        """The clause's text; what stands before it is blank, so that places stay places of the sentence."""
        return " " * self.start + self.text[self.start : self.end]

    def part(self, start: int, end: int, carried: str) -> Sentence:
        """Return the clause between two places."""
        held: dict[str, Any] = {
            field: tuple(place for place in getattr(self, field) if place.within(start, end))
            for field in ("systems", "benchmarks", "metrics", "numbers", "settings")
        }
        return replace(self, start=start, end=end, carried=carried, **held)


def parse(text: str, registry: Registry, vocabulary: HeaderVocabulary, carried: str = "") -> Sentence:
    """Find names and numbers; a name after "on" that no one knows is a benchmark, not a system."""
    mentioned = registry.mentions(text, vocabulary)
    headers = [name for name in mentioned if _is_hidden(name, vocabulary)]
    phrases = tuple(
        phrase
        for phrase in setting_columns.phrases(text, vocabulary.settings)
        if not any(name.start <= phrase.start and phrase.end < name.end for name in headers)
    )
    sentence = _parse(text, mentioned, registry, vocabulary, carried, phrases)
    if setting_columns.paired(phrases, sentence.values):
        return sentence
    return replace(_parse(text, mentioned, registry, vocabulary, carried, ()), several=phrases)


def _is_hidden(name: Mention, known: HeaderVocabulary) -> bool:
    """Whether a name is a header as printed in which words say nothing: of several words, or such as "IS"."""
    printed = name.id in known and name.text in known[name.id].spellings
    return printed and (len(name.text) == 2 or not _ONE_WORD.fullmatch(name.text))


def _in_a_list(metrics: Sequence[Mention], benchmarks: Sequence[Mention], text: str) -> set[Mention]:
    """Return the metrics in a list with benchmarks or with each other: "in FID and recall" are two columns."""
    names = sorted((*metrics, *benchmarks), key=lambda name: name.start)
    columns = {
        name for pair in pairwise(names) if _LISTED_WITH.fullmatch(text[pair[0].end : pair[1].start]) for name in pair
    }
    return columns & set(metrics)


def _hidden(text: str, headers: Iterable[Mention]) -> str:
    """Return a text with the same number of characters in which the words of headers say nothing."""
    for name in headers:
        text = f"{text[: name.start]}X{'x' * (name.end - name.start - 1)}{text[name.end :]}"
    return text


def _parse(
    printed: str,
    mentioned: Sequence[Mention],
    registry: Registry,
    known: HeaderVocabulary,
    carried: str,
    phrases: tuple[SettingPhrase, ...],
) -> Sentence:
    """Take a sentence apart of which some phrases say what stands in columns."""
    named = [name for name in mentioned if not any(name.overlaps(phrase) for phrase in phrases)]
    text = _hidden(printed, (name for name in named if _is_hidden(name, known)))
    named = _in_place(named, text, known, registry)
    benchmarks = [name for name in named if name.kind == "benchmarks"]
    systems: list[Mention] = []
    for name in (name for name in named if name.kind == "models"):
        if name.id not in known and _stands_for_a_benchmark(name, text, benchmarks):
            benchmarks.append(replace(name, kind="benchmarks"))
        else:
            systems.append(name)
    benchmarks += _proper(text, named, only_on=bool(benchmarks))
    systems = _with_variants(systems, text)
    made_from = {name: match for name in systems[1:] if (match := _ORIGIN.search(text[: name.start]))}
    others = [*(name for name in named if name.kind != "models"), *benchmarks]
    systems = [
        _extended(name, text, [*others, *(other for other in systems if other is not name)], known, registry)
        for name in systems
        if name not in made_from
    ]
    in_endpoints = (  # "humaneval_nll"
        replace(metric, start=match.start() + metric.start, end=match.start() + metric.end)
        for match in _UNDERSCORED.finditer(text)
        for metric in registry.endpoint(match[0])
    )
    metrics = (*(name for name in named if name.kind == "metrics"), *in_endpoints)
    listed = _in_a_list(metrics, benchmarks, text)
    benchmarks += [replace(name, kind="benchmarks") for name in listed]
    metrics = tuple(name for name in metrics if name not in listed)
    return Sentence(
        0,
        len(text),
        text=text,
        printed=printed,
        systems=tuple(systems),
        benchmarks=tuple(sorted(benchmarks, key=lambda name: name.start)),
        metrics=metrics,
        numbers=tuple(numbers(text, [*systems, *benchmarks, *metrics, *phrases, *made_from])),
        origins=tuple(TextRange(match.start(), name.end) for name, match in made_from.items()),
        carried=carried if PRONOUN.match(text) else "",
        settings=phrases,
    )


def _in_place(named: Sequence[Mention], text: str, known: HeaderVocabulary, registry: Registry) -> list[Mention]:
    """Return names as what they are where they stand, where tables have them as system and as benchmark.

    A table of names that no list knows does not say which axis has its systems. So do its headers when a sentence has
    one of each axis, and the one where benchmarks stand is not taken for a benchmark: "on ResNet-56, ReviewKD is best".
    """
    measured_on = {name for name in named if _says_what_was_measured(name, text)}
    headers = [name for name in named if name.id in known and name.kind in ("models", "benchmarks")]
    turned = any(name in measured_on for name in headers) and all(
        (name.kind == "models") == (name in measured_on) and not registry.id_of(name.text, "benchmarks")
        for name in headers
    )
    as_placed = {name for name in headers if measured_on and (turned or known[name.id].either)}
    return [
        replace(name, kind="benchmarks" if name in measured_on else "models") if name in as_placed else name
        for name in named
    ]


def _says_what_was_measured(name: Mention, text: str) -> bool:
    """Whether a name stands where a benchmark does: "on A", "the A of X", "the A benchmark"."""
    before = text[: name.start]
    return bool(
        _MEASURED_BEFORE.search(before)
        or _NOUN_BEHIND.match(text, name.end)
        or (_THE_BEFORE.search(before) and text.startswith(" of ", name.end))
    )


def _stands_for_a_benchmark(name: Mention, text: str, benchmarks: Sequence[Mention]) -> bool:
    """Whether an unknown name is what was measured on: behind "on", before "benchmark", or in a list behind one."""
    if _WORD_BEFORE.search(text[: name.start]) or _NOUN_BEHIND.match(text, name.end):
        return True
    before = max((other.end for other in benchmarks if other.end <= name.start), default=0)
    return before > 0 and bool(_AND_BEFORE.fullmatch(text, before, name.start))


def clauses(sentence: Sentence, cue: re.Pattern[str]) -> list[Sentence]:
    """Return the clauses of a sentence that each have a verb of their own; one that names no system goes on about it.

    Args:
        sentence: The sentence.
        cue: What compares, which counts as a verb.
    """
    text, edges = sentence.text, [0]

    def has_verb(start: int, end: int) -> bool:
        """Whether there is a verb of result, or a name is followed by any word that may be a verb."""
        return bool(
            RESULT_VERB.search(text, start, end)
            or cue.search(text, start, end)
            or any(_ANY_VERB.match(text, name.end, end) for name in sentence.systems if name.within(start, end - 1))
        )

    def begins_with_verb(start: int) -> bool:
        """Whether a verb comes first, or right behind a name."""
        rest = text[next((name.end for name in sentence.systems if start <= name.start < start + 6), start) :]
        rest = _DENIED_FIRST.sub("", rest, count=1) if _DENIED_FIRST.match(rest) else rest
        return bool(_VERB_FIRST.match(rest) or cue.match(rest.lstrip()))

    for joint in _JOINT.finditer(text):
        if has_verb(edges[-1], joint.start()) and begins_with_verb(joint.end()):
            edges.append(joint.end())
    parts: list[Sentence] = []
    about = sentence.carried
    for start, end in pairwise([*edges, sentence.end]):
        part = sentence.part(start, end, about)
        if parts and part.systems and part.values and not part.benchmarks and len(parts[-1].benchmarks) == 1:
            part = replace(part, benchmarks=parts[-1].benchmarks)  # "…, while Y scores 61.1": on the same one
        parts.append(part)
        about = part.systems[0].text if part.systems else about
    return parts


def _with_variants(systems: Iterable[Mention], text: str) -> list[Mention]:
    """Return systems, each with the variant behind it: "Foo-7B" and "with feedback" are one."""
    merged: list[Mention] = []
    for name in systems:
        if merged and _VARIANT.match(name.text) and not text[merged[-1].end : name.start].strip():
            longer = text[merged[-1].start : name.end]
            merged[-1] = replace(merged[-1], id=key(longer), text=longer, end=name.end)
        else:
            merged.append(name)
    return merged


def _extended(
    name: Mention, text: str, others: Iterable[Mention], known: HeaderVocabulary, registry: Registry
) -> Mention:  # fmt: skip
    """Return a system's name with the size, version or capitalized word beside it that belongs to it."""

    def called(longer: str, start: int, end: int) -> Mention:
        known_as = key(longer) if key(longer) in known else registry.id_of(longer, "models") or key(longer)
        return replace(name, id=known_as, text=longer, start=start, end=end)

    size = _SIZE_BEFORE.search(text[: name.start])
    if size and key(name.text + size[1]) != name.id:
        sized = f"{name.text} {size[1]}"
        if key(sized) in known or not _SIZED.search(name.text):
            return called(sized, size.start(), name.end)
    end = name.end
    word = _SIZE_BEHIND.match(text, end) or _BEHIND.match(text, end)
    while word:
        added, own = word[0].strip(), TextRange(word.start() + 1, word.end())
        if any(own.overlaps(other) for other in others) or key(added) in SAYING or re.fullmatch(r"\d{3,}", added):
            break
        if added.replace(".", "").isdigit() and (
            RESULT_VERB.search(text[: name.start]) or not _GOES_ON.match(text, word.end())
        ):
            break  # a value
        end = word.end()
        word = _BEHIND.match(text, end)
    return name if end == name.end else called(text[name.start : end], name.start, end)


def _proper(text: str, named: Sequence[Mention], *, only_on: bool) -> list[Mention]:
    """Return capitalized names that nobody knows: after "on", and after "for" and "in" if nothing else is named."""
    return [
        Mention(*match.span("name"), id="", kind="benchmarks", text=match["name"])
        for match in _PROPER.finditer(text)
        if not (only_on and match["word"].casefold() != "on")
        and not any(TextRange.of(match, "name").overlaps(name) for name in named)
    ]
