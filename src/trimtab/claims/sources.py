"""What a report is checked against: the documents of a corpus, indexed in memory, and which of them a claim cites.

The report under check is never its own source: a document with its bytes, its name or nearly all of its sentences is
left out and named. The index is in memory because rare words alone find a passage, while an OR of all words in FTS5
reads most of a corpus.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trimtab.claims.header_places import HeaderPlaces
from trimtab.claims.known_works import Library, first_line, identifiers
from trimtab.claims.passages import Passages
from trimtab.claims.scope_words import SYMBOL
from trimtab.claims.table_index import TableIndex
from trimtab.claims.wording import plain, stems
from trimtab.documents.source_folder import UnreadFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from decimal import Decimal

    from trimtab.claims.name_registry import Registry
    from trimtab.claims.vocabulary import HeaderVocabulary
    from trimtab.documents.document_store import DocumentStore
    from trimtab.documents.parts import Document
    from trimtab.documents.work import Work

_COPY: Final = 0.8
_TITLE: Final = 20
"""Characters of a title that is found inside a bibliography's entry; a shorter one may stand there by chance."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Documents and their index.

    Attributes:
        documents: What claims are checked against.
        works: Their works, and others that are only known by metadata, by id.
        registry: Known names.
        left_out: Documents that are the report itself, with the reason.
        readings: Their table cells.
        passages: Their sentences.
        vocabulary: The headers of their tables as names.
    """

    documents: tuple[Document, ...]
    works: Mapping[str, Work]
    registry: Registry
    left_out: tuple[UnreadFile, ...] = ()
    readings: TableIndex
    passages: Passages
    vocabulary: HeaderVocabulary
    _ids: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False)
    _texts: dict[str, frozenset[str]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, corpus: DocumentStore, registry: Registry, report: Document | None = None) -> Sources:
        """Index a corpus, without the report that is checked."""
        return cls.build(map(corpus.document, corpus.digests()), corpus.works(), registry, report)

    @classmethod
    def build(
        cls, documents: Iterable[Document], works: Iterable[Work], registry: Registry, report: Document | None = None
    ) -> Sources:  # fmt: skip
        """Index documents, without the report that is checked."""
        known = {work.id: work for work in works}
        library = Library(known.values())
        sentences = long_sentences(report) if report else ()
        read_documents, left_out = [], []
        for document in documents:
            if report and (reason := copy_of(document, report, sentences)):
                left_out.append(UnreadFile(path=document.path, reason=reason, tried=False))
            else:
                read_documents.append(replace(document, work=library.work_of(document)))
        readings = TableIndex(read_documents, registry)
        return cls(
            documents=tuple(read_documents),
            works=known,
            registry=registry,
            left_out=tuple(left_out),
            readings=readings,
            passages=Passages(read_documents, registry),
            vocabulary=readings.vocabulary(),
            _ids={document.sha256: _ids(document, known.get(document.work)) for document in read_documents},
        )

    @cached_property
    def places(self) -> HeaderPlaces:
        """Where each header of the tables stands."""
        return HeaderPlaces(self.readings)

    @cached_property
    def table_words(self) -> Mapping[tuple[str, int | None], frozenset[str]]:
        """The stems of the words in and above each table, by document (SHA-256) and number."""
        words: dict[tuple[str, int | None], frozenset[str]] = defaultdict(frozenset)
        for reading in self.readings.all:
            table = reading.document.sha256, reading.cell.table
            if table not in words:
                above = self.readings.above(reading)
                words[table] = frozenset(stems(" ".join((reading.document.title, above.section, *above.sentences))))
            words[table] |= reading.words | reading.around
            words[table] |= set(SYMBOL.findall(" ".join(reading.heads)))
        for document in self.documents:
            for row_label in document.labels:
                words[document.sha256, row_label.table] |= frozenset(stems(f"{row_label.head} {row_label.text}"))
            for cell in document.cells:
                if not cell.numbers:
                    words[document.sha256, cell.table] |= frozenset(stems(" ".join((*cell.column_path, cell.text))))
        return words

    @cached_property
    def table_values(self) -> Mapping[tuple[str, int | None], frozenset[Decimal]]:
        """The numbers of each table, by document (SHA-256) and number."""
        values: dict[tuple[str, int | None], set[Decimal]] = defaultdict(set)
        for reading in self.readings.all:
            values[reading.document.sha256, reading.cell.table].add(reading.value)
        return {table: frozenset(numbers) for table, numbers in values.items()}

    def texts_of(self, cite: str) -> frozenset[str]:
        """Return the documents (SHA-256) that are texts of a cited work: by id, file name or title.

        A cite may be a whole entry of a bibliography; it is a text's whose title stands in it.
        """
        if cite not in self._texts:
            wanted = cite.casefold().strip()
            entry = f" {plain(wanted)} "
            titles = {document.sha256: plain(document.title) for document in self.documents}
            self._texts[cite] = frozenset(
                document
                for document, title in titles.items()
                if wanted in self._ids[document] or (len(title) >= _TITLE and f" {title} " in entry)
            )
        return self._texts[cite]


def long_sentences(report: Document) -> tuple[str, ...]:
    """Return the plain sentences of a report that are long enough to be its own."""
    return tuple(plain(span.text) for span in report.spans if len(span.text) > 30)


def copy_of(document: Document, report: Document, sentences: Sequence[str]) -> str:
    """Return why a document is the report itself, which has these long sentences; empty if it is not."""
    if document.sha256 == report.sha256:
        return "it is the report under check"
    if Path(document.path).resolve() == Path(report.path).resolve():
        return "it has the path of the report under check"
    held = f" {plain(document.text)} "
    same = sum(f" {text} " in held for text in sentences)
    if len(sentences) >= 3 and same >= _COPY * len(sentences):
        return f"it repeats {same} of the report's {len(sentences)} sentences"
    return ""


def _ids(document: Document, work: Work | None) -> frozenset[str]:
    """Return every name a document can be cited by, in lower case."""
    path = Path(document.path)
    names = {document.work, path.name, path.stem, document.title}
    names.update(identifiers(path.name), identifiers(first_line(document)))
    if work is not None:
        names.update((work.id, work.title), work.ids.addresses)
    return frozenset(name.casefold() for name in names if name)
