"""Which document is a text of which work, by the bibliographies beside it."""

import pytest

from trimtab.claims.known_works import Library, read
from trimtab.documents.parts import Document
from trimtab.documents.work import Identifiers, Work
from trimtab.review import report_check

LOAD = Work(
    id="doi:10.1000/abc",
    title="Auxiliary-Loss-Free Load Balancing",
    ids=Identifiers(doi="10.1000/abc", arxiv="2408.15664"),
    found_by=("refs.bib#wang2024",),
)
TWIN = Work(id="other", title="Auxiliary-loss-free load balancing", found_by=("refs.bib#wang2025",))


@pytest.mark.parametrize(
    ("path", "title", "text", "work"),
    [
        ("a/2408.15664v2.md", "", "", LOAD.id),
        ("a/paper.md", "", "arXiv:2408.15664v1 [cs.LG]\nmore", LOAD.id),
        ("a/paper.md", "", "more\narXiv:2408.15664v1 as cited", ""),
        ("a/paper.md", "", "https://doi.org/10.1000/ABC.", LOAD.id),
        ("a/Wang2024.pdf", "", "", LOAD.id),
        ("a/paper.md", "Auxiliary-Loss-Free  Load Balancing!", "", LOAD.id),
        ("a/paper.md", "Load Balancing", "", ""),
        ("a/24081.56640.md", "", "", ""),
    ],
)
def test_a_document_is_the_work_it_says(path, title, text, work):
    document = Document(sha256="0", path=path, format="markdown", title=title, text=text)
    assert Library([LOAD]).work_of(document) == work


def test_what_fits_two_works_is_a_text_of_neither_and_a_documents_own_word_stands():
    titled = Document(sha256="0", path="p.md", format="markdown", title=LOAD.title)
    assert Library([LOAD, TWIN]).work_of(titled) == ""
    assert Library([LOAD]).work_of(Document(sha256="0", path="wang2024.md", format="markdown", work="mine")) == "mine"


@pytest.fixture
def folder(tmp_path):
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "yu2025.md").write_text("| Model | HumanEval |\n|---|---|\n| GPT-4o | 90.2 |\n")
    (sources / "other.md").write_text("| Model | HumanEval |\n|---|---|\n| GPT-4o | 90.3 |\n")
    (sources / "refs.bib").write_text("@article{yu2025, title = {HumanEval Pro}, doi = {10.18653/v1/x}, year = 2025}")
    (sources / "bad.ris").write_text("TI  - stray\n")
    return sources


@pytest.mark.parametrize("indexed", [False, True])
def test_a_claim_is_checked_against_the_work_it_cites_by_doi(folder, tmp_path, indexed):
    report = tmp_path / "report.md"
    report.write_text("GPT-4o achieves 90.2% on HumanEval (https://doi.org/10.18653/v1/x).\n")
    sources = folder
    if indexed:
        sources = tmp_path / "corpus.sqlite"
        done = report_check.index(folder, sources)
        assert (done.works, [one.path for one in done.unread]) == (1, [str(folder / "bad.ris")])
    found = report_check.check(report, sources)
    ((_, verdict),) = found.checked
    assert (verdict.fidelity.value, verdict.rule_path[0]) == ("supported", "cited work")
    assert {one.target.work for one in verdict.evidence if one.cited} == {"doi:10.18653/v1/x"}


def test_a_malformed_bibliography_is_named_and_one_outside_is_not_read(folder, tmp_path):
    (tmp_path / "secret.bib").write_text("@misc{s, title = {Secret title}}")
    (folder / "link.bib").symlink_to(tmp_path / "secret.bib")
    works, unread = read(folder)
    assert [work.title for work in works] == ["HumanEval Pro"]
    assert [one.path for one in unread] == [str(folder / "bad.ris")]
    assert unread[0].reason == f"{folder / 'bad.ris'}, line 1: TI stands outside a record"
