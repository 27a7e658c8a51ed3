"""Verbs over literature: search, report, plant. They belong to the group `trimtab evidence`."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trimtab.cli.model_options import asker, llm, told
from trimtab.cli.options import JSON
from trimtab.errors import MissingExtraError, SearchError

if TYPE_CHECKING:
    from trimtab.claims.sources import Sources
    from trimtab.literature.facets import Expansion
    from trimtab.literature.search_plan import Plan, Wishes
    from trimtab.literature.search_session import Search
    from trimtab.literature.title_vectors import Embedder
    from trimtab.literature.transport import Mode
    from trimtab.review.draft import Draft
    from trimtab.review.llm.asker import Asker
    from trimtab.review.llm.passage_proposals import Proposal
    from trimtab.review.rating_panel import Rating

_DATABASES = ("arxiv", "openalex", "semanticscholar", "crossref", "dblp")
AS_WRITTEN: Any = {"sort_keys": False, "ensure_ascii": False}
"""How lines of people and models are dumped: in the order of their fields, in their own letters."""
FOLDER = click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("review"), help="Folder of the search."
)


@click.command()
@click.argument("question")
@FOLDER
@click.option("--database", "databases", multiple=True, type=click.Choice(_DATABASES), help="Ask it; repeatable.")
@click.option("--corpus", "corpora", multiple=True, help="Local figures: alf-lb, or a .jsonl file; repeatable.")
@click.option(
    "--import",
    "imports",
    multiple=True,
    type=click.Path(path_type=Path),
    help="BibTeX, RIS or CSL-JSON file of records; repeatable.",
)
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
@click.option(
    "--embed",
    type=click.Path(path_type=Path),
    metavar="MODEL",
    help="A local transformers model's folder, or a .gguf: rank by its embeddings too, fused with words.",
)
@click.option("--offline", is_flag=True, help="Ask nobody: no socket of this process leaves this machine.")
@click.option("--replay", is_flag=True, help="Answer from the folder's cache alone, or fail.")
@llm
@JSON
def search(  # noqa: PLR0913 - one argument an option
    question: str,
    *,
    output: Path,
    databases: tuple[str, ...],
    corpora: tuple[str, ...],
    imports: tuple[Path, ...],
    sources: tuple[Path, ...],
    given: tuple[str, ...],
    aliases: tuple[Path, ...],
    limit: int,
    texts: int,
    hosts: tuple[str, ...],
    mailto: str,
    file: Path | None,
    embed: Path | None,
    offline: bool,
    replay: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Search for QUESTION in databases, bibliographies, local figures and documents; merge, screen, keep every answer.

    End it at any moment: the same command goes on from there. `trimtab evidence report FOLDER` writes the review.
    A model named with --llm proposes further search terms; nothing but the queries depends on them. Keys come from
    OPENALEX_API_KEY and S2_API_KEY. Exit code 1: a database failed, so records are missing.
    """
    from trimtab.literature import offline as guard  # noqa: PLC0415
    from trimtab.literature import search_plan, search_session  # noqa: PLC0415

    embedder = _embedder(embed) if embed else None
    wishes = search_plan.Wishes(
        question=question,
        databases=databases,
        file=file.resolve() if file else None,
        corpora=tuple(str(Path(name).resolve()) if name.endswith(".jsonl") else name for name in corpora),
        imports=tuple(path.resolve() for path in imports),
        sources=tuple(path.resolve() for path in sources),
        given=given,
        aliases=tuple(path.resolve() for path in aliases),
        limit=limit,
        texts=texts,
        hosts=("export.arxiv.org", *hosts),
        embed=(embedder.name, embedder.sha256) if embedder else None,
    )
    with guard.offline() if offline or replay else contextlib.nullcontext():
        mode: Mode = "replay" if replay else "offline" if offline else "live"
        if options["llm_at"]:
            wishes = dataclasses.replace(wishes, expansion=_expansion(wishes, output, options, replay=replay))
        plan = search_plan.prepare(wishes)
        if "openalex" in databases and mode == "live":
            click.echo(_cost_before(plan), err=True)
        found = search_session.search(plan, output, mode, mailto, lambda line: click.echo(line, err=True), embedder)
    click.echo(f"{found.requests} requests were sent", err=True)
    click.echo(json.dumps(found.flow.record(), indent=1) if as_json else _told(found, output))
    if found.problems:
        sys.exit(2 if replay else 1)


def _expansion(wishes: Wishes, output: Path, options: dict[str, Any], *, replay: bool) -> Expansion:
    """Return what the model named proposes to search for, or what one proposed in this folder before."""
    from trimtab.claims.name_registry import Registry  # noqa: PLC0415
    from trimtab.literature import facets  # noqa: PLC0415
    from trimtab.review.llm import term_proposals  # noqa: PLC0415

    if replay:
        kept = wishes.expansion_in(output)
        if kept is None:
            raise SearchError(f"{output} holds no search terms of a model", hint="search without --replay first")
        return kept
    _, found = facets.of_question(wishes.question, Registry.load(*wishes.aliases), wishes.given)
    asking = asker(options, output)
    assert asking is not None  # noqa: S101 - a model is named
    kept = wishes.expansion_in(output, asking.model.name)
    if kept is None:
        kept = term_proposals.propose(wishes.question, found, asking)
        click.echo(told(asking), err=True)
    return kept


def _embedder(path: Path) -> Embedder:
    try:
        from trimtab.lm.embedding import LocalEmbedder  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError(str(error.name), extra="embed") from error
    return LocalEmbedder(path=path.resolve())


def _cost_before(plan: Plan) -> str:
    from trimtab.literature import openalex  # noqa: PLC0415

    pages = len(plan.queries) * -(-plan.wishes.limit // 100)
    cost = pages * openalex.DOLLARS_A_SEARCH
    key = "with" if os.environ.get("OPENALEX_API_KEY") else "without"
    return f"OpenAlex: at most {pages} searches, {cost:.3f} dollars of the day's allowance, {key} a key"


def _told(found: Search, output: Path) -> str:
    flow = found.flow
    lines = [f"{name:24} {count:6}" for name, count in {**flow.databases, **flow.others}.items()]
    if flow.databases and flow.others:
        lines += [
            f"{'from databases':24} {sum(flow.databases.values()):6}",
            f"{'from other methods':24} {sum(flow.others.values()):6}",
        ]
    lines += [
        f"{'identified':24} {flow.identified:6}",
        f"{'duplicates':24} {flow.duplicates:6}",
        f"{'screened':24} {flow.screened:6}",
        f"{'full texts assessed':24} {flow.assessed:6}",
        f"{'included':24} {flow.included:6}",
    ]
    openalex = sum(one.database == "OpenAlex" and not one.problem for one in found.log)
    if openalex:
        from trimtab.literature.openalex import DOLLARS_A_SEARCH  # noqa: PLC0415

        lines.append(f"OpenAlex answered {openalex} searches of this folder, {openalex * DOLLARS_A_SEARCH:.3f} dollars")
    lines += [f"problem: {problem}" for problem in found.problems]
    lines += [f"not read: {one.path}: {one.reason}" for one in found.unread]
    lines.append(f"next: trimtab evidence report {output}")
    return "\n".join(lines)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--study",
    "studies",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Study file or run folder: our own measurements; repeatable.",
)
@click.option(
    "--reviews", multiple=True, type=click.Path(path_type=Path), help="Ratings by people, one a line; repeatable."
)
@click.option("--sensitivity", is_flag=True, help="Have the model also rate copies with planted errors.")
@llm
@JSON
def report(
    folder: Path,
    *,
    studies: tuple[Path, ...],
    reviews: tuple[Path, ...],
    sensitivity: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Write the review of a search FOLDER: report.html, report.md, prisma.svg, claims and verdicts. Asks nobody.

    A model named with --llm may point to passages and rate the review; no verdict depends on it.
    """
    from trimtab.cli.study import study_table  # noqa: PLC0415
    from trimtab.disk import write_lines  # noqa: PLC0415
    from trimtab.report import panel as page_of_panel  # noqa: PLC0415
    from trimtab.report import review as page  # noqa: PLC0415
    from trimtab.review import checklist, draft_writer, planted_errors, rating_panel  # noqa: PLC0415

    found = _searched(folder)
    draft = draft_writer.answer(found, [*map(study_table, studies)])
    checks = checklist.check(draft)
    draft.write(folder, {one.name: one.places for one in checks})
    given, asking = [*rating_panel.load(*reviews)], asker(options, folder)
    sections = []
    if asking is not None:
        proposals, said = _model(asking, draft, draft_writer.sources_of(found), sensitivity=sensitivity)
        given += said
        write_lines(folder / "proposals.jsonl", map(dataclasses.asdict, proposals), **AS_WRITTEN)
        sections += [page_of_panel.proposals(proposals)] if proposals else []
        click.echo(told(asking), err=True)
    if given:
        write_lines(folder / "reviews.jsonl", map(dataclasses.asdict, given), **AS_WRITTEN)
    panel = rating_panel.panel(given) if given else None
    sections.append(page_of_panel.section(checks, panel, planted_errors.compare(given)))
    written = page.write(draft, found, folder, sections)
    if as_json:
        click.echo(json.dumps(draft.record(), indent=1, ensure_ascii=False))
    else:
        click.echo("\n".join(said.text for said in draft.abstract))
    click.echo(f"report: {written}", err=True)


def _searched(folder: Path) -> Search:
    """Return a folder's search, made of its cache alone."""
    from trimtab.literature import offline, search_plan, search_session  # noqa: PLC0415

    with offline.offline():
        plan = search_plan.prepare(search_plan.Wishes.of(folder))
        return search_session.search(plan, folder, "replay", tell=lambda _line: None)


def _model(
    asking: Asker, draft: Draft, sources: Sources, *, sensitivity: bool
) -> tuple[tuple[Proposal, ...], list[Rating]]:
    """Return what a model points to and how its roles rate the review, and planted copies if asked for."""
    from trimtab.review import planted_errors  # noqa: PLC0415
    from trimtab.review.llm import model_reviewers, passage_proposals  # noqa: PLC0415

    proposals = passage_proposals.propose((*draft.checked, *draft.near), sources, asking)
    said = [*model_reviewers.review(draft, asking)]
    for name, copy in planted_errors.planted(draft).items() if sensitivity else ():
        said += model_reviewers.review(copy, asking, name)
    return proposals, said


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder for the copies.")
def plant(folder: Path, output: Path) -> None:
    """Write the review of FOLDER and copies with planted errors, under neutral names, for people to rate.

    Each rating names its copy as "version" by what key.json says was planted; keep that file away from the reviewers.
    """
    from trimtab.disk import write_atomic, write_json  # noqa: PLC0415
    from trimtab.report import markdown  # noqa: PLC0415
    from trimtab.report import review as page  # noqa: PLC0415
    from trimtab.review import draft_writer, planted_errors  # noqa: PLC0415
    from trimtab.review.rating_items import ITEMS  # noqa: PLC0415

    found = _searched(folder)
    draft = draft_writer.answer(found)
    copies = {"": draft, **planted_errors.planted(draft)}
    output.mkdir(parents=True, exist_ok=True)
    # In an order that follows from the text, so that it is neither told by the name nor different each time.
    order = sorted(copies, key=lambda name: hashlib.sha256(f"{draft.question}{name}".encode()).hexdigest())
    for number, name in enumerate(order, 1):
        write_atomic(output / f"review-{number}.md", markdown.render(page.document(copies[name], found)))
    write_json(output / "key.json", {f"review-{number}.md": name for number, name in enumerate(order, 1)})
    asked = "".join(f"{one.id}: {one.asks}\n  1: {one.one}\n  3: {one.three}\n  5: {one.five}\n" for one in ITEMS)
    write_atomic(output / "items.txt", asked)
    click.echo(f"{len(copies)} copies are in {output}")
