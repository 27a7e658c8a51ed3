"""Files that appear whole or not at all, and line logs that survive a kill, for the whole package.

Decisions: a file is written under another name, flushed to disk and renamed, so a reader sees the old one or the new
one, and a write that fails leaves nothing behind. A line ends at a line feed only: JSON may hold U+2028 and the like as
they are, which Python's text methods take for line ends. What follows the last line feed is a record if it is one, for
editors leave the last line feed out; if it is none, a kill tore it, and a log drops it. Standard library only.
"""

from __future__ import annotations

import codecs
import json
import os
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from trimtab.errors import RunFolderError, TrimtabError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

# The marks of UTF-32 begin with those of UTF-16. Windows' shells write UTF-16 where output is redirected.
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BLANKS: Final = b" \t\r\n"


def write_atomic(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` in UTF-8 so that it appears whole or not at all."""
    write_atomic_bytes(path, text.encode("utf-8"))


def write_atomic_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` so that it appears whole or not at all; its folder has to be there.

    Raises:
        OSError: It cannot be written; what was there before is untouched, and nothing else is left.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is None:  # of a full disk
            error.filename = str(path)
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: object) -> None:
    """Write ``value`` as canonical JSON: sorted keys, one byte sequence for one value.

    Raises:
        ValueError: It holds a number that JSON does not have; nothing is written.
    """
    write_atomic(path, json.dumps(value, sort_keys=True, indent=1, allow_nan=False) + "\n")


def read_json(path: Path, *, error: type[TrimtabError] = RunFolderError) -> Any:  # noqa: ANN401 - whatever the file holds
    """Read a JSON file, with or without a byte order mark.

    Raises:
        TrimtabError: The file is missing, torn or not JSON; of the class ``error``, and the message names it.
    """
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise error(f"{path} cannot be read: {problem}") from problem
    return parse_json(data, path, error=error)


def parse_json(data: bytes, path: Path, *, error: type[TrimtabError] = RunFolderError) -> Any:  # noqa: ANN401 - whatever they hold
    """Read JSON that is in memory, as :func:`read_json` reads the file ``path`` that it came from.

    Raises:
        TrimtabError: It is torn or not JSON; of the class ``error``, and the message names the file.
    """
    try:
        return json.loads(without_mark(data))
    except (ValueError, RecursionError) as problem:
        raise error(f"{path} cannot be read: {problem}") from problem


def write_lines(
    path: Path, records: Iterable[Mapping[str, Any]], *, sort_keys: bool = True, ensure_ascii: bool = True
) -> None:
    """Write JSON Lines, whole or not at all; the options are those of ``json.dumps``."""
    dumped = (json.dumps(record, sort_keys=sort_keys, ensure_ascii=ensure_ascii) for record in records)
    write_atomic(path, "".join(f"{line}\n" for line in dumped))


def read_lines(path: Path, *, error: type[TrimtabError] = RunFolderError) -> list[dict[str, Any]]:
    """Read a line log, without a torn last line; nothing where there is no file.

    Raises:
        TrimtabError: Another line is no JSON object; of the class ``error``, and the message names file and line.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    found = parse_lines(data, str(path), error=error)
    return [line.record for line in found.lines]


def read_given_lines(path: Path, *, error: type[TrimtabError]) -> list[JsonLine]:
    """Read JSON Lines that a person or another program wrote: the file has to be there, its last line has to be whole.

    Raises:
        TrimtabError: It cannot be read, or a line is no JSON object; of the class ``error``, naming file and line.
    """
    try:
        found = parse_lines(path.read_bytes(), str(path), error=error)
    except OSError as problem:
        raise error(f"{path} cannot be read: {problem.strerror or problem}") from problem
    if found.torn:
        number = found.lines[-1].number + 1 if found.lines else 1
        raise error(f"{path}, line {number} is no JSON: {found.torn[:80].decode('utf-8', 'replace')}")
    return found.lines


class JsonLine(NamedTuple):
    """A record of JSON Lines and the number of its line, from 1."""

    number: int
    record: dict[str, Any]


class JsonLines(NamedTuple):
    """What JSON Lines hold.

    Attributes:
        lines: The records; blank lines are left out.
        torn: The bytes of a last line that was cut off; empty where the last line is whole.
    """

    lines: list[JsonLine]
    torn: bytes


def parse_lines(data: bytes, place: str, *, error: type[TrimtabError] = RunFolderError) -> JsonLines:
    """Read JSON Lines that are in memory.

    Args:
        data: In UTF-8, with or without a byte order mark; half a surrogate pair is read as Python writes it. UTF-16 and
            UTF-32 are read where the mark says so.
        place: Where they are from, for messages.
        error: The class of errors.

    Raises:
        TrimtabError: A line other than a torn last one is no JSON object; the message names the line.
    """
    try:
        pieces = without_mark(data).split(b"\n")
    except UnicodeDecodeError as problem:
        raise error(f"{place} is not the text that its byte order mark says: {problem}") from problem
    lines = []
    for number, piece in enumerate(pieces, start=1):
        if piece.strip(_BLANKS):
            try:
                lines.append(JsonLine(number, _object(piece)))
            except ValueError as problem:
                if number == len(pieces):
                    return JsonLines(lines, piece)
                raise error(f"{place}, line {number} {problem}") from problem
    return JsonLines(lines, b"")


def _object(piece: bytes) -> dict[str, Any]:
    """Read one object; a ``ValueError`` says in words for a message what is there instead."""
    try:
        record = json.loads(piece.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as problem:
        raise ValueError(f"is not JSON: {problem}") from problem
    if not isinstance(record, dict):
        raise ValueError(f"is not a JSON object but {json_kind(record)}")  # noqa: TRY004 - words for a message
    return record


def json_kind(value: object) -> str:
    """Name the JSON type of a value, for messages.

    >>> json_kind(None), json_kind(True), json_kind(1), json_kind([]), json_kind("x")
    ('null', 'a truth value', 'a number', 'a list', 'text')
    """
    match value:
        case None:
            return "null"
        case bool():
            return "a truth value"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "an object"


def without_mark(data: bytes) -> bytes:
    """Return the UTF-8 of text that may begin with a byte order mark; UTF-16 and UTF-32 are known by theirs.

    Raises:
        UnicodeDecodeError: What follows the mark is not what the mark says.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :] if encoding == "utf-8" else data.decode(encoding).encode("utf-8", "surrogatepass")
    return data


class LineLog:
    """JSON Lines that grow while a run goes on, one flushed line a record; a context manager.

    What a kill tore off is cut off when the log is opened again, so the records are those that were written whole.

    Args:
        path: The file; made if need be, with its folder.
        error: The class of errors.

    Attributes:
        records: What it held when it was opened.

    Raises:
        TrimtabError: A line other than a torn last one is no JSON object; the message names file and line.
    """

    def __init__(self, path: Path, *, error: type[TrimtabError] = RunFolderError) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        data = path.read_bytes() if path.exists() else b""
        found = parse_lines(data, str(path), error=error)
        if not data.endswith(without_mark(data)):
            raise error(f"{path} cannot go on: it is not in UTF-8")
        self.records = [line.record for line in found.lines]
        whole = len(data) - len(found.torn)
        self._file = path.open("r+b" if path.exists() else "w+b")
        self._file.truncate(whole)
        self._file.seek(whole)
        if data[:whole] and not data[:whole].endswith(b"\n"):
            self._file.write(b"\n")

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one record, so that it is there whatever happens to this process next."""
        self._file.write(_line(record))
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def append_line(path: Path, record: Mapping[str, Any], *, error: type[TrimtabError] = RunFolderError) -> None:
    """Add one record to a line log that is opened for it alone: for the few lines that a person or a slow job makes.

    Raises:
        TrimtabError: The log is torn, and a line other than the last is no JSON object.
    """
    if path.exists() and not path.read_bytes().endswith(b"\n"):
        with LineLog(path, error=error) as log:
            log.append(record)
        return
    with path.open("ab") as file:
        file.write(_line(record))


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"
