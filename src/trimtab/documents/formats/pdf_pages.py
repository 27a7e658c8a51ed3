"""A PDF to words and rules, run as a process of its own that :mod:`trimtab.documents.formats.pdf_reader` starts.

A PDF can expand to any size and loop for any time, so limits of memory and CPU are set first, by the system:
a bomb ends this process and not the caller. Out comes JSON; words that a reader cannot see are apart, with the reason.
A file that cannot be read is an answer too, ``{"refused": why}``: another exit code than 0 says that the reader failed.
"""

from __future__ import annotations

import io
import json
import resource
import sys
from itertools import groupby
from typing import Any

# pdfplumber hands out dictionaries and objects without declared attributes.
Plumbed = Any

TINY_PT = 2.0
WHITE = {(1,), (1, 1, 1), (0, 0, 0, 0)}
BOLD = ("bold", "cmbx", "-bd", "black", "heavy", "medi")
INVISIBLE_MODE = 3
SCAN_SHARE = 0.8


def main(pages: int, cpu_seconds: int, memory_bytes: int) -> None:
    """Read a PDF from standard input and write its pages to standard output."""
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    _note_render_modes()
    try:
        answer = _document(pages)
    except Exception as error:  # noqa: BLE001 - a damaged file ends in whatever its reader stumbled over
        answer = {"refused": f"{type(error).__name__}: {error}"}
    json.dump(answer, sys.stdout)


def _document(pages: int) -> dict[str, Any]:
    import pdfplumber  # noqa: PLC0415 - below the limits

    with pdfplumber.open(io.BytesIO(sys.stdin.buffer.read())) as document:
        found = [_page(page) for page in document.pages[:pages]]
        return {"pages": found, "count": len(document.pages)}


def _note_render_modes() -> None:
    """Make pdfplumber's characters say in which render mode they are drawn; it does not keep that itself."""
    from pdfplumber import page  # noqa: PLC0415

    class Noting(page.PDFPageAggregatorWithMarkedContent):
        def render_string(self, textstate: Plumbed, *rest: Plumbed) -> None:
            self.mode = textstate.render
            super().render_string(textstate, *rest)

        def render_char(self, *arguments: Plumbed, **named: Plumbed) -> float:
            advance: float = super().render_char(*arguments, **named)
            vars(self.cur_item._objs[-1])["render_mode"] = self.mode  # noqa: SLF001 - pdfplumber keeps its marks so
            return advance

    page.ALL_ATTRS.add("render_mode")
    vars(page)["PDFPageAggregatorWithMarkedContent"] = Noting


def _page(page: Plumbed) -> dict[str, Any]:
    from pdfplumber.utils.text import extract_words  # noqa: PLC0415

    filled = [each for each in page.rects if each.get("fill") and not _white(each.get("non_stroking_color"))]
    modes = [char.get("render_mode") == INVISIBLE_MODE for char in page.chars]
    scan = bool(modes) and sum(modes) > SCAN_SHARE * len(modes)
    seen, unseen = [], []
    for char in page.chars:
        reason = _hidden(char, page, filled, scan=scan)
        if reason:
            unseen.append((reason, char))
        else:
            seen.append(char)
    words = extract_words(seen, use_text_flow=True, extra_attrs=["fontname"], x_tolerance_ratio=0.15)
    return {
        "scan": scan,
        "words": [
            [word["text"], *(round(word[side], 2) for side in ("x0", "top", "x1", "bottom")), _bold(word["fontname"])]
            for word in words
        ],
        "rules": sorted(_rules(page)),
        "hidden": [
            [reason, "".join(char["text"] for _, char in run)]
            for reason, run in groupby(unseen, key=lambda each: each[0])
        ],
    }


def _hidden(char: Plumbed, page: Plumbed, filled: list[Any], *, scan: bool) -> str | None:
    if char.get("render_mode") == INVISIBLE_MODE and not scan:
        return "invisible"
    if char["x1"] < 0 or char["x0"] > page.width or char["bottom"] < 0 or char["top"] > page.height:
        return "off-page"
    if char["size"] < TINY_PT and char["text"].strip():
        return "tiny"
    if not _white(char.get("non_stroking_color")):
        return None
    x, y = (char["x0"] + char["x1"]) / 2, (char["top"] + char["bottom"]) / 2
    return (
        None
        if any(each["x0"] <= x <= each["x1"] and each["top"] <= y <= each["bottom"] for each in filled)
        else "white"
    )


def _white(color: Plumbed) -> bool:
    values = color if isinstance(color, (tuple, list)) else (color,)
    return tuple(values) in WHITE


def _bold(font: str) -> bool:
    return any(mark in font.lower() for mark in BOLD)


def _rules(page: Plumbed) -> list[tuple[float, float, float]]:
    """Return horizontal rules: top, left, right."""
    thin = [each for each in [*page.lines, *page.rects] if abs(each["bottom"] - each["top"]) < 2]
    return [
        (round(each["top"], 1), round(each["x0"], 1), round(each["x1"], 1))
        for each in thin
        if each["x1"] - each["x0"] > 8
    ]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
