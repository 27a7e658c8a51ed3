"""Work: one piece of research, with all its versions.

A preprint, its revisions and the published article are versions of one work: they are never merged into one text,
because a claim cites the version it was read in, and a number can differ between them.
"""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - the corpus file is read by these annotations
from dataclasses import asdict, dataclass
from typing import Any, Final

UNRECORDED: Final = "not recorded"
"""In the place of a version that was read and not written down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """A person, or a consortium whose whole name is ``family``."""

    family: str
    given: str = ""

    def __str__(self) -> str:
        return f"{self.family}, {self.given}" if self.given else self.family


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifiers:
    """Names of a work elsewhere; an empty string where it has none.

    ``doi`` is lower case without a resolver, ``arxiv`` is without its version (``2412.21199``).
    """

    doi: str = ""
    arxiv: str = ""
    s2: str = ""
    openalex: str = ""
    pubmed: str = ""

    @property
    def addresses(self) -> tuple[str, ...]:
        """How a text cites it: ``arxiv:…`` and ``doi:…``, those it has."""
        return tuple(f"{kind}:{name}" for kind, name in (("arxiv", self.arxiv), ("doi", self.doi)) if name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One text of a work: ``v1``, ``v2``, ``published``; ``""`` where a source does not say."""

    name: str = ""
    year: int | None = None
    venue: str = ""
    url: str = ""
    doi: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retraction:
    """A work that its publisher withdrew or put under an expression of concern."""

    kind: str
    date: dt.date | None = None
    notice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One piece of research.

    Args:
        id: The name this corpus uses: ``doi:…`` or ``arxiv:…`` if it has one, else a citation key or file name.
        title: As its source writes it.
        authors: In the order of the paper.
        year: Of the earliest version known.
        ids: Its names elsewhere.
        versions: Every version known, in order of appearance.
        abstract: Plain text, empty where unknown.
        retraction: What the publisher said, if the work was retracted.
        found_by: The queries or files that led here.
    """

    id: str
    title: str = ""
    authors: tuple[Author, ...] = ()
    year: int | None = None
    ids: Identifiers = Identifiers()
    versions: tuple[Version, ...] = ()
    abstract: str = ""
    retraction: Retraction | None = None
    found_by: tuple[str, ...] = ()

    def record(self) -> dict[str, Any]:
        """Return it as plain values that JSON can hold."""
        values = asdict(self)
        if self.retraction is not None and self.retraction.date is not None:
            values["retraction"]["date"] = self.retraction.date.isoformat()
        return values
