"""A local corpus: published figures, one a line, with their work, place and conditions; as records and as documents.

Three kinds of lines: ``work`` (id, version, title, year, authors, a short name to cite it by), ``figure`` (work, place,
caption, arm, conditions, measure, value, unit, and where they apply benchmark and shots) and ``finding`` (work, place,
text). A figure becomes a table cell of its work's document, a finding a sentence; a figure's words are part of the
text, so that they are found. A version that nobody wrote down is "not recorded": a gap that is told.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass, replace
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from pydantic import TypeAdapter, ValidationError

from trimtab.disk import read_given_lines
from trimtab.documents.parts import Document, Position, Span, TableCell
from trimtab.documents.work import UNRECORDED, Identifiers, Version, Work
from trimtab.errors import SearchError, nearest
from trimtab.literature import metadata
from trimtab.literature.database import Found
from trimtab.literature.figure_claims import PublishedFigure
from trimtab.literature.local_records import Held

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trimtab.disk import JsonLine


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedWork:
    """A work of a corpus, as a line says it; ``short`` is how it is cited."""

    line: int
    work: str
    title: str
    version: str = ""
    year: int | None = None
    authors: tuple[str, ...] = ()
    short: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFinding:
    """A sentence about a work of a corpus, as a line says it."""

    line: int
    work: str
    text: str
    place: str = ""


CorpusLine = PublishedWork | PublishedFigure | PublishedFinding
_KINDS: Final[dict[str, TypeAdapter[Any]]] = {
    "work": TypeAdapter(PublishedWork),
    "figure": TypeAdapter(PublishedFigure),
    "finding": TypeAdapter(PublishedFinding),
}


def shipped() -> dict[str, Path]:
    """Return name → file of the corpora that come with trimtab."""
    with resources.as_file(resources.files("trimtab.literature.corpora")) as folder:
        return {path.stem: path for path in sorted(folder.glob("*.jsonl"))}


def load(name: str) -> Held:
    """Read a corpus that comes with trimtab, by name, or a file of the same form.

    Raises:
        SearchError: There is none, or a line of it is not of the form; the message names the line.
    """
    path = shipped().get(name, Path(name))
    try:
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise SearchError(
            f"the corpus {name} cannot be read: {error.strerror or error}", hint=nearest(name, shipped())
        ) from error
    lines = [_line(line, path) for line in read_given_lines(path, error=SearchError)]
    works = {line.work: line for line in lines if isinstance(line, PublishedWork)}
    for line in lines:
        if line.work not in works:
            raise SearchError(f"{path}, line {line.line}: there is no line for the work {line.work!r}")
    figures, documents = {}, {}
    for name_of, work in works.items():
        about = [line for line in lines if line.work == name_of]
        figures[name_of] = tuple(
            replace(line, cited=work.short or work.title) for line in about if isinstance(line, PublishedFigure)
        )
        findings = [line for line in about if isinstance(line, PublishedFinding)]
        documents[name_of] = _document(path.stem, work, findings, figures[name_of])
    return Held(
        name=path.stem,
        kind="local corpus",
        sha256=sha256,
        records=tuple(_record(path.stem, work, documents[work.work]) for work in works.values()),
        documents=documents,
        figures=figures,
    )


def _line(line: JsonLine, path: Path) -> CorpusLine:
    place, kind = f"{path}, line {line.number}", str(line.record.get("kind"))
    if kind not in _KINDS:
        raise SearchError(f"{place}: kind is {kind!r}", hint=nearest(kind, _KINDS))
    try:
        return cast("CorpusLine", _KINDS[kind].validate_python({**line.record, "line": line.number}))
    except ValidationError as error:
        problems = error.errors(include_url=False)
        if missing := sorted(str(problem["loc"][0]) for problem in problems if problem["type"] == "missing"):
            raise SearchError(f"{place}: a {kind} needs {', '.join(missing)}") from error
        name, problem = ".".join(map(str, problems[0]["loc"])), problems[0]["msg"].removeprefix("Value error, ")
        raise SearchError(f"{place}: {name} is {problems[0]['input']!r}: {problem}") from error


def _record(name: str, line: PublishedWork, document: Document) -> Found:
    kind, _, number = line.work.partition(":")
    work = Work(
        id=line.work,
        title=line.title,
        authors=tuple(map(metadata.author, line.authors)),
        year=line.year,
        ids=Identifiers(arxiv=number if kind == "arxiv" else "", doi=number if kind == "doi" else ""),
        versions=(Version(name=line.version, year=line.year),) if line.version not in ("", UNRECORDED) else (),
        abstract=document.text,
    )
    return Found(work=work, database=name, kind="local")


def _document(
    name: str, work: PublishedWork, findings: Sequence[PublishedFinding], figures: Sequence[PublishedFigure]
) -> Document:  # fmt: skip
    """Return what is known of one work as a document: findings as sentences, figures as cells."""
    sentences, text, spans = [figure.sentence for figure in figures], work.title, []
    content = [work.work, [(finding.text, finding.place, finding.line) for finding in findings], sentences]
    sha256 = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    for finding in findings:
        start = len(text) + 1
        text = f"{text}\n{finding.text}"
        spans.append(
            Span(
                document=sha256,
                kind="sentence",
                section=finding.place,
                start=start,
                end=len(text),
                text=finding.text,
                position=Position(line=finding.line),
            )
        )
    return Document(
        sha256=sha256,
        path=f"{name}.jsonl#{work.work}",
        format="text",
        work=work.work,
        version=work.version,
        title=work.title,
        text="\n".join((text, *sentences)),
        spans=tuple(spans),
        cells=tuple(_cells(sha256, figures)),
    )


def _cells(sha256: str, figures: Sequence[PublishedFigure]) -> Iterator[TableCell]:
    """Yield one cell a figure, in tables by place: a row is an arm with its conditions, a column a measure."""
    tables: dict[tuple[str, str], list[PublishedFigure]] = defaultdict(list)
    for figure in figures:
        tables[figure.place, figure.caption].append(figure)
    for number, table in enumerate(tables.values(), 1):
        rows = [*dict.fromkeys(figure.subject for figure in table)]
        columns = [*dict.fromkeys(figure.column for figure in table)]
        for figure in table:
            yield TableCell(
                document=sha256,
                table=number,
                label=figure.place,
                caption=figure.caption,
                row=rows.index(figure.subject) + 1,
                column=columns.index(figure.column) + 1,
                row_path=(figure.subject,),
                column_path=figure.column,
                text=figure.value,
                numbers=(Decimal(figure.value),),
                unit=figure.unit,
                position=Position(line=figure.line),
            )
