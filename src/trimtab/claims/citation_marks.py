"""Citation marks: authors with a year, addresses of works, and numbers that a report's own list of references explains.

The list is what stands under a heading such as "References": its entries begin with their number in brackets, or are
counted as they stand. A number whose entry gives no address (arXiv, DOI) stands for the entry's words, which find a
source by its title.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from trimtab.claims.claim_model import Citation
from trimtab.claims.wording import any_case

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trimtab.claims.claim_model import Claim
    from trimtab.documents.parts import Document

_NAME: Final = r"[A-Z\u00c0-\u017d][\w'\u2019\-]+"
_NOBODY: Final = (
    r"(?!(?:In|Since|From|Until|During|By|Of|On|For|At|The|This|Early|Late|Mid|Table|Figure|Section|Version"
    r"|Jan\w*|Feb\w*|Mar|March|Apr\w*|May|June?|July?|Aug\w*|Sep\w*|Oct\w*|Nov\w*|Dec\w*)\b)"
)
_CITED: Final = re.compile(rf"({_NOBODY}{_NAME}(?:\s+(?:and|&)\s+{_NAME}|\s+et\s+al\.?)?),?\s+\(?((?:19|20)\d\d)[a-z]?")
_BRACKETS: Final = re.compile(
    rf"\s*\((?:see\s+|e\.g\.,?\s+)?(?:{_CITED.pattern}[;,]?\s*)+\)|\s*\[\d+(?:\s*[,\u2013-]\s*\d+)*\]"
)
_ADDRESS: Final = any_case(
    r"(?:https?://)?(?:www\.)?arxiv\.org/(?:abs|pdf)/(?P<url>\d{4}\.\d{4,5})(?:v\d+)?"
    r"|arxiv[:\s]\s*(?P<id>\d{4}\.\d{4,5})(?:v\d+)?|(?:https?://(?:dx\.)?doi\.org/"
    r"|doi:\s*)(?P<doi>10\.\d{4,9}/[^\s>\])},]+)"
)
_HEADING: Final = any_case(r"(?:^|> )\W*\d*\W*(?:references|bibliography|works cited|sources)\W*$")
_NUMBERED: Final = re.compile(r"\[(\d{1,3}(?:\s*[,;\u2013-]\s*\d{1,3})*)\](?!\()")
_ENTRY: Final = re.compile(r"\[(\d{1,3})\]\s+")
_MOST: Final = 50
MARKS: Final = (_BRACKETS, _CITED, _ADDRESS, re.compile(r"https?://\S+"))
"""Expressions whose numbers are citation marks or addresses."""


def citations(text: str) -> list[Citation]:
    """Return the citation marks of ``text``: authors with a year, and addresses of works."""
    authors = [
        Citation(text=match[0] + ")" * ("(" in match[0]), authors=match[1], year=int(match[2]))
        for match in _CITED.finditer(text)
    ]
    return authors + [Citation(text=match[0], work=_work(match)) for match in _ADDRESS.finditer(text)]


def addresses(text: str) -> list[str]:
    """Return the works a text points to by address, as ids: "arxiv:2412.21199" or "doi:10.…"."""
    return [_work(match) for match in _ADDRESS.finditer(text)]


def _work(match: re.Match[str]) -> str:
    arxiv = match["url"] or match["id"]
    return f"arxiv:{arxiv}" if arxiv else f"doi:{match['doi'].rstrip('.').lower()}"


def without_citations(text: str) -> str:
    """Return text without its citation marks.

    >>> without_citations("MBPP (Austin et al., 2021) has tests [3, 4].")
    'MBPP has tests.'
    """
    return " ".join(_BRACKETS.sub("", text).split())


def cited_from(text: str) -> int:
    """Return up to which character of a text without its citations a work of others may give the numbers; 0: none.

    That is where the last work stands that is given by authors and year: "Foo has 71.3 on A (Kim et al., 2021)".
    """
    return max(
        (len(without_citations(text[: mark.start()])) for mark in _BRACKETS.finditer(text) if _CITED.search(mark[0])),
        default=0,
    )


def entries(report: Document) -> dict[int, str]:
    """Return the entries of a report's reference list by their numbers, as printed."""
    blocks: dict[str, list[str]] = {}
    for span in report.spans:
        if span.kind == "reference" or (span.kind != "heading" and _HEADING.search(span.section)):
            blocks.setdefault(str(span.position), []).append(span.text)
    printed = [" ".join(parts) for parts in blocks.values()]
    numbered = _ENTRY.split(" ".join(printed))
    listed: Iterable[tuple[int, str]] = enumerate(printed, 1)
    if len(numbered) > 1:
        listed = zip(map(int, numbered[1::2]), numbered[2::2], strict=True)
    by_number: dict[int, str] = {}
    for number, text in listed:
        by_number.setdefault(number, text.strip())
    return by_number


def references(report: Document) -> dict[int, str]:
    """Return the works of a report's numbered list: an address where the entry has one, else its words."""
    return {number: next(iter(addresses(text)), text) for number, text in entries(report).items()}


def numbered(text: str) -> list[tuple[str, int]]:
    """Return the numbered marks of a text, a range as all its numbers.

    >>> numbered("As shown before [2, 4-6], and [x](y).")
    [('[2, 4-6]', 2), ('[2, 4-6]', 4), ('[2, 4-6]', 5), ('[2, 4-6]', 6)]
    """
    marks = []
    for match in _NUMBERED.finditer(text):
        for part in re.split(r"[,;]", match[1]):
            first, *others = map(int, re.split(r"[-\u2013]", part))
            last = min(max(others, default=first), first + _MOST)
            marks += [(match[0], number) for number in range(first, last + 1)]
    return marks


def resolve(claim: Claim, listed: Mapping[int, str]) -> Claim:
    """Return a claim that cites the works its numbers stand for; a number without an entry is left alone."""
    cited = [Citation(text=text, work=listed[number]) for text, number in numbered(claim.statement) if number in listed]
    works = dict.fromkeys((*claim.cites, *(mark.work for mark in cited)))
    return replace(claim, citations=(*claim.citations, *cited), cites=tuple(works)) if cited else claim
