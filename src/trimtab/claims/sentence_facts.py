"""From a sentence to its facts: which value belongs to which model, benchmark, metric and setting.

Decisions: only what is written is read; a sentence whose parts cannot be paired gives no fact rather than a wrong one.
The order of values and benchmarks decides who belongs to whom: "54.9 on A and 61.4 on B" looks ahead, "A: 54.9, B:
61.4" back, and lists of equal length are paired in order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final, cast

from trimtab.claims import mentions, settings
from trimtab.claims.claim_model import Fact, Relation, Setting
from trimtab.claims.name_registry import Mention

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from trimtab.claims.mentions import Value
    from trimtab.claims.name_registry import Registry

# "Better" is judged in the direction of the metric, "higher" by the number alone.
_WORDS: Final = r"(?:\w+ ){0,2}than"
_CUES: Final = {
    "better": rf"outperform\w*|surpass\w*|beats?|beating|(?:better|more accurate|stronger) {_WORDS}|ahead of"
    r"|improv\w+ (?:over|upon)",
    "greater": rf"exceed\w*|higher {_WORDS}",
    "worse": rf"underperform\w*|(?:worse|less accurate|weaker) {_WORDS}|behind|trails?|falls? short of",
    "less": rf"lower {_WORDS}",
}
_DELTAS: Final = {
    "better": "improvements?|gains?|better|ahead",
    "greater": "increases?|higher|more",
    "worse": "worse|degradations?|behind",
    "less": "drops?|decreases?|lower|reductions?|declines?|less|fewer",
}
_EXTREMES: Final = {
    "best": "best|top|state[- ]of[- ]the[- ]art",
    "highest": "highest",
    "worst": "worst",
    "lowest": "lowest",
}
_OF_ALL: Final[Mapping[str, Relation]] = {"better": "best", "greater": "highest", "worse": "worst", "less": "lowest"}


def _either(words: Mapping[str, str]) -> str:
    """Return an expression with one named group for each relation."""
    return "|".join(f"(?P<{name}>{pattern})" for name, pattern in words.items())


_CUE: Final = re.compile(rf"\b(?:{_either(_CUES)})(?!\w)", re.IGNORECASE)
_AGAINST: Final = re.compile(
    r"\b(?:compared (?:to|with)|relative to|over|versus|vs\.?|than)(?:\s+(?:the|on|in))*\s*$", re.IGNORECASE
)
_DELTA_AFTER: Final = re.compile(
    rf"^\s*(?:absolute\s+|relative\s+|percentage\s+|points?\s+)*(?:{_either(_DELTAS)})\b", re.IGNORECASE
)
_BY: Final = re.compile(
    r"\bby\s+(?:about\s+|around\s+|roughly\s+|over\s+|an?\s+|absolute\s+|relative\s+)*$", re.IGNORECASE
)
_FROM_TO: Final = re.compile(r"\bfrom\s*$", re.IGNORECASE)
_ELLIPSIS: Final = re.compile(r"\b(?:but|and|while|yet)\s+(?:only\s+|just\s+)?(?:by\s+)?$", re.IGNORECASE)
_AHEAD: Final = re.compile(
    r"^\s*(?:%|points?)?\s*(?:(?:pass@\d+|[\w-]+)\s+){0,2}(?:on|in|for|at)\s+(?:the\s+)?$", re.IGNORECASE
)
_OWNER: Final = re.compile(r"^\s*(?:%|points?)?\s*(?:\w+\s+)?(?:for|by|from|\()\s*(?:the\s+)?$", re.IGNORECASE)
_CAPITAL: Final = r"(?:[A-Z][\w+-]*(?:\.\w+)*|(?:19|20)\d\d)"
_PROPER: Final = re.compile(
    rf"\b(?:[Oo]n|[Ff]or|[Ii]n)\s+(?:the\s+)?(?!Table|Figure|Section|Appendix)"
    rf"({_CAPITAL}(?:[\s/]+(?:{_CAPITAL}|of(?=\s[A-Z])|\d(?:\.\d)?(?=\s|$)))*)"
)
_BEST: Final = re.compile(rf"\b(?:the\s+)?(?:{_either(_EXTREMES)})\b", re.IGNORECASE)
_THAN_ON: Final = re.compile(
    rf"\b(?:{_either({'better': 'better', 'greater': 'higher|more', 'worse': 'worse', 'less': 'lower|less'})})\b",
    re.IGNORECASE,
)
_ALL: Final = re.compile(
    r"^\s*(?:the scores? of\s+)?(?:all|any|every)\s+(?:the\s+)?(?:other\s+)?"
    r"(?:models?|methods?|systems?|baselines?|llms?|others|competitors?)\b",
    re.IGNORECASE,
)
_UNDERSCORED: Final = re.compile(r"\b[A-Za-z]\w*_\w+")
_PRONOUN: Final = re.compile(r"^\s*(?:it|the model|this model|the method|this method)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A sentence with everything in it that a fact is made of, in order."""

    text: str
    models: tuple[Mention, ...]
    benchmarks: tuple[Mention, ...]
    metrics: tuple[Mention, ...]
    values: tuple[Value, ...]
    carried: str

    def between(self, start: int, end: int) -> str:
        """Return the text between two places."""
        return self.text[start:end]


def read(text: str, registry: Registry, models: Mapping[str, str] | None = None, carried: str = "") -> tuple[Fact, ...]:
    """Return the facts of a sentence.

    Args:
        text: The sentence.
        registry: Known names.
        models: key → id of the names in the headers of the sources' tables.
        carried: The model the sentence before was about, for "It reaches 85 %".
    """
    sentence = parse(text, registry, models, carried)
    if not sentence.values:
        return (*_comparisons(sentence, ()), *_extremes(sentence))
    deltas = _deltas(sentence)
    plain = [one for one in sentence.values if one not in deltas]
    return (*_comparisons(sentence, deltas), *_extremes(sentence), *_equalities(sentence, plain))


def parse(text: str, registry: Registry, models: Mapping[str, str] | None, carried: str) -> Sentence:
    """Find names and values; a name after "on" that no one knows is a benchmark, not a model."""
    found = mentions.find(text, registry, models)
    named = [one for one in found if one.kind == "models"]
    marks = [one for one in found if one.kind == "benchmarks"]
    unknown = [one for one in named if re.search(r"\b[Oo]n\s+(?:the\s+)?$", text[: one.start])]
    if not marks:
        marks = unknown or _proper(text, found)
        named = [one for one in named if one not in unknown]
    return Sentence(
        text=text,
        models=tuple(named),
        benchmarks=tuple(marks),
        metrics=(*(one for one in found if one.kind == "metrics"), *_in_endpoints(text, registry)),
        values=tuple(mentions.values(text, [*found, *marks])),
        carried=carried if _PRONOUN.match(text) else "",
    )


def _in_endpoints(text: str, registry: Registry) -> Iterable[Mention]:
    """Yield the metrics inside words such as "humaneval_nll"."""
    for match in _UNDERSCORED.finditer(text):
        for one in registry.endpoint(match[0]):
            yield replace(one, start=match.start() + one.start, end=match.start() + one.end)


def _proper(text: str, found: Sequence[Mention]) -> list[Mention]:
    """Return capitalized names after "on": benchmarks that no registry knows."""
    marks = []
    for match in _PROPER.finditer(text):
        start, end = match.span(1)
        if not any(start < one.end and one.start < end for one in found):
            marks.append(Mention(id="", kind="benchmarks", start=start, end=end, text=match[1]))
    return marks


def _equalities(sentence: Sentence, values: Sequence[Value]) -> list[Fact]:
    """Return "X has v on B" for each value that can be placed."""
    swapped = _ranges(sentence, values)
    benchmarks = _paired(sentence, values, sentence.benchmarks)
    subjects = _owners(sentence, values)
    facts = []
    for index, value in enumerate(values):
        benchmark = benchmarks[index]
        metric = _nearest(sentence.metrics, value)
        subject = swapped.get(index, subjects[index])
        if not (benchmark or metric) or (not subject and not value.quantity.unit and not value.quantity.decimals):
            continue
        facts.append(
            Fact(
                subject=subject,
                benchmark=benchmark.text if benchmark else "",
                metric=metric.text if metric else "",
                setting=_setting(sentence, values, index, benchmark),
                value=value.quantity,
                hedge=value.hedge,  # type: ignore[arg-type]
                start=value.start,
                end=value.end,
            )
        )
    return facts


def _ranges(sentence: Sentence, values: Sequence[Value]) -> dict[int, str]:
    """Return index → subject for "from 65.9 to 92.7" in a comparison: first the other's value, then its own."""
    sides = _sides(sentence)
    if not sides:
        return {}
    found: dict[int, str] = {}
    for index, (one, other) in enumerate(pairwise(values)):
        if _FROM_TO.search(sentence.text[: one.start]) and sentence.between(one.end, other.start).strip() == "to":
            found |= {index: sides[1], index + 1: sides[0]}
    return found


def _paired(sentence: Sentence, values: Sequence[Value], marks: Sequence[Mention]) -> list[Mention | None]:
    """Return each value's benchmark."""
    if not marks:
        return [None] * len(values)
    if len(marks) == len(values) > 1 and (values[-1].start < marks[0].start or marks[-1].end <= values[0].start):
        return list(marks)
    ahead = values and values[0].start < marks[0].start
    return [_benchmark(sentence, values, index, marks, looks_ahead=bool(ahead)) for index in range(len(values))]


def _benchmark(
    sentence: Sentence, values: Sequence[Value], index: int, marks: Sequence[Mention], *, looks_ahead: bool
) -> Mention | None:
    value = values[index]
    after = next((one for one in marks if one.start >= value.end), None)
    before = next((one for one in reversed(marks) if one.end <= value.start), None)
    limit = values[index + 1].start if index + 1 < len(values) else len(sentence.text)
    direct = after is not None and after.start < limit and _AHEAD.match(sentence.between(value.end, after.start))
    if direct or (looks_ahead and after is not None):
        return after
    return before or after


def _owners(sentence: Sentence, values: Sequence[Value]) -> list[str]:
    """Return each value's subject."""
    models = sentence.models
    run = [one for one in models if values and one.end <= values[0].start]
    if len(run) == len(values) > 1 and len(models) == len(run) and _listed(sentence, run):
        return [one.text for one in run]
    return [_owner(sentence, value) for value in values]


def _listed(sentence: Sentence, run: Sequence[Mention]) -> bool:
    """Whether models stand in one list: "A, B and C"."""
    gaps = (sentence.between(one.end, other.start) for one, other in pairwise(run))
    return all(re.fullmatch(r"\s*(?:,|,?\s*and|&|/)\s*", gap) for gap in gaps)


def _owner(sentence: Sentence, value: Value) -> str:
    after = next((one for one in sentence.models if one.start >= value.end), None)
    if after and _OWNER.match(sentence.between(value.end, after.start)):
        return after.text
    before = next((one for one in reversed(sentence.models) if one.end <= value.start), None)
    sides = _sides(sentence)
    if before and sides and before.text == sides[1] and _after_comparison(sentence, before, value):
        return sides[0]
    if before:
        return before.text
    return sentence.carried or (after.text if after else "")


def _after_comparison(sentence: Sentence, other: Mention, value: Value) -> bool:
    """Whether a value behind "compared to Y" is X's again: only where Y is not directly followed by it."""
    return not re.fullmatch(
        r"\s*[(:,]?\s*(?:at|with|of|which \w+|scores?|achieves?)?\s*", sentence.between(other.end, value.start)
    )


def _nearest(marks: Sequence[Mention], value: Value) -> Mention | None:
    return min(marks, key=lambda one: max(one.start - value.end, value.start - one.end), default=None)


def _setting(sentence: Sentence, values: Sequence[Value], index: int, benchmark: Mention | None) -> Setting:
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


def _sides(sentence: Sentence) -> tuple[str, str] | None:
    """Return subject and comparator of a comparison of two models."""
    cue = _CUE.search(sentence.text)
    at = cue.start() if cue else None
    before = [one for one in sentence.models if at is None or one.end <= at]
    after = [one for one in sentence.models if one not in before] if cue else []
    if cue and after and before and _close_to(sentence, cue.end(), after[0]):
        return before[-1].text, after[0].text
    for one in sentence.models:
        if _AGAINST.search(sentence.text[: one.start]):
            others = [other for other in sentence.models if other.end < one.start]
            return (others[-1].text, one.text) if others else None
    return None


def _close_to(sentence: Sentence, end: int, mention: Mention) -> bool:
    return len(sentence.between(end, mention.start).split()) <= 4


def _deltas(sentence: Sentence) -> dict[Value, Relation]:
    """Return the values that are differences, with their direction."""
    found: dict[Value, Relation] = {}
    last: Relation | None = None
    cue = _CUE.search(sentence.text)
    for value in sentence.values:
        after = _DELTA_AFTER.match(sentence.text[value.end :])
        if after:
            last = found[value] = _relation(after)
        elif _BY.search(sentence.text[: value.start]) and cue:
            last = found[value] = _relation(cue)
        elif last and _ELLIPSIS.search(sentence.text[: value.start]):
            found[value] = last
    return found


def _comparisons(sentence: Sentence, deltas: Mapping[Value, Relation] | tuple[()]) -> list[Fact]:
    """Return "X is above Y on B, by v"."""
    sides, across = _sides(sentence), _across(sentence)
    if across:
        return [across]
    if not sides:
        return []
    cue = _CUE.search(sentence.text)
    base = Fact(
        subject=sides[0],
        comparator=sides[1],
        relation=_relation(cue) if cue else "better",
        metric=_compared_in(sentence, cue),
        setting=settings.read(sentence.text),
    )
    if not deltas:
        marks = sentence.benchmarks or (None,)
        return [replace(base, benchmark=one.text if one else "") for one in marks] if cue else []
    facts = []
    for value, relation in deltas.items():
        benchmark = _paired(sentence, [value], sentence.benchmarks)[0]
        told = sentence.text[max(0, value.start - 12) : value.end + 24].casefold()
        facts.append(
            replace(
                base,
                relation=relation,
                benchmark=benchmark.text if benchmark else "",
                value=value.quantity,
                hedge=value.hedge,  # type: ignore[arg-type]
                relative="relative" in told,
                start=value.start,
                end=value.end,
            )
        )
    return facts


def _relation(match: re.Match[str]) -> Relation:
    """Return the relation whose words were found."""
    return cast("Relation", match.lastgroup)  # the groups are named after relations


def _compared_in(sentence: Sentence, cue: re.Match[str] | None) -> str:
    """Return the metric of a comparison: the only one, in the same part of the sentence as the word that compares."""
    if not cue or len({one.id for one in sentence.metrics}) != 1:
        return ""
    metric = sentence.metrics[0]
    gap = sentence.between(min(metric.end, cue.end()), max(metric.start, cue.start()))
    return "" if re.search(r"[,;:]|\b(?:while|although|but|despite|though)\b", gap) else metric.text


def _across(sentence: Sentence) -> Fact | None:
    """Return "X is higher on A than on B"."""
    cue = _THAN_ON.search(sentence.text)
    if len(sentence.benchmarks) != 2 or not cue or len(sentence.models) > 1:
        return None
    one, other = sentence.benchmarks
    subject = sentence.models[0].text if sentence.models else sentence.carried
    if not subject or not re.search(r"\bthan\s+(?:on|for|in)\s+(?:the\s+)?$", sentence.text[: other.start]):
        return None
    return Fact(
        subject=subject,
        relation=_relation(cue),
        benchmark=one.text,
        comparator_benchmark=other.text,
        setting=settings.read(sentence.text),
    )


def _extremes(sentence: Sentence) -> list[Fact]:
    """Return "X is the best on B", or "X surpasses all others on B"."""
    cue, best = _CUE.search(sentence.text), _BEST.search(sentence.text)
    everyone = cue is not None and _ALL.match(sentence.text[cue.end() :])
    if len(sentence.models) != 1 or not sentence.benchmarks or not (everyone or best):
        return []
    relation = _OF_ALL[_relation(cue)] if cue and everyone else _relation(best) if best else "best"
    return [
        Fact(
            subject=sentence.models[0].text,
            relation=relation,
            metric=_compared_in(sentence, cue if everyone else best),
            benchmark=one.text,
            setting=settings.read(sentence.text),
        )
        for one in sentence.benchmarks
    ]
