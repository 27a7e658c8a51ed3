"""trimtab evidence references: do the works of a reference list exist, and are they what it says?"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from trimtab.cli.options import JSON, PATH

if TYPE_CHECKING:
    from pathlib import Path

    from trimtab.review.reference_check import CheckedReference


@click.command()
@click.argument("paper", type=PATH)
@click.option("--sources", type=PATH, help="Folder with bibliographies: BibTeX, RIS, CSL-JSON.")
@click.option("--import", "imports", multiple=True, type=PATH, help="A bibliography; repeatable.")
@click.option("--database", "databases", multiple=True, help="Ask arxiv or crossref for what is not here; repeatable.")
@click.option("--databases", "file", type=PATH, help="TOML file that changes their addresses.")
@click.option("-o", "--output", type=PATH, help="Folder that keeps every answer.")
@click.option("--offline", is_flag=True, help="Answer from what --output kept alone.")
@JSON
def references(  # noqa: PLR0913 - one argument an option
    paper: Path,
    *,
    sources: Path | None,
    imports: tuple[Path, ...],
    databases: tuple[str, ...],
    file: Path | None,
    output: Path | None,
    offline: bool,
    as_json: bool,
) -> None:
    """Check each entry of PAPER's reference list: identifiers, title, year, first author, retraction, topic.

    PAPER is a paper, or a bibliography (BibTeX, RIS, CSL-JSON). Where a LaTeX or Markdown source prints no list, the
    entries of the bibliography it names are checked. Entries are held against bibliographies that are here, then
    against the databases named. Without a database nothing is called invented. Exit codes: 0 all agree; 1 an entry
    differs, is withdrawn, off topic or does not exist; 2 some were not looked up or not found.
    """
    from trimtab.claims import known_works  # noqa: PLC0415
    from trimtab.claims import question as asking  # noqa: PLC0415
    from trimtab.claims.name_registry import Registry  # noqa: PLC0415
    from trimtab.documents.bibliography import reference_files  # noqa: PLC0415
    from trimtab.literature import catalogue  # noqa: PLC0415
    from trimtab.review import reference_check, reference_list  # noqa: PLC0415

    if offline and output is None:
        raise click.UsageError("--offline answers from what was kept: name its folder with --output")
    for name in databases:
        if name not in reference_check.ASKED:
            raise click.UsageError(f"references are looked up at {' or '.join(reference_check.ASKED)}, not at {name!r}")
    listed, registry = reference_list.read(paper), Registry.load()
    works = [work for path in imports for work in reference_files.read(path)]
    if sources is not None:
        read, unread = known_works.read(sources)
        # A list is not held against itself.
        works += [
            work
            for work in read
            if not any(origin.startswith(f"{file}#") for file in listed.files for origin in work.found_by)
        ]
        for unreadable in unread:
            click.echo(f"not read: {unreadable.path}: {unreadable.reason}", err=True)
    places = catalogue.named(databases, file)
    question = asking.asked_in(listed.report, registry) if listed.report else None
    with catalogue.transport(places, output, "offline" if offline else "live") as transport:
        archives = [reference_check.Archive(database=database, transport=transport) for database in places]
        checked = reference_check.check(listed.entries, works, registry, archives, question)
    if as_json:
        click.echo(json.dumps([asdict(entry) for entry in checked], indent=1))
    else:
        click.echo(
            "\n".join(map(_line, checked))
            or f"{paper} has no list of references that was recognized, and names no bibliography"
        )
    if any(entry.wrong for entry in checked):
        sys.exit(1)
    if not checked or any(entry.word in ("not looked up", "not found") for entry in checked):
        sys.exit(2)


def _line(checked: CheckedReference) -> str:
    reasons = f"  {'; '.join(checked.reasons)}" if checked.reasons else ""
    where = f"  [{checked.work}, {checked.origin}]" if checked.work else ""
    entry = checked.entry if len(checked.entry) <= 100 else f"{checked.entry[:99]}\u2026"
    return f"[{checked.number}]  {checked.word:14} {entry}{reasons}{where}"
