"""The entries of a paper's reference list: as the paper prints them, or from the bibliography that its source names.

A LaTeX source says ``\\bibliography{refs}`` or ``\\addbibresource{refs.bib}``, a Markdown one has a line
``bibliography: refs.bib``. What LaTeX made of it (``paper.bbl``) comes first, for it holds the cited works alone.
"""  # noqa: D301

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trimtab.claims import citation_marks
from trimtab.documents import reader
from trimtab.documents.bibliography import reference_files
from trimtab.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trimtab.documents.parts import Document
    from trimtab.documents.work import Work

_NAMED: Final = re.compile(
    r"\\(?:bibliography|addbibresource)\s*(?:\[[^\]]*\])?\{([^}]+)\}|^bibliography:[ \t]*(.+)$", re.MULTILINE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceList:
    """What a paper refers to.

    Attributes:
        entries: Number, counted from 1 where the paper prints none → entry in words.
        files: The bibliographies that the entries come from; empty where the paper prints them.
        report: The paper as it was read; None where it is a bibliography itself.
    """

    entries: Mapping[int, str]
    files: tuple[Path, ...] = ()
    report: Document | None = None


def read(paper: Path) -> ReferenceList:
    """Return the references of a paper, or of a bibliography.

    Raises:
        DocumentError: The paper or the bibliography it names cannot be read.
    """
    if paper.suffix.lower() in reference_files.SUFFIXES:
        return ReferenceList(entries=_entries((paper,)), files=(paper,))
    report = reader.read(paper)
    entries: Mapping[int, str] = citation_marks.entries(report)
    made = paper.with_suffix(".bbl")
    if not entries and made.is_file():
        return ReferenceList(
            entries=citation_marks.entries(reader.read_bytes(made.read_bytes(), f"{made}.tex")), report=report
        )
    files = () if entries else _named(paper)
    return ReferenceList(entries=entries or _entries(files), files=files, report=report)


def _named(paper: Path) -> tuple[Path, ...]:
    """Return the bibliographies that a source names; a comment names none."""
    text = paper.read_text(encoding="utf-8", errors="replace")
    if paper.suffix.lower() in (".tex", ".ltx"):
        text = re.sub(r"(?<!\\)%.*", "", text)
    names = [
        name.strip().strip("\"'") for tex, markdown in _NAMED.findall(text) for name in (tex or markdown).split(",")
    ]
    files = [
        paper.parent / (name if Path(name).suffix in reference_files.SUFFIXES else f"{name}.bib") for name in names
    ]
    for file in files:
        if not file.is_file():
            raise DocumentError(f"{paper} names the bibliography {file}, which is not there")
    return tuple(files)


def _entries(files: tuple[Path, ...]) -> dict[int, str]:
    works = [work for file in files for work in reference_files.read(file)]
    return {number: _words(work) for number, work in enumerate(works, 1)}


def _words(work: Work) -> str:
    """Return a work as a reference list prints it."""
    ids = (f"arXiv:{work.ids.arxiv}" if work.ids.arxiv else "", f"doi:{work.ids.doi}" if work.ids.doi else "")
    people = f"{work.authors[0].family}{' et al' if len(work.authors) > 1 else ''}" if work.authors else ""
    return ". ".join(filter(None, (people, work.title, *ids, str(work.year or ""))))
