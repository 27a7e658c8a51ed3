"""Verbs over literature: search, report, doctor. They belong to the group `trimtab evidence`."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trimtab.cli.options import JSON

if TYPE_CHECKING:
    from trimtab.evidence.search.catalogue import Place
    from trimtab.evidence.search.folder import Wishes
    from trimtab.evidence.search.session import Search
    from trimtab.evidence.search.transport import Mode

_DATABASES = ("arxiv", "openalex", "semanticscholar", "crossref", "dblp")
FOLDER = click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("review"), help="Folder of the search."
)


@click.command()
@click.argument("question")
@FOLDER
@click.option("--database", "databases", multiple=True, type=click.Choice(_DATABASES), help="Ask it; repeatable.")
@click.option("--corpus", "corpora", multiple=True, help="Local figures: alf-lb, or a .jsonl file; repeatable.")
@click.option(
    "--sources", multiple=True, type=click.Path(path_type=Path), help="Folder of documents that are here; repeatable."
)
@click.option("--facet", "given", multiple=True, help="What to look for in words: 'name=term|other term'; repeatable.")
@click.option("--aliases", multiple=True, type=click.Path(path_type=Path), help="TOML file of further names.")
@click.option("--limit", default=200, show_default=True, help="Records taken of each query at most.")
@click.option("--full-texts", "texts", default=0, show_default=True, help="Open full texts fetched at most.")
@click.option(
    "--allow-host", "hosts", multiple=True, help="Further host full texts may come from. Always: export.arxiv.org."
)
@click.option("--mailto", default="", help="Your address, said to the servers that ask for one; kept nowhere.")
@click.option(
    "--databases", "file", type=click.Path(path_type=Path), help="TOML file of other addresses and intervals."
)
@click.option("--offline", is_flag=True, help="Ask nobody: no socket of this process leaves this machine.")
@click.option("--replay", is_flag=True, help="Answer from the folder's cache alone, or fail.")
@JSON
def search(  # noqa: PLR0913 - one argument an option
    question: str,
    *,
    output: Path,
    databases: tuple[str, ...],
    corpora: tuple[str, ...],
    sources: tuple[Path, ...],
    given: tuple[str, ...],
    aliases: tuple[Path, ...],
    limit: int,
    texts: int,
    hosts: tuple[str, ...],
    mailto: str,
    file: Path | None,
    offline: bool,
    replay: bool,
    as_json: bool,
) -> None:
    """Search for QUESTION in databases, local figures and documents; merge, screen, and keep every answer.

    End it at any moment: the same command goes on from there. `trimtab evidence report FOLDER` writes the review.
    Keys come from OPENALEX_API_KEY and S2_API_KEY. Exit code 1: a database failed, so records are missing.
    """
    from trimtab.evidence.search import folder  # noqa: PLC0415
    from trimtab.evidence.search import offline as guard  # noqa: PLC0415

    wishes = folder.Wishes(
        question=question,
        databases=databases,
        file=file.resolve() if file else None,
        corpora=tuple(str(Path(name).resolve()) if name.endswith(".jsonl") else name for name in corpora),
        sources=tuple(path.resolve() for path in sources),
        given=given,
        aliases=tuple(path.resolve() for path in aliases),
        limit=limit,
        texts=texts,
        hosts=("export.arxiv.org", *hosts),
    )
    if "openalex" in databases and not (offline or replay):
        click.echo(_cost_before(wishes), err=True)
    with guard.offline() if offline or replay else contextlib.nullcontext():
        mode: Mode = "replay" if replay else "offline" if offline else "live"
        found, _, asked = folder.search(wishes, output, mode, mailto, lambda line: click.echo(line, err=True))
    click.echo(f"{asked} requests were sent", err=True)
    click.echo(json.dumps(found.flow.record(), indent=1) if as_json else _told(found, output))
    if found.problems:
        sys.exit(2 if replay else 1)


def _cost_before(wishes: Wishes) -> str:
    from trimtab.evidence.search import folder, openalex  # noqa: PLC0415

    plan, _, _ = folder.plan(wishes)
    pages = len(plan.queries) * -(-plan.limit // 100)
    cost = pages * openalex.DOLLARS_A_SEARCH
    key = "with" if os.environ.get("OPENALEX_API_KEY") else "without"
    return f"OpenAlex: at most {pages} searches, {cost:.3f} dollars of the day's allowance, {key} a key"


def _told(found: Search, output: Path) -> str:
    flow = found.flow
    lines = [f"{name:24} {count:6}" for name, count in (*flow.databases, *flow.others)]
    lines += [
        f"{'identified':24} {flow.identified:6}",
        f"{'duplicates':24} {flow.duplicates:6}",
        f"{'screened':24} {flow.screened:6}",
        f"{'full texts assessed':24} {flow.assessed:6}",
        f"{'included':24} {flow.included:6}",
    ]
    openalex = sum(one.database == "OpenAlex" and not one.problem for one in found.log)
    if openalex:
        from trimtab.evidence.search.openalex import DOLLARS_A_SEARCH  # noqa: PLC0415

        lines.append(f"OpenAlex answered {openalex} searches of this folder, {openalex * DOLLARS_A_SEARCH:.3f} dollars")
    lines += [f"problem: {problem}" for problem in found.problems]
    lines.append(f"next: trimtab evidence report {output}")
    return "\n".join(lines)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--study", "study_file", type=click.Path(path_type=Path), help="Study file or run folder: our own measurements."
)
@JSON
def report(folder: Path, *, study_file: Path | None, as_json: bool) -> None:
    """Write the review of a search FOLDER: report.html, report.md, prisma.svg, claims and verdicts. Asks nobody."""
    from trimtab.cli.evidence import study_table  # noqa: PLC0415
    from trimtab.evidence.search import answering, keeping, offline  # noqa: PLC0415
    from trimtab.evidence.search import folder as folders  # noqa: PLC0415
    from trimtab.report import review as page  # noqa: PLC0415

    table = study_table(study_file) if study_file else None
    with offline.offline():
        found, registry, _ = folders.search(folders.wishes_of(folder), folder, "replay", tell=lambda _line: None)
        draft = answering.answer(found, registry, table)
    keeping.write(draft, folder)
    written = page.write(draft, found, folder)
    if as_json:
        click.echo(json.dumps(keeping.plain(draft), indent=1, ensure_ascii=False))
    else:
        click.echo("\n".join(said.text for said in draft.abstract))
    click.echo(f"report: {written}", err=True)


@click.command()
@click.option("--live", is_flag=True, help="Ask each database one small question over the network.")
@click.option("--database", "databases", multiple=True, type=click.Choice(_DATABASES), help="Only this; repeatable.")
@click.option(
    "--databases", "file", type=click.Path(path_type=Path), help="TOML file of other addresses and intervals."
)
def doctor(*, live: bool, databases: tuple[str, ...], file: Path | None) -> None:
    """Say which databases can be asked; with --live ask them, and say where an answer is not as it was recorded.

    Exit code 1: an answer has another form than the one that is read here.
    """
    from trimtab.evidence.search import catalogue, drift  # noqa: PLC0415

    places = catalogue.places(databases or _DATABASES, file)
    if not live:
        for place in places:
            click.echo(_place(place))
        return
    findings = [drift.look(place) for place in places]
    for finding in findings:
        click.echo(f"{finding.database:18} {finding.state:9} {finding.told}")
    if any(finding.state == "drift" for finding in findings):
        sys.exit(1)


def _place(place: Place) -> str:
    key = (
        f"{place.key_variable} {'set' if os.environ.get(place.key_variable) else 'not set'}"
        if place.key_variable
        else ""
    )
    return f"{place.id:18} {place.url}  at most one request in {place.interval_s:g} s  {key}".rstrip()
