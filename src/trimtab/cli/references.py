"""trimtab evidence references: do the works of a reference list exist, and are they what it says?"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trimtab.cli.options import JSON

if TYPE_CHECKING:
    from trimtab.review.reference_check import CheckedReference


@click.command()
@click.argument("paper", type=click.Path(path_type=Path))
@click.option("--sources", type=click.Path(path_type=Path), help="Folder with bibliographies: BibTeX, RIS, CSL-JSON.")
@click.option("--import", "imports", multiple=True, type=click.Path(path_type=Path), help="A bibliography; repeatable.")
@click.option("--database", "databases", multiple=True, help="Ask arxiv or crossref for what is not here; repeatable.")
@click.option("--databases", "file", type=click.Path(path_type=Path), help="TOML file that changes their addresses.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder that keeps every answer.")
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
    from trimtab.literature.bodies import Bodies  # noqa: PLC0415
    from trimtab.literature.transport import Transport  # noqa: PLC0415
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
            if not any(one.startswith(f"{file}#") for file in listed.files for one in work.found_by)
        ]
        for one in unread:
            click.echo(f"not read: {one.path}: {one.reason}", err=True)
    asked = catalogue.named(databases, file)
    question = asking.asked_in(listed.report, registry) if listed.report else None
    with Transport(
        hosts={one.host: one.interval_s for one in asked},
        agent=f"trimtab/{version('trimtab')} references",
        bodies=Bodies(output / "bodies") if output else None,
        mode="offline" if offline else "live",
    ) as transport:
        archives = [reference_check.Archive(database=one, transport=transport) for one in asked]
        found = reference_check.check(listed.entries, works, registry, archives, question)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], indent=1))
    else:
        click.echo(
            "\n".join(map(_line, found))
            or f"{paper} has no list of references that was recognized, and names no bibliography"
        )
    if any(one.wrong for one in found):
        sys.exit(1)
    if not found or any(one.word in ("not looked up", "not found") for one in found):
        sys.exit(2)


def _line(one: CheckedReference) -> str:
    told = f"  {'; '.join(one.reasons)}" if one.reasons else ""
    where = f"  [{one.work}, {one.origin}]" if one.work else ""
    entry = one.entry if len(one.entry) <= 100 else f"{one.entry[:99]}\u2026"
    return f"[{one.number}]  {one.word:14} {entry}{told}{where}"
