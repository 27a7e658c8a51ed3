"""The output of OpenAI's batch interface, which vLLM's ``run-batch`` writes too: a response a line.

``custom_id`` is the requester's own: it has to name the problem (``HumanEval/0``), and may end with the number of the
sample (``HumanEval/0#3``). A response has one choice for each of its samples. A request that failed is an error, as
there is nothing to judge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trimtab.codeeval.formats.foreign import Content, ForeignReply, TaskNames, content_of, list_of, object_of, text_of
from trimtab.errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TOOL = "an OpenAI batch"


def recognizes(content: Content) -> bool:
    """Tell whether a file's first record is a response to a request of a batch."""
    return bool(content.rows) and {"custom_id", "response"} <= content.rows[0].record.keys()


def read(content: Content, tasks: TaskNames) -> Iterator[ForeignReply]:
    """Yield the samples, a choice each.

    Raises:
        BenchmarkError: A request failed, or a record is not of this form; the message names the place.
    """
    for number, record in content.rows:
        place = f"{content.path}, line {number}"
        task_id, index = tasks.split(record.get("custom_id"), place)
        response = record.get("response")
        if record.get("error") or not isinstance(response, dict) or response.get("status_code") not in (200, None):
            raise BenchmarkError(
                f"{place}: the request {record.get('custom_id')!r} was not answered: {_reason(record)}",
                hint="ask again what failed, or take the line out: its problem then has one sample less",
            )
        body = object_of(response.get("body"), place, "the field 'body'")
        answers = list(_answers(body, place))
        for at, (where, text, continues) in enumerate(answers):
            yield ForeignReply(
                task_id=task_id,
                text=text,
                continues=continues,
                place=where,
                index=index if len(answers) == 1 else None if index is None else index + at,
            )


def _answers(body: Mapping[str, Any], place: str) -> Iterator[tuple[str, str, bool]]:
    """Yield place, text, and whether it goes on from the prompt, of each answer in a response."""
    if "output" in body:  # the form of /v1/responses
        items = [object_of(item, place, "an entry of 'output'") for item in list_of(body["output"], place, "'output'")]
        yield place, "".join(content_of(i.get("content"), place) for i in items if i.get("type") == "message"), False
        return
    for at, choice in enumerate(list_of(body.get("choices"), place, "the field 'choices'")):
        where = f"{place}, choice {at}"
        fields = object_of(choice, where, "it")
        if "message" not in fields:
            yield where, text_of(fields, "text", where), True
            continue
        message = object_of(fields["message"], where, "the field 'message'")
        content = message.get("content")
        # A refusal, or a thought that used up all tokens, is an answer without text.
        spent = fields.get("finish_reason") in ("length", "content_filter") or any(
            message.get(key) for key in ("refusal", "reasoning_content", "reasoning")
        )
        yield where, "" if content is None and spent else content_of(content, where), False


def _reason(record: Mapping[str, Any]) -> str:
    response = record.get("response")
    error = record.get("error") or (response.get("body") if isinstance(response, dict) else None)
    return str(error)[:200]
