"""Numbered citations: which work a "[3]" in the text is, by the report's own list of references.

The list is what stands under a heading such as "References": its entries begin with their number in brackets, or are
counted as they stand. A number whose entry gives no address (arXiv, DOI) stands for the entry's words, which find a
source by its title.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from trimtab.claims import mentions
from trimtab.claims.claim_model import Citation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trimtab.claims.claim_model import Claim
    from trimtab.documents.parts import Document

_HEADING: Final = re.compile(r"(?:^|> )\W*\d*\W*(?:references|bibliography|works cited|sources)\W*$", re.IGNORECASE)
_MARK: Final = re.compile(r"\[(\d{1,3}(?:\s*[,;\u2013-]\s*\d{1,3})*)\](?!\()")
_ENTRY: Final = re.compile(r"\[(\d{1,3})\]\s+")
_MOST: Final = 50


def entries(report: Document) -> dict[int, str]:
    """Return the entries of a report's reference list by their numbers, as printed."""
    blocks: dict[str, list[str]] = {}
    for span in report.spans:
        if span.kind == "reference" or (span.kind != "heading" and _HEADING.search(span.section)):
            blocks.setdefault(str(span.position), []).append(span.text)
    printed = [" ".join(parts) for parts in blocks.values()]
    entries_printed = _ENTRY.split(" ".join(printed))
    listed: Iterable[tuple[int, str]] = enumerate(printed, 1)
    if len(entries_printed) > 1:
        listed = zip(map(int, entries_printed[1::2]), entries_printed[2::2], strict=True)
    found: dict[int, str] = {}
    for number, text in listed:
        found.setdefault(number, text.strip())
    return found


def references(report: Document) -> dict[int, str]:
    """Return the works of a report's numbered list: an address where the entry has one, else its words."""
    works = {number: mentions.addresses(text) for number, text in entries(report).items()}
    return {number: works[number][0][0] if works[number] else text for number, text in entries(report).items()}


def marks(text: str) -> list[tuple[str, int]]:
    """Return the numbered marks of a text, a range as all its numbers.

    >>> marks("As shown before [2, 4-6], and [x](y).")
    [('[2, 4-6]', 2), ('[2, 4-6]', 4), ('[2, 4-6]', 5), ('[2, 4-6]', 6)]
    """
    return [(match[0], number) for match in _MARK.finditer(text) for number in _numbers(match[1])]


def _numbers(text: str) -> list[int]:
    found: list[int] = []
    for part in re.split(r"[,;]", text):
        first, _, last = re.sub(r"\s", "", part).replace("\u2013", "-").partition("-")
        found += range(int(first), min(int(last or first), int(first) + _MOST) + 1)
    return found


def resolve(claim: Claim, listed: Mapping[int, str]) -> Claim:
    """Return a claim that cites the works its numbers stand for; a number without an entry is left alone."""
    known = [(text, listed[number]) for text, number in marks(claim.statement) if number in listed]
    if not known:
        return claim
    cited = tuple(Citation(text=text, work=work) for text, work in known)
    works = dict.fromkeys((*claim.cites, *(work for _, work in known)))
    return replace(claim, citations=(*claim.citations, *cited), cites=tuple(works))
