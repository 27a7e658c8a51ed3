"""The page of looking into models by family: nothing on it went wrong, and rows of each kind are current."""

import importlib.util
import sys
from pathlib import Path

import pytest
import transformers

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def page():
    location = importlib.util.spec_from_file_location("make_inspection", DOCS / "make_inspection.py")
    module = importlib.util.module_from_spec(location)
    sys.modules[location.name] = module
    location.loader.exec_module(module)
    return module


def rows(page):
    lines = page.TARGET.read_text().splitlines()
    return {line.split(" ")[1]: line for line in lines if line.startswith("| ") and not line.startswith("| family")}


def test_nothing_that_was_tried_went_wrong(page):
    assert not [row for row in rows(page).values() if "DIFFERENT" in row]
    assert len(rows(page)) == 58


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", ["mixtral", "llama4", "jamba", "longcat_flash"])
def test_a_row_of_each_kind_is_current(page, family):
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    assert page.row(family) == rows(page)[family], "run `make docs`"
    transformers.logging.set_verbosity(before)
