"""Pages that people read first: short sentences, and a README that fits a few screens."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def readability():
    location = importlib.util.spec_from_file_location("readability", ROOT / "benchmarks" / "readability.py")
    module = importlib.util.module_from_spec(location)
    location.loader.exec_module(module)
    return module


def test_the_readme_has_fewer_than_120_lines():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 120


@pytest.mark.parametrize("group", ["README", "guides", "concepts", "contributing", "results", "decisions"])
def test_no_sentence_has_more_than_200_characters(readability, group):
    texts = readability.pages(group)
    assert texts
    long = [
        f"{name}: {sentence}"
        for name, text in texts.items()
        for sentence in readability.sentences(text)
        if len(sentence) > readability.LIMIT
    ]
    assert not long, "\n".join(long)


def test_a_sentence_ends_where_a_reader_ends_it(readability):
    page = "# Head\n\nOne, see Eq. 4 of it. Two\ngoes on\n[here](x.md). `a.b` is three.\n\n* four\n\n"
    page += "| five | six |\n|---|---|\n"
    page += "```python\nno = 'sentence. At all.'\n```\n<!-- nor this. One -->\n"
    told = ["Head", "One, see Eq. 4 of it.", "Two goes on here.", "`a.b` is three.", "four", "five", "six"]
    assert readability.sentences(page) == told
