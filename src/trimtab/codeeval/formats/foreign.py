"""What every reader of another tool's file gives and uses: replies as they stand, typed fields, names of problems."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from trimtab.disk import json_kind
from trimtab.errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from trimtab.codeeval.problem import Problem
    from trimtab.disk import JsonLine

_NAMED: Final = re.compile(
    r"(?P<family>[A-Za-z][A-Za-z ]*?)[ /_:#-]{0,3}(?P<number>\d+)"
    r"(?:[ /_:#.-]+(?:sample|epoch|try|gen|n|s)?[ /_:#.-]*(?P<index>\d+))?\Z"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignReply:
    """What a model wrote for one problem, as a tool's file has it.

    Attributes:
        task_id: The problem, by the name that this package gives it.
        text: What the model wrote.
        continues: Whether it continues the problem's prompt.
        place: Where it stands, for messages.
        index: Which of the problem's samples; None where the file does not number them.
        passed: What the tool itself said of it on the benchmark's own tests; None where it says nothing.
        passed_plus: The same on EvalPlus' added tests.
        program: The program that the tool made of it; None where the file has none.
        benchmark: The benchmark that it was asked for, where the file says so.
        share: Which share of the problem's samples the tool passed, where that is all it says.
    """

    task_id: str
    text: str
    continues: bool
    place: str
    index: int | None = None
    passed: bool | None = None
    passed_plus: bool | None = None
    program: str | None = None
    share: float | None = None
    benchmark: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """A file before anybody knows whose it is.

    Attributes:
        path: Its name.
        data: Its bytes, unpacked and without a byte order mark.
        rows: Its records, if it is JSON Lines or a list of objects.
        value: Its value, if it is one JSON value.
    """

    path: str
    data: bytes
    rows: Sequence[JsonLine] = ()
    value: Any = None


class TaskNames:
    """The problems that samples may name, however a tool writes their names.

    Args:
        problems: Of all benchmarks that are judged; without any, every name of text is taken as it is.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        every = list(problems)
        self.benchmarks = frozenset(problem.benchmark for problem in every)
        self.problems: Mapping[str, Problem] = {problem.task_id: problem for problem in every}
        self._numbered: dict[tuple[str, int], str] = {}
        families = set()
        for task_id in self.problems:
            match = _NAMED.match(task_id)
            if match is not None and match["index"] is None:
                family = _letters(match["family"])
                families.add(family)
                self._numbered[family, int(match["number"])] = task_id
        self._only = next(iter(families)) if len(families) == 1 else None
        if "bigcodebenchlitepro" in families:  # whose file names its problems as BigCodeBench does
            self._numbered |= {
                ("bigcodebench", n): name for (f, n), name in self._numbered.items() if f == "bigcodebenchlitepro"
            }

    def of(self, name: object, place: str, document: object = None) -> str:
        """Return the problem that a name or number means.

        Args:
            name: What the record has.
            place: Where the record stands, for messages.
            document: What the record has of the problem itself. A number is a problem of any benchmark, so where there
                is a document it has to name the function.

        Raises:
            BenchmarkError: It is neither, means none of the problems that are judged, or one of another benchmark.
        """
        task_id = self.split(name, place)[0]
        problem = self.problems.get(task_id)
        if problem is None or not document or not str(name).isdecimal():
            return task_id
        if not re.search(rf"\b{re.escape(problem.entry_point)}\b", str(document)):
            raise BenchmarkError(
                f"{place}: problem {name} of {problem.benchmark} is about {problem.entry_point}, which the record does"
                " not name: it is a problem of another benchmark",
                hint="name the benchmark that the file was made for with -b",
            )
        return task_id

    def split(self, name: object, place: str) -> tuple[str, int | None]:
        """Return the problem that a name means, and the number of a sample that the name may end with.

        Raises:
            BenchmarkError: It means none of the problems that are judged.
        """
        if isinstance(name, bool) or not isinstance(name, str | int):
            raise BenchmarkError(
                f"{place}: the problem's name is {json_kind(name)}, expected text such as 'HumanEval/0'"
            )
        if isinstance(name, str) and (name in self.problems or not self.problems):
            return name, None
        if not self.problems:
            raise BenchmarkError(f"{place}: the problem's name is a number ({name}), and no benchmark says whose")
        if isinstance(name, int) or name.isdecimal():
            task_id = self._numbered.get((self._only, int(name))) if self._only else None
            index = None
        else:
            match = _NAMED.match(name)
            task_id = match and self._numbered.get((_letters(match["family"]), int(match["number"])))
            index = int(match["index"]) if match is not None and match["index"] else None
        if task_id is None:
            every = list(self.problems)
            close = difflib.get_close_matches(str(name), every, n=1)
            raise BenchmarkError(
                f"{place} names the problem {name!r}, which is not among the {len(every)} that are judged"
                f" ({every[0]} to {every[-1]})",
                hint="name the one benchmark that has it with -b"
                + (f", or did it mean {close[0]!r}?" if close else ""),
            )
        return task_id, index


def _letters(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def text_of(record: Mapping[str, Any], field: str, place: str) -> str:
    """Return a field that has to be text.

    Raises:
        BenchmarkError: It is missing or something else; the message names the place, the field and what is there.
    """
    if field not in record:
        raise BenchmarkError(f"{place}: the field {field!r} is missing; there are {names(record)}")
    value = record[field]
    if not isinstance(value, str):
        raise BenchmarkError(f"{place}: the field {field!r} is {json_kind(value)}, expected text")
    return value


def content_of(value: object, place: str) -> str:
    """Return the text of a message: text, or a list of parts of which those that are thoughts or images do not count.

    Raises:
        BenchmarkError: It is something else; the message names the place.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        parts: list[str] = []
        for number, part in enumerate(value):
            if isinstance(part, str):
                parts.append(part)
            elif not isinstance(part, dict):
                raise BenchmarkError(f"{place}: part {number} of the content is {json_kind(part)}, expected an object")
            elif part.get("type") in ("text", "output_text", None):
                parts.append(text_of(part, "text", f"{place}, part {number} of the content"))
        return "".join(parts)
    raise BenchmarkError(f"{place}: the field 'content' is {json_kind(value)}, expected text or a list of parts")


def object_of(value: object, place: str, what: str) -> Mapping[str, Any]:
    """Return a value that has to be an object.

    Raises:
        BenchmarkError: It is something else.
    """
    if not isinstance(value, dict):
        raise BenchmarkError(f"{place}: {what} is {json_kind(value)}, expected an object")
    return value


def list_of(value: object, place: str, what: str) -> Sequence[Any]:
    """Return a value that has to be a list.

    Raises:
        BenchmarkError: It is something else.
    """
    if not isinstance(value, list):
        raise BenchmarkError(f"{place}: {what} is {json_kind(value)}, expected a list")
    return value


def names(record: Collection[str]) -> str:
    """Name the fields of a record, for messages."""
    shown = ", ".join(map(repr, list(record)[:12]))
    return (shown or "no fields") + (", …" if len(record) > 12 else "")


def defined(text: str) -> list[str]:
    """Return the functions that a text defines at column 0."""
    return re.findall(r"^(?:async[ \t]+)?def[ \t]+(\w+)", text, re.MULTILINE)


def defines(text: str, problem: Problem) -> bool:
    """Tell whether a text defines the function of a problem at column 0, and so is a program of its own."""
    return problem.entry_point in defined(text)
