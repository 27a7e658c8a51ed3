"""Which of the names in a sentence a value belongs to: its system, its benchmark, its metric and its setting.

Decisions: the order of values and benchmarks decides who belongs to whom: "54.9 on A and 61.4 on B" looks ahead, "A:
54.9, B: 61.4" back, and lists of equal length are paired in order.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from trimtab.claims import comparison_words as compare
from trimtab.claims import settings
from trimtab.claims.comparison_words import CUE
from trimtab.claims.result_words import RESULT_VERB
from trimtab.claims.wording import LISTED, any_case, word_set

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trimtab.claims.claim_model import MeasurementSetting
    from trimtab.claims.name_registry import Mention
    from trimtab.claims.number_kinds import TextNumber
    from trimtab.claims.sentence_parts import Sentence

_FROM: Final = any_case(r"\bfrom\s*$")
_VERSUS: Final = any_case(r"^[\s)%]*(?:points?\s*)?(?:vs\.?|versus|against|to|compared (?:to|with))\s*$")
_AHEAD: Final = any_case(r"^\s*(?:%|points?)?\s*(?:(?:pass@\d+|[\w-]+)\s+){0,2}(?:on|in|for|at)\s+(?:the\s+)?$")
_OWNER: Final = any_case(r"^\s*(?:%|points?)?\s*(?:\w+\s+)?(?:for|by|from|\()\s*(?:the\s+)?$")
_DIRECTLY_BEHIND: Final = re.compile(r"(?:['\u2019]s)?\s*[(:,]?\s*(?:at|with|of|which \w+|scores?|achieves?)?\s*")
_VALUE_BEHIND: Final = re.compile(r"\s+\d")
_NOBODY: Final = word_set("""
we our ours us i it its this these the paper work model method approach system here results result overall average avg
score scores value values mean best performance accuracy numbers in on at for with of a an and table as
""")


class ComparedSides(NamedTuple):
    """Who is compared, and with whom."""

    subject: str
    others: tuple[str, ...]


def compared_sides(sentence: Sentence) -> ComparedSides | None:
    """Return subject and comparators of a comparison of systems."""
    cue = CUE.search(sentence.own)
    before = [name for name in sentence.systems if not cue or name.end <= cue.start()]
    after = sentence.systems[len(before) :]
    after = after[
        : next((at for at, name in enumerate(after) if at and _VALUE_BEHIND.match(sentence.text, name.end)), None)
    ]
    subject = before[-1].text if before else sentence.carried
    if cue and before and not _listed(sentence, before):
        subject = before[0].text
    if cue and after and subject and len(sentence.text[cue.end() : after[0].start].split()) <= 6:
        listed = next(run for size in range(len(after), 0, -1) if _listed(sentence, run := after[:size]))
        return ComparedSides(subject, tuple(dict.fromkeys(name.text for name in listed)))
    for name in sentence.systems:
        if compare.AGAINST.search(sentence.own[: name.start]):
            others = [other for other in sentence.systems if other.end < name.start]
            return ComparedSides(others[-1].text, (name.text,)) if others else None
    return None


def _listed(sentence: Sentence, names: Sequence[Mention]) -> bool:
    """Whether names stand in one list: "A, B and C"."""
    gaps = (sentence.text[name.end : other.start] for name, other in pairwise(names))
    return all(LISTED.fullmatch(re.sub(r"\([^()]*\)", "", gap)) for gap in gaps)


def _runs(sentence: Sentence, values: Sequence[TextNumber]) -> list[range]:
    """Return the indices of values that stand in one list, "55.5, 75.1, and 88.2"; one by itself is a list, too."""
    runs: list[range] = []
    for index, value in enumerate(values):
        if index and LISTED.fullmatch(sentence.text, values[index - 1].end, value.start):
            runs[-1] = range(runs[-1].start, index + 1)
        else:
            runs.append(range(index, index + 1))
    return runs


def subjects(sentence: Sentence, values: Sequence[TextNumber]) -> list[str]:
    """Return each value's system."""
    sides = compared_sides(sentence)
    owned = _owners(sentence, values, sides)
    for index, (value, other) in enumerate(pairwise(values)):
        before = [name for name in sentence.systems if name.end <= value.start]
        between = sentence.text[value.end : other.start]
        if _FROM.search(sentence.text[: value.start]):
            if sides and between.strip() == "to":  # "from 65.9 to 92.7": first the other's value, then its own
                owned[index : index + 2] = sides.others[0], sides.subject
        elif len(before) > 1 and _VERSUS.match(between):
            # "X outperforms Y (79.9 vs. 61.1)": first its own value, then the other's.
            first, last = sides.subject if sides else before[0].text, before[-1]
            behind = re.fullmatch(r"\s*[(\[:,]*\s*", sentence.text[last.end : value.start])
            if last.text != first and (behind or (sides and last.text in sides.others)):
                owned[index : index + 2] = first, last.text
    return owned


def _owners(sentence: Sentence, values: Sequence[TextNumber], sides: ComparedSides | None) -> list[str]:
    """Return whose each value is by the names beside it."""
    listed = [name for name in sentence.systems if values and name.end <= values[0].start]
    if len(listed) == len(values) == len(sentence.systems) > 1 and _listed(sentence, listed):
        return [name.text for name in listed]
    return [_owner(sentence, values[run.start], sides) for run in _runs(sentence, values) for _ in run]


def _owner(sentence: Sentence, value: TextNumber, sides: ComparedSides | None) -> str:
    after = next((name for name in sentence.systems if name.start >= value.end), None)
    between = sentence.text[value.end : after.start] if after else ""
    if after and _OWNER.match(between):
        return after.text
    before = next((name for name in reversed(sentence.systems) if name.end <= value.start), None)
    if before and sides and before.text in sides.others and _after_comparison(sentence, before, value):
        return sides.subject
    if before:
        return before.text
    # "It scores 32.9, surpassing Y": the value is not Y's.
    behind = after.text if after and not CUE.search(between) and not compare.AGAINST.search(between) else ""
    return sentence.carried or behind or _unknown(sentence)


def _after_comparison(sentence: Sentence, other: Mention, value: TextNumber) -> bool:
    """Whether a value behind "compared to Y" is X's again: only where Y is not directly followed by it.

    What stands in the bracket behind Y is Y's: "Y (8B params, HumanEval 65.2)".
    """
    since = sentence.text[other.start : value.start]
    if since.count("(") > since.count(")") and re.fullmatch(r".*\w?\s?\([^()]*", since):
        return False
    return not _DIRECTLY_BEHIND.fullmatch(sentence.text, other.end, value.start)


def _unknown(sentence: Sentence) -> str:
    """Return who a clause is about where it names nobody that is known: the words before its verb; "we" is nobody."""
    verb = RESULT_VERB.search(sentence.own, sentence.start)
    if not verb:
        return ""
    words = sentence.own[: verb.start()]
    for known in (*sentence.benchmarks, *sentence.metrics, *sentence.numbers, *sentence.settings):
        if known.end <= verb.start():
            words = words[: known.start] + " " * (known.end - known.start) + words[known.end :]
    unknown = (word for word in re.findall(r"[\w.+-]*\w", words) if word.casefold() not in _NOBODY)
    return " ".join(word for word in unknown if not word.endswith("ly"))


def paired(sentence: Sentence, values: Sequence[TextNumber], marks: Sequence[Mention]) -> list[Mention | None]:
    """Return each value's benchmark."""
    if not marks:
        return [None] * len(values)
    if len(marks) == len(values) > 1 and (values[-1].start < marks[0].start or marks[-1].end <= values[0].start):
        return list(marks)
    pairs = [_benchmark(sentence, values, index, marks) for index in range(len(values))]
    if len(marks) > 1 and _listed(sentence, marks):
        # "55.5, 75.1 and 88.2 on A, B and C, ahead of Y with 32.2, 69.2 and 80.2": each list in the order of the names.
        for run in _runs(sentence, values):
            if len(run) == len(marks):
                pairs[run.start : run.stop] = marks
    return pairs


def _benchmark(
    sentence: Sentence, values: Sequence[TextNumber], index: int, marks: Sequence[Mention]
) -> Mention | None:  # fmt: skip
    value = values[index]
    after = next((name for name in marks if name.start >= value.end), None)
    before = next((name for name in reversed(marks) if name.end <= value.start), None)
    if after is None:
        return before
    limit = values[index + 1].start if index + 1 < len(values) else len(sentence.text)
    direct = after.start < limit and _AHEAD.match(sentence.text[value.end : after.start])
    looks_ahead = values[0].start < marks[0].start
    return after if direct or looks_ahead or before is None else before


def nearest(marks: Sequence[Mention], value: TextNumber) -> Mention | None:
    """Return the mention with the fewest characters between it and a value."""
    return min(marks, key=value.gap, default=None)


def setting(
    sentence: Sentence, values: Sequence[TextNumber], index: int, benchmark: Mention | None
) -> MeasurementSetting:  # fmt: skip
    """Return the setting told beside a value, else the one told for the whole sentence."""
    start, value = values[index].start, values[index]
    end = values[index + 1].start if index + 1 < len(values) else len(sentence.text)
    if benchmark is not None and benchmark.start < value.end:
        start = values[index - 1].end if index else 0
        # What follows the value belongs to it only up to the next benchmark.
        end = min((name.start for name in sentence.benchmarks if value.end <= name.start < end), default=end)
    return settings.over(settings.read(sentence.text[start:end]), settings.read(sentence.text))
