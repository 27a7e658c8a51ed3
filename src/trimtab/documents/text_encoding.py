"""The text of a file's bytes: UTF-8, or UTF-16 and UTF-32 by their marks; of anything else it is said what was done."""

from __future__ import annotations

import codecs
from typing import Final

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def as_utf8(raw: bytes) -> tuple[bytes, str]:
    """Return the bytes of a text file in UTF-8 without a mark, and what a reader should know about that, or "".

    Bytes that are no text in any of these encodings come back as they are.
    """
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            try:
                return raw[len(mark) :].decode(encoding + _order(mark)).encode(), ""
            except UnicodeDecodeError:
                return raw, ""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        if b"\x00" in raw[:4096]:
            return raw, ""
        return raw.decode("cp1252", errors="replace").encode(), "it is not UTF-8 and was read as Windows-1252 (Latin-1)"
    return raw, ""


def _order(mark: bytes) -> str:
    """Return the byte order that a mark of UTF-16 or UTF-32 says."""
    return "-le" if mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF32_LE) else "-be" if mark != codecs.BOM_UTF8 else ""
