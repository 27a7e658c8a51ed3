"""Reading one file: which format it is, by content first, and the parser for it."""

from __future__ import annotations

import hashlib
import importlib
import re
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from trimtab.disk import without_mark
from trimtab.documents.formats.document_builder import Builder
from trimtab.documents.formats.limits import DocumentLimits
from trimtab.errors import DocumentError, MissingExtraError

if TYPE_CHECKING:
    from types import ModuleType

    from trimtab.documents.parts import Document, Format

SUFFIXES: dict[str, Format] = {
    ".tex": "latex",
    ".ltx": "latex",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".xml": "jats",
    ".nxml": "jats",
    ".pdf": "pdf",
    ".md": "markdown",
    ".mdx": "markdown",
    ".markdown": "markdown",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "text",
}
# Named as unread, never opened: what a few bytes of one unpack to has no bound.
ARCHIVES = {".zip", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".tar", ".docx", ".odt", ".epub"}
ADDRESS = re.compile(r"[a-z]{3,5}:/+\w", re.IGNORECASE)
HTML_START = re.compile(
    rb"^\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL
)
JATS_START = re.compile(rb"<(?:\w+:)?(?:article|pmc-articleset)\b")
LATEX_START = re.compile(rb"\\(?:documentclass|documentstyle|begin\{(?:document|table|tabular))")


def read(path: Path | str, *, limits: DocumentLimits | None = None) -> Document:
    """Read a file.

    Args:
        path: LaTeX, HTML, JATS, PDF, Markdown, CSV or plain text.
        limits: What to stop at; the defaults suit papers.

    Raises:
        DocumentError: The file cannot be opened, is of another kind, hostile, or over a limit.
        EvidenceError: A reader that runs as a process of its own failed, which says nothing of the file.
        MissingExtraError: The parser's library is not installed.
    """
    limits = limits or DocumentLimits()
    if ADDRESS.match(str(path)):
        address = re.sub(":/+", "://", str(path), count=1)
        raise DocumentError(f"{address} is an address; nothing is downloaded here", hint="save it, and name the file")
    return read_bytes(contents(Path(path), limits), str(path), limits=limits)


def contents(path: Path, limits: DocumentLimits) -> bytes:
    """Return the bytes of a file.

    Raises:
        DocumentError: It cannot be opened, or is larger than a document may be.
    """
    try:
        size = path.stat().st_size
        if size > limits.file_bytes:
            raise DocumentError(f"{path} has {size:,} bytes; at most {limits.file_bytes:,} are read")
        return path.read_bytes()
    except OSError as error:
        raise DocumentError(f"{path} cannot be opened: {error.strerror or error}") from error


def read_bytes(raw: bytes, name: str, *, limits: DocumentLimits | None = None) -> Document:
    """Read a file's bytes; ``name`` is for messages, and for its suffix where the content does not say.

    Raises:
        DocumentError: As :func:`read`.
        EvidenceError: As :func:`read`.
    """
    if not raw.strip():
        raise DocumentError(f"{name} is empty")
    sha256, remark = hashlib.sha256(raw).hexdigest(), ""
    if not raw.lstrip().startswith(b"%PDF-") and not (b"<" in raw[:200] and b"encoding=" in raw[:200]):
        raw, remark = utf8(raw)
    format_ = sniff(raw, name)
    builder = Builder(sha256, format_, limits or DocumentLimits())
    if remark and format_ in ("markdown", "text", "csv", "latex"):
        builder.warn(remark)
    parser = parser_module(f"formats.{format_}_reader")
    try:
        parser.read(raw, name, builder)
    except RecursionError as error:
        raise DocumentError(f"{name} is nested too deeply to be read") from error
    document = builder.finish(name)
    if format_ == "pdf" and not document.text.strip() and not document.cells and not document.hidden:
        raise DocumentError(
            f"{name} holds no text, only images: it is a scan",
            hint="run OCR over it, or take another format of the work",
        )
    return document


def parser_module(name: str) -> ModuleType:
    """Return a module of this room that reads one format.

    Raises:
        MissingExtraError: The library that it reads with is not installed.
    """
    try:
        return importlib.import_module(f"trimtab.documents.{name}")
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), extra="evidence") from error


def utf8(raw: bytes) -> tuple[bytes, str]:
    """Return the bytes of a text file in UTF-8 without a mark, and what a reader should know about that, or "".

    UTF-16 and UTF-32 are known by their marks. Bytes that are no text come back as they are.
    """
    try:
        raw = without_mark(raw)
        raw.decode("utf-8")
    except UnicodeDecodeError:
        if b"\x00" in raw[:4096]:
            return raw, ""
        return raw.decode("cp1252", errors="replace").encode(), "it is not UTF-8 and was read as Windows-1252 (Latin-1)"
    return raw, ""


def sniff(raw: bytes, name: str) -> Format:
    """Return the format of a file, by its first bytes, else by its suffix.

    Raises:
        DocumentError: It is none that can be read.
    """
    head = raw[:4096]
    if head[:1024].lstrip().startswith(b"%PDF-"):
        return "pdf"
    if HTML_START.search(head):
        return "html"
    if JATS_START.search(head) and head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
        return "jats"
    suffix = PurePath(name).suffix.lower()
    if suffix not in SUFFIXES and LATEX_START.search(raw[:100_000]):
        return "latex"
    if suffix not in SUFFIXES:
        raise DocumentError(
            f"{name} is of no format that can be read", hint=f"readable: {', '.join(sorted({*SUFFIXES.values()}))}"
        )
    if SUFFIXES[suffix] == "pdf" or b"\x00" in head:
        raise DocumentError(f"{name} does not hold what its name says: it is not {SUFFIXES[suffix]}")
    return SUFFIXES[suffix]
