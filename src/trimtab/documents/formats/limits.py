"""How much of a document is read: what is past a limit is an error or a warning that names it, never silence."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable

TINY_PT = 2.0
"""Type that is smaller cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentLimits:
    """Bounds on one document.

    Args:
        file_bytes: A larger file is refused.
        characters: Of readable text; what is behind is left out with a warning.
        table_cells: Of one table's grid after merged cells are laid out; further rows are left out with a warning.
        cells: Of all tables of one document; further tables are left out with a warning.
        pages: Of a PDF; further pages are left out with a warning.
        cpu_seconds: For one PDF, which is read in a process of its own; past it the PDF is refused.
        memory_bytes: Of that process's address space; past it the PDF is refused.
    """

    file_bytes: int = 64 << 20
    characters: int = 10_000_000
    table_cells: int = 100_000
    cells: int = 400_000
    pages: int = 400
    cpu_seconds: int = 240
    memory_bytes: int = 3 << 30


def bounded(pieces: Iterable[str], mark: re.Pattern[str], count: int) -> tuple[str, int]:
    r"""Return the pieces joined, each cut before its mark number ``count + 1``, and how many of them were cut.

    The lines of what is cut stay, empty, so that what follows keeps its line numbers.

    >>> import re
    >>> bounded(["a & b & c\nd", " & e"], re.compile("&"), 1)
    ('a & b \n & e', 1)
    """
    parts, cuts = [], 0
    for piece in pieces:
        end = next((match.start() for match in islice(mark.finditer(piece), count, None)), len(piece))
        parts += [piece[:end], "\n" * piece.count("\n", end)]
        cuts += end < len(piece)
    return "".join(parts), cuts
