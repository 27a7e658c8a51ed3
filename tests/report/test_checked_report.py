"""The page about a checked report: the answer first, sources beside claims, nothing of a document becomes markup."""

import re
from dataclasses import replace

import pytest

from trimtab.claims import report_claims
from trimtab.claims.claim_model import dump
from trimtab.claims.name_registry import Registry
from trimtab.report import checked_report
from trimtab.review import report_check

PAPER = """# A paper

Table 1: pass@1 (%)

| Model | HumanEval | MBPP |
|---|---|---|
| GPT-4o | 90.2 | 86.8 |
| <img src=x onerror=alert(1)>-7B | 53.7 | 78.3 |
"""
SAID = """# A paper

As said, the size of A\\<B> & C limits tokens in each batch, always.
The router, once warm, drops tokens above its capacity. Later the loss rises slowly in our training.
"""
STATED = (
    "The size of A<B> & C limits tokens in each batch.",
    "The router drops tokens above its capacity and the loss rises slowly during training.",
)
REPORT = """# A report

Research question: How robust is ALF-LB to expert capacity on HumanEval?

GPT-4o achieves 90.2% on HumanEval. GPT-4o achieves 86.8% on HumanEval.
GPT-4o achieves 55.5% on MBPP <script>alert(1)</script>.
"""


@pytest.fixture
def page(tmp_path):
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "paper.md").write_text(PAPER)
    (tmp_path / "report.md").write_text(REPORT)
    path = checked_report.write(report_check.check(tmp_path / "report.md", tmp_path / "sources"), tmp_path / "out")
    return path.read_text(), path.with_suffix(".md").read_text()


def test_it_opens_with_the_answer(page):
    html, markdown = page
    assert re.findall(r"<h2>(.*?)</h2>", html)[0] == "Answer"
    assert markdown.index("no evidence: 1 record from 1 source screened, 0 eligible") < markdown.index("## Claims")


def test_each_claim_stands_beside_its_row_with_the_cell_marked(page):
    html, _ = page
    assert "HumanEval <mark>90.2</mark> | MBPP 86.8" in html
    assert "HumanEval 90.2 | MBPP <mark>86.8</mark>" in html
    assert 'class="filtered"' in html
    assert re.findall(r'<td class="(\w+)"[^>]*><span class="l0">([\w ]+)', html) == [
        ("holds", "supported"),
        ("fails", "misattributed"),
        ("fails", "contradicted"),
    ]


def test_of_a_passage_only_the_matching_words_are_marked(tmp_path):
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "paper.md").write_text(SAID)
    claims = [report_claims.claim(text, Registry.load()) for text in STATED]
    (tmp_path / "claims.jsonl").write_text(dump(replace(one, id=f"c{index}") for index, one in enumerate(claims)))
    path = checked_report.write(report_check.check(tmp_path / "claims.jsonl", tmp_path / "sources"), tmp_path / "out")
    html, markdown = path.read_text(), path.with_suffix(".md").read_text()
    assert "As said, the <mark>size of A&lt;B&gt; &amp; C limits tokens in each batch</mark>, always." in html
    split = (
        "The <mark>router</mark>, once warm, <mark>drops tokens above its capacity</mark>."
        " \u2026 Later the <mark>loss rises slowly in our training</mark>."
    )
    assert split in html
    assert split.replace("<mark>", "**").replace("</mark>", "**") in markdown
    assert "<B>" not in html


def test_nothing_from_a_document_becomes_markup(page):
    html, _ = page
    assert "<script>alert" not in html
    assert "<img" not in html
    assert "default-src 'none'" in html
    assert not re.findall(r"(?:src|href)=\"?https?:", html)
