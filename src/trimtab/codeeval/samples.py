"""Files of samples, whoever wrote them: read as they are, numbered, and refused where a sample would be lost.

Decisions: a reply is judged as the tool meant it, as a body of the problem's prompt or as a program of its own; two
samples of one problem never have the same number, since a resumed run would judge one of them; a sample without a
number gets the lowest that its problem has free.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trimtab.codeeval.formats import bigcode_generations, evalplus_results, inspect_log, plain_lines, recognize
from trimtab.codeeval.formats.foreign import ForeignReply, TaskNames
from trimtab.codeeval.judge import Sample
from trimtab.errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from trimtab.codeeval.formats.foreign import Content
    from trimtab.codeeval.problem import Problem

_FOLDER: Final = "EvalPlus' folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleFile:
    """What a file of samples holds.

    Attributes:
        tool: Whose file it is.
        samples: In the file's order.
        replies: What the tool itself said, by problem and number; the same order.
        notes: What a reader should know: samples that the tool lost, and faults of the tool that touch this file.
        tokens: Special tokens that replies may hold, where a tokenizer was named.
    """

    tool: str
    samples: tuple[Sample, ...]
    replies: Mapping[tuple[str, int], ForeignReply]
    notes: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()


def read(
    path: Path, problems: Iterable[Problem] = (), *, offset: int | None = None, tokens: tuple[str, ...] = ()
) -> SampleFile:
    """Read samples of any form that :data:`trimtab.codeeval.formats.recognize.READERS` know, or EvalPlus' folder.

    Args:
        path: The file or folder; a file may be gzipped and may begin with a byte order mark.
        problems: Those that are judged, in their benchmark's order; names are checked against them.
        offset: For bigcode's lists alone, how many problems come before the first list; None to find out.
        tokens: Special tokens of the model's tokenizer (:mod:`trimtab.codeeval.special_tokens`).

    Raises:
        BenchmarkError: There is no such file, nobody reads it, or a sample of it is malformed, of a problem that is not
            judged, or of a number that another one has; the message names file, place and field.
        MissingExtraError: It needs a package that is not installed.
    """
    tasks = TaskNames(problems)
    notes: tuple[str, ...] = ()
    if path.is_dir():
        tool, replies = _FOLDER, list(_folder(path, tasks))
    elif not path.is_file():
        raise BenchmarkError(f"there is no file of samples {path}")
    else:
        content = recognize.content_of_file(path)
        module = recognize.reader_of(content)
        if module is bigcode_generations:
            replies = list(bigcode_generations.read(content, tasks, offset))
        elif offset is not None:
            raise BenchmarkError(f"{path} names its problems, so there is no offset to give")
        else:
            replies = list(module.read(content, tasks))
        tool, notes = module.TOOL, tuple(_notes(path, content, tasks, replies))
    if not replies:
        raise BenchmarkError(f"{path} holds no samples")
    numbered = _numbered(replies)
    made = tuple(
        Sample(task_id=task_id, sample_index=index, completion=reply.text, continues=reply.continues, tokens=tokens)
        for (task_id, index), reply in numbered.items()
    )
    return SampleFile(tool=tool, samples=made, replies=numbered, notes=notes, tokens=tokens)


def _numbered(replies: Sequence[ForeignReply]) -> dict[tuple[str, int], ForeignReply]:
    """Give each reply a number of its own within its problem; those that the file states come first."""
    stated: dict[tuple[str, int], ForeignReply] = {}
    for reply in replies:
        if reply.index is None:
            continue
        key = (reply.task_id, reply.index)
        other = stated.get(key)
        if other is not None and other.benchmark != reply.benchmark and other.text == reply.text:
            continue  # one reply, kept for two benchmarks that share their prompts
        if other is not None:
            apart = other.benchmark != reply.benchmark
            raise BenchmarkError(
                f"{reply.place} and {other.place} are both sample {reply.index} of {reply.task_id}",
                hint=f"they are of {other.benchmark} and {reply.benchmark}: judge one benchmark at a time"
                if apart
                else "give each sample of a problem a number of its own, or leave the numbers out",
            )
        stated[key] = reply
    free: dict[str, int] = {}
    numbered: dict[tuple[str, int], ForeignReply] = {}
    for reply in replies:
        index = reply.index
        if index is not None and stated[reply.task_id, index] is not reply:
            continue
        if index is None:
            index = free.get(reply.task_id, 0)
            while (reply.task_id, index) in stated:
                index += 1
            free[reply.task_id] = index + 1
        numbered[reply.task_id, index] = reply
    return numbered


def _folder(path: Path, tasks: TaskNames) -> Iterator[ForeignReply]:
    """Read ``HumanEval_0/0.py``: a folder for each task, a program for each sample."""
    files = sorted(path.glob("*_*/*.py"), key=lambda file: [_number(file.parent.name), _number(file.stem)])
    if not files:
        names = sorted(file.name for file in path.iterdir() if file.suffix in (".jsonl", ".json", ".eval", ".gz"))
        hint = f"name one of its files: {', '.join(names[:5])}" if names else "it has no file that is one of samples"
        raise BenchmarkError(
            f"{path} holds no samples: a folder is read where it has programs such as HumanEval_0/0.py",
            hint=f"{hint}; {recognize.READ}",
        )
    for file in files:
        task_id = "/".join(file.parent.name.rsplit("_", 1))
        yield ForeignReply(
            task_id=tasks.of(task_id, str(file)),
            text=file.read_text(encoding="utf-8-sig", errors="replace"),
            continues=False,
            place=str(file),
            index=_number(file.stem) if re.fullmatch(r"\d+", file.stem) else None,
        )


def _number(name: str) -> int:
    digits = re.findall(r"\d+", name)
    return int(digits[-1]) if digits else 0


def _notes(path: Path, content: Content, tasks: TaskNames, replies: Collection[ForeignReply]) -> Iterator[str]:
    """Yield what is known of the tool and touches this file."""
    if inspect_log.recognizes(content) and (lost := inspect_log.left_out(content)):
        yield f"{lost} samples of {path} ended in an error of inspect before a reply came: they are left out"
    reader = recognize.reader_of(content)
    if reader is plain_lines and (others := plain_lines.left_out(content, tasks)):
        counts = ", ".join(f"{count} of {name}" for name, count in sorted(others.items()))
        yield f"{path} holds samples of benchmarks that are not judged here: {counts}"
    if reader is evalplus_results:
        beside = path.with_name(path.name.replace("_eval_results.json", ".jsonl"))
        if beside != path and beside.is_file() and not _same(beside, replies):
            yield (
                f"{beside.name} holds other programs than {path.name}: EvalPlus does not judge again where there is a"
                " result file, so the scores that it prints are of the programs in that"
            )


def _same(beside: Path, replies: Collection[ForeignReply]) -> bool:
    try:
        file = read(beside)
    except BenchmarkError:
        return True
    return sorted(sample.completion for sample in file.samples) == sorted(reply.text for reply in replies)
