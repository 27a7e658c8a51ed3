"""The answer and its limits in sentences. No sentence claims more than the row it is written from."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from trimtab.errors import counted
from trimtab.report import numbers
from trimtab.stats import MIN_SEEDS
from trimtab.study.endpoints import ENDPOINTS
from trimtab.study.table import UNSANDBOXED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trimtab.study.answers import Answer
    from trimtab.study.table import StudyTable

# Minimal detectable effect at 80 % power of a paired t test at 5 %, in standard deviations of the paired difference.
_DETECTABLE: Final = {3: 3.26, 5: 1.68, 8: 1.16, 10: 1.00}


def lead(table: StudyTable) -> str:
    """Return the answer in one sentence, from the primary endpoint's rows of the study's contrast."""
    contrast = table.study.contrast
    rows = [row for row in table.answers if row.role == "primary" and row.method == contrast.treatment]
    endpoint = ENDPOINTS[table.study.endpoints.primary]
    subject = f"Does {contrast.treatment} lose more under stress than {contrast.control}?"
    if not rows:
        return f"{subject} Not answerable here: the primary endpoint, {endpoint.title}, has no row that may be tested."
    if not any(row.seeds for row in rows):
        return f"{subject} Not known yet: no stress has all its cells."
    stresses = "1 stress" if len(rows) == 1 else f"{len(rows)} stresses"
    return f"{subject} On the primary endpoint, {endpoint.title}, over {stresses}: {verdict_counts(rows)}."


def verdict_counts(rows: Sequence[Answer]) -> str:
    """Return how often each verdict was reached, the most frequent first."""
    return ", ".join(f"{count} {word}" for word, count in Counter(row.words for row in rows).most_common())


def sentence(row: Answer, confidence: float) -> str:
    """Return one row of the answer as a sentence."""
    endpoint = ENDPOINTS[row.endpoint]
    place = f"Under {row.stressor.label}"
    if row.difference is None:
        return f"{place}: {row.words} ({row.reason})."
    # The sign is told in words, so the number goes without.
    size = numbers.signed(endpoint, abs(row.difference.value), row.margin).lstrip("+")
    sentence = f"{place}, {row.method} loses as much as {row.control}, to the digits shown"
    if float(size):
        more = "more" if row.difference.value > 0 else "less"
        sentence = f"{place}, {row.method} loses {size} {numbers.unit(endpoint)} {more} than {row.control}"
    if row.difference.interval is not None:
        span = numbers.span(endpoint, row.difference.interval, row.margin)
        sentence += f" ({numbers.percent(confidence)} interval {span}, {counted(len(row.seeds), 'seed')})"
    remark = f"; {row.reason}" if row.reason else ""
    within = ""
    if row.words == "equivalent" and row.margin is not None:
        within = f", within \u00b1{numbers.scaled(endpoint, row.margin):g} {numbers.unit(endpoint)}"
    return f"{sentence}: {row.words}{within}{remark}."


def limits(table: StudyTable) -> list[str]:
    """Return what this study cannot show."""
    seeds = len(table.study.factors["seed"])
    remarks = [_seeds(seeds), *_marks(table)]
    remarks.append(
        "The models are small and the training is short. Dynamics at this scale need not transfer: check the sign of"
        " every effect at a second scale before relying on it."
    )
    if any(row.method != table.study.contrast.treatment for row in table.answers):
        remarks.append(
            "Rows outside the study's contrast are exploratory: their intervals are not adjusted for their number."
        )
    if not table.controls:
        remarks.append(
            "No controls are recorded beside this study, so nothing shows that its endpoints could have felt these"
            " stresses."
        )
    return remarks


def _seeds(seeds: int) -> str:
    name = counted(seeds, "seed")
    if seeds < MIN_SEEDS:
        return (
            f"{name}: the spread over seeds cannot be known from so few, so every tested row reads"
            f" \u201cundecided\u201d, whatever its numbers. Verdicts start at {MIN_SEEDS} seeds."
        )
    known = max(count for count in _DETECTABLE if count <= seeds)
    return (
        f"{name}: with {known} seeds a true difference must be about {_DETECTABLE[known]:.2f} standard deviations of"
        " the paired difference to be found four times in five. A smaller one will most often read"
        " \u201cundecided\u201d, which is not evidence that there is none."
    )


def _marks(table: StudyTable) -> list[str]:
    marks = []
    if table.sandbox == UNSANDBOXED:
        marks.append(
            "Generated code ran WITHOUT a sandbox, because the run was told to allow it. Every pass@1 here was measured"
            " by programs that could have reached anything on the machine."
        )
    mixed = table.mixed()
    marks += [
        f"The cells are MIXED: {counted(had, 'cell')} had {name} and {counted(lacked, 'cell')} did not."
        " Text to train on was cleaned of it in the first only, so differences between them may come from their texts."
        for name, (had, lacked) in mixed.items()
    ]
    marks += [
        f"{name} was not measured{' in these' if name in mixed else ''}: {why}."
        for name, why in sorted(table.absent().items())
    ]
    if table.waiting:
        marks.append(
            f"Not yet run: {len(table.waiting)} of {len(table.cells)} cells. A row that waits for one has no verdict,"
            " whatever its interval."
        )
    if len(table.missing) > len(table.waiting):
        gone = len(table.missing) - len(table.waiting)
        marks.append(f"Missing: {gone} of {len(table.cells)} cells, listed below with the reason.")
    diverged = [name for name, counts in table.counts.items() if counts.outcome == "diverged"]
    if diverged:
        marks.append(f"{counted(len(diverged), 'cell')} diverged: ranked worst, and in no mean.")
    return marks
