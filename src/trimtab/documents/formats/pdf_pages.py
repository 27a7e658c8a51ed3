"""PDF files to words and rules: a process that :mod:`trimtab.documents.formats.pdf_reader` starts and asks.

A PDF can expand to any size and loop for any time, so each is read in a copy of this process, and limits of memory and
CPU are set there first, by the system: a bomb ends that copy and nobody else. Out comes a line of JSON for each file;
words that a reader cannot see are apart, with the reason. A file that cannot be read is an answer too, ``{"refused":
why}``; a copy that was ended is ``{"ended": code}``.

PDFium reads the file. A page's coordinates are points from its top left, as it is shown: its rotation is undone.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from collections import Counter
from ctypes import byref, c_double, c_float, c_int, c_uint, create_string_buffer
from itertools import groupby, pairwise, repeat
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pypdfium2
from pypdfium2 import raw

from trimtab.documents.formats.limits import TINY_PT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

Address = int

WHITE = 250  # of 255, each of red, green and blue
BOLD = ("bold", "cmbx", "-bd", "black", "heavy", "medi")
INVISIBLE_MODE = 3
SCAN_SHARE = 0.8
GAP = 0.15  # of the type size, between two characters of one word
DESCENT = 0.22  # of the type size, below the line that letters stand on
DRAWING = 400  # segments of one path; a chart has more, a rule has one
NESTED = 8  # forms inside forms
BLANKS = (0xA, 0xD, 0x20)  # what PDFium adds to the characters of the file
SPACES = [code for code in range(0x3001) if chr(code).isspace()]
HYPHENS = (0x2, 0xFFFE)  # how PDFium gives a hyphen at the end of a line
SLOW = 10  # times its CPU seconds a file may take by the clock


class _Pdfium:
    """PDFium's functions, with addresses in place of typed pointers, which take longer to make than all the rest."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        declared = getattr(raw, name)
        kinds = (declared.restype, *declared.argtypes)
        plain = [ctypes.c_void_p if hasattr(kind, "contents") else kind for kind in kinds]
        function = ctypes.PYFUNCTYPE(*plain)(_address(declared))
        setattr(self, name, function)
        return function


_PDFIUM: Final = _Pdfium()


class _Font(NamedTuple):
    """What the characters of one text object have in common."""

    name: str
    size: float
    upright: bool
    lying: int
    invisible: bool
    white: bool


class _Letters(NamedTuple):
    """The characters of a page, or some of them, in the order in which the file draws them.

    Attributes:
        code: Of each in Unicode.
        font: Which of ``fonts`` each is set in.
        box: Left, top, right and bottom, a row each, in points from the top left.
        fonts: Of the page.
    """

    code: NDArray[np.uint32]
    font: NDArray[np.intp]
    box: NDArray[np.float64]
    fonts: Sequence[_Font]

    def of(self, field: str) -> Any:  # noqa: ANN401 - an array of what the field holds
        """Return for each character what a field of its font holds."""
        return np.array([getattr(font, field) for font in self.fonts])[self.font]

    def where(self, chosen: NDArray[np.bool_]) -> _Letters:
        """Return some of the characters."""
        return self._replace(code=self.code[chosen], font=self.font[chosen], box=self.box[:, chosen])

    @property
    def blank(self) -> NDArray[np.bool_]:
        """Which are white space."""
        return np.isin(self.code, SPACES)

    @property
    def text(self) -> str:
        """All of them."""
        return self.code.astype("<u4").tobytes().decode("utf-32-le", errors="surrogatepass")


class _Rectangle(NamedTuple):
    """A drawn line or rectangle."""

    left: float
    top: float
    right: float
    bottom: float
    filled: bool


def main() -> None:
    """Answer what standard input asks until it ends.

    A question is a line with the most pages, CPU seconds and bytes of memory and the size of a PDF, and then the PDF.
    """
    for line in sys.stdin.buffer:
        pages, cpu_seconds, memory_bytes, size = map(int, line.split())
        content = sys.stdin.buffer.read(size)
        if child := os.fork():
            _, status = os.waitpid(child, 0)
            answer = f'{{"ended": {os.waitstatus_to_exitcode(status)}}}\n' if status else ""
        else:
            resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
            resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
            signal.alarm(SLOW * cpu_seconds)
            answer = f"{_answer(content, pages)}\n"
        sys.stdout.write(answer)
        sys.stdout.flush()
        if not child:
            os._exit(0)


def _answer(content: bytes, pages: int) -> str:
    try:
        document = pypdfium2.PdfDocument(content)
        count = len(document)
        read = [_Page(document[number]).read() for number in range(min(pages, count))]
        return json.dumps({"pages": read, "count": count})
    except Exception as error:  # noqa: BLE001 - a damaged file ends in whatever its reader stumbled over
        return json.dumps({"refused": f"{type(error).__name__}: {error}"})


class _Page:
    """One page.

    Args:
        page: As pypdfium2 hands it out.
        lying: By how many degrees it is turned, clockwise, besides: a table that lies on its side is set upright.
    """

    def __init__(self, page: pypdfium2.PdfPage, lying: int = 0) -> None:
        self._page, self._address = page, _address(page.raw)
        self._angle = (page.get_rotation() + lying) % 360
        self.width, self.height = page.get_size()[:: -1 if lying else 1]
        left, bottom, right, top = page.get_cropbox()
        # From left, bottom, right, top as in the file to left, top, right, bottom as it is shown.
        self._turned: Callable[[Any, Any, Any, Any], tuple[Any, Any, Any, Any]] = {
            0: lambda x0, y0, x1, y1: (x0 - left, top - y1, x1 - left, top - y0),
            90: lambda x0, y0, x1, y1: (y0 - bottom, x0 - left, y1 - bottom, x1 - left),
            180: lambda x0, y0, x1, y1: (right - x1, y0 - bottom, right - x0, y1 - bottom),
            270: lambda x0, y0, x1, y1: (top - y1, right - x1, top - y0, right - x0),
        }[self._angle]

    def read(self) -> dict[str, Any]:
        """Return its words, rules and hidden texts."""
        letters = self._letters()
        lying = Counter(letters.of("lying").tolist()).most_common(1)
        if self._angle == 0 and lying and lying[0][0]:
            return _Page(self._page, lying[0][0]).read()
        objects = map(
            _PDFIUM.FPDFPage_GetObject, repeat(self._address), range(_PDFIUM.FPDFPage_CountObjects(self._address))
        )
        drawn = [rectangle for each in objects for rectangle in self._drawn(each, (), 0)]
        scan = bool(np.count_nonzero(letters.of("invisible")) > SCAN_SHARE * len(letters.code) > 0)
        reasons = self._reasons(letters, [each for each in drawn if each.filled], scan=scan)
        unseen = zip(reasons[reasons != ""].tolist(), letters.where(reasons != "").text, strict=True)
        return {
            "scan": scan,
            "words": list(_words(letters.where(reasons == ""))),
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

    def _letters(self) -> _Letters:
        """Return the characters.

        Most of a PDF's time is spent here: PDFium is asked three things of each character, and others only where the
        answer can be another than for the characters before.
        """
        text = _PDFIUM.FPDFText_LoadPage(self._address)
        code_of, owner_of, box_of = (
            _PDFIUM.FPDFText_GetUnicode,
            _PDFIUM.FPDFText_GetTextObject,
            _PDFIUM.FPDFText_GetLooseCharBox,
        )
        codes = np.array([code_of(text, at) for at in range(_PDFIUM.FPDFText_CountChars(text))], np.uint32)
        for at in np.flatnonzero(np.isin(codes, BLANKS)).tolist():
            codes[at] *= _PDFIUM.FPDFText_IsGenerated(text, at) != 1
        codes[np.isin(codes, HYPHENS)] = ord("-")
        places = np.flatnonzero(codes).tolist()
        boxes = np.zeros((len(places), 4), np.float32)  # an FS_RECTF each
        for at, address in zip(places, range(boxes.ctypes.data, sys.maxsize, boxes.strides[0]), strict=False):
            box_of(text, at, address)
        owners = np.array([owner_of(text, at) or 0 for at in places], np.uint64)
        known, first, font = np.unique(owners, return_index=True, return_inverse=True)
        left, top, right, bottom = boxes.astype(np.float64).T
        letters = _Letters(
            code=codes[places],
            font=font,
            box=np.array(self._turned(left, bottom, right, top)),
            fonts=[self._font(text, places[at], owner) for at, owner in zip(first, known.tolist(), strict=True)],
        )
        self._stand(text, places, letters, bottom)
        _PDFIUM.FPDFText_ClosePage(text)
        return letters

    def _stand(self, text: Address, places: list[int], letters: _Letters, bottoms: NDArray[np.float64]) -> None:
        """Set upright letters on their line: boxes of two fonts in one line differ, the line they stand on does not."""
        x, y = c_double(), c_double()
        runs = np.flatnonzero((np.diff(letters.font, prepend=-1) != 0) | (np.diff(bottoms, prepend=bottoms[:1]) != 0))
        lines = list(zip(letters.font[runs].tolist(), bottoms[runs].tolist(), strict=True))
        feet: dict[tuple[int, float], float] = {}
        for line, start in zip(lines, runs.tolist(), strict=True):
            if line not in feet:
                _PDFIUM.FPDFText_GetCharOrigin(text, places[start], byref(x), byref(y))
                feet[line] = self._turned(x.value, y.value, x.value, y.value)[1] + DESCENT * letters.fonts[line[0]].size
        foot = np.repeat([feet[line] for line in lines], np.diff(runs, append=len(places)))
        upright = letters.of("upright")
        letters.box[1] = np.where(upright, foot - letters.of("size"), letters.box[1])
        letters.box[3] = np.where(upright, foot, letters.box[3])

    def _font(self, text: Address, index: int, owner: Address) -> _Font:
        name, flags, matrix, color = create_string_buffer(256), c_int(), raw.FS_MATRIX(), [c_uint() for _ in range(4)]
        _PDFIUM.FPDFText_GetFontInfo(text, index, name, len(name), byref(flags))
        _PDFIUM.FPDFText_GetMatrix(text, index, byref(matrix))
        along, across = (matrix.b, matrix.a) if self._angle % 180 else (matrix.a, matrix.b)
        scale = (matrix.c**2 + matrix.d**2) ** 0.5
        known = _PDFIUM.FPDFText_GetFillColor(text, index, *map(byref, color))
        return _Font(
            name=name.value.decode(errors="replace").casefold(),
            size=_PDFIUM.FPDFText_GetFontSize(text, index) * (scale or 1.0),
            upright=abs(along) > abs(across),
            lying=0 if abs(along) > abs(across) else 90 if across > 0 else 270,
            invisible=_PDFIUM.FPDFTextObj_GetTextRenderMode(owner) == INVISIBLE_MODE,
            white=bool(known) and all(part.value >= WHITE for part in color[:3]),
        )

    def _reasons(self, letters: _Letters, filled: Sequence[_Rectangle], *, scan: bool) -> NDArray[np.str_]:
        """Return for each character why a reader does not see it, "" where one does."""
        left, top, right, bottom = letters.box
        white = letters.of("white").astype(bool)
        if white.any():
            x, y = (left + right) / 2, (top + bottom) / 2
            for each in filled:
                white &= ~((each.left <= x) & (x <= each.right) & (each.top <= y) & (y <= each.bottom))
        hidden = {
            "invisible": letters.of("invisible").astype(bool) & (not scan),
            "off-page": (right < 0) | (left > self.width) | (bottom < 0) | (top > self.height),
            "tiny": (letters.of("size") < TINY_PT) & ~letters.blank,
            "white": white,
        }
        return np.select([*hidden.values()], [*hidden], "")

    def _drawn(self, each: Address, outer: tuple[raw.FS_MATRIX, ...], depth: int) -> Iterator[_Rectangle]:
        """Yield the lines and rectangles of a path, or of the forms in a form; ``outer`` has the matrices around it."""
        kind = _PDFIUM.FPDFPageObj_GetType(each)
        drawing = kind == raw.FPDF_PAGEOBJ_PATH and 1 < _PDFIUM.FPDFPath_CountSegments(each) < DRAWING
        if not drawing and kind != raw.FPDF_PAGEOBJ_FORM:
            return
        matrix = raw.FS_MATRIX()
        _PDFIUM.FPDFPageObj_GetMatrix(each, byref(matrix))
        matrices = (matrix, *outer)
        if drawing and (boxes := list(self._outlines(each, matrices))):
            fill, stroke, color = c_int(), c_int(), [c_uint() for _ in range(4)]
            _PDFIUM.FPDFPath_GetDrawMode(each, byref(fill), byref(stroke))
            known = fill.value and _PDFIUM.FPDFPageObj_GetFillColor(each, *map(byref, color))
            filled = bool(known) and not all(part.value >= WHITE for part in color[:3])
            yield from (_Rectangle(*box, filled) for box in boxes)
        elif not drawing and depth < NESTED:
            for index in range(_PDFIUM.FPDFFormObj_CountObjects(each)):
                yield from self._drawn(_PDFIUM.FPDFFormObj_GetObject(each, index), matrices, depth + 1)

    def _outlines(
        self, path: Address, matrices: tuple[raw.FS_MATRIX, ...]
    ) -> Iterator[tuple[float, float, float, float]]:
        """Yield the box of each part of a path that is drawn in one go and is a line or a rectangle."""
        count, point_of = _PDFIUM.FPDFPath_CountSegments(path), _PDFIUM.FPDFPathSegment_GetPoint
        segments = list(map(_PDFIUM.FPDFPath_GetPathSegment, repeat(path), range(count)))
        kinds = map(_PDFIUM.FPDFPathSegment_GetType, segments)
        moves = {at for at, kind in enumerate(kinds) if kind == raw.FPDF_SEGMENT_MOVETO}
        x, y = c_float(), c_float()
        at_x, at_y = ctypes.addressof(x), ctypes.addressof(y)
        for start, end in pairwise([*sorted({0, *moves}), len(segments)]):
            points: list[tuple[float, float]] = []
            across: set[float] = set()
            down: set[float] = set()
            for segment in segments[start:end]:
                point_of(segment, at_x, at_y)
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
                if len(across) > 2 or len(down) > 2:
                    break
            else:
                if len(points) > 1:
                    lefts, tops = zip(*points, strict=True)
                    yield min(lefts), min(tops), max(lefts), max(tops)


def _address(pointer: Any) -> Address:  # noqa: ANN401 - of ctypes, declared nowhere
    return ctypes.cast(pointer, ctypes.c_void_p).value or 0


def _words(letters: _Letters) -> Iterator[list[Any]]:
    """Yield words as [text, left, top, right, bottom, bold]."""
    begins = np.append(True, letters.blank[:-1] | _apart(letters))[: len(letters.code)]
    starts = np.flatnonzero(begins[~letters.blank])
    letters = letters.where(~letters.blank)
    if not len(starts):
        return
    left, top, right, bottom = letters.box
    least, most = np.minimum.reduceat, np.maximum.reduceat
    edges = (least(left, starts), least(top, starts), most(right, starts), most(bottom, starts))
    bold = [any(mark in font.name for mark in BOLD) for font in letters.fonts]
    text = letters.text
    for font, (start, end), *box in zip(
        letters.font[starts].tolist(),
        pairwise([*starts.tolist(), len(text)]),
        *(edge.tolist() for edge in edges),
        strict=True,
    ):
        yield [text[start:end], *(round(edge, 2) for edge in box), bold[font]]


def _apart(letters: _Letters) -> NDArray[np.bool_]:
    """Return for each character but the first whether another font, a gap or another line parts it from the last."""
    left, top, right, bottom = letters.box
    name, size, upright = letters.of("name"), letters.of("size"), letters.of("upright").astype(bool)
    gap = ~((left[:-1] <= left[1:]) & (left[1:] <= right[:-1] + GAP * size[:-1]))
    line = (abs(np.diff(top)) > 3) | (abs(np.diff(bottom)) > 3)
    aside = abs(np.diff(left)) > size[1:] / 2
    apart: NDArray[np.bool_] = np.where(upright[1:], gap | line, aside)
    apart |= (name[1:] != name[:-1]) | (upright[1:] != upright[:-1])
    return apart


if __name__ == "__main__":
    main()
