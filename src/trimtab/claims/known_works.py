"""The bibliographies among the sources: works known by metadata, and which document is a text of which.

A document that says nothing of its work is a text of the work whose arXiv number or DOI its file name or first line
holds, whose citation key is its file name, or whose title it has. What fits two works is a text of neither.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trimtab.claims.wording import plain
from trimtab.documents.bibliography import reference_files
from trimtab.documents.source_folder import UnreadFile
from trimtab.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trimtab.documents.parts import Document
    from trimtab.documents.work import Work

_HEAD: Final = 400
_TITLE: Final = 12
_ARXIV: Final = re.compile(r"(?<!\d)\d{4}\.\d{4,5}(?=v\d|\D|$)")
_DOI: Final = re.compile(r"10\.\d{4,9}/[^\s\"<>]+[\w)]")


def read(folder: Path) -> tuple[tuple[Work, ...], tuple[UnreadFile, ...]]:
    """Read the BibTeX, RIS and CSL-JSON files of a folder; return also those that could not be read, with the reason.

    A file that leads out of the folder is left to :func:`trimtab.documents.source_folder.read_folder` to name.
    """
    root = folder.resolve()
    works: list[Work] = []
    unread: list[UnreadFile] = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in reference_files.SUFFIXES or path.name.startswith(".") or not path.is_file():
            continue
        if not path.resolve().is_relative_to(root):
            continue
        try:
            works += reference_files.read(path)
        except DocumentError as error:
            unread.append(UnreadFile(path=str(path), reason=error.message))
    return tuple(works), tuple(unread)


class Library:
    """Works, found by what a document says of itself.

    Args:
        works: With their identifiers, titles, and the keys they go by in their files.
    """

    def __init__(self, works: Iterable[Work]) -> None:
        self._by_name: dict[str, set[str]] = {}
        for work in works:
            keys = (_key(origin.rpartition("#")[2]) for origin in work.found_by if "#" in origin)
            for name in filter(None, (*work.ids.addresses, _title(work.title), *keys)):
                self._by_name.setdefault(name, set()).add(work.id)

    def work_of(self, document: Document) -> str:
        """Return the id of the work a document is a text of; its own word first, "" where nothing or too much fits."""
        if document.work:
            return document.work
        stem = Path(document.path).stem
        for names in (identifiers(stem) or identifiers(first_line(document)), (_key(stem),), (_title(document.title),)):
            works = set[str]().union(*(self._by_name.get(name, set()) for name in names))
            if works:
                return works.pop() if len(works) == 1 else ""
        return ""


def identifiers(text: str) -> tuple[str, ...]:
    """Return the arXiv numbers and DOIs in a text, as "arxiv:…" and "doi:…"."""
    numbers = (f"arxiv:{number}" for number in _ARXIV.findall(text))
    return (*numbers, *(f"doi:{doi.lower()}" for doi in _DOI.findall(text)))


def first_line(document: Document) -> str:
    """Return the line on which a document may say which work it is."""
    return document.text[:_HEAD].split("\n", 1)[0]


def _key(text: str) -> str:
    return f"key:{text.casefold()}"


def _title(text: str) -> str:
    title = plain(text)
    return f"title:{title}" if len(title) >= _TITLE else ""
