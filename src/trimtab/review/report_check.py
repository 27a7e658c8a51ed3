"""A report in, verdicts out: its claims are read and checked, its question answered, the whole of it linted."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from trimtab.claims import certainty, claim_model, claim_verdict, known_works, report_claims, verdict_rules
from trimtab.claims import question as asking
from trimtab.claims.claim_verdict import OPEN, CheckedClaim
from trimtab.claims.name_registry import Registry
from trimtab.claims.sources import Sources
from trimtab.documents import reader, source_folder
from trimtab.documents.document_store import DocumentStore
from trimtab.documents.parts import Document, Span
from trimtab.errors import EvidenceError
from trimtab.review import answer_matrix, report_lint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from trimtab.claims.claim_model import Claim
    from trimtab.claims.claim_verdict import Evidence
    from trimtab.documents.source_folder import UnreadFile
    from trimtab.review.llm.sentence_readings import SentenceReader
    from trimtab.study.table import StudyTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What may be added to a check.

    Attributes:
        aliases: Files of further names.
        question: Asked instead of the one the report states.
        study: A study whose measurements are evidence.
        calibration: A labelled set; without one no confidence is printed.
        overrides: A file with a person's certainty.
        reader: A model that reads what the rules did not understand; the rules decide on that, too.
    """

    aliases: tuple[Path, ...] = ()
    question: str = ""
    study: StudyTable | None = None
    calibration: Path | None = None
    overrides: Path | None = None
    reader: SentenceReader | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportCheck:
    """Everything that was found about a report.

    Attributes:
        report: The report.
        checked: Its claims with their verdicts.
        sources: What they were checked against.
        unread: Files of the sources that could not be read, with the reason.
        question: What it has to answer.
        screened: Every record and the gate's decision.
        matrix: The answer.
        findings: The linter's.
        study: Name of the study, empty without one.
    """

    report: Document
    checked: tuple[CheckedClaim, ...]
    sources: Sources
    unread: tuple[UnreadFile, ...]
    question: asking.Question | None
    screened: tuple[asking.Screened, ...]
    matrix: tuple[answer_matrix.MatrixCell, ...]
    findings: tuple[report_lint.LintFinding, ...]
    study: str = ""

    @property
    def hindered(self) -> tuple[UnreadFile, ...]:
        """Files among the sources that should have been read and were not."""
        return tuple(file for file in self.unread if file.tried)

    @property
    def failed(self) -> bool:
        """Whether a claim says what its source does not say."""
        return any(verdict.fidelity.fails for _, verdict in self.checked)

    @property
    def worth_a_look(self) -> bool:
        """Whether something may be wrong that is not decided."""
        return any(verdict.worth_a_look for _, verdict in self.checked)

    def record(self) -> dict[str, Any]:
        """Return everything as plain values."""
        documents = self.sources.documents
        return {
            "report": {"path": self.report.path, "sha256": self.report.sha256},
            "sources": [{"path": text.path, "sha256": text.sha256, "work": text.work} for text in documents],
            "left_out": [[file.path, file.reason] for file in self.sources.left_out],
            "unread": [[file.path, file.reason] for file in self.unread],
            "study": self.study,
            "question": asdict(self.question) if self.question else None,
            "matrix": [asdict(cell) for cell in self.matrix],
            "screened": [asdict(record) for record in self.screened],
            "findings": [asdict(finding) for finding in self.findings],
            "claims": [
                {"claim": claim_model.record(claim), "verdict": claim_verdict.record(verdict)}
                for claim, verdict in self.checked
            ],
        }


def check(report_path: Path, sources_path: Path, options: Options | None = None) -> ReportCheck:
    """Check a report against the files of a folder, or against a corpus that was indexed before.

    Args:
        report_path: Markdown, HTML, text or any other readable document, or a file of claims (``.jsonl``).
        sources_path: The folder of sources, read with its sub-folders, or the file that :func:`index` wrote.
        options: What may be added.

    Raises:
        EvidenceError: The report, the folder or an option cannot be read. A source that cannot is named in the
            result instead.
    """
    options = options or Options()
    registry = Registry.load(*options.aliases)
    report, claims = _report(report_path)
    sources, unread = _sources(sources_path, registry, report)
    references, tables = asking.references(report), (options.study,) if options.study else ()
    claims = claims or report_claims.claims(report, registry, sources.vocabulary)
    checked = _verdicts(claims, sources, references, tables, options)
    question = asking.parse(options.question, registry) if options.question else asking.asked_in(report, registry)
    screened: tuple[asking.Screened, ...] = ()
    matrix: tuple[answer_matrix.MatrixCell, ...] = ()
    if question:
        screened = asking.screen(question, references, sources)
        counts = answer_matrix.ScreeningCounts(
            records=len(screened),
            sources=len({record.source for record in screened}),
            eligible=sum(record.eligible for record in screened),
        )
        matrix = answer_matrix.build(question, checked, lambda _names: counts, registry, tables)
    return ReportCheck(
        report=report,
        checked=checked,
        sources=sources,
        unread=unread,
        question=question,
        screened=screened,
        matrix=matrix,
        findings=report_lint.lint(report, checked, matrix, screened, registry),
        study=options.study.study.name if options.study else "",
    )


def _sources(path: Path, registry: Registry, report: Document) -> tuple[Sources, tuple[UnreadFile, ...]]:
    """Read the folder or the corpus that a report is checked against; return also the files that could not be read."""
    if path.suffix == ".sqlite" and not path.exists():
        raise EvidenceError(f"there is no corpus {path}", hint="`trimtab evidence index FOLDER -o FILE` makes one")
    unread: tuple[UnreadFile, ...] = ()
    if path.is_file():
        with DocumentStore(path) as corpus:
            sources = Sources.of(corpus, registry, report)
    else:
        documents, unread = source_folder.read_folder(path)
        works, unlisted = known_works.read(path)
        unread += unlisted
        sources = Sources.build(documents, sorted(works, key=lambda work: work.id), registry, report)
    if not sources.documents and not sources.left_out:
        reasons = "; ".join(f"{file.path}: {file.reason}" for file in unread)
        raise EvidenceError(
            f"{path} holds no document that could be read{f' ({reasons})' if reasons else ''}",
            hint="it takes the papers and tables the report rests on: LaTeX, HTML, JATS, PDF, Markdown, CSV, text",
        )
    return sources, unread


def _verdicts(
    claims: Sequence[Claim], sources: Sources, references: Sequence[str], tables: Sequence[StudyTable], options: Options
) -> tuple[CheckedClaim, ...]:
    """Return each claim with its verdict; where the rules leave it open, as a model reads it if they decide on that."""
    labelled = None
    if options.calibration:
        from trimtab.claims import calibration  # noqa: PLC0415 - NumPy and SciPy cost half of all imports

        labelled = calibration.load(options.calibration)
    overrides = certainty.overrides(options.overrides) if options.overrides else {}
    grading = certainty.Grading(overrides=overrides, labelled=labelled)

    def judge(claim: Claim) -> CheckedClaim:
        measured: tuple[Evidence, ...] = ()
        if tables:
            from trimtab.claims import study_evidence  # noqa: PLC0415 - as above

            measured = study_evidence.look_up(claim, tables, sources.registry)
        return CheckedClaim(claim, verdict_rules.check(claim, sources, references, measured, grading))

    checked = []
    for claim in claims:
        judged = judge(claim)
        if options.reader and judged.verdict.fidelity in OPEN and (reread := options.reader.read(claim)):
            again = judge(reread)
            judged = judged if again.verdict.fidelity in OPEN else again
        checked.append(judged)
    return tuple(checked)


def _report(path: Path) -> tuple[Document, tuple[Claim, ...]]:
    """Read the report, or a file of claims as one."""
    if path.suffix.lower() != ".jsonl":
        return reader.read(path), ()
    claims = claim_model.load(path)
    spans, start = [], 0
    for claim in claims:
        end = start + len(claim.statement)
        spans.append(Span(document="", kind="sentence", start=start, end=end, text=claim.statement))
        start = end + 1
    text = "\n".join(claim.statement for claim in claims)
    return Document(sha256="", path=str(path), format="text", text=text, spans=tuple(spans)), claims


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexed:
    """What indexing a folder did.

    Attributes:
        added: Files that were read and stored.
        known: Files whose bytes were there already.
        replaced: Earlier contents of files that have changed.
        works: Entries of the folder's bibliographies.
        unread: Files that could not be read, with the reason.
    """

    added: tuple[str, ...]
    known: int
    replaced: int
    works: int
    unread: tuple[UnreadFile, ...]


def index(folder: Path, path: Path) -> Indexed:
    """Read a folder into a corpus file, so that later checks need not read it again.

    A file whose bytes are there already is not read; one that has changed takes the place of what it was. What has
    left the folder stays.

    Raises:
        EvidenceError: ``folder`` is no folder, or ``path`` is no corpus.
    """
    if not folder.is_dir():
        raise EvidenceError(f"{folder} is no folder of sources", hint="index takes the folder that holds the papers")
    with DocumentStore(path) as corpus:
        documents, unread = source_folder.read_folder(folder, frozenset(corpus.digests()))
        replaced = 0
        for document in documents:
            replaced += corpus.forget(document.path)
            corpus.add(document)
        works, unlisted = known_works.read(folder)
        for work in works:
            corpus.put(work)
    return Indexed(
        added=tuple(document.path for document in documents),
        known=sum(1 for _ in source_folder.files(folder)) - len(documents) - len(unread),
        replaced=replaced,
        works=len(works),
        unread=(*unread, *unlisted),
    )
