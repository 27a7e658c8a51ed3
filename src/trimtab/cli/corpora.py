"""Verbs over evidence around a check: see a file's cells, index a folder once, label verdicts into a set."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from trimtab.cli.options import JSON


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="Corpus file, made when absent (SQLite)."
)
@JSON
def index(folder: Path, *, output: Path, as_json: bool) -> None:
    """Read the documents of FOLDER into a corpus file, for `check --corpus`.

    Again: only what is new or has changed is read. Exit code 2: the folder or the file cannot be used.
    """
    from trimtab.review import report_check  # noqa: PLC0415

    found = report_check.index(folder, output)
    record = {
        "corpus": str(output),
        "added": list(found.added),
        "known": found.known,
        "replaced": found.replaced,
        "works": found.works,
        "unread": [[one.path, one.reason] for one in found.unread],
    }
    if as_json:
        click.echo(json.dumps(record, indent=1))
        return
    click.echo(f"{output}: {len(found.added)} added, {found.replaced} of them replaced, {found.known} already there")
    for one in found.unread:
        click.echo(f"not read: {one.path}: {one.reason}", err=True)


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@JSON
def cells(files: tuple[Path, ...], *, as_json: bool) -> None:
    """Print the table cells read from FILES (LaTeX, HTML, JATS, PDF, Markdown, CSV), as a check sees them.

    Of several files the first is printed and the others are compared with it. Exit codes: 0 the cells are the same;
    1 they differ; 2 a file cannot be read.
    """
    from trimtab.documents import cell_listing, reader  # noqa: PLC0415

    first, *others = map(reader.read, files)
    found = {one.path: list(cell_listing.differences(first, one)) for one in others}
    if as_json:
        records = [{**cell_listing.record(one), "differences": found.get(one.path, [])} for one in (first, *others)]
        click.echo(json.dumps(records, indent=1))
    else:
        click.echo("\n".join([f"{first.path}: {len(first.cells)} cells", *map(cell_listing.line, first.cells)]))
        for warning in (one for document in (first, *others) for one in document.warnings):
            click.echo(f"warning: {warning}", err=True)
        for path, told in found.items():
            click.echo("\n".join(told) if told else f"{path}: the same {len(first.cells)} cells")
    if any(found.values()):
        sys.exit(1)


@click.command()
@click.argument("verdicts", type=click.Path(path_type=Path))
@click.argument("labels", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Labelled set, added to when there.")
@JSON
def calibrate(verdicts: Path, labels: Path, *, output: Path | None, as_json: bool) -> None:
    """Join VERDICTS (verdicts.jsonl) with LABELS and count how often each rule path was right.

    LABELS has a line a claim: {"id": "c01", "true": true}. The set written with -o is what `check --calibration` takes.
    Under 50 items it prints no confidence.
    """
    from trimtab.claims import calibration  # noqa: PLC0415

    items = calibration.label(verdicts, labels)
    if output is not None:
        calibration.extend(output, items)
        found = calibration.load(output)
    else:
        found = calibration.fit(items, labels.name, "")
    click.echo(json.dumps(found.record(), indent=1) if as_json else found.told())
