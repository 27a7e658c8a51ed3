"""The page of measured speed has the figures of the files that benchmarks wrote, and no others."""

import copy
import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def speed():
    location = importlib.util.spec_from_file_location("make_speed", ROOT / "docs" / "make_speed.py")
    module = importlib.util.module_from_spec(location)
    location.loader.exec_module(module)
    return module


def test_the_page_is_what_the_files_give(speed):
    assert speed.TARGET.read_text(encoding="utf-8") == speed.page(speed.read())


def test_every_file_says_by_what_it_was_measured(speed):
    results = speed.read()
    assert results
    for record in results.values():
        assert record["command"].startswith("python ")
        assert record["versions"].keys() >= {"python", "torch", "transformers"}
        assert record["machine"]
        assert record["commit"]


def test_another_figure_is_another_page(speed):
    """A planted fault: what is in the files is what is on the page."""
    results = copy.deepcopy(speed.read())
    results["training_step"]["found"]["ratio"] = 7.77
    assert "| 7.77 | ≥ 1.4 | yes |" in speed.page(results)
    assert json.dumps(results) != json.dumps(speed.read())
    results["training_step"]["found"]["ratio"] = 1.39
    assert "| 1.39 | ≥ 1.4 | **no** |" in speed.page(results)


def test_less_is_asked_for_of_seconds_and_memory(speed):
    assert speed._met(5.1, -5.0) == "**no**"
    assert speed._met(4.9, -5.0) == "yes"
    assert speed._met(3.0, None) == ""
