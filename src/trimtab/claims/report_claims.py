"""Claims from a report: the rows of its claims table, its sentences, and the numbers of its result tables.

A report that lists its claims in a table is taken at its word: those rows are its claims, and of its prose only
sentences with a measured value are added. Sentences about the report itself ("10 papers were retrieved") name no model
and no benchmark, so they are no claims; the linter lists their numbers.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from trimtab.claims import citation_marks, sentence_facts, settings, study_conditions
from trimtab.claims.claim_model import TABLE_EXTRACTOR, Claim, ClaimPlace, Fact, Kind, Quantity
from trimtab.claims.comparison_words import CUE
from trimtab.claims.number_kinds import numbers
from trimtab.claims.report_context import ReportContext, ReportSentence
from trimtab.claims.result_words import RESULT_VERB
from trimtab.claims.scope_words import scope_words
from trimtab.claims.sentence_parts import PRONOUN
from trimtab.claims.table_index import TableIndex
from trimtab.claims.understanding import makes_a_condition, unread
from trimtab.claims.vocabulary import NO_HEADERS, spellings
from trimtab.claims.wording import MEANS, any_case, any_of, key, tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from trimtab.claims.header_reader import Measurement
    from trimtab.claims.name_registry import Mention, Registry
    from trimtab.claims.number_kinds import TextNumber
    from trimtab.claims.vocabulary import HeaderVocabulary
    from trimtab.documents.parts import Document, TableCell

_OPINION: Final = any_of(
    r"we (?:believe|think|hope|feel|argue)|in our (?:view|opinion)|arguably|surprisingly good|promising|exciting"
    r"|impressive|should|ought to|deserves?|unfortunately|interesting(?:ly)?"
)
_TREND: Final = any_case(
    r"\b(?:increas|decreas|improv|degrad|grow|shrink|scal|declin|rise|rises|rose|fall|falls|fell|saturat"
    r"|plateau)\w*\b.*\b(?:as|with|when|over|under)\b"
)
_COMPARES: Final = any_of(r"than|outperform\w*|compared (?:to|with)|surpass\w*|as (?!well)\w+ as")
# Commands, licences, entries of bibliographies and of tables of contents.
_NO_CLAIM: Final = any_case(
    r"^\$ |^(?:pip|conda|git|docker|python3?|bash|sudo|npm|curl|wget|export|cd) \S+|\s--[a-z][\w-]+[ =]|^@\w+\{"
    r"|\blicen[sc]ed? (?:under|agreement)\b|\b(?:MIT|Apache|BSD|GPL|CC[- ]BY)\S* licen[sc]e\b|\ball rights reserved\b"
    r"|\u00a9|\.{4,}\s*\d+\s*$|^\[\d+\]\s+[A-Z]|\b(?:arXiv preprint|In Proceedings of|Advances in Neural)\b"
)
_UNDER: Final = any_case(
    r"\b(?:of|from|on|with|by|than|over|to|like|as|and|including|using|via|in|for)\s+(?:[\w-]+\s+){0,2}$"
)
_IT: Final = any_of(r"it|its|this model|the model")
_UNDONE: Final = re.compile(r"\[ ?\]")
"""How an item of a list begins that is still to be done."""
_BRACKET: Final = re.compile(r"\s*[(\[][^()\[\]]*[)\]]\s*$")
_OURS: Final = any_of(r"ours?|us|reproduced|re-?run|replicated")
_LETTERS: Final = re.compile(r"[^\W\d_]{2,}")
_AMOUNT_HEAD: Final = any_case(
    r"(?:number of |# ?)?(?:training )?(?:epochs?|steps?|tokens|examples|samples|iterations|hours|shots?|seeds?|bits?"
    r"|experts|layers|heads|batch(?: size)?|temperature|resolution|context(?: length)?|beams?|year|date|version|GPUs?)"
)
"""Heads of columns that say how the numbers of their row came about."""
_SAYS: Final = re.compile(r"[^\W\d_]{2,}|^\[")
_STATEMENT: Final = any_case(r"claim|statement|finding|assertion")
_WORDS: Final = 5


def claims(report: Document, registry: Registry, vocabulary: HeaderVocabulary = NO_HEADERS) -> tuple[Claim, ...]:
    """Return the claims of a report, in its order, with ids c01, c02, ….

    Args:
        report: The report.
        registry: Known names.
        vocabulary: The headers of the sources' tables.
    """
    listed = list(_listed(report, registry, vocabulary))
    sentences = list(_sentences(report, registry, vocabulary))
    around = ReportContext(report, sentences, registry, vocabulary)
    statements = [
        *listed,
        *_prose(sentences, around, only_values=bool(listed), tables=bool(vocabulary)),
        *_tabled(report, around, registry, vocabulary),
    ]
    first: dict[str, Claim] = {}
    for claim in statements:
        first.setdefault(" ".join(claim.statement.split()), claim)
    width, entries = max(2, len(str(len(first)))), citation_marks.references(report)
    return tuple(
        citation_marks.resolve(replace(claim, id=f"c{index:0{width}}"), entries)
        for index, claim in enumerate(first.values(), 1)
    )


def claim(
    statement: str,
    registry: Registry,
    vocabulary: HeaderVocabulary = NO_HEADERS,
    carried: str = "",
    place: ClaimPlace | None = None,
) -> Claim:
    """Return a statement as a claim; its id is left empty."""
    understood = sentence_facts.understand(citation_marks.without_citations(statement), registry, vocabulary, carried)
    if statement.rstrip().endswith("?"):
        understood = replace(understood, facts=())  # a question asserts nothing
    marks, left = tuple(citation_marks.citations(statement)), unread(understood)
    others = citation_marks.cited_from(statement)
    return Claim(
        id="",
        statement=statement,
        kind=_kind(statement, understood.facts, marks=bool(marks)),
        facts=understood.facts,
        citations=marks,
        cites=tuple(dict.fromkeys(mark.work for mark in marks if mark.work)),
        conditions=study_conditions.read(statement, registry),
        unread=left.words,
        uncertain=tuple(
            at for at, fact in enumerate(understood.facts) if at in left.facts or (others and fact.end <= others)
        ),
        asserted_in=place,
    )


def _kind(statement: str, facts: tuple[Fact, ...], *, marks: bool) -> Kind:
    if facts:
        return Kind.NUMERIC if all(fact.relation == "equals" for fact in facts) else Kind.COMPARISON
    if _OPINION.search(statement) and not marks:
        return Kind.OPINION
    if _COMPARES.search(statement):
        return Kind.COMPARISON
    if marks:
        return Kind.CITATION
    return Kind.TREND if _TREND.search(statement) else Kind.METHOD


def statement_of(cell: TableCell) -> str:
    """Return the sentence a row of a claims table is about; empty if the row is not one."""
    if any(_STATEMENT.search(part) for part in cell.column_path) and _is_sentence(cell.text):
        return cell.text
    return next((part for part in reversed(cell.row_path) if _is_sentence(part)), "")


def _is_sentence(text: str) -> bool:
    return sum(word.isalpha() and word.islower() for word in text.split()) >= 3 and len(text.split()) >= _WORDS


def _listed(report: Document, registry: Registry, vocabulary: HeaderVocabulary) -> Iterator[Claim]:
    """Yield the rows of claims tables."""
    seen: set[tuple[int, int]] = set()
    for cell in report.cells:
        statement = statement_of(cell)
        if statement and (cell.table, cell.row) not in seen:
            seen.add((cell.table, cell.row))
            start = max(0, report.text.find(statement))
            place = ClaimPlace(
                document=report.path,
                sha256=report.sha256,
                location=f"{cell.label or f'table {cell.table}'}, row {cell.row} ({cell.position})",
                start=start,
                end=start + len(statement) if report.text.startswith(statement, start) else start,
            )
            yield claim(statement, registry, vocabulary, place=place)


def _sentences(report: Document, registry: Registry, vocabulary: HeaderVocabulary) -> Iterator[ReportSentence]:
    """Yield the sentences of a report and what they claim; under "For the 70B model:" they are about that one alone."""
    carried, section, intro, before = "", "", "", ""
    for span in report.spans:
        if span.kind != "sentence":
            continue
        if span.section != section:
            carried, section, intro, before = "", span.section, "", ""
        text = span.text.strip().lstrip("-*\u2022 ").strip()
        place = ClaimPlace(
            document=report.path, sha256=report.sha256, location=str(span.position), start=span.start, end=span.end
        )
        read = claim(text, registry, vocabulary, carried, place)
        if undone := _UNDONE.match(text):
            intro = undone[0]
        if intro and read.facts:
            read = replace(read, unread=(*read.unread, intro), uncertain=tuple(range(len(read.facts))))
        if text.endswith(":"):
            intro = text if makes_a_condition(text) else ""
        elif undone:
            intro = ""
        named = registry.mentions(text, vocabulary)
        carried = _carried_on(text, named, carried)
        context = tuple(filter(None, (before, section.rpartition(" > ")[2])))
        before = text
        result = bool(read.facts) or (
            any(map(_may_be_a_result, numbers(text))) and any(name.kind == "models" for name in named)
        )
        yield ReportSentence(span=span, text=text, named=named, claim=replace(read, context=context), result=result)


def _prose(
    sentences: Iterable[ReportSentence], around: ReportContext, *, only_values: bool, tables: bool
) -> Iterator[Claim]:
    """Yield the sentences that assert something checkable."""
    for sentence in sentences:
        if _checkable(sentence.claim, sentence.named, sentence.text, only_values=only_values, tables=tables):
            yield replace(sentence.claim, scope=around.of_sentence(sentence.span))


def _carried_on(text: str, named: Iterable[Mention], carried: str) -> str:
    """Return the system the next sentence's "it" is: what this one is about, not what it was made from or beats."""
    first = next((name for name in named if name.kind == "models"), None)
    if first is None or PRONOUN.match(text):
        return carried
    before = text[: first.start]
    if RESULT_VERB.search(before) or CUE.search(before) or _UNDER.search(before):
        return carried if _IT.search(before + text[first.end :]) else ""
    return first.text


def _checkable(read: Claim, named: Iterable[Mention], text: str, *, only_values: bool, tables: bool) -> bool:
    """Whether a sentence asserts what can be looked up: a fact, or ``tables`` may have its number or what it names."""
    # "DINO reaches 50.9 AP." is one by its fact.
    if text.endswith("?") or len(tokens(text)) < _WORDS - bool(read.facts) or _NO_CLAIM.search(text):
        return False
    if read.facts or only_values:
        return bool(read.facts)
    return (
        any(name.kind in ("models", "benchmarks", "methods") and name.id not in MEANS for name in named)
        or any(mark.authors for mark in read.citations)
        or (tables and any(map(_may_be_a_result, numbers(text))))
    )


def _may_be_a_result(number: TextNumber) -> bool:
    return number.kind == "value" and bool(number.quantity.decimals or number.quantity.unit == "%")


def _tabled(
    report: Document, around: ReportContext, registry: Registry, vocabulary: HeaderVocabulary
) -> Iterator[Claim]:
    """Yield a claim for each number of the report's tables: what its headers say, whatever was measured."""
    lists = {cell.table for cell in report.cells if statement_of(cell)}
    index = TableIndex([report], registry)
    beside: dict[tuple[int, int], list[str]] = defaultdict(list)
    for row_label in report.labels:
        beside[row_label.table, row_label.row].append(row_label.head)
    for cell in report.cells:
        if remark := remark_in(cell):
            beside[cell.table, cell.row].append(remark)
    bare = _bare_headers(report)
    for reading in index.all:
        cell = reading.cell
        if cell.table in lists or reading.index or not (cell.row_path and cell.column_path):
            continue
        label = cell.label or f"table {cell.table}"
        columns = (column.head for column in index.of(reading).settings)
        around_cell = " ; ".join((cell.caption, *beside[cell.table, cell.row], *columns, *_LETTERS.findall(cell.text)))
        signed = ("difference",) if cell.text.strip().startswith(("+", "\u0394")) else ()
        ours = ("ours",) if _ours_beside_others(cell, bare) else ()
        yield Claim(
            id="",
            statement=f"{' > '.join(cell.row_path)} | {' > '.join(cell.column_path)}: {cell.text}",
            kind=Kind.NUMERIC,
            facts=(_fact(reading, index, vocabulary),),
            extractor=TABLE_EXTRACTOR,
            scope=(*scope_words(around_cell, registry, vocabulary), *around.of_cell(cell), *signed, *ours),
            asserted_in=ClaimPlace(document=report.path, sha256=report.sha256, location=f"{label} ({cell.position})"),
        )


def remark_in(cell: TableCell) -> str:
    """Return the head and text of a cell that says something of its row and gives no result: "stopped early"."""
    if _AMOUNT_HEAD.fullmatch(" ".join(cell.column_path)):
        return f"{' '.join(cell.column_path)} {cell.text}"
    numberless = not cell.numbers or len(_LETTERS.findall(cell.text)) > 1 or cell.text.startswith("[")
    return f"{' '.join(cell.column_path)} {cell.text}" if numberless and _SAYS.search(cell.text) else ""


def _bare_headers(report: Document) -> Counter[tuple[int, str]]:
    """Count, by table, the headers that differ in their bracket alone: "BLEU (paper)" and "BLEU (ours)"."""
    headers = {
        (cell.table, part) for cell in report.cells for part in (cell.row_path[-1:] + cell.column_path[-1:]) if part
    }
    return Counter((table, _BRACKET.sub("", part)) for table, part in headers)


def _ours_beside_others(cell: TableCell, bare: Counter[tuple[int, str]]) -> bool:
    """Whether a row or column is our own version of one that the same table has from somebody else."""
    return any(
        _OURS.search(part) and bare[cell.table, _BRACKET.sub("", part)] > 1
        for part in (*cell.row_path[-1:], *cell.column_path[-1:])
    ) or (_OURS.fullmatch(cell.row_path[-1]) is not None and len(cell.row_path) > 1)


def _fact(reading: Measurement, index: TableIndex, vocabulary: HeaderVocabulary) -> Fact:
    """Return what a cell says."""
    cell = reading.cell
    by_row = index.of(reading).axis == "row"
    systems, measures = (cell.row_path, cell.column_path) if by_row else (cell.column_path, cell.row_path)
    spaced = " ".join((*cell.row_path, *cell.column_path)).replace("_", " ")
    metric = next(iter(index.registry.find(spaced, ("metrics",))), None)
    benchmark = " ".join(filter(None, (_measured(part, index) for part in measures)))
    if not benchmark and reading.benchmark:
        benchmark = index.registry.entries["benchmarks"][reading.benchmark].names[0]
    return Fact(
        subject=_named(systems, vocabulary),
        benchmark=benchmark,
        metric=metric.text if metric else "",
        setting=settings.over(settings.read(spaced), settings.read(cell.caption)),
        value=Quantity(text=format(reading.value, "f"), unit=cell.unit if cell.unit == "%" else ""),
    )


def _named(path: Sequence[str], vocabulary: HeaderVocabulary) -> str:
    """Return a row's name: the longest end of its path that the sources know, else all of it but its groups."""
    for start in range(len(path)):
        for text in (" ".join(path[start:]), " ".join(spellings(part)[-1] for part in path[start:])):
            if key(text) in vocabulary:
                return text
    return path[-1]


def _measured(part: str, index: TableIndex) -> str:
    """Return the benchmark that a header names, "" if it only says a metric or a setting, else the header itself."""
    registry, spaced = index.registry, part.replace("_", " ")
    marks = registry.find(spaced, ("benchmarks",))
    if len({mark.id for mark in marks}) == 1:
        return marks[0].text
    # "macro_auroc" and "AMBER ACC" are names of their own; "humaneval_nll" is a benchmark and a measure.
    says = registry.find(part, ("metrics",)) or registry.endpoint(part) or settings.read(spaced) != settings.NOTHING
    return "" if says and not index.headers.short_names((part,)) else spellings(part)[-1]
