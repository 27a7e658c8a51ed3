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
from trimtab.claims import setting_columns, settings
from trimtab.claims import value_pairing as pairing
from trimtab.claims.claim_model import Fact, Relation
from trimtab.claims.comparison_words import CUE
from trimtab.claims.sentence_parts import Sentence, clauses, parse
from trimtab.claims.text_range import TextRange
from trimtab.claims.vocabulary import NO_HEADERS
from trimtab.claims.wording import any_case

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trimtab.claims.name_registry import Mention, Registry
    from trimtab.claims.number_kinds import TextNumber
    from trimtab.claims.vocabulary import HeaderVocabulary

_OF_ALL: Final[Mapping[str, Relation]] = {"better": "best", "greater": "highest", "worse": "worst", "less": "lowest"}
_REACHES: Final = any_case(
    r"\b(?:reach|attain|achieve|hit|exceed|surpass|get|obtain)\w*\s+(?:an?\s+)?(?:\w+\s+of\s+)?$"
)
_NAMED_BEST: Final = re.compile(r"\b(?:is|are|was|were|by|from)\b[^,;(]*$")
_THAN_ON: Final = re.compile(r"\bthan\s+(?:on|for|in)\s+(?:the\s+)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFacts:
    """Facts, and the characters of the words they were read from, names and numbers apart."""

    facts: tuple[Fact, ...] = ()
    used: tuple[TextRange, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood(ReadFacts):
    """What was read of a sentence."""

    sentence: Sentence


def understand(
    text: str, registry: Registry, vocabulary: HeaderVocabulary = NO_HEADERS, carried: str = ""
) -> Understood:  # fmt: skip
    """Return the facts of a sentence with what they were read from.

    Args:
        text: The sentence.
        registry: Known names.
        vocabulary: The headers of the sources' tables.
        carried: The system the sentence before was about, for "It reaches 85 %".
    """
    sentence = parse(text, registry, vocabulary, carried)
    facts: list[Fact] = []
    used: list[TextRange] = []
    for clause in clauses(sentence, CUE):
        deltas, denied = compare.deltas(clause), compare.negation(clause)
        plain = [value for value in clause.values if value not in deltas]
        compared, extreme = _comparisons(clause, deltas), _extremes(clause)
        stated = (*compared.facts, *extreme.facts, *_equalities(clause, plain))
        used += (*compared.used, *extreme.used, *compare.words_of(deltas, clause))
        if denied and stated:
            used.append(denied)
            stated = tuple(_denied(fact, text) for fact in stated)
        facts += [_under_settings(fact, clause, sentence) for fact in stated]
    return Understood(facts=tuple(facts), used=tuple(used), sentence=sentence)


def _under_settings(fact: Fact, clause: Sentence, sentence: Sentence) -> Fact:
    """Return a fact with what its clause, or the opening of its sentence, says of columns.

    Of several values and as many values of a column each has its own, in their order.
    """
    first = min([*(name.start for name in sentence.systems), *(value.start for value in sentence.values)], default=0)
    opening = (phrase for phrase in sentence.settings if phrase.end <= first and phrase not in clause.settings)
    index = next((at for at, value in enumerate(sentence.values) if value.start == fact.start), 0)
    columns = setting_columns.of_value([*clause.settings, *opening], index, sentence.settings)
    return replace(fact, setting=replace(fact.setting, columns=columns)) if columns else fact


def _denied(fact: Fact, text: str) -> Fact:
    """Return a fact that its sentence denies; not to reach a value is to stay under it."""
    below = fact.relation == "equals" and fact.hedge == "exactly" and _REACHES.search(text[: fact.start])
    return replace(fact, negated=True, hedge="at least" if below else fact.hedge)


def _equalities(sentence: Sentence, values: Sequence[TextNumber]) -> list[Fact]:
    """Return "X has v on B" for each value that can be placed."""
    benchmarks = pairing.paired(sentence, values, sentence.benchmarks)
    subjects = pairing.subjects(sentence, values)
    facts = []
    metrics: Sequence[Mention | None] = [pairing.nearest(sentence.metrics, value) for value in values]
    if len(sentence.metrics) == len(values):  # "88.3 / 94.1 (EM / F1)"
        metrics = pairing.paired(sentence, values, sentence.metrics)
    for index, (value, benchmark, subject, metric) in enumerate(
        zip(values, benchmarks, subjects, metrics, strict=True)
    ):
        if not (benchmark or metric) or compare.sizes_a_difference(sentence, value):
            continue
        known = subject and (metric or (benchmark and benchmark.id))
        if not (value.quantity.unit or value.quantity.decimals or known):
            continue  # a bare "5" is anything
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


def _comparisons(sentence: Sentence, deltas: Mapping[TextNumber, Relation]) -> ReadFacts:
    """Return "X is above Y on B, by v"."""
    if across := _across(sentence):
        return across
    sides, cue = pairing.compared_sides(sentence), CUE.search(sentence.own)
    if not sides or (not cue and not deltas):
        return ReadFacts()
    scope = compare.scope(sentence)
    at = TextRange.of(cue) if cue else TextRange(sentence.start, sentence.start)
    base = Fact(
        start=at.start,
        end=at.end,
        subject=sides.subject,
        comparator=sides.others[0],
        relation=compare.relation_of(cue) if cue else "better",
        metric=_compared_in(sentence, cue),
        setting=settings.read(sentence.text[sentence.start : sentence.end]),
        quantifier=scope.quantifier,
        exceptions=scope.exceptions,
        count=scope.count,
        of=scope.of,
    )
    marks = [name for name in sentence.benchmarks if name.text not in scope.exceptions]
    if deltas:
        facts = [_by(base, sentence, value, relation, marks) for value, relation in deltas.items()]
    else:
        on = [name.text for name in marks if not scope.quantifier]
        facts = [replace(base, benchmark=name) for name in on or [""]]
    if len(facts) == len(sides.others) > 1 and len(marks) < 2 and re.search(r"\brespectively\b", sentence.text):
        facts = [replace(fact, comparator=other) for fact, other in zip(facts, sides.others, strict=True)]
    else:
        facts = [
            replace(fact, comparator=other)
            for other in sides.others
            for fact in facts
            if _beside(sentence, fact, other)
        ]  # fmt: skip
    return ReadFacts(facts=tuple(facts), used=(*(_ends(cue) if cue else ()), *scope.used))


def _ends(cue: re.Match[str]) -> tuple[TextRange, ...]:
    """Return the words that compare, without those between: what "recall" is in "lower recall than" has to be read."""
    first, _, rest = cue[0].partition(" ")
    if not rest.endswith("than"):
        return (TextRange.of(cue),)
    return TextRange(cue.start(), cue.start() + len(first)), TextRange(cue.end() - len("than"), cue.end())


def _beside(sentence: Sentence, fact: Fact, other: str) -> bool:
    """Whether a difference is one from this comparator: in "beats Y (+6.8) and Z (+15.3)" each has its own."""
    before = sentence.text[: fact.start].rstrip()
    nearest = [name.text for name in sentence.systems if name.end <= fact.start]
    if fact.value is None or not nearest or not before.endswith("("):
        return True
    return nearest[-1] == other or not before[:-1].rstrip().endswith(nearest[-1])


def _by(base: Fact, sentence: Sentence, value: TextNumber, relation: Relation, marks: Sequence[Mention]) -> Fact:
    """Return a comparison with the size of the difference."""
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
    if not cue or len({metric.id for metric in sentence.metrics}) != 1:
        return ""
    metric = sentence.metrics[0]
    gap = sentence.text[min(metric.end, cue.end()) : max(metric.start, cue.start())]
    return "" if re.search(r"[,;:]|\b(?:while|although|but|despite|though)\b", gap) else metric.text


def _across(sentence: Sentence) -> ReadFacts | None:
    """Return "X is higher on A than on B"."""
    cue = compare.THAN_ON.search(sentence.own)
    if len(sentence.benchmarks) != 2 or not cue or len(sentence.systems) > 1:
        return None
    first, second = sentence.benchmarks
    subject = sentence.systems[0].text if sentence.systems else sentence.carried
    than = _THAN_ON.search(sentence.text[: second.start])
    if not subject or not than:
        return None
    fact = Fact(
        subject=subject,
        relation=compare.relation_of(cue),
        benchmark=first.text,
        comparator_benchmark=second.text,
        setting=settings.read(sentence.text),
    )
    return ReadFacts(facts=(fact,), used=(TextRange.of(cue), TextRange.of(than)))


def _extremes(sentence: Sentence) -> ReadFacts:
    """Return "X is the best on B", or "X surpasses all others on B"."""
    cue, best = CUE.search(sentence.own), compare.BEST.search(sentence.own)
    everyone = compare.EVERYONE.match(sentence.own[cue.end() :]) if cue else None
    systems = sentence.systems
    subject = systems[0].text if len(systems) == 1 else sentence.carried if not systems else ""
    if cue and everyone:
        words, relation = cue, _OF_ALL[compare.relation_of(cue)]
        used = TextRange(cue.start(), cue.end() + everyone.end())
    elif best:
        words, relation, used = best, compare.relation_of(best), TextRange.of(best)
        if systems and best.end() <= systems[0].start:
            # "The best on B is X", but not "the best competing baseline (X) reaches …".
            subject = subject if _NAMED_BEST.search(sentence.text[best.end() : systems[0].start]) else ""
    else:
        return ReadFacts()
    metric = _compared_in(sentence, words)
    on = [name.text for name in sentence.benchmarks] or [""] * bool(metric)
    facts = tuple(
        Fact(subject=subject, relation=relation, metric=metric, benchmark=name, setting=settings.read(sentence.text))
        for name in on
        if subject
    )
    return ReadFacts(facts=facts, used=(used,) if facts else ())
