"""Which of the names in a sentence a value belongs to: its system, its benchmark, its metric and its setting.

Decisions: the order of values and benchmarks decides who belongs to whom: "54.9 on A and 61.4 on B" looks ahead, "A:
54.9, B: 61.4" back, and lists of equal length are paired in order.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from trimtab.claims import comparison_words as compare
from trimtab.claims import settings
from trimtab.claims.comparison_words import CUE
from trimtab.claims.result_verbs import RESULT_VERB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trimtab.claims.claim_model import MeasurementSetting
    from trimtab.claims.name_registry import Mention
    from trimtab.claims.number_kinds import TextNumber
    from trimtab.claims.sentence_parts import Sentence

_FROM_TO: Final = re.compile(r"\bfrom\s*$", re.IGNORECASE)
_VERSUS: Final = re.compile(
    r"^[\s)%]*(?:points?\s*)?(?:vs\.?|versus|against|to|compared (?:to|with))\s*$", re.IGNORECASE
)
_AHEAD: Final = re.compile(
    r"^\s*(?:%|points?)?\s*(?:(?:pass@\d+|[\w-]+)\s+){0,2}(?:on|in|for|at)\s+(?:the\s+)?$", re.IGNORECASE
)
_OWNER: Final = re.compile(r"^\s*(?:%|points?)?\s*(?:\w+\s+)?(?:for|by|from|\()\s*(?:the\s+)?$", re.IGNORECASE)
_IN_A_LIST: Final = re.compile(r"[\s%]*(?:points?)?\s*(?:,\s*(?:and|or)?|and|or|/|&)\s*", re.IGNORECASE)
_SELF_WORDS: Final = """
we our ours us i it its this these the paper work model method approach system here results result overall average avg
score scores value values mean best performance accuracy numbers in on at for with of a an and table as
"""
_SELF: Final = frozenset(_SELF_WORDS.split())


def ranges(sentence: Sentence, values: Sequence[TextNumber]) -> dict[int, str]:
    """Return index → subject for "from 65.9 to 92.7" in a comparison: first the other's value, then its own."""
    sides = compared_sides(sentence)
    if not sides:
        return {}
    found: dict[int, str] = {}
    for index, (one, other) in enumerate(pairwise(values)):
        if _FROM_TO.search(sentence.text[: one.start]) and sentence.between(one.end, other.start).strip() == "to":
            found |= {index: sides[1][0], index + 1: sides[0]}
    return found


def versus(sentence: Sentence, values: Sequence[TextNumber]) -> dict[int, str]:
    """Return index → subject for "X outperforms Y (79.9 vs. 61.1)": first its own value, then the other's."""
    found: dict[int, str] = {}
    sides = compared_sides(sentence)
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


def paired(sentence: Sentence, values: Sequence[TextNumber], marks: Sequence[Mention]) -> list[Mention | None]:
    """Return each value's benchmark."""
    if not marks:
        return [None] * len(values)
    if len(marks) == len(values) > 1 and (values[-1].start < marks[0].start or marks[-1].end <= values[0].start):
        return list(marks)
    ahead = values and values[0].start < marks[0].start
    pairs = [_benchmark(sentence, values, index, marks, looks_ahead=bool(ahead)) for index in range(len(values))]
    if len(marks) > 1 and _listed(sentence, marks):
        # "55.5, 75.1 and 88.2 on A, B and C, ahead of Y with 32.2, 69.2 and 80.2": each list in the order of the names.
        for run in _runs(sentence, values):
            if len(run) == len(marks):
                pairs[run.start : run.stop] = marks
    return pairs


def unordered(sentence: Sentence, values: Sequence[TextNumber], marks: Sequence[Mention]) -> set[int]:
    """Return the indices of values whose benchmark the order of a sentence with several benchmarks does not tell.

    Those are lists that are not as long as the list of benchmarks, and values with another value of the same system
    between them and their benchmark: "on A from 58.3 to 68.6, and B".
    """
    if len(marks) < 2 or len(values) == len(marks):
        return set()
    pairs, subjects = paired(sentence, values, marks), owners(sentence, values)
    loose: set[int] = set()
    for run in _runs(sentence, values):
        in_order = len(run) == len(marks) and _listed(sentence, marks)
        for index in run:
            mark, value = pairs[index], values[index]
            if in_order or mark is None:
                continue
            low, high = sorted((mark.end, value.start)) if mark.end <= value.start else (value.end, mark.start)
            between = [at for at, other in enumerate(values) if low <= other.start < high and at != index]
            if len(run) > 1 or any(subjects[at] == subjects[index] for at in between):
                loose.add(index)
    return loose


def _runs(sentence: Sentence, values: Sequence[TextNumber]) -> list[range]:
    """Return the indices of values that stand in one list, "55.5, 75.1, and 88.2"; one by itself is a list, too."""
    runs: list[range] = []
    for index, value in enumerate(values):
        if index and _IN_A_LIST.fullmatch(sentence.between(values[index - 1].end, value.start)):
            runs[-1] = range(runs[-1].start, index + 1)
        else:
            runs.append(range(index, index + 1))
    return runs


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


def owners(sentence: Sentence, values: Sequence[TextNumber]) -> list[str]:
    """Return each value's subject."""
    systems = sentence.systems
    run = [one for one in systems if values and one.end <= values[0].start]
    if len(run) == len(values) > 1 and len(systems) == len(run) and _listed(sentence, run):
        return [one.text for one in run]
    return [_owner(sentence, values[run.start]) for run in _runs(sentence, values) for _ in run]


def _listed(sentence: Sentence, run: Sequence[Mention]) -> bool:
    """Whether names stand in one list: "A, B and C"."""
    gaps = (re.sub(r"\([^()]*\)", "", sentence.between(one.end, other.start)) for one, other in pairwise(run))
    return all(re.fullmatch(r"\s*(?:,|,?\s*and|&|/)\s*", gap) for gap in gaps)


def _owner(sentence: Sentence, value: TextNumber) -> str:
    after = next((one for one in sentence.systems if one.start >= value.end), None)
    if after and _OWNER.match(sentence.between(value.end, after.start)):
        return after.text
    before = next((one for one in reversed(sentence.systems) if one.end <= value.start), None)
    sides = compared_sides(sentence)
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
    """Whether a value behind "compared to Y" is X's again: only where Y is not directly followed by it.

    What stands in the bracket behind Y is Y's: "Y (8B params, HumanEval 65.2)".
    """
    since = sentence.between(other.start, value.start)
    if since.count("(") > since.count(")") and re.fullmatch(r".*\w?\s?\([^()]*", since):
        return False
    return not re.fullmatch(
        r"(?:['\u2019]s)?\s*[(:,]?\s*(?:at|with|of|which \w+|scores?|achieves?)?\s*",
        sentence.between(other.end, value.start),
    )


def nearest(marks: Sequence[Mention], value: TextNumber) -> Mention | None:
    """Return the mention with the fewest characters between it and a value."""
    return min(marks, key=lambda one: max(one.start - value.end, value.start - one.end), default=None)


def setting(
    sentence: Sentence, values: Sequence[TextNumber], index: int, benchmark: Mention | None
) -> MeasurementSetting:  # fmt: skip
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


def compared_sides(sentence: Sentence) -> tuple[str, tuple[str, ...]] | None:
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
