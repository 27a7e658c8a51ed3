"""The reports under docs/results are what the command writes today: a page that says something else would mislead."""

import re
import shutil
from pathlib import Path

import pytest

from trimtab.report import page
from trimtab.study import spec
from trimtab.study.table import StudyTable

RESULTS = Path(__file__).parents[2] / "docs" / "results"
PUBLISHED = sorted(path.parent for path in RESULTS.glob("*/report/") if (path.parent / "study.toml").exists())


def shown(path):
    """What a reader sees of a file: of a page all but how it looks and moves."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"(?s)<style>.*?</style>|<script>.*?</script>|<meta http-equiv[^>]*>", "", text)
    return re.sub(r' (class|tabindex)="[^"]*"', "", text)


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda folder: folder.name)
def test_a_published_report_is_what_is_written_from_its_cells(folder, tmp_path):
    again = tmp_path / folder.name
    shutil.copytree(folder, again, ignore=shutil.ignore_patterns("report"))
    page.write(StudyTable.load(again, spec.load(again / "study.toml")), again)
    for name in ["table.csv", *(f"report/{path.name}" for path in sorted((again / "report").iterdir()))]:
        assert shown(folder / name) == shown(again / name), f"`trimtab report {folder}` writes {name} anew"


def test_both_published_studies_are_looked_at():
    assert [folder.name for folder in PUBLISHED] == ["quick", "robustness"]
