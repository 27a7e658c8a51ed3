"""The files of a page: the page, the same in Markdown, and its drawings by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trimtab.disk import write_atomic
from trimtab.report import html, markdown, svg
from trimtab.report.document import Figure

if TYPE_CHECKING:
    from pathlib import Path

    from trimtab.report.document import ReportDocument


def write(document: ReportDocument, path: Path) -> Path:
    """Write ``path``, the same in Markdown and an SVG file a figure beside it; return ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figures = [block for section in document.sections for block in section.blocks if isinstance(block, Figure)]
    for figure in figures:
        write_atomic(path.with_name(f"{figure.name}.svg"), svg.standalone(figure.svg, html.asset("chart.css")))
    write_atomic(path.with_suffix(".md"), markdown.render(document))
    write_atomic(path, html.render(document))
    return path
