"""A document as one self-contained page: no remote asset, no request, and a policy that forbids both."""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from importlib import resources
from typing import TYPE_CHECKING

from trimtab.report.document import Bullets, Code, Figure, Highlight, Link, Listing, Paragraph, ReportTable, Strong

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trimtab.report.document import Block, ChartData, Inline, ReportCell, ReportDocument, Section


def asset(name: str) -> str:
    """Return a file that belongs to this package."""
    return resources.files("trimtab.report").joinpath(name).read_text(encoding="utf-8")


def render(document: ReportDocument) -> str:
    """Return the page."""
    return page(document, [section_markup(section) for section in document.sections])


def page(document: ReportDocument, sections: Sequence[str], *, scripts: Sequence[str] = (), style: str = "") -> str:
    """Return a page of ready-made ``sections`` under the head of ``document``.

    Args:
        document: Gives title, subtitle, brand and chips.
        sections: Markup.
        scripts: More scripts, which run after that of every page.
        style: More style rules.
    """
    all_scripts = (asset("page.js"), asset("chart.js"), *scripts)
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in all_scripts)
    # Only these very scripts may run, and nothing may be fetched, whatever a file in the run folder says.
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src {allowed}"
    chips = "".join(f"<li><b>{escape(name)}</b> {escape(value)}</li>" for name, value in document.chips)
    return "\n".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(document.title)}: trimtab report</title>",
            f"<style>\n{asset('chart.css')}{asset('page.css')}{style}</style>\n</head>\n<body>\n<main>",
            f'<header><p class="brand">{escape(document.brand)}</p><h1>{escape(document.title)}</h1>',
            f'<p class="subtitle">{escape(document.subtitle)}</p><ul class="chips">{chips}</ul></header>',
            *sections,
            "</main>",
            *(f"<script>{script}</script>" for script in all_scripts),
            "</body>\n</html>\n",
        )
    )


def section_markup(section: Section) -> str:
    """Return a section of a page."""
    body = "\n".join(_block(block) for block in section.blocks)
    name = "-".join(section.title.lower().split())
    return f'<section id="{escape(name)}">\n<h2>{escape(section.title)}</h2>\n{body}\n</section>'


def _block(block: Block) -> str:
    match block:
        case Paragraph():
            return f'<p class="{escape(block.kind)}">{_inline(block.parts)}</p>'
        case Bullets():
            return (
                f'<ul class="{escape(block.kind)}">'
                + "".join(f"<li>{_inline(item)}</li>" for item in block.items)
                + "</ul>"
            )
        case Figure():
            caption = f"<figcaption>{escape(block.caption)}</figcaption>"
            numbers = _chart_numbers(block.data) if block.data else ""
            drawing = f'<div class="drawing" tabindex="0">{block.svg}</div>'
            return f'<figure data-name="{escape(block.name)}">{drawing}{caption}{numbers}</figure>'
        case Listing():
            summary = f"<summary>{escape(block.summary)}</summary>"
            return f"<details>{summary}<pre>{escape(block.text)}</pre></details>"
        case ReportTable():
            return _table(block)


def _chart_numbers(data: ChartData) -> str:
    """Return the numbers of a drawing as a block that is no script; each link stands once, marks give its place."""
    places: dict[Link, int] = {}
    marks = [
        {
            "names": mark.names,
            "points": mark.points,
            "links": [[places.setdefault(link, len(places)) for link in links] for links in mark.links],
        }
        for mark in data.marks
    ]
    held = {"columns": data.columns, "links": [[link.text, link.target] for link in places], "marks": marks}
    return f'<script type="application/json">{json_block(held)}</script>'


def json_block(held: object) -> str:
    """Return plain values as JSON that no text in them can end: ``<`` is escaped."""
    return json.dumps(held, separators=(",", ":")).replace("<", "\\u003c")


def _table(table: ReportTable) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' if name else "<td></td>" for name in table.head)
    body = "\n".join(f"<tr>{''.join(map(_cell, row, table.head))}</tr>" for row in table.rows)
    caption = f"<caption>{escape(table.caption)}</caption>" if table.caption else ""
    written = (
        f'<div class="scroll" tabindex="0"><table class="{escape(table.kind)}">{caption}'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>"
    )
    return f"<details><summary>{escape(table.folded)}</summary>{written}</details>" if table.folded else written


def _cell(cell: ReportCell, head: str) -> str:
    """Return a cell; where a narrow screen stacks a row, its head stands above it."""
    lines = "".join(f'<span class="l{index}">{_inline(line)}</span>' for index, line in enumerate(cell.lines))
    kind = f' class="{escape(cell.kind)}"' if cell.kind else ""
    tip = f' title="{escape(cell.tip)}"' if cell.tip else ""
    named = f' data-head="{escape(head)}"' if head else ""
    return f"<td{kind}{tip}{named}>{lines}{cell.picture}</td>"


def _inline(parts: Iterable[Inline]) -> str:
    return "".join(map(_part, parts))


def _part(part: Inline) -> str:
    match part:
        case Code():
            return f"<code>{escape(part.text)}</code>"
        case Strong():
            return f"<strong>{escape(part.text)}</strong>"
        case Highlight():
            return f"<mark>{escape(part.text)}</mark>"
        case Link():
            return f'<a href="{escape(part.target)}">{escape(part.text)}</a>'
        case str():
            return escape(part)
