"""``generations_TASK.json`` of bigcode-evaluation-harness: a list of problems, each a list of texts, and no names.

The texts hold the prompt, or what is left of it after blanks at its ends are gone; without it they are bodies. Which
problem the first list belongs to is read off the functions that the texts define; where they define none, it has to be
said (``--limit_start`` there, ``--offset`` here), unless there is a list for every problem.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trimtab.codeeval.formats.foreign import Content, ForeignReply, TaskNames, defined, defines, list_of
from trimtab.disk import json_kind
from trimtab.errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trimtab.codeeval.problem import Problem

TOOL = "bigcode"


def recognizes(content: Content) -> bool:
    """Tell whether a file is a list of lists of texts."""
    value = content.value
    return isinstance(value, list) and bool(value) and all(isinstance(row, list) for row in value)


def read(content: Content, tasks: TaskNames, offset: int | None = None) -> Iterator[ForeignReply]:
    """Yield the samples.

    Args:
        content: The file.
        tasks: The problems of the one benchmark that it is about, in its order.
        offset: How many problems come before the first list; None to find out.

    Raises:
        BenchmarkError: An entry is no text, there are more lists than problems, or it is not
            clear whose they are, or a list is about another problem.
    """
    every = list(tasks.problems.values())
    rows: list[list[str]] = []
    for number, row in enumerate(content.value):
        for at, text in enumerate(list_of(row, content.path, f"entry {number}")):
            if not isinstance(text, str):
                raise BenchmarkError(f"{content.path}: text {at} of entry {number} is {json_kind(text)}, expected text")
        rows.append(row)
    first = _first(content.path, rows, every) if offset is None else offset
    if first + len(rows) > len(every):
        raise BenchmarkError(
            f"{content.path} has {len(rows)} lists from problem {first} on, but {len(every)} problems are judged",
            hint="name the benchmark that it was made for with -b, one alone, and the first problem with --offset",
        )
    for number, row in enumerate(rows):
        problem = every[first + number]
        others = {name for text in row for name in defined(text)}
        if others and not any(re.search(rf"\b{re.escape(problem.entry_point)}\b", text) for text in row):
            raise BenchmarkError(
                f"{content.path}, entry {number} defines {', '.join(sorted(others)[:3])} and never names"
                f" {problem.entry_point} of {problem.task_id}: its lists are about other problems",
                hint="name the benchmark that it was made for with -b, one alone, and the first problem with --offset",
            )
        for at, text in enumerate(row):
            yield ForeignReply(
                task_id=problem.task_id,
                text=text,
                continues=not defines(text, problem),
                place=f"{content.path}, entry {number}, text {at}",
                index=at,
            )


def _first(path: str, rows: Sequence[Sequence[str]], every: Sequence[Problem]) -> int:
    """Return the number of the problem that the first list belongs to."""
    fitting = []
    for start in range(len(every) - len(rows) + 1):
        hits = [any(defines(text, every[start + at]) for text in row) for at, row in enumerate(rows)]
        fitting.append((sum(hits), start))
    most = max(fitting, default=(0, 0))[0]
    best = [start for hits, start in fitting if hits == most]
    if most and len(best) == 1:
        return best[0]
    if len(rows) >= len(every):
        return 0
    raise BenchmarkError(
        f"{path} does not say which problems its {len(rows)} lists are about, and their texts do not show it",
        hint="say how many problems come before the first one with --offset (bigcode's --limit_start)",
    )
