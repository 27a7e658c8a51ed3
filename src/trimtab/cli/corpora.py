"""Verbs over evidence around a check: see a file's cells, index a folder once, label verdicts into a set."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from trimtab.cli.options import JSON, PATH

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument("folder", type=PATH)
@click.option("-o", "--output", required=True, type=PATH, help="Corpus file, made when absent (SQLite).")
@JSON
def index(folder: Path, *, output: Path, as_json: bool) -> None:
    """Read the documents of FOLDER into a corpus file, for `check --corpus`.

    Again: only what is new or has changed is read. Exit code 2: the folder or the file cannot be used.
    """
    from trimtab.review import report_check  # noqa: PLC0415

    indexed = report_check.index(folder, output)
    record = {
        "corpus": str(output),
        "added": list(indexed.added),
        "known": indexed.known,
        "replaced": indexed.replaced,
        "works": indexed.works,
        "unread": [[file.path, file.reason] for file in indexed.unread],
    }
    if as_json:
        click.echo(json.dumps(record, indent=1))
        return
    counts = f"{len(indexed.added)} added, {indexed.replaced} of them replaced, {indexed.known} already there"
    click.echo(f"{output}: {counts}")
    for file in indexed.unread:
        click.echo(f"not read: {file.path}: {file.reason}", err=True)


@click.command()
@click.argument("files", nargs=-1, required=True, type=PATH)
@JSON
def cells(files: tuple[Path, ...], *, as_json: bool) -> None:
    """Print the table cells read from FILES (LaTeX, HTML, JATS, PDF, Markdown, CSV), as a check sees them.

    Of several files the first is printed and the others are compared with it. Exit codes: 0 the cells are the same;
    1 they differ; 2 a file cannot be read.
    """
    from trimtab.documents import cell_listing, reader  # noqa: PLC0415

    first, *others = map(reader.read, files)
    differences = {document.path: list(cell_listing.differences(first, document)) for document in others}
    if as_json:
        records = [
            cell_listing.record(document) | {"differences": differences.get(document.path, [])}
            for document in (first, *others)
        ]
        click.echo(json.dumps(records, indent=1))
    else:
        click.echo("\n".join([f"{first.path}: {len(first.cells)} cells", *map(cell_listing.line, first.cells)]))
        for warning in (warning for document in (first, *others) for warning in document.warnings):
            click.echo(f"warning: {warning}", err=True)
        for path, lines in differences.items():
            click.echo("\n".join(lines) if lines else f"{path}: the same {len(first.cells)} cells")
    if any(differences.values()):
        sys.exit(1)


@click.command()
@click.argument("verdicts", type=PATH)
@click.argument("labels", type=PATH)
@click.option("-o", "--output", type=PATH, help="Labelled set, added to when there.")
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
        calibrated = calibration.load(output)
    else:
        calibrated = calibration.fit(items, labels.name, "")
    click.echo(json.dumps(calibrated.record(), indent=1) if as_json else calibrated.told())
