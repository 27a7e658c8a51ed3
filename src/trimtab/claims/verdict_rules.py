"""The rules: from what cells, passages and arithmetic say about a claim to a verdict on two axes.

In this order, the first that applies decides fidelity, and everything found is kept:

1. no source to read → *source not available*; an opinion → *not checkable*;
2. the cited source says it in these words → *verbatim*, or nearly so → *supported*;
3. a fact's exact tuple has a cell with another value, and nothing that was not understood may bear on the fact →
   *contradicted*, or *misattributed* when the value stands elsewhere;
4. all facts have their cells, and all of the sentence was understood → *supported*;
5. a value was meant as a cell whose row and column the sentence names, and no such cell has it, whatever the rest of
   the sentence says (:mod:`trimtab.claims.named_cells`) → *contradicted*, or *misattributed*;
6. some facts have their cells, or only a part was read → *partial*; a passage that says a part → *partial*;
7. else *not found in what was read*: absence is never refutation, and neither is a passage that differs: only a cell
   of the same system, benchmark, setting and metric is.

A passage comes before a cell because the question is whether the source says it. When its own table says otherwise the
claim is faithful and contested: that is the second axis. Granularity and citation years only flag.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from trimtab.claims import arithmetic, cell_rules, certainty, named_cells, settings, worth_a_look
from trimtab.claims.cell_objections import StatedValue, measured_otherwise
from trimtab.claims.citation_marks import cited_from, without_citations
from trimtab.claims.claim_model import MODEL_EXTRACTOR, TABLE_EXTRACTOR, Kind
from trimtab.claims.claim_verdict import ClaimVerdict, Evidence, EvidenceTarget, Fidelity, Flag, Stance, path_of
from trimtab.claims.name_registry import looks_like_a_model
from trimtab.claims.number_kinds import numbers
from trimtab.claims.passages import Statement, year_flags
from trimtab.claims.scope_words import apart_from, header_words, sets_apart
from trimtab.claims.wording import any_case, stems

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trimtab.claims.certainty import Grading
    from trimtab.claims.claim_model import Claim
    from trimtab.claims.passages import Passage
    from trimtab.claims.sources import Sources
    from trimtab.claims.table_index import TableIndex

_STANCES: Final = {
    "verbatim": Stance.SUPPORTS,
    "supported": Stance.SUPPORTS,
    "partial": Stance.MIXED,
    "contradicted": Stance.REFUTES,
    "misattributed": Stance.REFUTES,
    "none": Stance.NEUTRAL,
}
_SHOWN: Final = 3
_NAMED: Final = 6
"""Words around a claim that a reason names."""
_PICTURED: Final = any_case(r"\b(table|figure|fig|appendix|section)s?\.?\s*([A-Z]?\d+)")
_LABEL: Final = re.compile(r"Table\s+([A-Z]?\d+)")
_GAP: Final = " … "
MODEL_READING: Final = "a model's reading"
"""How the rule path begins where a model read the sentence; such verdicts are calibrated by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finding:
    """A word, the rules that led to it, and the reasons."""

    word: Fidelity
    rules: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cited:
    """The documents (SHA-256) that a claim rests on, the rule that chose them, and why there are none."""

    documents: frozenset[str] = frozenset()
    rule: str
    missing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _CellEvidence:
    """What the cells of a claim's facts say, what cells say of values no fact was read from, and remarks."""

    facts: tuple[Evidence, ...]
    misfits: tuple[Evidence, ...]
    flags: tuple[Flag, ...]


def check(
    claim: Claim,
    sources: Sources,
    references: Sequence[str] = (),
    measured: Sequence[Evidence] = (),
    grading: Grading | None = None,
) -> ClaimVerdict:
    """Return the verdict on a claim. Everything that it holds is gathered first; no finished verdict is changed.

    Args:
        claim: The claim.
        sources: What it is checked against.
        references: Works its report cites, used when the claim itself cites none.
        measured: What a study of our own says of it: evidence on the second axis, for fidelity is the source's alone.
        grading: What its certainty and confidence are given by; without it there is neither.
    """
    # Of values that no known number of problems can give.
    flags = tuple(Flag(name="granularity", text=text) for text in map(arithmetic.unattainable, claim.facts) if text)
    evidence: tuple[Evidence, ...] = ()
    cited = _cited(claim, sources, references)
    if cited.missing:
        finding = _Finding(word=Fidelity.NOT_AVAILABLE, reasons=(cited.missing,))
    elif claim.kind is Kind.OPINION and not claim.facts:
        why = "an opinion: no source can support or refute it"
        finding = _Finding(word=Fidelity.NOT_CHECKABLE, rules=("opinion",), reasons=(why,))
    else:
        cells = _cells(claim, sources, cited.documents)
        passages = _passages(claim, sources, cited.documents)
        own = [passage for passage in passages if passage.document.sha256 in cited.documents]
        finding = _fidelity(claim, cells, own)
        flags = (*flags, *cells.flags, *year_flags(claim, own), *_document_flags(sources, cited.documents))
        if finding.word in (Fidelity.NOT_FOUND, Fidelity.PARTIAL) and claim.extractor != TABLE_EXTRACTOR:
            flags = (*flags, *worth_a_look.flags(claim, sources.places, cells.facts))
        finding = replace(finding, reasons=(*finding.reasons, *(flag.text for flag in flags)))
        # What the cited source says first, fact by fact.
        of_cells = sorted((*cells.facts, *cells.misfits), key=lambda item: (item.fact or 0, not item.cited))
        evidence = (*of_cells, *(_evidence(passage, cited.documents) for passage in passages))
    evidence = (*evidence, *measured)
    axis, how = certainty.agreement(claim, finding.word, evidence)
    whose = (MODEL_READING,) if claim.extractor.startswith(MODEL_EXTRACTOR) else ()
    rule_path = (*whose, cited.rule, *finding.rules, *(("study",) if measured else ()), *how)
    graded, confidence = certainty.Certainty(), None
    if grading is not None:
        graded = certainty.rate(finding.word, axis, evidence, grading.overrides.get(claim.id))
        if grading.labelled is not None:
            confidence = grading.labelled.confidence(path_of(finding.word, rule_path))
    return ClaimVerdict(
        claim=claim.id,
        fidelity=finding.word,
        agreement=axis,
        rule_path=rule_path,
        reasons=(*finding.reasons, *(item.why for item in measured)),
        evidence=evidence,
        flags=flags,
        certainty=graded.word,
        downgrades=graded.downgrades,
        confidence=confidence,
    )


def _cited(claim: Claim, sources: Sources, references: Sequence[str]) -> _Cited:
    """Return what a claim rests on; a report that cites nothing that is here is checked against everything that is."""
    if not sources.documents:
        return _Cited(rule="no sources", missing="there is no document to check against")
    documents = frozenset[str]().union(*map(sources.texts_of, claim.cites or references))
    if claim.cites:
        missing = "" if documents else f"{', '.join(claim.cites)}: no text of it among the sources"
        return _Cited(documents=documents, rule="cited work", missing=missing)
    if documents:
        return _Cited(documents=documents, rule="reference list")
    return _Cited(documents=frozenset(document.sha256 for document in sources.documents), rule="all sources")


def _cells(claim: Claim, sources: Sources, cited: frozenset[str]) -> _CellEvidence:
    """Return what cells say of a claim."""
    fit, tables = named_cells.ValueFit(), sources.readings
    if claim.extractor != TABLE_EXTRACTOR and not any(fact.setting.columns for fact in claim.facts):
        # A sentence that says what stands in a column names cells of the rows with it alone.
        fit = named_cells.fit(claim.statement, sources.places)
    facts: list[Evidence] = []
    flags: list[Flag] = []
    for index, fact in enumerate(claim.facts):
        looked = cell_rules.look_up(fact, index, tables, claim.statement)
        flags += looked.flags
        for item in looked.evidence:
            # What stands in the cell of the very names beside it is not refuted by a cell of names farther off.
            settled = fact.relation == "equals" and item.stance is Stance.REFUTES and fact.start in fit.settled
            facts.append(replace(item, stance=Stance.NEUTRAL, home=None) if settled else item)
    stated = " ".join(claim.statement.split())
    misfits: list[Evidence] = []
    if not any(fact.negated for fact in claim.facts) and all(words in stated for words in claim.unread):
        index_of = {fact.start: index for index, fact in reversed(list(enumerate(claim.facts)))}
        misfits = [
            replace(tables.evidence(item.reading, Stance.REFUTES, item.why, item.home), fact=index_of.get(item.start))
            for item in fit.misfits
            # Where rows of one name were measured otherwise, a sentence that does not say how names no cell.
            if not (tables.of(item.reading).several_settings(item.reading) or _is_another(item, claim, tables))
        ]
    weighed = [tuple(_in_scope(item, claim, sources, cited) for item in items) for items in (facts, misfits)]
    return _CellEvidence(facts=weighed[0], misfits=weighed[1], flags=tuple(flags))


def _is_another(misfit: named_cells.Misfit, claim: Claim, tables: TableIndex) -> bool:
    """Whether a value is others', or what a statement says of its measure and setting is not what its cell has."""
    reading, table = misfit.reading, tables.of(misfit.reading)
    return 0 <= misfit.start < cited_from(claim.statement) or any(
        settings.conflicts(fact.setting, table.setting_of(reading, fact.setting))
        or measured_otherwise(StatedValue(fact=fact, statement=claim.statement), reading, table)
        for fact in claim.facts
        if fact.start == misfit.start
    )


def _in_scope(evidence: Evidence, claim: Claim, sources: Sources, cited: frozenset[str]) -> Evidence:
    """Return evidence of a cell, cited or not, that refutes nothing where words above the claim are not the source's.

    In a table these are also the words of its headers.
    """
    place = evidence.target
    if place is None:
        return evidence
    evidence, known = replace(evidence, cited=place.sha256 in cited), sources.table_words[place.sha256, place.table]
    before = " ".join(claim.context[:1])
    values = {number.quantity.value for number in numbers(before) if number.kind == "value"}
    # The conditions of a sentence before it are those of the table where its values are; one may be there by chance.
    shared = before if len(values) > 1 and values <= sources.table_values[place.sha256, place.table] else ""
    apart = [word for word in claim.scope if word not in shared and apart_from(word, known, place.location)]
    headers: list[str] = []
    if claim.extractor == TABLE_EXTRACTOR:
        header = claim.statement.rpartition(": ")[0]
        headers = [
            word
            for word in header_words(header, sources.registry, sources.vocabulary)
            if word not in known and not (stems(word) and set(stems(word)) <= known)
        ]
    if not (apart or headers):
        return evidence
    words = tuple(dict.fromkeys((*headers, *apart)))
    more = ", \u2026" if len(words) > _NAMED else ""
    why = f"{evidence.why}; {', '.join(map(repr, words[:_NAMED]))}{more} may make another number of it"
    if evidence.stance is Stance.REFUTES:
        return replace(evidence, stance=Stance.NEUTRAL, home=None, why=why)
    named = claim.extractor != TABLE_EXTRACTOR and any(map(looks_like_a_model, apart))
    unsupported = evidence.stance is Stance.SUPPORTS and (headers or named or any(map(sets_apart, apart)))
    return replace(evidence, stance=Stance.MIXED, why=why) if unsupported else evidence


def _passages(claim: Claim, sources: Sources, cited: frozenset[str]) -> list[Passage]:
    """Return the most telling passages of the cited documents, then of the others."""
    if claim.extractor == TABLE_EXTRACTOR:
        return []
    text = without_citations(claim.statement)
    named = sources.registry.mentions(text, sources.vocabulary)
    names = tuple(name.id for name in named if name.kind in ("models", "benchmarks"))
    statement = Statement(text=text, whole=claim.statement, names=names)
    others = frozenset(document.sha256 for document in sources.documents) - cited
    foreign = sources.passages.find(statement, others)[:_SHOWN] if others else []
    return [
        *sources.passages.find(statement, cited)[:_SHOWN],
        *(passage for passage in foreign if passage.finding not in ("none", "partial")),
    ]


def _fidelity(claim: Claim, evidence: _CellEvidence, passages: Sequence[Passage]) -> _Finding:
    """Return what the cited source says."""
    cells, misfits = ([item for item in group if item.cited] for group in (evidence.facts, evidence.misfits))
    best = passages[0].finding if passages else ""
    in_passage = (passages[0].why,) if passages else ()
    if best in ("verbatim", "supported"):
        return _Finding(word=Fidelity(best), rules=("passage", best), reasons=in_passage)
    if finding := _from_cells(claim, cells, misfits):
        return finding
    unread = (f"partly read: not understood was {', '.join(map(repr, claim.unread))}",) if claim.unread else ()
    if cells and unread:
        return _Finding(word=Fidelity.PARTIAL, rules=("cell", "partly read"), reasons=(*unread, *_whys(cells)))
    if any(item.stance in (Stance.SUPPORTS, Stance.MIXED) for item in cells):
        return _Finding(word=Fidelity.PARTIAL, rules=("cell", "some facts"), reasons=_whys(cells))
    if best == "partial":
        return _Finding(word=Fidelity.PARTIAL, rules=("passage", "partial"), reasons=in_passage)
    near = in_passage if best in ("contradicted", "misattributed") else ()
    nothing = "not found in what was read, which refutes nothing"
    return _Finding(word=Fidelity.NOT_FOUND, rules=("nothing",), reasons=(*unread, *near, *_whys(cells), nothing))


def _from_cells(claim: Claim, cells: Sequence[Evidence], misfits: Sequence[Evidence]) -> _Finding | None:
    """Return what exact tuples decide: one that differs, where its part was understood, or all, where all was."""
    equal = [item for item in cells if item.stance is Stance.SUPPORTS]
    borne_out = {item.fact for item in equal}
    refuted = [
        item
        for item in cells
        if item.stance is Stance.REFUTES
        and item.fact not in claim.uncertain
        and item.fact not in borne_out
        and _in_table_meant(item, claim)
    ]
    misfits = [item for item in misfits if item.stance is Stance.REFUTES and _in_table_meant(item, claim)]
    if refuted:
        homes = [item for item in refuted if item.home is not None]
        rule = "value elsewhere" if homes else "value differs"
        return _failed(homes or refuted, rule)
    if equal and not claim.unread and len(borne_out) == len(claim.facts):
        return _Finding(word=Fidelity.SUPPORTED, rules=("cell", "value equal"), reasons=_whys(equal))
    return _failed(misfits, "no named cell") if misfits else None


def _in_table_meant(evidence: Evidence, claim: Claim) -> bool:
    """Whether a cell can be meant: a sentence about "Table 7" is about no table of another number, nor of none.

    A file that is one table cannot say its number, so it may be any.
    """
    meant = {(kind.casefold(), number) for kind, number in _PICTURED.findall(claim.statement)}
    if not meant or evidence.target is None:
        return not meant
    label = _LABEL.match(evidence.target.location)
    if label is None and evidence.target.document.casefold().endswith((".csv", ".tsv")):
        return any(kind == "table" for kind, _ in meant)
    return label is not None and ("table", label[1]) in meant


def _failed(evidence: Sequence[Evidence], rule: str) -> _Finding:
    """Return that cells say otherwise, or have the value elsewhere."""
    word = Fidelity.MISATTRIBUTED if any(item.home for item in evidence) else Fidelity.CONTRADICTED
    return _Finding(word=word, rules=("cell", rule), reasons=_whys(evidence))


def _whys(evidence: Iterable[Evidence]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item.why for item in evidence))


def _evidence(passage: Passage, cited: frozenset[str]) -> Evidence:
    """Return what a passage says; its words that match the statement are marked in the quote."""
    first = passage.spans[0]
    quote, marked = "", []
    for span in passage.spans:
        at = len(quote := f"{quote}{_GAP if quote else ''}") - span.start
        marked += [(start + at, end + at) for start, end in passage.matched if span.start <= start and end <= span.end]
        quote += span.text
    return Evidence(
        backend="passage",
        stance=_STANCES[passage.finding],
        why=passage.why,
        score=round(passage.score, 3),
        cited=passage.document.sha256 in cited,
        target=EvidenceTarget(
            kind="span",
            document=passage.document.path,
            sha256=passage.document.sha256,
            work=passage.document.work,
            location=", ".join(filter(None, (first.section, str(first.position)))),
            start=passage.start,
            end=passage.end,
            quote=quote,
            marked=tuple(marked),
        ),
    )


def _document_flags(sources: Sources, cited: frozenset[str]) -> Iterable[Flag]:
    for document in sources.documents:
        if document.sha256 not in cited:
            continue
        if document.hidden:
            yield Flag(name="hidden text", text=f"{document.path} hides {len(document.hidden)} texts from its reader")
        if document.warnings:
            yield Flag(name="read in part", text=f"{document.path} was read in part: {document.warnings[0]}")
