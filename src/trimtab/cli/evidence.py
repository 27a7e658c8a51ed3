"""Verbs over evidence: check, schema; others are in :mod:`trimtab.cli.literature` and :mod:`trimtab.cli.corpora`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trimtab.cli import corpora, literature
from trimtab.cli.model_options import asker, llm, told, write_records
from trimtab.cli.options import JSON, PATH, Group
from trimtab.cli.references import references
from trimtab.cli.study import study_table

if TYPE_CHECKING:
    from trimtab.review.llm.asker import Asker
    from trimtab.review.llm.passage_proposals import Proposal
    from trimtab.review.report_check import ReportCheck


@click.group(cls=Group)
def evidence() -> None:
    """Search the literature, and check claims against documents, tables and our own measurements."""


for verb in (
    literature.search,
    literature.report,
    literature.plant,
    references,
    corpora.cells,
    corpora.index,
    corpora.calibrate,
):
    evidence.add_command(verb)


@evidence.command()
@click.argument("report", type=PATH)
@click.option("--sources", type=PATH, help="Folder of the documents to check against.")
@click.option("--corpus", type=PATH, help="Instead of a folder: what `index` wrote.")
@click.option("--study", "study_file", type=PATH, help="Study file or run folder: our own measurements.")
@click.option("-o", "--output", type=PATH, help="Folder for the page, claims and verdicts.")
@click.option("--aliases", multiple=True, type=PATH, help="TOML file of further names; repeatable.")
@click.option("--question", default="", help="What the report has to answer. Default: the question it states.")
@click.option("--calibration", type=PATH, help="Labelled set; without one no confidence is printed.")
@click.option("--certainty", type=PATH, help="TOML file of a person's certainty, kept with its reason.")
@click.option(
    "--strict", is_flag=True, help="Exit with 1 also if a claim is worth a look or the linter finds anything."
)
@click.option("--all", "every", is_flag=True, help="Show every claim, not only decided numbers and comparisons.")
@llm
@JSON
def check(  # noqa: PLR0913 - one argument an option
    report: Path,
    *,
    sources: Path | None,
    corpus: Path | None,
    study_file: Path | None,
    output: Path | None,
    aliases: tuple[Path, ...],
    question: str,
    calibration: Path | None,
    certainty: Path | None,
    strict: bool,
    every: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401 - the model's
) -> None:
    """Check REPORT (Markdown, HTML, text, PDF, LaTeX, or claims.jsonl) against the files in a folder.

    Exit code 0: nothing is contradicted or misattributed. 1: a claim is, or with --strict a claim is worth a look or
    the linter found something.
    2: the check could not be carried out, or a document among the sources could not be read and nothing was wrong in
    the others.
    """
    if (sources is None) == (corpus is None):
        raise click.UsageError("name the sources: either --sources FOLDER or --corpus FILE")
    from trimtab.review import report_check  # noqa: PLC0415

    asking, reader = asker(options, output), None
    if asking is not None:
        from trimtab.review.llm.sentence_readings import SentenceReader  # noqa: PLC0415

        reader = SentenceReader(asker=asking)
    added = report_check.Options(
        aliases=aliases,
        question=question,
        study=study_table(study_file) if study_file else None,
        calibration=calibration,
        overrides=certainty,
        reader=reader,
    )
    checked = report_check.check(report, sources or corpus or Path(), added)
    from trimtab.report import check_lines  # noqa: PLC0415

    click.echo(
        json.dumps(checked.record(), indent=1) if as_json else "\n".join(check_lines.lines(checked, every=every))
    )
    proposals = _proposals(checked, asking, output) if asking is not None else ()
    if output is not None:
        from trimtab.claims import claim_verdict  # noqa: PLC0415
        from trimtab.report import checked_report as page  # noqa: PLC0415

        claim_verdict.write(checked.checked, output)
        if reader is not None:
            write_records(output / "readings.jsonl", reader.readings)
        click.echo(f"report: {page.write(checked, output, proposals)}", err=True)
    if checked.failed or (strict and (checked.findings or checked.worth_a_look)):
        sys.exit(1)
    if checked.hindered:
        click.echo(f"not checked against {', '.join(file.path for file in checked.hindered)}", err=True)
        sys.exit(2)


@evidence.command()
@click.option("--verdicts", is_flag=True, help="Of verdicts.jsonl instead of claims.jsonl.")
def schema(*, verdicts: bool) -> None:
    """Print the JSON Schema of a line of claims.jsonl."""
    from trimtab.claims import claim_model  # noqa: PLC0415
    from trimtab.claims import claim_verdict as found  # noqa: PLC0415

    click.echo(json.dumps(found.schema() if verdicts else claim_model.schema(), indent=1))


def _proposals(checked: ReportCheck, asking: Asker, output: Path | None) -> tuple[Proposal, ...]:
    """Return what a model points to for claims that were left open; verdicts stay as they are."""
    from trimtab.review.llm import passage_proposals  # noqa: PLC0415

    proposals = passage_proposals.propose(checked.checked, checked.sources, asking)
    click.echo(told(asking), err=True)
    for proposal in proposals:
        click.echo(
            f"{proposal.claim}  {proposal.stance or 'no proposal'}: {proposal.quote or proposal.reason}", err=True
        )
    if output is not None:
        write_records(output / "proposals.jsonl", proposals)
    return proposals
