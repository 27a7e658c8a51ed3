"""Bibliographies as sources of a search: merged with the databases', counted apart, logged with file and SHA-256."""

import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from trimtab.cli.main import main
from trimtab.literature import local_records, search_plan, search_session
from trimtab.review import draft_writer

QUESTION = "How robust is ALF-LB to expert capacity on HumanEval, against the auxiliary loss?"
HELD = {"arxiv": "2501.00001", "title": "Loss-free balancing under capacity limits", "year": 2025,
        "abstract": "ALF-LB and token dropping on HumanEval", "authors": ["Ada Lovelace"]}  # fmt: skip
BIB = """@article{again2025, title = {Loss-free balancing under capacity limits}, author = {Lovelace, Ada},
  year = {2025}, eprint = {2501.00001}, archivePrefix = {arXiv}}
@article{fresh2026, title = {ALF-LB at a capacity factor of one}, author = {Wang, Wei}, year = {2026},
  journal = {Journal of Routing}, doi = {10.1000/new}, abstract = {Token dropping on HumanEval with an auxiliary loss.}}
"""
TEXT = (
    "# ALF-LB at a capacity factor of one\n\nALF-LB loses less than the auxiliary loss under capacity 1.0 on HumanEval."
)


@pytest.fixture
def arxiv(serve, reply, tmp_path, loopback):
    """A loopback arXiv that holds one record, and the file that says where it is."""
    server = serve(lambda asked: reply(body=loopback.arxiv([HELD], asked.query)))
    server.file = tmp_path / "databases.toml"
    server.file.write_text(f'[arxiv]\nurl = "{server.url}/arxiv"\ninterval_s = 0\n')
    return server


def search(*words, code=0):
    result = CliRunner().invoke(main, ["evidence", "search", QUESTION, *map(str, words)])
    assert result.exit_code == code, result.output
    return result.output


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_bib_with_one_duplicate_and_one_new_work_beside_a_database(arxiv, tmp_path):
    bib, review = tmp_path / "my-refs-2026.bib", tmp_path / "review"
    bib.write_text(BIB)
    words = ("-o", review, "--database", "arxiv", "--databases", arxiv.file, "--import", bib)
    told = search(*words)
    assert [line.split() for line in told.splitlines() if line.startswith("from ")] == [
        ["from", "databases", "3"],
        ["from", "other", "methods", "2"],
    ]
    flow = json.loads((review / "prisma.json").read_text())
    assert flow["databases"] == {"arXiv": 3}  # one record, by each of three queries
    assert flow["others"] == {"my-refs-2026.bib": 2}
    assert (flow["duplicates"], flow["repeated_others"], flow["screened"]) == (3, 1, 2)
    works = {one["id"]: one for one in lines(review / "works.jsonl")}
    assert set(works) == {"arxiv:2501.00001", "doi:10.1000/new"}
    assert "my-refs-2026.bib#again2025" in works["arxiv:2501.00001"]["found_by"]
    assert works["doi:10.1000/new"]["found_by"] == ["my-refs-2026.bib#fresh2026"]
    (entry,) = (one for one in lines(review / "search-log.jsonl") if one["database"] == "my-refs-2026.bib")
    assert entry["sha256"] == hashlib.sha256(bib.read_bytes()).hexdigest()
    assert (entry["query"], entry["records"]) == ("everything in this import", 2)
    report = CliRunner().invoke(main, ["evidence", "report", str(review)])
    assert report.exit_code == 0, report.output
    page = (review / "report.html").read_text()
    for text in ("Databases (n = 3)", "Other methods (n = 2)", "from other methods, found before (n = 1)"):
        assert text in page
    before = {path.name: path.read_bytes() for path in review.iterdir() if path.is_file()}
    search(*words, "--replay")
    assert {path.name: path.read_bytes() for path in review.iterdir() if path.is_file()} == before
    bib.write_text(BIB.replace("Journal of Routing", "Journal"))
    assert "holds another search" in search(*words, code=2)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("torn.bib", BIB[: BIB.index("journal")], "torn.bib, line 3, entry 'fresh2026'"),
        ("torn.ris", "TY  - JOUR\nTI  - A\n", "torn.ris, line 1"),
        ("torn.json", '[{"id": "a", "title": "A"},\n {"id": ', "torn.json, line 2"),
        ("notes.docx", "x", "notes.docx is no bibliography"),
        ("missing.bib", None, "missing.bib cannot be opened"),
    ],
)
def test_a_torn_or_wrong_file_is_an_error_that_names_file_and_line(tmp_path, name, text, told):
    if text is not None:
        (tmp_path / name).write_text(text)
    output = search("-o", tmp_path / "review", "--import", tmp_path / name, code=2)
    assert told in output.replace("\n", " ")
    assert not (tmp_path / "review").exists()


def test_a_bibliography_in_a_folder_says_which_work_a_document_is(tmp_path):
    papers, review = tmp_path / "papers", tmp_path / "review"
    papers.mkdir()
    (papers / "refs.bib").write_text(BIB)
    (papers / "fresh2026.md").write_text(TEXT)
    (papers / "other.md").write_text("# Bridges\n\nNothing of this field.")
    (papers / "torn.ris").write_text("TY  - JOUR\n")
    told = search("-o", review, "--sources", papers)
    assert "not read:" in told
    assert "torn.ris, line 1" in told.replace("\n", " ")
    flow = json.loads((review / "prisma.json").read_text())
    assert flow["others"] == {"papers": 3}  # two entries, and the document that is neither
    decisions = {one["work"]: one for one in lines(review / "screening.jsonl")}
    assert decisions["doi:10.1000/new"]["included"]
    assert decisions["arxiv:2501.00001"]["stage"] == "retrieval"
    assert decisions["file:papers/other.md"]["category"] == "off topic"


def test_database_import_and_folder_together_are_told_apart_to_the_end(arxiv, tmp_path):
    papers, bib, review = tmp_path / "papers", tmp_path / "refs.bib", tmp_path / "review"
    papers.mkdir()
    bib.write_text(BIB)
    (papers / "2501.00001.md").write_text(TEXT)
    (papers / "alone.md").write_text(TEXT.replace("at a capacity factor of one", "alone"))
    words = ("--database", "arxiv", "--databases", arxiv.file, "--import", bib, "--sources", papers)
    search("-o", review, *words)
    flow = json.loads((review / "prisma.json").read_text())
    assert flow["others"] == {"refs.bib": 2, "papers": 2}
    assert (flow["repeated_others"], flow["duplicates"]) == (2, 4)
    assert flow["included"] == 2  # one that arXiv has too, and one that only the folder has
    assert flow["included_others"] == 1
    before = local_records.digest(papers)
    (papers / "alone.md").rename(papers / "renamed.md")
    assert local_records.digest(papers) != before
    assert "holds another search" in search("-o", review, *words, code=2)


def test_ris_and_csl_json_are_sources_too_and_merge_by_their_identifier(tmp_path):
    (tmp_path / "a.ris").write_text(
        "TY  - JOUR\nID  - x\nTI  - ALF-LB on HumanEval\nDO  - 10.1000/A\nPY  - 2025\nER  - \n"
    )
    (tmp_path / "b.json").write_text(
        json.dumps([{"id": "x", "title": "ALF-LB, again", "DOI": "10.1000/a"}, {"id": "y", "title": "Another"}])
    )
    review = tmp_path / "review"
    search("-o", review, "--import", tmp_path / "a.ris", "--import", tmp_path / "b.json")
    assert [one["id"] for one in lines(review / "works.jsonl")] == ["doi:10.1000/a", "b.json#y"]


def test_a_work_is_eligible_for_the_combination_it_names_and_for_no_other(tmp_path):
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "notes.md").write_text("# Notes\n\nOf ALF-LB. Of token dropping. Of HumanEval.\n")
    asked = "How robust is ALF-LB to expert capacity on HumanEval and MBPP?"
    plan = search_plan.prepare(search_plan.Wishes(question=asked, sources=(tmp_path / "papers",)))
    found = search_session.search(plan, tmp_path / "review", "offline", tell=str)
    told = {one.cell.benchmark: one.cell.literature for one in draft_writer.answer(found).answers}
    assert told == {
        "humaneval": "no claim about it: 1 record from 1 source screened, 1 eligible",
        "mbpp": "no evidence: 1 record from 1 source screened, 0 eligible",
    }


def test_files_and_folders_of_one_name_are_told_apart(tmp_path):
    paths = []
    for parent in ("one", "two"):
        path = tmp_path / parent / "refs.ris"
        path.parent.mkdir()
        path.write_text(
            "TY  - JOUR\nID  - key\nTI  - ALF-LB " + parent + "\nER  - \nTY  - JOUR\nID  - key\nTI  - B\nER  - \n"
        )
        paths += ["--import", path]
    review = tmp_path / "review"
    search("-o", review, *paths)
    assert json.loads((review / "prisma.json").read_text())["others"] == {"one/refs.ris": 2, "two/refs.ris": 2}
    names = [one["id"] for one in lines(review / "works.jsonl")]
    assert names == ["one/refs.ris#key", "one/refs.ris#key (2)", "two/refs.ris#key", "two/refs.ris#key (2)"]
    assert local_records.names([Path("/a/DBLP")], ["DBLP"]) == ("a/DBLP",)
