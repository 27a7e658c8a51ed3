"""Predictions of OpenCompass: an object of running numbers, and the JSON Lines that it keeps while it runs.

``gold`` is the problem's name for HumanEval, and the text of its assertions for MBPP. The running numbers count within
a part of the benchmark, so they name no problem.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trimtab.codeeval.formats.foreign import Content, ForeignReply, TaskNames, object_of
from trimtab.disk import json_kind
from trimtab.errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TOOL = "OpenCompass"


def recognizes(content: Content) -> bool:
    """Tell whether a file holds predictions."""
    value = content.value
    if isinstance(value, dict) and value and all(key.isdecimal() for key in value):
        return all(isinstance(entry, dict) and "prediction" in entry for entry in value.values())
    return bool(content.rows) and {"prediction", "gold"} <= content.rows[0].record.keys()


def read(content: Content, tasks: TaskNames) -> Iterator[ForeignReply]:
    """Yield the samples; several of one problem are numbered in the file's order.

    Raises:
        BenchmarkError: An entry is not of this form, or its ``gold`` leads to none or several of the problems.
    """
    if content.rows and not isinstance(content.value, dict):
        entries = [(f"{content.path}, line {line.number}", line.record) for line in content.rows]
    elif isinstance(content.value, dict) and "prediction" in content.value:
        entries = [(content.path, content.value)]
    else:
        entries = [(f"{content.path}, entry {key}", value) for key, value in content.value.items()]
    by_assertion = _by_assertion(tasks)
    for place, record in entries:
        fields = object_of(record, place, "it")
        task_id = _task(fields.get("gold"), tasks, by_assertion, place)
        predictions = fields.get("prediction")
        for text in predictions if isinstance(predictions, list) else [predictions]:
            if not isinstance(text, str):
                raise BenchmarkError(f"{place}: the field 'prediction' is {json_kind(text)}, expected text")
            yield ForeignReply(task_id=task_id, text=text, continues=False, place=place)


def _task(gold: object, tasks: TaskNames, by_assertion: Mapping[str, list[str]], place: str) -> str:
    if isinstance(gold, dict):
        gold = gold.get("task_id")
    text = "\n".join(map(str, gold)) if isinstance(gold, list) else gold
    if not isinstance(text, str) or "assert" not in text:
        return tasks.of(text, place)
    task_ids = {name for line in _assertions(text) for name in by_assertion.get(line, [])}
    if len(task_ids) != 1:
        raise BenchmarkError(
            f"{place}: the assertions in its field 'gold' are those of {len(task_ids)} of the problems that are judged",
            hint="name the benchmark that it was made for with -b, for example mbpp-sanitized-test or mbpp-test",
        )
    return task_ids.pop()


def _by_assertion(tasks: TaskNames) -> Mapping[str, list[str]]:
    task_ids: dict[str, list[str]] = {}
    for task_id, problem in tasks.problems.items():
        for assertion in problem.assertions:
            for line in _assertions(assertion):
                task_ids.setdefault(line, []).append(task_id)
    return task_ids


def _assertions(text: str) -> list[str]:
    return [re.sub(r"\s+", "", part) for part in re.split(r"\n(?=assert\b)", text) if part.strip().startswith("assert")]
