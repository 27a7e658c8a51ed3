"""Write the report of a study into its run folder: a page, the same in Markdown, its drawings, and the table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trimtab.report import content, page_files
from trimtab.study.store import RunFolder

if TYPE_CHECKING:
    from trimtab.study.table import StudyTable


def write(table: StudyTable, folder: Path) -> Path:
    """Write ``report/report.html``, ``report/report.md``, its SVG files and ``table.csv``; return the page's path."""
    document = content.document(table)
    table.write_csv()
    return page_files.write(document, RunFolder(Path(folder)).report)
