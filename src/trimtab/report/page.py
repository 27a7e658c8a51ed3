"""Write the report of a study into its run folder: a page, the same in Markdown, its drawings, and the table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trimtab.disk import write_atomic
from trimtab.report import content, html, markdown, svg
from trimtab.report.document import Figure
from trimtab.study.store import RunFolder

if TYPE_CHECKING:
    from trimtab.study.table import StudyTable


def write(table: StudyTable, folder: Path) -> Path:
    """Write ``report/report.html``, ``report/report.md``, its SVG files and ``table.csv``; return the page's path."""
    path = RunFolder(Path(folder)).report
    path.parent.mkdir(parents=True, exist_ok=True)
    document, style = content.document(table), html.asset("chart.css")
    table.write_csv()
    for section in document.sections:
        for block in section.blocks:
            if isinstance(block, Figure):
                write_atomic(path.with_name(f"{block.name}.svg"), svg.standalone(block.svg, style))
    write_atomic(path.with_suffix(".md"), markdown.render(document))
    write_atomic(path, html.render(document))
    return path
