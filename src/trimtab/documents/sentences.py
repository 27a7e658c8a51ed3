"""Sentences of scientific prose, as offsets: "et al.", "Fig. 3" and "v2.5" end nothing."""

from __future__ import annotations

import re

# A stop, closing marks, white space, then something that can open a sentence.
BOUNDARY = re.compile(r"[.!?][\"'”\u2019)\]]*(?P<gap>\s+)(?=[\"'“\u2018(\[]*[A-Z0-9])")
ABBREVIATION = re.compile(
    r"(?:\b(?:al|e\.g|i\.e|etc|cf|vs|resp|approx|ca|w\.r\.t|Figs?|Eqs?|Secs?|Tabs?|Refs?|Nos?|Chs?|App|Dr|Prof|Mr|Ms|St|Vol|pp?|ed|eds"
    r"|Inc|Corp)\.|\b[A-Z]\.)$"
)


def split(text: str) -> list[tuple[int, int]]:
    """Return the offsets (start, end) of every sentence of a paragraph.

    >>> text = "As Yu et al. (2024) say, 76.2% hold. See Fig. 3."
    >>> [text[start:end] for start, end in split(text)]
    ['As Yu et al. (2024) say, 76.2% hold.', 'See Fig. 3.']
    """
    starts, ends = [0], []
    for match in BOUNDARY.finditer(text):
        before = text[max(starts[-1], match.start("gap") - 12) : match.start("gap")]
        if not ABBREVIATION.search(before):
            ends.append(match.start("gap"))
            starts.append(match.end("gap"))
    ends.append(len(text.rstrip()))
    return [(start, end) for start, end in zip(starts, ends, strict=True) if end > start]
