"""From a sentence to its facts: which value belongs to which system, benchmark, metric and setting, and what compares.

Decisions: only what is written is read; a sentence whose parts cannot be paired gives no fact rather than a wrong one.
The order of values and benchmarks decides who belongs to whom: "54.9 on A and 61.4 on B" looks ahead, "A: 54.9, B:
61.4" back, and lists of equal length are paired in order. What of the sentence was not understood is said beside the
facts (:mod:`trimtab.claims.understanding`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from trimtab.claims import comparison_words as compare
from trimtab.claims import settings
from trimtab.claims.claim_model import Fact, Relation, Setting
from trimtab.claims.comparison_words import CUE
from trimtab.claims.result_verbs import RESULT_VERB
from trimtab.claims.sentence_parts import Sentence, clauses, parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trimtab.claims.name_registry import Mention, Registry
    from trimtab.claims.number_kinds import TextNumber
    from trimtab.claims.vocabulary import Vocabulary

_OF_ALL: Final[Mapping[str, Relation]] = {"better": "best", "greater": "highest", "worse": "worst", "less": "lowest"}
_FROM_TO: Final = re.compile(r"\bfrom\s*$", re.IGNORECASE)
_VERSUS: Final = re.compile(
    r"^[\s)%]*(?:points?\s*)?(?:vs\.?|versus|against|to|compared (?:to|with))\s*$", re.IGNORECASE
)
_AHEAD: Final = re.compile(
    r"^\s*(?:%|points?)?\s*(?:(?:pass@\d+|[\w-]+)\s+){0,2}(?:on|in|for|at)\s+(?:the\s+)?$", re.IGNORECASE
)
_OWNER: Final = re.compile(r"^\s*(?:%|points?)?\s*(?:\w+\s+)?(?:for|by|from|\()\s*(?:the\s+)?$", re.IGNORECASE)
_SELF_WORDS: Final = """
we our ours us i it its this these the paper work model method approach system here results result overall average avg
score scores value values mean best performance accuracy numbers in on at for with of a an and table as
"""
_SELF: Final = frozenset(_SELF_WORDS.split())
_REACHES: Final = re.compile(
    r"\b(?:reach|attain|achieve|hit|exceed|surpass|get|obtain)\w*\s+(?:an?\s+)?(?:\w+\s+of\s+)?$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """What was read of a sentence: its facts, the clauses they stand in, and the characters they are made of."""

    facts: tuple[Fact, ...]
    sentence: Sentence
    clauses: tuple[Sentence, ...]
    used: tuple[tuple[int, int], ...]


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
    for part in parts:
        denied = compare.negation(part)
        made = _clause(part)
        used += made.used
        for fact in made.facts:
            if denied is not None:
                used.append(denied)
                fact = _denied(fact, part)  # noqa: PLW2901 - the same fact, denied
            facts.append(fact)
    return Understood(facts=tuple(facts), sentence=sentence, clauses=tuple(parts), used=tuple(used))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """Facts of a clause, and the characters of the words they were read from, names and numbers apart."""

    facts: tuple[Fact, ...] = ()
    used: tuple[tuple[int, int], ...] = ()


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
    )


def _equalities(sentence: Sentence, values: Sequence[TextNumber]) -> list[Fact]:
    """Return "X has v on B" for each value that can be placed."""
    swapped = _ranges(sentence, values) | _versus(sentence, values)
    benchmarks = _paired(sentence, values, sentence.benchmarks)
    subjects = _owners(sentence, values)
    facts = []
    for index, value in enumerate(values):
        benchmark = benchmarks[index]
        metric = _nearest(sentence.metrics, value)
        subject = swapped.get(index, subjects[index])
        bare = not value.quantity.unit and not value.quantity.decimals
        if not (benchmark or metric) or (bare and (not subject or not (metric or (benchmark and benchmark.id)))):
            continue
        facts.append(
            Fact(
                subject=subject,
                benchmark=benchmark.text if benchmark else "",
                metric=metric.text if metric else "",
                setting=_setting(sentence, values, index, benchmark),
                value=value.quantity,
                hedge=value.hedge,
                start=value.start,
                end=value.end,
            )
        )
    return facts


def _ranges(sentence: Sentence, values: Sequence[TextNumber]) -> dict[int, str]:
    """Return index → subject for "from 65.9 to 92.7" in a comparison: first the other's value, then its own."""
    sides = _sides(sentence)
    if not sides:
        return {}
    found: dict[int, str] = {}
    for index, (one, other) in enumerate(pairwise(values)):
        if _FROM_TO.search(sentence.text[: one.start]) and sentence.between(one.end, other.start).strip() == "to":
            found |= {index: sides[1][0], index + 1: sides[0]}
    return found


def _versus(sentence: Sentence, values: Sequence[TextNumber]) -> dict[int, str]:
    """Return index → subject for "X outperforms Y (79.9 vs. 61.1)": first its own value, then the other's."""
    found: dict[int, str] = {}
    sides = _sides(sentence)
    for index, (one, other) in enumerate(pairwise(values)):
        before = [mention for mention in sentence.systems if mention.end <= one.start]
        if len(before) < 2 or not _VERSUS.match(sentence.between(one.end, other.start)):
            continue
        first = sides[0] if sides else before[0].text
        behind = re.fullmatch(r"\s*[(\[:,]*\s*", sentence.between(before[-1].end, one.start))
        compared = before[-1].text in sides[1] if sides else bool(behind)
        if before[-1].text != first and (compared or behind) and not _FROM_TO.search(sentence.text[: one.start]):
            found |= {index: first, index + 1: before[-1].text}
    return found


def _paired(sentence: Sentence, values: Sequence[TextNumber], marks: Sequence[Mention]) -> list[Mention | None]:
    """Return each value's benchmark."""
    if not marks:
        return [None] * len(values)
    if len(marks) == len(values) > 1 and (values[-1].start < marks[0].start or marks[-1].end <= values[0].start):
        return list(marks)
    ahead = values and values[0].start < marks[0].start
    return [_benchmark(sentence, values, index, marks, looks_ahead=bool(ahead)) for index in range(len(values))]


def _benchmark(
    sentence: Sentence, values: Sequence[TextNumber], index: int, marks: Sequence[Mention], *, looks_ahead: bool
) -> Mention | None:
    value = values[index]
    after = next((one for one in marks if one.start >= value.end), None)
    before = next((one for one in reversed(marks) if one.end <= value.start), None)
    limit = values[index + 1].start if index + 1 < len(values) else len(sentence.text)
    direct = after is not None and after.start < limit and _AHEAD.match(sentence.between(value.end, after.start))
    if direct or (looks_ahead and after is not None):
        return after
    return before or after


def _owners(sentence: Sentence, values: Sequence[TextNumber]) -> list[str]:
    """Return each value's subject."""
    systems = sentence.systems
    run = [one for one in systems if values and one.end <= values[0].start]
    if len(run) == len(values) > 1 and len(systems) == len(run) and _listed(sentence, run):
        return [one.text for one in run]
    return [_owner(sentence, value) for value in values]


def _listed(sentence: Sentence, run: Sequence[Mention]) -> bool:
    """Whether names stand in one list: "A, B and C"."""
    gaps = (re.sub(r"\([^()]*\)", "", sentence.between(one.end, other.start)) for one, other in pairwise(run))
    return all(re.fullmatch(r"\s*(?:,|,?\s*and|&|/)\s*", gap) for gap in gaps)


def _owner(sentence: Sentence, value: TextNumber) -> str:
    after = next((one for one in sentence.systems if one.start >= value.end), None)
    if after and _OWNER.match(sentence.between(value.end, after.start)):
        return after.text
    before = next((one for one in reversed(sentence.systems) if one.end <= value.start), None)
    sides = _sides(sentence)
    if before and sides and before.text in sides[1] and _after_comparison(sentence, before, value):
        return sides[0]
    if before:
        return before.text
    # "It scores 32.9, surpassing Y": the value is not Y's.
    between = sentence.between(value.end, after.start) if after else ""
    behind = after.text if after and not CUE.search(between) and not compare.AGAINST.search(between) else ""
    return sentence.carried or behind or _unknown(sentence)


def _unknown(sentence: Sentence) -> str:
    """Return who a clause is about where it names nobody that is known: the words before its verb; "we" is nobody."""
    verb = RESULT_VERB.search(sentence.own, sentence.start)
    words = sentence.text[sentence.start : verb.start()] if verb else ""
    for start, end in sentence.named:
        if verb and end <= verb.start():
            at = start - sentence.start
            words = words[:at] + " " * (end - start) + words[at + end - start :]
    left = [
        word for word in re.findall(r"[\w.+-]*\w", words) if word.casefold() not in _SELF and not word.endswith("ly")
    ]
    return " ".join(left)


def _after_comparison(sentence: Sentence, other: Mention, value: TextNumber) -> bool:
    """Whether a value behind "compared to Y" is X's again: only where Y is not directly followed by it."""
    return not re.fullmatch(
        r"(?:['\u2019]s)?\s*[(:,]?\s*(?:at|with|of|which \w+|scores?|achieves?)?\s*",
        sentence.between(other.end, value.start),
    )


def _nearest(marks: Sequence[Mention], value: TextNumber) -> Mention | None:
    return min(marks, key=lambda one: max(one.start - value.end, value.start - one.end), default=None)


def _setting(
    sentence: Sentence, values: Sequence[TextNumber], index: int, benchmark: Mention | None
) -> Setting:  # fmt: skip
    """Return the setting told beside a value, else the one told for the whole sentence."""
    value = values[index]
    if benchmark is None or benchmark.start >= value.end:
        end = values[index + 1].start if index + 1 < len(values) else len(sentence.text)
        near = sentence.between(value.start, end)
    else:
        start = values[index - 1].end if index else 0
        end = values[index + 1].start if index + 1 < len(values) else len(sentence.text)
        tail = sentence.between(value.end, end)
        # What follows the value belongs to it only up to the next benchmark.
        stop = next((one.start - value.end for one in sentence.benchmarks if one.start >= value.end), len(tail))
        near = sentence.between(start, value.end) + tail[:stop]
    return settings.over(settings.read(near), settings.read(sentence.text))


def _sides(sentence: Sentence) -> tuple[str, tuple[str, ...]] | None:
    """Return subject and comparators of a comparison of systems."""
    cue = CUE.search(sentence.own)
    at = cue.start() if cue else None
    before = [one for one in sentence.systems if at is None or one.end <= at]
    after = [one for one in sentence.systems if one not in before] if cue else []
    subject = before[-1].text if before else sentence.carried
    if before and len(before) > 1 and cue and not _listed(sentence, before):
        subject = before[0].text
    if cue and after and subject and len(sentence.between(cue.end(), after[0].start).split()) <= 6:
        run = [after[0]]
        for other in after[1:]:
            if not _listed(sentence, (run[-1], other)):
                break
            run.append(other)
        return subject, tuple(dict.fromkeys(one.text for one in run))
    for one in sentence.systems:
        if compare.AGAINST.search(sentence.own[: one.start]):
            others = [other for other in sentence.systems if other.end < one.start]
            return (others[-1].text, (one.text,)) if others else None
    return None


def _comparisons(sentence: Sentence, deltas: Mapping[TextNumber, Relation]) -> _Made:
    """Return "X is above Y on B, by v"."""
    if across := _across(sentence):
        return across
    sides, cue = _sides(sentence), CUE.search(sentence.own)
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
    made = [replace(fact, comparator=other) for other in sides[1] for fact in facts if _beside(sentence, fact, other)]
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
    benchmark = _paired(sentence, [value], marks)[0]
    told = sentence.text[max(0, value.start - 12) : value.end + 24].casefold()
    return replace(
        base,
        relation=relation,
        benchmark=benchmark.text if benchmark else "",
        value=value.quantity,
        hedge=value.hedge,
        relative="relative" in told,
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
