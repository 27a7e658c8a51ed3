"""``*_eval_results.json`` of EvalPlus and of BigCodeBench: solutions by problem, with what the tool said of each.

EvalPlus writes ``base_status`` and ``plus_status``, BigCodeBench ``status``. Old versions of EvalPlus kept no solutions
here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trimtab.codeeval.formats.foreign import Content, ForeignReply, TaskNames, list_of, object_of, text_of
from trimtab.errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TOOL = "EvalPlus"


def recognizes(content: Content) -> bool:
    """Tell whether a file holds an evaluation by problem."""
    value = content.value
    return isinstance(value, dict) and isinstance(value.get("eval"), dict) and bool({"date", "hash"} & value.keys())


def read(content: Content, tasks: TaskNames) -> Iterator[ForeignReply]:
    """Yield the samples.

    Raises:
        BenchmarkError: An entry has no solution, as in files of old versions, or is not of this form.
    """
    for name, results in content.value["eval"].items():
        place = f"{content.path}, {name!r}"
        if isinstance(results, dict) and "nfiles" in results:
            raise BenchmarkError(
                f"{place} holds outcomes and no solutions: an EvalPlus older than 0.2 wrote the file",
                hint="give the file of samples that it was made from",
            )
        for at, result in enumerate(list_of(results, place, "its value")):
            where = f"{place}, entry {at}"
            record = object_of(result, where, "it")
            base, plus = _status(record, "base_status", "status"), _status(record, "plus_status")
            yield ForeignReply(
                task_id=tasks.of(record.get("task_id", name), where),
                text=text_of(record, "solution", where),
                continues=False,
                place=where,
                index=at,
                passed=base,
                passed_plus=None if base is None or plus is None else base and plus,
                program=record["solution"],
            )


def _status(record: Mapping[str, Any], *fields: str) -> bool | None:
    status = next((record[field] for field in fields if isinstance(record.get(field), str)), None)
    return None if status is None else status == "pass"
