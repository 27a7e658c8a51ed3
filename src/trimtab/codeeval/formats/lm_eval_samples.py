"""``samples_TASK_DATE.jsonl`` of lm-evaluation-harness' ``--log_samples``.

``resps`` holds what the model wrote: for each request a list of its repeats. ``filtered_resps`` holds what is left
after the task's filter, and for some tasks one sample of several. ``doc_id`` counts within the selection of samples
that was asked for, so the problem is ``doc["task_id"]``. What a reply continues is the end of its own prompt, so it is
a body where that ends with the problem's prompt, and a program elsewhere. A task with several filters is logged once
for each, with the same responses: those of the first filter are read, and what it scored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trimtab.codeeval.formats.foreign import Content, ForeignReply, TaskNames, list_of, names, object_of
from trimtab.disk import json_kind
from trimtab.errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TOOL = "lm-eval"


def recognizes(content: Content) -> bool:
    """Tell whether a file's first record is one of a task's documents with its responses."""
    return bool(content.rows) and {"doc", "resps"} <= content.rows[0].record.keys()


def read(content: Content, tasks: TaskNames) -> Iterator[ForeignReply]:
    """Yield the samples, repeats one by one.

    Raises:
        BenchmarkError: A record is not of this form; the message names the place, the field and what is there.
    """
    first_filter = content.rows[0].record.get("filter")
    for number, record in content.rows:
        place = f"{content.path}, line {number}"
        if not {"doc", "resps"} <= record.keys():
            raise BenchmarkError(f"{place} is no record of lm-eval: it has {names(record)}, and not 'doc' and 'resps'")
        if record.get("filter") != first_filter:
            continue
        doc = object_of(record.get("doc"), place, "the field 'doc'")
        if "task_id" not in doc:
            raise BenchmarkError(f"{place}: the document has no 'task_id', so the problem is not known")
        task_id = tasks.of(doc["task_id"], place, doc)
        texts = _flat(record.get("resps"), place, "resps")
        programs = _flat(record.get("filtered_resps", []), place, "filtered_resps")
        continues = _continues(record, doc)
        score = next((record[key] for key in ("pass@1", "pass_at_1") if isinstance(record.get(key), int | float)), None)
        # A score of several samples is their share: only all and none say something of each.
        passed = None if score is None or (len(programs) > 1 and 0 < score < 1) else score == 1
        one_of_many = len(texts) > 1 and len(programs) == 1  # which one is told apart by nothing but its place
        for at, text in enumerate(texts):
            judged = at == 0 if one_of_many else at < len(programs)
            yield ForeignReply(
                task_id=task_id,
                text=text,
                continues=continues,
                place=f"{place}, response {at}",
                passed=passed if judged else None,
                program=programs[at] if judged else None,
                share=None if one_of_many or passed is not None else score,
            )


def _flat(value: object, place: str, field: str) -> list[str]:
    """Return the texts of lists that are nested once or twice."""
    texts: list[str] = []
    for part in list_of(value, place, f"the field {field!r}"):
        for text in part if isinstance(part, list) else [part]:
            if not isinstance(text, str):
                raise BenchmarkError(f"{place}: the field {field!r} holds {json_kind(text)}, expected text")
            texts.append(text)
    return texts


def _continues(record: Mapping[str, Any], doc: Mapping[str, Any]) -> bool:
    """Tell whether the model was given the problem's prompt to go on from."""
    prompt = doc.get("prompt")
    arguments = record.get("arguments")
    first = next(iter(arguments.values()), None) if isinstance(arguments, dict) else None
    given = first.get("arg_0") if isinstance(first, dict) else None
    if not isinstance(prompt, str) or not isinstance(given, str) or not prompt.strip():
        return False
    return given.rstrip().endswith(prompt.rstrip())
