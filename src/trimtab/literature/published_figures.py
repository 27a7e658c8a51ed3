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
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trimtab.documents.parts import Document, Position, Span, TableCell
from trimtab.documents.work import UNRECORDED, Identifiers, Version, Work
from trimtab.errors import SearchError, nearest
from trimtab.literature import json_paths, metadata
from trimtab.literature.database import Found
from trimtab.literature.local_records import Held

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_NEEDED: Final = {
    "work": {"work", "title"},
    "figure": {"work", "place", "arm", "conditions", "measure", "value"},
    "finding": {"work", "text"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFigure:
    """One published number."""

    work: str
    place: str
    caption: str
    arm: str
    conditions: str
    measure: str
    value: str
    unit: str
    benchmark: str
    shots: int | None
    line: int
    cited: str = ""

    @property
    def subject(self) -> str:
        """What was measured, as it stands at the head of its row."""
        return f"{self.arm} ({self.conditions})" if self.conditions else self.arm

    @property
    def column(self) -> tuple[str, ...]:
        """The head of its column."""
        shots = (f"{self.shots}-shot",) if self.shots is not None else ()
        return (*((self.benchmark,) if self.benchmark else ()), self.measure, *shots)

    @property
    def source(self) -> str:
        """Work and place, for a reader."""
        return ", ".join(filter(None, (self.cited, self.place)))

    @property
    def sentence(self) -> str:
        """The number in words."""
        on = f" on {self.benchmark}" if self.benchmark else ""
        shots = f", {self.shots}-shot" if self.shots is not None else ""
        unit = self.unit if self.unit == "%" else f" {self.unit}" if self.unit else ""
        return f"{self.subject}: {self.measure}{on}{shots} is {self.value}{unit} ({self.source})."


@dataclass(frozen=True, slots=True, kw_only=True)
class FiguresCorpus:
    """A read corpus: its records and documents, and work id → figures."""

    held: Held
    figures: Mapping[str, tuple[PublishedFigure, ...]]

    @property
    def name(self) -> str:
        """What its records say they come from."""
        return self.held.name


def shipped() -> tuple[str, ...]:
    """Return the names of the corpora that come with trimtab."""
    folder = resources.files("trimtab.literature.corpora")
    return tuple(sorted(one.name.removesuffix(".jsonl") for one in folder.iterdir() if one.name.endswith(".jsonl")))


def load(name: str) -> FiguresCorpus:
    """Read a corpus that comes with trimtab, by name, or a file of the same form.

    Raises:
        SearchError: There is none, or a line of it is not of the form; the message names the line.
    """
    if name in shipped():
        raw = resources.files("trimtab.literature.corpora").joinpath(f"{name}.jsonl").read_bytes()
    else:
        try:
            raw = Path(name).read_bytes()
        except OSError as error:
            raise SearchError(
                f"the corpus {name} cannot be read: {error.strerror or error}", hint=nearest(name, shipped())
            ) from error
    title = name if name in shipped() else Path(name).stem
    return _corpus(title, raw)


def _corpus(name: str, raw: bytes) -> FiguresCorpus:
    lines = [_line(name, number, line) for number, line in enumerate(raw.splitlines(), 1) if line.strip()]
    works = {one["work"]: one for one in lines if one["kind"] == "work"}
    findings: dict[str, list[dict[str, Any]]] = defaultdict(list)
    figures: dict[str, list[PublishedFigure]] = defaultdict(list)
    for one in lines:
        if one["work"] not in works:
            raise SearchError(f"{name}, line {one['line']}: there is no line for the work {one['work']!r}")
        if one["kind"] == "figure":
            figures[one["work"]].append(_figure(name, one, works[one["work"]]))
        elif one["kind"] == "finding":
            findings[one["work"]].append(one)
    documents = {work: _document(name, one, findings[work], figures[work]) for work, one in works.items()}
    held = Held(
        name=name,
        kind="local corpus",
        sha256=hashlib.sha256(raw).hexdigest(),
        records=tuple(_record(name, one, documents[work]) for work, one in works.items()),
        documents=documents,
    )
    return FiguresCorpus(held=held, figures={work: tuple(listed) for work, listed in figures.items()})


def _line(name: str, number: int, text: bytes) -> dict[str, Any]:
    try:
        one = json.loads(text)
    except ValueError as error:
        raise SearchError(f"{name}, line {number} is not JSON: {error}") from error
    kind = one.get("kind") if isinstance(one, dict) else None
    if kind not in _NEEDED:
        raise SearchError(f"{name}, line {number}: kind is {kind!r}", hint=nearest(str(kind), _NEEDED))
    if missing := sorted(_NEEDED[kind] - one.keys()):
        raise SearchError(f"{name}, line {number}: a {kind} needs {', '.join(missing)}")
    return {**one, "line": number}


def _figure(name: str, one: Mapping[str, Any], work: Mapping[str, Any]) -> PublishedFigure:
    try:
        Decimal(one["value"])
    except (InvalidOperation, TypeError, ValueError) as error:
        raise SearchError(
            f"{name}, line {one['line']}: value is {one['value']!r}, expected digits as printed, in quotes"
        ) from error
    return PublishedFigure(
        work=one["work"],
        place=str(one["place"]),
        caption=str(one.get("caption", "")),
        arm=str(one["arm"]),
        conditions=str(one["conditions"]),
        measure=str(one["measure"]),
        value=one["value"],
        unit=str(one.get("unit", "")),
        benchmark=str(one.get("benchmark", "")),
        shots=json_paths.whole(one.get("shots")),
        line=one["line"],
        cited=str(work.get("short") or work["title"]),
    )


def _record(name: str, one: Mapping[str, Any], document: Document) -> Found:
    identity, year = str(one["work"]), json_paths.whole(one.get("year"))
    kind, _, number = identity.partition(":")
    ids = Identifiers(arxiv=number if kind == "arxiv" else "", doi=number if kind == "doi" else "")
    version = Version(name=str(one.get("version", "")), year=year)
    work = Work(
        id=identity,
        title=str(one["title"]),
        authors=tuple(metadata.author(str(person)) for person in one.get("authors", ())),
        year=year,
        ids=ids,
        versions=(version,) if version.name not in ("", UNRECORDED) else (),
        abstract=document.text,
    )
    return Found(work=work, database=name, kind="local")


def _document(
    name: str, work: Mapping[str, Any], findings: Sequence[Mapping[str, Any]], figures: Sequence[PublishedFigure]
) -> Document:  # fmt: skip
    """Return what is known of one work as a document: findings as sentences, figures as cells."""
    sentences = [(str(one["text"]), str(one.get("place", "")), one["line"]) for one in findings]
    told = [one.sentence for one in figures]
    text, spans = str(work["title"]), []
    sha256 = hashlib.sha256(json.dumps([work["work"], sentences, told]).encode()).hexdigest()
    for sentence, place, line in sentences:
        start = len(text) + 1
        text = f"{text}\n{sentence}"
        spans.append(
            Span(
                document=sha256,
                kind="sentence",
                section=place,
                start=start,
                end=len(text),
                text=sentence,
                position=Position(line=line),
            )
        )
    return Document(
        sha256=sha256,
        path=f"{name}.jsonl#{work['work']}",
        format="text",
        work=str(work["work"]),
        version=str(work.get("version", "")),
        title=str(work["title"]),
        text="\n".join((text, *told)),
        spans=tuple(spans),
        cells=tuple(_cells(sha256, figures)),
    )


def _cells(sha256: str, figures: Sequence[PublishedFigure]) -> Iterator[TableCell]:
    """Yield one cell a figure, in tables by place: a row is an arm with its conditions, a column a measure."""
    tables: dict[tuple[str, str], list[PublishedFigure]] = defaultdict(list)
    for figure in figures:
        tables[figure.place, figure.caption].append(figure)
    for number, ((place, caption), held) in enumerate(tables.items(), 1):
        rows = {subject: at for at, subject in enumerate(dict.fromkeys(one.subject for one in held), 1)}
        columns = {head: at for at, head in enumerate(dict.fromkeys(one.column for one in held), 1)}
        for one in held:
            yield TableCell(
                document=sha256,
                table=number,
                label=place,
                caption=caption,
                row=rows[one.subject],
                column=columns[one.column],
                row_path=(one.subject,),
                column_path=one.column,
                text=one.value,
                numbers=(Decimal(one.value),),
                unit=one.unit,
                position=Position(line=one.line),
            )
