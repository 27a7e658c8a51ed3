"""How people, identifiers and titles are written in records of every database: one form for each."""

from __future__ import annotations

import html
import re
import unicodedata
from typing import Final

from trimtab.documents.bibliography.entry import ARXIV_NUMBER
from trimtab.documents.work import Author, Identifiers

_DOI: Final = re.compile(r"^(?:https?://(?:dx\.)?doi\.org/|doi:)", re.IGNORECASE)
_PARTICLES: Final = frozenset({"van", "von", "der", "den", "de", "del", "della", "di", "da", "la", "le", "ten", "ter"})
_TAG: Final = re.compile(r"<[^<>]{1,200}>")


def author(name: str) -> Author:
    """Return a person from a name written "Given Family" or "Family, Given"; particles belong to the family.

    >>> author("Ludwig van der Berg").family, author("Berg, Ludwig").given
    ('van der Berg', 'Ludwig')
    """
    name = " ".join(name.split())
    if "," in name:
        family, _, given = name.partition(",")
        return Author(family=family.strip(), given=given.strip())
    words = name.split(" ")
    start = len(words) - 1
    while start > 1 and words[start - 1].casefold() in _PARTICLES:
        start -= 1
    return Author(family=" ".join(words[start:]), given=" ".join(words[:start]))


def doi(text: str) -> str:
    """Return a DOI in lower case without a resolver."""
    return _DOI.sub("", text.strip()).lower()


def arxiv(text: str) -> tuple[str, str]:
    """Return an arXiv id without its version, and the version, from an id, an address or an arXiv DOI; empty if none.

    >>> arxiv("http://arxiv.org/abs/2403.16981v2")
    ('2403.16981', 'v2')
    """
    match = ARXIV_NUMBER.search(text)
    return (match["id"], match["version"] or "") if match else ("", "")


def arxiv_of(*addresses: str) -> tuple[str, str]:
    """Return what :func:`arxiv` reads in the first address, or DOI, that is one of arXiv's."""
    return next((arxiv(address) for address in addresses if "arxiv" in address.casefold()), ("", ""))


def arxiv_year(number: str) -> int | None:
    """Return the year in which an arXiv number was given; None for those before 2007, and where there is none.

    >>> arxiv_year("2403.16981"), arxiv_year("cs/0112017")
    (2024, None)
    """
    return 2000 + int(number[:2]) if number[:4].isdecimal() else None


def plain(text: str) -> str:
    """Return text without markup and with single spaces."""
    return " ".join(html.unescape(_TAG.sub(" ", text)).split())


def unaccented(text: str) -> str:
    """Return text in small letters without accents."""
    apart = unicodedata.normalize("NFKD", text).casefold()
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def work_id(ids: Identifiers, other: str = "") -> str:
    """Return the id a work goes by here: its number at arXiv, its DOI, or else ``other``."""
    return f"arxiv:{ids.arxiv}" if ids.arxiv else f"doi:{ids.doi}" if ids.doi else other
