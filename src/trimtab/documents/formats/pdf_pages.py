"""A PDF to words and rules, run as a process of its own that :mod:`trimtab.documents.formats.pdf_reader` starts.

A PDF can expand to any size and loop for any time, so limits of memory and CPU are set first, by the system:
a bomb ends this process and not the caller. Out comes JSON; words that a reader cannot see are apart, with the reason.
A file that cannot be read is an answer too, ``{"refused": why}``: another exit code than 0 says that the reader failed.

PDFium reads the file. A page's coordinates are points from its top left, as it is shown: its rotation is undone.
"""

from __future__ import annotations

import ctypes
import json
import resource
import sys
from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# PDFium hands out pointers without declared types.
Handle = Any

TINY_PT = 2.0
WHITE = 250  # of 255, each of red, green and blue
BOLD = ("bold", "cmbx", "-bd", "black", "heavy", "medi")
INVISIBLE_MODE = 3
SCAN_SHARE = 0.8
GAP = 0.15  # of the type size, between two characters of one word
DESCENT = 0.22  # of the type size, below the line that letters stand on
DRAWING = 400  # segments of one path; a chart has more, a rule has one
NESTED = 8  # forms inside forms
BLANKS = (0xA, 0xD, 0x20)  # what PDFium adds to the characters of the file
HYPHENS = (0x2, 0xFFFE)  # how PDFium gives a hyphen at the end of a line


class _Font(NamedTuple):
    """What the characters of one text object have in common."""

    name: str
    size: float
    upright: bool
    lying: int
    invisible: bool
    white: bool


class _Char(NamedTuple):
    """A character with its box in points from the top left."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    font: _Font


class _Rectangle(NamedTuple):
    """A drawn line or rectangle."""

    left: float
    top: float
    right: float
    bottom: float
    filled: bool


def main(pages: int, cpu_seconds: int, memory_bytes: int) -> None:
    """Read a PDF from standard input and write its pages to standard output."""
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    try:
        answer = _document(pages)
    except Exception as error:  # noqa: BLE001 - a damaged file ends in whatever its reader stumbled over
        answer = {"refused": f"{type(error).__name__}: {error}"}
    json.dump(answer, sys.stdout)


def _document(pages: int) -> dict[str, Any]:
    import pypdfium2  # noqa: PLC0415 - below the limits

    document = pypdfium2.PdfDocument(sys.stdin.buffer.read())
    count = len(document)
    return {"pages": [_Page(document[number]).read() for number in range(min(pages, count))], "count": count}


class _Page:
    """One page.

    Args:
        page: As pypdfium2 hands it out.
        lying: By how many degrees it is turned, clockwise, besides: a table that lies on its side is set upright.
    """

    def __init__(self, page: Handle, lying: int = 0) -> None:
        from pypdfium2 import raw  # noqa: PLC0415

        self._raw: Handle = raw
        self._page = page
        self._angle = (page.get_rotation() + lying) % 360
        self.width, self.height = page.get_size()[:: -1 if lying else 1]
        left, bottom, right, top = page.get_cropbox()
        # From left, bottom, right, top as in the file to left, top, right, bottom as it is shown.
        self._turned: Callable[[float, float, float, float], tuple[float, float, float, float]] = {
            0: lambda x0, y0, x1, y1: (x0 - left, top - y1, x1 - left, top - y0),
            90: lambda x0, y0, x1, y1: (y0 - bottom, x0 - left, y1 - bottom, x1 - left),
            180: lambda x0, y0, x1, y1: (right - x1, y0 - bottom, right - x0, y1 - bottom),
            270: lambda x0, y0, x1, y1: (top - y1, right - x1, top - y0, right - x0),
        }[self._angle]

    def read(self) -> dict[str, Any]:
        """Return its words, rules and hidden texts."""
        chars = list(self._chars())
        if self._angle == 0:
            lying = Counter(char.font.lying for char in chars).most_common(1)
            if lying and lying[0][0]:
                return _Page(self._page, lying[0][0]).read()
        drawn = list(self._rectangles())
        filled = [each for each in drawn if each.filled]
        invisible = sum(char.font.invisible for char in chars)
        scan = bool(chars) and invisible > SCAN_SHARE * len(chars)
        seen, unseen = [], []
        for char in chars:
            reason = self._hidden(char, filled, scan=scan)
            if reason:
                unseen.append((reason, char.text))
            else:
                seen.append(char)
        return {
            "scan": scan,
            "words": list(_words(seen)),
            "rules": sorted(
                (round(each.top, 1), round(each.left, 1), round(each.right, 1))
                for each in drawn
                if each.bottom - each.top < 2 and each.right - each.left > 8
            ),
            "hidden": [
                [reason, "".join(text for _, text in run).strip()]
                for reason, run in groupby(unseen, key=lambda each: each[0])
            ],
        }

    def _chars(self) -> Iterator[_Char]:
        """Yield the characters in the order in which the file draws them.

        Most of a PDF's time is spent here: PDFium is asked three things of each character, and others only where the
        answer can be another than for the characters before.
        """
        raw = self._raw
        raw.FPDFText_GetTextObject.restype = ctypes.c_void_p  # to make a typed pointer takes longer than all the rest
        code_of, owner_of, box_of = raw.FPDFText_GetUnicode, raw.FPDFText_GetTextObject, raw.FPDFText_GetLooseCharBox
        text = raw.FPDFText_LoadPage(self._page.raw)
        x, y, box = ctypes.c_double(), ctypes.c_double(), raw.FS_RECTF()
        fonts: dict[int, _Font] = {}
        feet: dict[tuple[int, float], float] = {}
        for index in range(raw.FPDFText_CountChars(text)):
            code = code_of(text, index)
            if not code or (code in BLANKS and raw.FPDFText_IsGenerated(text, index) == 1):
                continue
            owner = owner_of(text, index) or 0
            font = fonts.get(owner)
            if font is None:
                font = fonts[owner] = self._font(text, index, owner)
            box_of(text, index, box)
            left, top, right, bottom = self._turned(box.left, box.bottom, box.right, box.top)
            if font.upright:  # boxes of two fonts in one line differ, the line they stand on does not
                foot = feet.get((owner, box.bottom))
                if foot is None:
                    raw.FPDFText_GetCharOrigin(text, index, x, y)
                    foot = self._turned(x.value, y.value, x.value, y.value)[1] + DESCENT * font.size
                    feet[owner, box.bottom] = foot
                top, bottom = foot - font.size, foot
            yield _Char("-" if code in HYPHENS else chr(code), left, top, right, bottom, font)
        raw.FPDFText_ClosePage(text)

    def _font(self, text: Handle, index: int, owner: int) -> _Font:
        raw = self._raw
        name, flags, matrix = ctypes.create_string_buffer(256), ctypes.c_int(), raw.FS_MATRIX()
        raw.FPDFText_GetFontInfo(text, index, name, len(name), flags)
        raw.FPDFText_GetMatrix(text, index, matrix)
        along, across = (matrix.b, matrix.a) if self._angle % 180 else (matrix.a, matrix.b)
        scale = (matrix.c**2 + matrix.d**2) ** 0.5
        mode = raw.FPDFTextObj_GetTextRenderMode(ctypes.cast(owner, raw.FPDF_PAGEOBJECT))
        color = [ctypes.c_uint() for _ in range(4)]
        known = raw.FPDFText_GetFillColor(text, index, *color)
        return _Font(
            name=name.value.decode(errors="replace").casefold(),
            size=raw.FPDFText_GetFontSize(text, index) * (scale or 1.0),
            upright=abs(along) > abs(across),
            lying=0 if abs(along) > abs(across) else 90 if across > 0 else 270,
            invisible=mode == INVISIBLE_MODE,
            white=bool(known) and all(part.value >= WHITE for part in color[:3]),
        )

    def _hidden(self, char: _Char, filled: Iterable[_Rectangle], *, scan: bool) -> str | None:
        if char.font.invisible and not scan:
            return "invisible"
        if char.right < 0 or char.left > self.width or char.bottom < 0 or char.top > self.height:
            return "off-page"
        if char.font.size < TINY_PT and char.text.strip():
            return "tiny"
        if not char.font.white:
            return None
        x, y = (char.left + char.right) / 2, (char.top + char.bottom) / 2
        behind = any(each.left <= x <= each.right and each.top <= y <= each.bottom for each in filled)
        return None if behind else "white"

    def _rectangles(self) -> Iterator[_Rectangle]:
        """Yield the lines and rectangles of the page and of the forms drawn on it."""
        raw = self._raw
        count = raw.FPDFPage_CountObjects(self._page.raw)
        for index in range(count):
            yield from self._drawn(raw.FPDFPage_GetObject(self._page.raw, index), (), 0)

    def _drawn(self, each: Handle, outer: tuple[Handle, ...], depth: int) -> Iterator[_Rectangle]:
        raw = self._raw
        kind = raw.FPDFPageObj_GetType(each)
        if kind not in (raw.FPDF_PAGEOBJ_PATH, raw.FPDF_PAGEOBJ_FORM):
            return
        matrix = raw.FS_MATRIX()
        raw.FPDFPageObj_GetMatrix(each, matrix)
        matrices = (matrix, *outer)
        if kind == raw.FPDF_PAGEOBJ_FORM:
            for index in range(raw.FPDFFormObj_CountObjects(each) if depth < NESTED else 0):
                yield from self._drawn(raw.FPDFFormObj_GetObject(each, index), matrices, depth + 1)
            return
        if not 1 < raw.FPDFPath_CountSegments(each) < DRAWING:
            return
        fill, stroke = ctypes.c_int(), ctypes.c_int()
        raw.FPDFPath_GetDrawMode(each, fill, stroke)
        color = [ctypes.c_uint() for _ in range(4)]
        known = fill.value and raw.FPDFPageObj_GetFillColor(each, *color)
        filled = bool(known) and not all(part.value >= WHITE for part in color[:3])
        for left, top, right, bottom in self._outlines(each, matrices):
            yield _Rectangle(left, top, right, bottom, filled)

    def _outlines(self, path: Handle, matrices: tuple[Handle, ...]) -> Iterator[tuple[float, float, float, float]]:
        """Yield the box of each part of a path that is drawn in one go and is a line or a rectangle."""
        raw = self._raw
        segment_of, kind_of, point_of = (
            raw.FPDFPath_GetPathSegment,
            raw.FPDFPathSegment_GetType,
            raw.FPDFPathSegment_GetPoint,
        )
        x, y = ctypes.c_float(), ctypes.c_float()
        points: list[tuple[float, float]] = []
        across: set[float] = set()
        down: set[float] = set()
        straight = True
        for index in range(raw.FPDFPath_CountSegments(path)):
            segment = segment_of(path, index)
            if kind_of(segment) == raw.FPDF_SEGMENT_MOVETO:
                if straight and len(points) > 1:
                    yield _around(points)
                points, across, down, straight = [], set(), set(), True
            elif not straight:
                continue
            point_of(segment, x, y)
            point = x.value, y.value
            for matrix in matrices:
                point = (
                    matrix.a * point[0] + matrix.c * point[1] + matrix.e,
                    matrix.b * point[0] + matrix.d * point[1] + matrix.f,
                )
            point = self._turned(*point, *point)[:2]
            points.append(point)
            across.add(round(point[0], 1))
            down.add(round(point[1], 1))
            straight = len(across) <= 2 and len(down) <= 2
        if straight and len(points) > 1:
            yield _around(points)


def _around(points: list[tuple[float, float]]) -> tuple[float, float, float, float]:
    across, down = zip(*points, strict=True)
    return min(across), min(down), max(across), max(down)


def _words(chars: Iterable[_Char]) -> Iterator[list[Any]]:
    """Yield words as [text, left, top, right, bottom, bold]."""
    word: list[_Char] = []
    for char in chars:
        blank = char.text.isspace()
        if word and (blank or _begins(word[-1], char)):
            yield _word(word)
            word = []
        if not blank:
            word.append(char)
    if word:
        yield _word(word)


def _begins(last: _Char, char: _Char) -> bool:
    """Whether a character begins a new word: another font, a gap, another line."""
    _, left, top, right, bottom, font = last
    if font is not char.font and (font.name != char.font.name or font.upright != char.font.upright):
        return True
    if not font.upright:
        return abs(char.left - left) > char.font.size / 2
    apart = not left <= char.left <= right + GAP * font.size
    return apart or abs(char.top - top) > 3 or abs(char.bottom - bottom) > 3


def _word(chars: list[_Char]) -> list[Any]:
    texts, lefts, tops, rights, bottoms, fonts = zip(*chars, strict=True)
    box = min(lefts), min(tops), max(rights), max(bottoms)
    return ["".join(texts), *(round(edge, 2) for edge in box), any(mark in fonts[0].name for mark in BOLD)]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
