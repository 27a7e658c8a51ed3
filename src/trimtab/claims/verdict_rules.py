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
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from trimtab.claims import agreement, cell_rules, certainty, mentions, named_cells, worth_a_look
from trimtab.claims.cell_lookup import target
from trimtab.claims.citation_marks import without_citations
from trimtab.claims.citation_years import years
from trimtab.claims.claim_model import MODEL_EXTRACTOR, TABLE_EXTRACTOR, Kind
from trimtab.claims.claim_verdict import ClaimVerdict, Evidence, EvidenceTarget, Fidelity, Flag, Stance, path_of
from trimtab.claims.granularity import unattainable
from trimtab.claims.passages import Statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trimtab.claims.certainty import Grading
    from trimtab.claims.claim_model import Claim
    from trimtab.claims.header_reader import Measurement
    from trimtab.claims.passages import Passage
    from trimtab.claims.sources import Sources

_STANCES: Final = {
    "verbatim": Stance.SUPPORTS,
    "supported": Stance.SUPPORTS,
    "partial": Stance.MIXED,
    "contradicted": Stance.REFUTES,
    "misattributed": Stance.REFUTES,
    "none": Stance.NEUTRAL,
}
_KEPT: Final = 3
_PICTURED: Final = re.compile(r"\b(table|figure|fig|appendix|section)s?\.?\s*([A-Z]?\d+)", re.IGNORECASE)
_LABEL: Final = re.compile(r"Table\s+([A-Z]?\d+)")
_GAP: Final = " … "
MODEL_READING: Final = "a model's reading"
"""How the rule path begins where a model read the sentence; such verdicts are calibrated by themselves."""

Finding = tuple[Fidelity, tuple[str, ...], tuple[str, ...]]
"""A word, the rules that led to it, and the reasons."""


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
    flags = granularity_flags(claim)
    evidence: tuple[Evidence, ...] = ()
    cited, path, missing = _cited(claim, sources, references)
    if missing:
        finding: Finding = Fidelity.NOT_AVAILABLE, (), (missing,)
    elif claim.kind is Kind.OPINION and not claim.facts:
        finding = Fidelity.NOT_CHECKABLE, ("opinion",), ("an opinion: no source can support or refute it",)
    else:
        cells, misfits, remarks = _cells(claim, sources, cited)
        passages = _passages(claim, sources, cited)
        cited_passages = [passage for passage, is_cited in passages if is_cited]
        own, strays = ([one for one in found if one.cited] for found in (cells, misfits))
        fidelity, rule, reasons = _fidelity(claim, own, strays, cited_passages)
        evidence = (*_ordered([*cells, *misfits]), *(_evidence(passage, is_cited) for passage, is_cited in passages))
        flags = (*flags, *remarks, *years(claim, cited_passages), *_document_flags(sources, cited))
        if fidelity in (Fidelity.NOT_FOUND, Fidelity.PARTIAL) and claim.extractor != TABLE_EXTRACTOR:
            flags = (*flags, *worth_a_look.flags(claim, sources.places, cells))
        finding = fidelity, rule, (*reasons, *(flag.text for flag in flags))
    fidelity, rule, reasons = finding
    evidence = (*evidence, *measured)
    axis, how = agreement.judge(claim, fidelity, evidence)
    whose = (MODEL_READING,) if claim.extractor.startswith(MODEL_EXTRACTOR) else ()
    rule_path = (*whose, *path, *rule, *(("study",) if measured else ()), *how)
    graded, confidence = certainty.Certainty(), None
    if grading is not None:
        graded = certainty.rate(fidelity, axis, evidence, grading.overrides.get(claim.id))
        if grading.labelled is not None:
            confidence = grading.labelled.confidence(path_of(fidelity, rule_path))
    return ClaimVerdict(
        claim=claim.id,
        fidelity=fidelity,
        agreement=axis,
        rule_path=rule_path,
        reasons=(*reasons, *(one.why for one in measured)),
        evidence=evidence,
        flags=flags,
        certainty=graded.word,
        downgrades=graded.downgrades,
        confidence=confidence,
    )


def _cited(
    claim: Claim, sources: Sources, references: Sequence[str]
) -> tuple[frozenset[str], tuple[str, ...], str]:  # fmt: skip
    """Return the documents the claim rests on, the rule that chose them, and why there are none."""
    if not sources.documents:
        return frozenset(), ("no sources",), "there is no document to check against"
    if claim.cites:
        found = frozenset().union(*map(sources.texts_of, claim.cites))
        missing = "" if found else f"{', '.join(claim.cites)}: no text of it among the sources"
        return found, ("cited work",), missing
    found = frozenset().union(*map(sources.texts_of, references)) if references else frozenset()
    if found:
        return found, ("reference list",), ""
    # A report that cites nothing that is here is checked against everything that is.
    return frozenset(document.sha256 for document in sources.documents), ("all sources",), ""


def _cells(
    claim: Claim, sources: Sources, cited: frozenset[str]
) -> tuple[list[Evidence], list[Evidence], tuple[Flag, ...]]:  # fmt: skip
    """Return what the cells of its facts say, what cells say of values no fact was read from, and remarks."""
    found: list[Evidence] = []
    flags: list[Flag] = []
    fit = named_cells.ValueFit()
    if claim.extractor != TABLE_EXTRACTOR and not any(fact.setting.columns for fact in claim.facts):
        # A sentence that says what stands in a column names cells of the rows with it alone.
        fit = named_cells.fit(claim.statement, sources.places)
    for index, fact in enumerate(claim.facts):
        looked = cell_rules.look_up(fact, index, sources.readings)
        flags += looked.flags
        for one in looked.evidence:
            # What stands in the cell of the very names beside it is not refuted by a cell of names farther off.
            settled = fact.relation == "equals" and one.stance is Stance.REFUTES and fact.start in fit.settled
            found.append(_marked(replace(one, stance=Stance.NEUTRAL, home=None) if settled else one, cited))
    stated = " ".join(claim.statement.split())
    read = not any(fact.negated for fact in claim.facts) and all(words in stated for words in claim.unread)
    misfits = []
    if read:
        misfits = [_misfit(one, claim, sources) for one in fit.misfits if not _several_rows(one.reading, sources)]
        misfits += [_turn(one, sources) for one in fit.turned if not _several_rows(one.reading, sources)]
        misfits = [_marked(one, cited) for one in misfits]
    return found, misfits, tuple(flags)


def _several_rows(reading: Measurement, sources: Sources) -> bool:
    """Whether a sentence would have to say how a row was measured to name a cell."""
    return sources.readings.of(reading).several_settings(reading)


def _misfit(misfit: named_cells.Misfit, claim: Claim, sources: Sources) -> Evidence:
    """Return the evidence that no cell which a statement names has its value."""
    cell = misfit.reading.cell
    where = f"{' > '.join(cell.row_path)} under {' > '.join(cell.column_path)}"
    return Evidence(
        backend="table",
        stance=Stance.REFUTES,
        why=f"{misfit.value.quantity.text} is in no cell that is named here: {where} has {cell.text}",
        target=target(misfit.reading, sources.readings),
        fact=next((index for index, fact in enumerate(claim.facts) if fact.start == misfit.value.start), None),
        home=target(misfit.home, sources.readings) if misfit.home else None,
    )


def _turn(turn: named_cells.Turn, sources: Sources) -> Evidence:
    """Return the evidence that a change goes the other way."""
    return Evidence(
        backend="table",
        stance=Stance.REFUTES,
        why=f"{turn.words!r}: both values stand in cells, and the change goes the other way",
        target=target(turn.reading, sources.readings),
    )


def _marked(evidence: Evidence, cited: frozenset[str]) -> Evidence:
    """Say whether it comes from the claim's own source."""
    return replace(evidence, cited=evidence.target is not None and evidence.target.sha256 in cited)


def _passages(claim: Claim, sources: Sources, cited: frozenset[str]) -> list[tuple[Passage, bool]]:
    """Return the most telling passages of the cited documents, then of the others."""
    if claim.extractor == TABLE_EXTRACTOR:
        return []
    text = without_citations(claim.statement)
    names = mentions.find(text, sources.registry, sources.vocabulary)
    statement = Statement(
        text=text, whole=claim.statement, names=tuple(one.id for one in names if one.kind in ("models", "benchmarks"))
    )
    others = frozenset(document.sha256 for document in sources.documents) - cited
    own = sources.passages.find(statement, cited)[:_KEPT]
    foreign = sources.passages.find(statement, others)[:_KEPT] if others else []
    return [(one, True) for one in own] + [(one, False) for one in foreign if one.finding not in ("none", "partial")]


def _fidelity(
    claim: Claim, cells: Sequence[Evidence], misfits: Sequence[Evidence], passages: Sequence[Passage]
) -> Finding:  # fmt: skip
    """Return the word, the rules that led to it, and the reasons."""
    best = passages[0] if passages else None
    if best and best.finding in ("verbatim", "supported"):
        word = Fidelity.VERBATIM if best.finding == "verbatim" else Fidelity.SUPPORTED
        return word, ("passage", best.finding), (best.why,)
    if found := _from_cells(claim, cells, misfits):
        return found
    if cells and claim.unread:
        return Fidelity.PARTIAL, ("cell", "partly read"), (_unread(claim), *_whys(cells))
    if any(one.stance in (Stance.SUPPORTS, Stance.MIXED) for one in cells):
        return Fidelity.PARTIAL, ("cell", "some facts"), _whys(cells)
    if best and best.finding == "partial":
        return Fidelity.PARTIAL, ("passage", "partial"), (best.why,)
    near = (best.why,) if best and best.finding in ("contradicted", "misattributed") else ()
    reasons = (*((_unread(claim),) if claim.unread else ()), *near, *_whys(cells))
    return Fidelity.NOT_FOUND, ("nothing",), (*reasons, "not found in what was read, which refutes nothing")


def _unread(claim: Claim) -> str:
    return f"partly read: not understood was {', '.join(map(repr, claim.unread))}"


def _from_cells(claim: Claim, cells: Sequence[Evidence], misfits: Sequence[Evidence]) -> Finding | None:
    """Return what exact tuples decide: one that differs, where its part was understood, or all, where all was."""
    refuted = [
        one
        for one in cells
        if one.stance is Stance.REFUTES
        and one.fact not in claim.uncertain
        and not _borne_out(one.fact, cells)
        and _in_table_meant(one, claim)
    ]
    misfits = [one for one in misfits if _in_table_meant(one, claim)]
    if refuted:
        homes = [one for one in refuted if one.home is not None]
        word = Fidelity.MISATTRIBUTED if homes else Fidelity.CONTRADICTED
        return word, ("cell", "value elsewhere" if homes else "value differs"), _whys(homes or refuted)
    equal = [one for one in cells if one.stance is Stance.SUPPORTS]
    if equal and not claim.unread and len({one.fact for one in equal}) == len(claim.facts):
        return Fidelity.SUPPORTED, ("cell", "value equal"), _whys(equal)
    if misfits:
        word = Fidelity.MISATTRIBUTED if any(one.home for one in misfits) else Fidelity.CONTRADICTED
        return word, ("cell", "no named cell"), _whys(misfits)
    return None


def _in_table_meant(evidence: Evidence, claim: Claim) -> bool:
    """Whether a cell can be meant: a sentence about "Table 7" is about no table of another number, nor of none."""
    meant = set(_PICTURED.findall(claim.statement))
    label = _LABEL.match(evidence.target.location) if evidence.target else None
    return not meant or (label is not None and ("table", label[1]) in {(kind.casefold(), at) for kind, at in meant})


def _borne_out(fact: int | None, cells: Sequence[Evidence]) -> bool:
    return any(one.fact == fact and one.stance is Stance.SUPPORTS for one in cells)


def _whys(evidence: Iterable[Evidence]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.why for one in evidence))


def _ordered(cells: Sequence[Evidence]) -> list[Evidence]:
    """Put what the cited source says first, fact by fact."""
    return sorted(cells, key=lambda one: (one.fact or 0, not one.cited))


def _evidence(passage: Passage, cited: bool) -> Evidence:  # noqa: FBT001 - of one pair
    first = passage.spans[0]
    quote, marked = _quoted(passage)
    return Evidence(
        backend="passage",
        stance=_STANCES[passage.finding],
        why=passage.why,
        score=round(passage.score, 3),
        cited=cited,
        target=EvidenceTarget(
            kind="span",
            document=passage.document.path,
            sha256=passage.document.sha256,
            work=passage.document.work,
            location=", ".join(filter(None, (first.section, str(first.position)))),
            start=passage.start,
            end=passage.end,
            quote=quote,
            marked=marked,
        ),
    )


def _quoted(passage: Passage) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Return a passage's words, and the characters of them that match the statement."""
    quote, marked = "", []
    for span in passage.spans:
        at = len(quote := f"{quote}{_GAP if quote else ''}") - span.start
        marked += [(start + at, end + at) for start, end in passage.matched if span.start <= start and end <= span.end]
        quote += span.text
    return quote, tuple(marked)


def granularity_flags(claim: Claim) -> tuple[Flag, ...]:
    """Return a flag for each value that no known number of problems can give."""
    return tuple(Flag(name="granularity", text=text) for text in map(unattainable, claim.facts) if text)


def _document_flags(sources: Sources, cited: frozenset[str]) -> Iterable[Flag]:
    for document in sources.documents:
        if document.sha256 not in cited:
            continue
        if document.hidden:
            yield Flag(name="hidden text", text=f"{document.path} hides {len(document.hidden)} texts from its reader")
        if document.warnings:
            yield Flag(name="read in part", text=f"{document.path} was read in part: {document.warnings[0]}")
