"""Verbs over literature: search, report, plant. They belong to the group `trimtab evidence`."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trimtab.cli.model_options import asker, llm, told, write_records
from trimtab.cli.options import JSON, PATH, WHOLE_PATH
from trimtab.errors import MissingExtraError, SearchError

if TYPE_CHECKING:
    from trimtab.literature.facets import Expansion
    from trimtab.literature.search_plan import Plan, Wishes
    from trimtab.literature.search_session import Search
    from trimtab.literature.transport import Mode
    from trimtab.lm.embedding import LocalEmbedder

_DATABASES = ("arxiv", "openalex", "semanticscholar", "crossref", "dblp")
_WISHES = ("databases", "file", "imports", "sources", "given", "aliases", "limit", "texts")


@click.command()
@click.argument("question")
@click.option("-o", "--output", type=PATH, default=Path("review"), help="Folder of the search.")
@click.option("--database", "databases", multiple=True, type=click.Choice(_DATABASES), help="Ask it; repeatable.")
@click.option("--corpus", "corpora", multiple=True, help="Local figures: alf-lb, or a .jsonl file; repeatable.")
@click.option(
    "--import", "imports", multiple=True, type=WHOLE_PATH, help="BibTeX, RIS or CSL-JSON file of records; repeatable."
)
@click.option("--sources", multiple=True, type=WHOLE_PATH, help="Folder of documents that are here; repeatable.")
@click.option("--facet", "given", multiple=True, help="What to look for in words: 'name=term|other term'; repeatable.")
@click.option("--aliases", multiple=True, type=WHOLE_PATH, help="TOML file of further names.")
@click.option("--limit", default=200, show_default=True, help="Records taken of each query at most.")
@click.option("--full-texts", "texts", default=0, show_default=True, help="Open full texts fetched at most.")
@click.option(
    "--allow-host", "hosts", multiple=True, help="Further host full texts may come from. Always: export.arxiv.org."
)
@click.option("--mailto", default="", help="Your address, said to the servers that ask for one; kept nowhere.")
@click.option("--databases", "file", type=WHOLE_PATH, help="TOML file of other addresses and intervals.")
@click.option(
    "--embed",
    type=WHOLE_PATH,
    metavar="MODEL",
    help="A local transformers model's folder, or a .gguf: rank by its embeddings too, fused with words.",
)
@click.option("--offline", is_flag=True, help="Ask nobody: no socket of this process leaves this machine.")
@click.option("--replay", is_flag=True, help="Answer from the folder's cache alone, or fail.")
@llm
@JSON
def search(  # noqa: PLR0913 - those of the options that are no wishes
    question: str,
    *,
    output: Path,
    corpora: tuple[str, ...],
    hosts: tuple[str, ...],
    mailto: str,
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
    from trimtab.literature.arxiv import EXPORT_HOST  # noqa: PLC0415

    model = _embedder(embed) if embed else None
    wishes = search_plan.Wishes(
        question=question,
        corpora=tuple(str(Path(name).resolve()) if name.endswith(".jsonl") else name for name in corpora),
        hosts=(EXPORT_HOST, *hosts),
        embed=search_plan.EmbeddingModel(model.name, model.sha256) if model else None,
        **{name: options[name] for name in _WISHES},
    )
    with guard.offline() if offline or replay else contextlib.nullcontext():
        mode: Mode = "replay" if replay else "offline" if offline else "live"
        if options["llm_at"]:
            wishes = dataclasses.replace(wishes, expansion=_expansion(wishes, output, options, replay=replay))
        plan = search_plan.prepare(wishes)
        if "openalex" in wishes.databases and mode == "live":
            click.echo(_cost_before(plan), err=True)
        tell = functools.partial(click.echo, err=True)
        result = search_session.search(plan, output, mode, mailto, tell, model.embed if model else None)
    click.echo(f"{result.requests} requests were sent", err=True)
    click.echo(json.dumps(result.flow.record(), indent=1) if as_json else _told(result, output))
    if result.problems:
        sys.exit(2 if replay else 1)


def _expansion(wishes: Wishes, output: Path, options: dict[str, Any], *, replay: bool) -> Expansion:
    """Return what the model named proposes to search for, or what one proposed in this folder before."""
    from trimtab.claims.name_registry import Registry  # noqa: PLC0415
    from trimtab.literature import facets  # noqa: PLC0415
    from trimtab.review.llm import term_proposals  # noqa: PLC0415

    if replay:
        expansion = wishes.expansion_in(output)
        if expansion is None:
            raise SearchError(f"{output} holds no search terms of a model", hint="search without --replay first")
        return expansion
    _, question_facets = facets.of_question(wishes.question, Registry.load(*wishes.aliases), wishes.given)
    asking = asker(options, output)
    assert asking is not None  # noqa: S101 - a model is named
    expansion = wishes.expansion_in(output, asking.model)
    if expansion is None:
        expansion = term_proposals.propose(wishes.question, question_facets, asking)
        click.echo(told(asking), err=True)
    return expansion


def _embedder(path: Path) -> LocalEmbedder:
    try:
        from trimtab.lm.embedding import LocalEmbedder  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError(str(error.name), extra="embed") from error
    return LocalEmbedder(path=path)


def _cost_before(plan: Plan) -> str:
    from trimtab.literature import openalex  # noqa: PLC0415
    from trimtab.literature.database import PAGE  # noqa: PLC0415

    pages = len(plan.queries) * -(-plan.wishes.limit // PAGE)
    cost = pages * openalex.DOLLARS_A_SEARCH
    key = "with" if os.environ.get("OPENALEX_API_KEY") else "without"
    return f"OpenAlex: at most {pages} searches, {cost:.3f} dollars of the day's allowance, {key} a key"


def _told(result: Search, output: Path) -> str:
    flow = result.flow
    counts = [*flow.databases.items(), *flow.others.items()]
    if flow.databases and flow.others:
        counts.append(("from databases", sum(flow.databases.values())))
        counts.append(("from other methods", sum(flow.others.values())))
    counts += [
        ("identified", flow.identified),
        ("duplicates", flow.duplicates),
        ("screened", flow.screened),
        ("full texts assessed", flow.assessed),
        ("included", flow.included),
    ]
    lines = [f"{name:24} {number:6}" for name, number in counts]
    if searches := sum(entry.database == "OpenAlex" and not entry.problem for entry in result.log):
        from trimtab.literature.openalex import DOLLARS_A_SEARCH  # noqa: PLC0415

        cost = searches * DOLLARS_A_SEARCH
        lines.append(f"OpenAlex answered {searches} searches of this folder, {cost:.3f} dollars")
    lines += [f"problem: {problem}" for problem in result.problems]
    lines += [f"not read: {file.path}: {file.reason}" for file in result.unread]
    return "\n".join([*lines, f"next: trimtab evidence report {output}"])


@click.command()
@click.argument("folder", type=PATH)
@click.option(
    "--study",
    "studies",
    multiple=True,
    type=PATH,
    help="Study file or run folder: our own measurements; repeatable.",
)
@click.option("--reviews", multiple=True, type=PATH, help="Ratings by people, one a line; repeatable.")
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
    from trimtab.report import panel as page_of_panel  # noqa: PLC0415
    from trimtab.report import review as page  # noqa: PLC0415
    from trimtab.review import checklist, draft_writer, planted_errors, rating_panel  # noqa: PLC0415
    from trimtab.review.llm import model_reviewers, passage_proposals  # noqa: PLC0415

    result = _searched(folder)
    draft = draft_writer.answer(result, [*map(study_table, studies)])
    checks = checklist.check(draft)
    draft.write(folder, {check.name: check.places for check in checks})
    ratings, asking, sections = [*rating_panel.load(*reviews)], asker(options, folder), []
    if asking is not None:
        sources = draft_writer.sources_of(result)
        proposals = passage_proposals.propose((*draft.checked, *draft.near), sources, asking)
        for name, copy in {"": draft, **(planted_errors.planted(draft) if sensitivity else {})}.items():
            ratings += model_reviewers.review(copy, asking, name)
        write_records(folder / "proposals.jsonl", proposals)
        sections += [page_of_panel.proposals(proposals)] if proposals else []
        click.echo(told(asking), err=True)
    if ratings:
        write_records(folder / "reviews.jsonl", ratings)
    panel = rating_panel.panel(ratings) if ratings else None
    sections.append(page_of_panel.section(checks, panel, planted_errors.compare(ratings)))
    written = page.write(draft, result, folder, sections)
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


@click.command()
@click.argument("folder", type=PATH)
@click.option("-o", "--output", required=True, type=PATH, help="Folder for the copies.")
def plant(folder: Path, output: Path) -> None:
    """Write the review of FOLDER and copies with planted errors, under neutral names, for people to rate.

    Each rating names its copy as "version" by what key.json says was planted; keep that file away from the reviewers.
    """
    from trimtab.disk import write_atomic, write_json  # noqa: PLC0415
    from trimtab.report import markdown  # noqa: PLC0415
    from trimtab.report import review as page  # noqa: PLC0415
    from trimtab.review import draft_writer, planted_errors  # noqa: PLC0415
    from trimtab.review.rating_items import ITEMS  # noqa: PLC0415

    result = _searched(folder)
    draft = draft_writer.answer(result)
    copies = {"": draft, **planted_errors.planted(draft)}
    output.mkdir(parents=True, exist_ok=True)
    # In an order that follows from the text, so that it is neither told by the name nor different each time.
    order = sorted(copies, key=lambda name: hashlib.sha256(f"{draft.question}{name}".encode()).hexdigest())
    for number, name in enumerate(order, 1):
        write_atomic(output / f"review-{number}.md", markdown.render(page.document(copies[name], result)))
    write_json(output / "key.json", {f"review-{number}.md": name for number, name in enumerate(order, 1)})
    items = "".join(f"{item.id}: {item.asks}\n  1: {item.one}\n  3: {item.three}\n  5: {item.five}\n" for item in ITEMS)
    write_atomic(output / "items.txt", items)
    click.echo(f"{len(copies)} copies are in {output}")
