"""From a sentence to its facts: which value belongs to which system, benchmark, metric and setting, and what compares.

Decisions: only what is written is read; a sentence whose parts cannot be paired gives no fact rather than a wrong one.
Who belongs to whom is decided in :mod:`trimtab.claims.value_pairing`; what of the sentence was not understood is said
beside the facts (:mod:`trimtab.claims.understanding`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from trimtab.claims import comparison_words as compare
from trimtab.claims import settings
from trimtab.claims import value_pairing as pairing
from trimtab.claims.claim_model import Fact, Relation
from trimtab.claims.comparison_words import CUE
from trimtab.claims.sentence_parts import Sentence, clauses, parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trimtab.claims.name_registry import Mention, Registry
    from trimtab.claims.number_kinds import TextNumber
    from trimtab.claims.vocabulary import Vocabulary

_OF_ALL: Final[Mapping[str, Relation]] = {"better": "best", "greater": "highest", "worse": "worst", "less": "lowest"}
_REACHES: Final = re.compile(
    r"\b(?:reach|attain|achieve|hit|exceed|surpass|get|obtain)\w*\s+(?:an?\s+)?(?:\w+\s+of\s+)?$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """What was read of a sentence: its facts, the clauses they stand in, and the characters they are made of.

    ``unordered`` are the places of values whose benchmark the order of the sentence does not tell.
    """

    facts: tuple[Fact, ...]
    sentence: Sentence
    clauses: tuple[Sentence, ...]
    used: tuple[tuple[int, int], ...]
    unordered: frozenset[int] = frozenset()


def read(text: str, registry: Registry, vocabulary: Vocabulary | None = None, carried: str = "") -> tuple[Fact, ...]:
    """Return the facts of a sentence.

    Args:
        text: The sentence.
        registry: Known names.
        vocabulary: The headers of the sources' tables.
        carried: The system the sentence before was about, for "It reaches 85 %".
    """
    return understand(text, registry, vocabulary, carried).facts


def understand(
    text: str, registry: Registry, vocabulary: Vocabulary | None = None, carried: str = ""
) -> Understood:  # fmt: skip
    """Return the facts of a sentence with what they were read from; arguments as for :func:`read`."""
    sentence = parse(text, registry, vocabulary, carried)
    parts = clauses(sentence, CUE)
    facts: list[Fact] = []
    used: list[tuple[int, int]] = []
    unordered: set[int] = set()
    for part in parts:
        denied = compare.negation(part)
        made = _clause(part)
        used += made.used
        unordered |= made.unordered
        for fact in made.facts:
            if denied is not None:
                used.append(denied)
                fact = _denied(fact, part)  # noqa: PLW2901 - the same fact, denied
            facts.append(fact)
    return Understood(
        facts=tuple(facts),
        sentence=sentence,
        clauses=tuple(parts),
        used=tuple(used),
        unordered=frozenset(unordered),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """Facts of a clause, and the characters of the words they were read from, names and numbers apart."""

    facts: tuple[Fact, ...] = ()
    used: tuple[tuple[int, int], ...] = ()
    unordered: frozenset[int] = frozenset()


def _denied(fact: Fact, sentence: Sentence) -> Fact:
    """Return a fact that its sentence denies; not to reach a value is to stay under it."""
    below = fact.relation == "equals" and fact.hedge == "exactly" and _REACHES.search(sentence.text[: fact.start])
    return replace(fact, negated=True, hedge="at least" if below else fact.hedge)


def _clause(sentence: Sentence) -> _Made:
    deltas = compare.deltas(sentence)
    compared, extreme = _comparisons(sentence, deltas), _extremes(sentence)
    plain = [one for one in sentence.values if one not in deltas]
    return _Made(
        facts=(*compared.facts, *extreme.facts, *_equalities(sentence, plain)),
        used=(*compared.used, *extreme.used, *compare.words_of(deltas, sentence)),
        unordered=frozenset(plain[index].start for index in pairing.unordered(sentence, plain, sentence.benchmarks)),
    )


def _equalities(sentence: Sentence, values: Sequence[TextNumber]) -> list[Fact]:
    """Return "X has v on B" for each value that can be placed."""
    swapped = pairing.ranges(sentence, values) | pairing.versus(sentence, values)
    benchmarks = pairing.paired(sentence, values, sentence.benchmarks)
    subjects = pairing.owners(sentence, values)
    facts = []
    for index, value in enumerate(values):
        benchmark = benchmarks[index]
        metric = pairing.nearest(sentence.metrics, value)
        subject = swapped.get(index, subjects[index])
        bare = not value.quantity.unit and not value.quantity.decimals
        if not (benchmark or metric) or (bare and (not subject or not (metric or (benchmark and benchmark.id)))):
            continue
        facts.append(
            Fact(
                subject=subject,
                benchmark=benchmark.text if benchmark else "",
                metric=metric.text if metric else "",
                setting=pairing.setting(sentence, values, index, benchmark),
                value=value.quantity,
                hedge=value.hedge,
                start=value.start,
                end=value.end,
            )
        )
    return facts


def _comparisons(sentence: Sentence, deltas: Mapping[TextNumber, Relation]) -> _Made:
    """Return "X is above Y on B, by v"."""
    if across := _across(sentence):
        return across
    sides, cue = pairing.compared_sides(sentence), CUE.search(sentence.own)
    if not sides or (not cue and not deltas):
        return _Made()
    scope = compare.scope(sentence)
    at = cue.span() if cue else (sentence.start, sentence.start)
    base = Fact(
        start=at[0],
        end=at[1],
        subject=sides[0],
        comparator=sides[1][0],
        relation=compare.relation_of(cue) if cue else "better",
        metric=_compared_in(sentence, cue),
        setting=settings.read(sentence.text[sentence.start : sentence.end]),
        quantifier=scope.quantifier,
        exceptions=scope.exceptions,
        count=scope.count,
        of=scope.of,
    )
    used = (*([cue.span()] if cue else []), *scope.used)
    marks = [one for one in sentence.benchmarks if one.text not in scope.exceptions]
    if not deltas:
        on = [one.text for one in marks] if not scope.quantifier else []
        facts = [replace(base, benchmark=name) for name in on or [""]] if cue else []
    else:
        facts = [_by(base, sentence, (value, relation), marks) for value, relation in deltas.items()]
    if len(facts) == len(sides[1]) > 1 and len(marks) < 2 and re.search(r"\brespectively\b", sentence.text):
        made = [replace(fact, comparator=other) for fact, other in zip(facts, sides[1], strict=True)]
    else:
        made = [replace(fact, comparator=one) for one in sides[1] for fact in facts if _beside(sentence, fact, one)]
    return _Made(facts=tuple(made), used=used)


def _beside(sentence: Sentence, fact: Fact, other: str) -> bool:
    """Whether a difference is one from this comparator: in "beats Y (+6.8) and Z (+15.3)" each has its own."""
    before = sentence.text[: fact.start].rstrip()
    if fact.value is None or not before.endswith("("):
        return True
    nearest = [one.text for one in sentence.systems if one.end <= fact.start]
    return not nearest or before[:-1].rstrip().endswith(nearest[-1]) is False or nearest[-1] == other


def _by(base: Fact, sentence: Sentence, delta: tuple[TextNumber, Relation], marks: Sequence[Mention]) -> Fact:
    """Return a comparison with the size of the difference."""
    value, relation = delta
    benchmark = pairing.paired(sentence, [value], marks)[0]
    around = sentence.text[max(0, value.start - 12) : value.end + 24].casefold()
    return replace(
        base,
        relation=relation,
        benchmark=benchmark.text if benchmark else "",
        value=value.quantity,
        hedge=value.hedge,
        relative="relative" in around,
        start=value.start,
        end=value.end,
    )


def _compared_in(sentence: Sentence, cue: re.Match[str] | None) -> str:
    """Return the metric of a comparison: the only one, in the same part of the sentence as the word that compares."""
    if not cue or len({one.id for one in sentence.metrics}) != 1:
        return ""
    metric = sentence.metrics[0]
    gap = sentence.between(min(metric.end, cue.end()), max(metric.start, cue.start()))
    return "" if re.search(r"[,;:]|\b(?:while|although|but|despite|though)\b", gap) else metric.text


def _across(sentence: Sentence) -> _Made | None:
    """Return "X is higher on A than on B"."""
    cue = compare.THAN_ON.search(sentence.own)
    if len(sentence.benchmarks) != 2 or not cue or len(sentence.systems) > 1:
        return None
    one, other = sentence.benchmarks
    subject = sentence.systems[0].text if sentence.systems else sentence.carried
    than = re.search(r"\bthan\s+(?:on|for|in)\s+(?:the\s+)?$", sentence.text[: other.start])
    if not subject or not than:
        return None
    fact = Fact(
        subject=subject,
        relation=compare.relation_of(cue),
        benchmark=one.text,
        comparator_benchmark=other.text,
        setting=settings.read(sentence.text),
    )
    return _Made(facts=(fact,), used=(cue.span(), than.span()))


def _extremes(sentence: Sentence) -> _Made:
    """Return "X is the best on B", or "X surpasses all others on B"."""
    cue, best = CUE.search(sentence.own), compare.BEST.search(sentence.own)
    everyone = compare.EVERYONE.match(sentence.own[cue.end() :]) if cue else None
    subject = (
        sentence.systems[0].text if len(sentence.systems) == 1 else sentence.carried if not sentence.systems else ""
    )
    if best and not everyone and sentence.systems and best.end() <= sentence.systems[0].start:
        # "The best on B is X", but not "the best competing baseline (X) reaches …".
        between = sentence.text[best.end() : sentence.systems[0].start]
        best = best if re.search(r"\b(?:is|are|was|were|by|from)\b[^,;(]*$", between) else None
    if not subject or not sentence.benchmarks or not (everyone or best):
        return _Made()
    relation = _OF_ALL[compare.relation_of(cue)] if cue and everyone else compare.relation_of(best) if best else "best"
    facts = tuple(
        Fact(
            subject=subject,
            relation=relation,
            metric=_compared_in(sentence, cue if everyone else best),
            benchmark=one.text,
            setting=settings.read(sentence.text),
        )
        for one in sentence.benchmarks
    )
    if cue and everyone:
        return _Made(facts=facts, used=((cue.start(), cue.end() + everyone.end()),))
    return _Made(facts=facts, used=(best.span(),) if best else ())
