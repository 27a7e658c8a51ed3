"""A number in brackets is the work that the report's list of references gives it."""

import pytest

from trimtab.claims import citation_marks, report_claims
from trimtab.claims.name_registry import Registry
from trimtab.documents.reader import read_bytes
from trimtab.review import report_check

REGISTRY = Registry.load()
BODY = "# R\n\nGPT-4o achieves 90.2% on HumanEval [2]. GPT-4o achieves 86.8% on MBPP [1, 3].\n\n## References\n\n"
LISTS = {
    "brackets": "[1] A. One. arXiv:2412.00001\n[2] B. Two. arxiv.org/abs/2412.00002v3\n[3] C. doi:10.1/abc.d\n",
    "counted": "1. A. arXiv:2412.00001\n2. B. arXiv:2412.00002\n3. C. doi:10.1/abc.d\n",
    "brackets in items": "- [1] A. arXiv:2412.00001\n- [2] B. arXiv:2412.00002\n- [3] C. doi:10.1/abc.d\n",
}


@pytest.mark.parametrize(
    "listed", [*LISTS.values(), "1. A. arXiv:2412.00001\n2. B. arXiv:2412.00002\n3. C. doi:10.1234/abc.d\n"]
)
def test_marks_become_the_works_of_the_list(listed):
    report = read_bytes((BODY + listed.replace("10.1/", "10.1234/")).encode(), "report.md")
    found = report_claims.claims(report, REGISTRY)
    assert [claim.cites for claim in found[:2]] == [("arxiv:2412.00002",), ("arxiv:2412.00001", "doi:10.1234/abc.d")]


def test_a_number_without_an_entry_cites_nothing():
    report = read_bytes((BODY + "[7] A. arXiv:2412.00001\n").encode(), "report.md")
    assert [claim.cites for claim in report_claims.claims(report, REGISTRY)][:2] == [(), ()]
    assert citation_marks.references(read_bytes(b"See [1] there.", "a.md")) == {}


def test_a_link_is_no_mark():
    assert citation_marks.numbered("see [1](http://x) and [12]") == [("[12]", 12)]


def test_several_dashes_in_a_mark_are_one_range():
    assert [number for _, number in citation_marks.numbered("see [1-3-5] there")] == [1, 2, 3, 4, 5]


def test_an_entry_without_an_address_finds_its_source_by_title(tmp_path):
    sources = tmp_path / "sources"
    sources.mkdir()
    rows = "\n\n| Model | HumanEval |\n|---|---|\n| GPT-4o | {} |\n"
    (sources / "one.md").write_text("# Measuring Code Models Fairly" + rows.format("90.2"))
    (sources / "two.md").write_text("# An Entirely Different Paper" + rows.format("11.1"))
    report = tmp_path / "report.md"
    report.write_text(
        "GPT-4o achieves 90.2% on HumanEval [1]. GPT-4o achieves 90.2% on HumanEval, they say [2].\n\n"
        "# References\n\n[1] Doe. Measuring code models fairly. 2024.\n[2] Roe. An entirely different paper. 2023.\n"
    )
    found = report_check.check(report, sources)
    assert [verdict.fidelity.holds for _, verdict in found.checked] == [True, False]
