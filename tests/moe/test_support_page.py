"""The page of adapters, quantized, compiled and sharded models: rows of each kind are tried again."""

import importlib.util
import sys
from pathlib import Path

import pytest
import transformers

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def page():
    location = importlib.util.spec_from_file_location("make_support", DOCS / "make_support.py")
    module = importlib.util.module_from_spec(location)
    sys.modules[location.name] = module
    location.loader.exec_module(module)
    return module


def test_nothing_that_was_tried_went_wrong(page):
    text = page.TARGET.read_text()
    assert all(f"| {name} |" in text for name in page.ROWS)
    assert "DIFFERS" not in text


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", ["LoRA on experts (`target_parameters`)", "adapters saved with their bias", "bfloat16", "GGUF"]
)
def test_a_row_is_current(page, name):
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    assert page.row(name) in page.TARGET.read_text().splitlines(), "run `make docs`"
    transformers.logging.set_verbosity(before)
