"""PDF: words and rules of each page (read in a process of its own) to paragraphs, captions and tables."""

from __future__ import annotations

import atexit
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
from contextlib import ExitStack, suppress
from functools import lru_cache, partial
from importlib.util import find_spec
from statistics import median
from typing import IO, TYPE_CHECKING, Any, Final

from trimtab import isolation
from trimtab.documents.formats import pdf_table
from trimtab.documents.formats.cell_grid import RawTable
from trimtab.documents.formats.document_builder import TABLE_LABEL, Builder
from trimtab.documents.formats.pdf_table import Fragment, Region, RuledLine, Word
from trimtab.documents.parts import Position
from trimtab.errors import DocumentError, EvidenceError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from io import BufferedRWPair

    from trimtab.documents.formats.limits import DocumentLimits

HEADING = re.compile(r"^(?:(?:\d+|[A-Z])(?:\.\d+)*\.?\s+[A-Z]|Abstract$|References$)")

_LOCK: Final = threading.Lock()
_OPEN: Final = ExitStack()  # the process that reads PDF files, and what leads to it
atexit.register(_OPEN.close)


def read(raw: bytes, name: str, builder: Builder) -> None:
    """Read a PDF into ``builder``.

    Raises:
        DocumentError: It is damaged, encrypted, or needs more CPU or memory than allowed.
        EvidenceError: The reader itself failed, which says nothing of the file.
        MissingExtraError: pypdfium2 is not installed.
    """
    if find_spec("pypdfium2") is None:
        raise MissingExtraError("pypdfium2", extra="evidence")
    pages = _pages(raw, name, builder.limits)
    if pages["count"] > len(pages["pages"]):
        builder.warn(f"pages after number {len(pages['pages'])} of {pages['count']} were left out")
    for number, page in enumerate(pages["pages"], start=1):
        for reason, text in page["hidden"]:
            builder.hide(reason, text, Position(page=number))
        if page["scan"]:
            builder.warn(f"page {number} is a picture with a text layer that was not printed but recognized")
        _page(page, number, builder)


def _pages(raw: bytes, name: str, limits: DocumentLimits) -> dict[str, Any]:
    answer, remark = _ask(b"%d %d %d %d\n" % (limits.pages, limits.cpu_seconds, limits.memory_bytes, len(raw)) + raw)
    refusal = answer.get("refused", "")
    if answer.get("ended", 0) < 0:
        raise DocumentError(
            f"{name} is not read: it needs more than {limits.cpu_seconds} CPU seconds (or crashed its reader)"
        )
    if "MemoryError" in refusal or "allocate" in refusal:
        raise DocumentError(f"{name} is not read: it needs more than {limits.memory_bytes:,} bytes of memory")
    if refusal:
        raise DocumentError(f"{name} is no PDF that can be read: {refusal}")
    if not {"pages", "count"} <= answer.keys():
        raise EvidenceError(
            f"the reader of PDF files failed on {name}: {remark or 'it gave no answer'}",
            hint="the file may be sound: `python -m pip check` looks at what is installed; pypdfium2 reads PDF files",
        )
    return answer


def _ask(question: bytes) -> tuple[dict[str, Any], str]:
    """Return what the process answers to a PDF; where it fails nothing, and the last that it said of errors."""
    with _LOCK:
        start = partial(_started, os.getpid(), *isolation.command("trimtab.documents.formats.pdf_pages"))
        process, channel, errors = start()
        if process.poll() is not None:  # somebody ended it since
            _started.cache_clear()
            process, channel, errors = start()
        answer: object = None
        try:
            with suppress(OSError, ValueError):  # it has ended, or answers something else
                channel.write(question)
                channel.flush()
                answer = json.loads(channel.readline())
                if isinstance(answer, dict):
                    return answer, ""
            errors.seek(0)
            return {}, "".join(errors.read().decode(errors="replace").strip().splitlines()[-1:])
        finally:
            if not isinstance(answer, dict):
                _started.cache_clear()
                with suppress(OSError):
                    os.killpg(process.pid, signal.SIGKILL)
                with suppress(OSError):
                    _OPEN.close()


@lru_cache(maxsize=1)
def _started(_owner: int, *command: str) -> tuple[subprocess.Popen[bytes], BufferedRWPair, IO[bytes]]:
    """Return the process that reads PDF files, what leads to and from it, and its errors."""
    _OPEN.close()
    ours, theirs = socket.socketpair()
    with theirs:
        errors = _OPEN.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - it is a context, of _OPEN
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own module
            command,
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=errors,
            cwd="/",
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # more would take of the memory that is allowed
            start_new_session=True,
        )
    _OPEN.enter_context(process)
    _OPEN.callback(process.kill)
    _OPEN.enter_context(ours)
    channel = ours.makefile("rwb")
    _OPEN.callback(channel.close)
    return process, channel, errors


def _page(page: dict[str, Any], number: int, builder: Builder) -> None:
    words = [Word(*word) for word in page["words"]]
    rules = [RuledLine(*rule) for rule in page["rules"]]
    tables = []
    taken: set[Word] = set()
    for region in pdf_table.regions(words, rules):
        inside = set(region.words)
        caption = _caption(region, [word for word in words if word not in inside])
        rows, heads = pdf_table.read(region, rules, number)
        if caption or pdf_table.looks_tabular(rows):
            first, last = region.rules[0], region.rules[-1]
            place = Position(page=number, box=(first.left, first.top, first.right, last.top))
            tables.append(RawTable(rows=rows, caption=_joined(caption), head_rows=heads, position=place))
            taken |= {*region.words, *caption}
    for block in _blocks([word for word in words if word not in taken]):
        _paragraph(block, number, builder)
    for table in tables:
        builder.table(table)


def _blocks(words: Iterable[Word]) -> Iterator[list[Word]]:
    """Cut words, in the order the file draws them, into blocks of lines that follow each other closely."""
    block: list[Word] = []
    for word in words:
        if block and not _follows(block[-1], word):
            yield block
            block = []
        block.append(word)
    if block:
        yield block


def _follows(last: Word, word: Word) -> bool:
    height = max(last.bottom - last.top, 1.0)
    same_line = abs(last.middle - word.middle) < 0.6 * height and word.left > last.left
    next_line = 0 < word.top - last.top < 1.7 * height and word.left < last.right
    return (same_line or next_line) and abs((word.bottom - word.top) - height) < 0.25 * height


def _caption(table: Region, words: Sequence[Word]) -> list[Word]:
    """Return the nearest block above or below that begins "Table N"."""
    near = []
    for at, word in enumerate(words):
        if not word.text.startswith(("Table", "TABLE", "Tab.")) or (at and _follows(words[at - 1], word)):
            continue
        block = next(_blocks(words[at:]))
        _, top, _, bottom = Fragment(tuple(block)).box
        distance = max(table.rules[0].top - bottom, top - table.rules[-1].top)
        if TABLE_LABEL.match(_joined(block)) and -3 < distance < 60:
            near.append((distance, block))
    return min(near, key=lambda each: each[0], default=(0.0, []))[1]


def _paragraph(block: list[Word], number: int, builder: Builder) -> None:
    text, box = _joined(block), Fragment(tuple(block)).box
    position = Position(page=number, box=box)
    titled = len(text) < 90 and (HEADING.match(text) or all(word.bold for word in block))
    if titled and box[3] - box[1] < 1.6 * median(word.bottom - word.top for word in block):
        builder.heading(text, 1 + text.split(" ", 1)[0].count("."), position)
    else:
        builder.add("sentence", text, position)


def _joined(words: Sequence[Word]) -> str:
    """Return words as text; a word that a line's end divides is whole again."""
    parts: list[str] = []
    for before, word in zip([None, *words], words, strict=False):
        broken = before is not None and word.top > before.bottom - 1 and re.search(r"\w-$", parts[-1])
        if broken and word.text[:1].islower():
            parts[-1] = parts[-1][:-1] + word.text
        elif broken and re.match(r"[A-Z0-9]", word.text):  # "Qwen2.5-" and "Coder-7B": the hyphen is the name's
            parts[-1] += word.text
        else:
            parts.append(word.text)
    return " ".join(parts)
