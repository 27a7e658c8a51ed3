"""Hostile documents: each kind ends in a clear error or a bounded result, and nothing outside the folder is read."""

import io
import json
import os
import zipfile
import zlib
from pathlib import Path

import pytest

from trimtab.claims import claim_model
from trimtab.documents import reader, source_folder
from trimtab.documents.document_store import DocumentStore
from trimtab.documents.formats.limits import DocumentLimits
from trimtab.errors import ClaimError, DocumentError
from trimtab.report import checked_report
from trimtab.review import report_check

TOLD = "the secret scores 99.9 on HumanEval"
SMALL = DocumentLimits(table_cells=500, cells=2_000)


def read(text, name, limits=SMALL):
    return reader.read_bytes(text.encode() if isinstance(text, str) else text, name, limits=limits)


def outcome(act):
    """Return the message of the refusal, or what was returned."""
    try:
        return "", act()
    except (ClaimError, DocumentError) as error:
        return error.message, None


def zip_bomb():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("paper.md", b"0" * (1 << 24))
    return out.getvalue()


@pytest.mark.parametrize("name", ["bomb.zip", "bomb.tar.gz", "bomb.tgz", "bomb.docx", "bomb.xz"])
def test_archives_are_named_and_never_unpacked(tmp_path, name):
    (tmp_path / name).write_bytes(zip_bomb())
    documents, unread = source_folder.read_folder(tmp_path)
    assert documents == ()
    reason = "archives are not unpacked: unpack it into the folder to have it read"
    assert unread == (source_folder.UnreadFile(path=str(tmp_path / name), reason=reason, tried=False),)


@pytest.mark.parametrize("name", ["a.md", "a.csv", "a.txt", "a.html", "a.tex"])
@pytest.mark.parametrize("raw", [zip_bomb(), zlib.compress(b"0" * (1 << 22)) + b"\x00", b"\x1f\x8b\x08\x00\x00"])
def test_an_archive_under_a_document_s_name_is_refused(name, raw):
    with pytest.raises(DocumentError, match="does not hold what its name says"):
        read(raw, name)


def test_links_out_of_the_folder_are_not_followed(tmp_path):
    outside, inside = tmp_path / "outside", tmp_path / "sources"
    outside.mkdir()
    inside.mkdir()
    (outside / "secret.md").write_text(TOLD)
    (inside / "file.md").symlink_to(outside / "secret.md")
    (inside / "relative.md").symlink_to("../outside/secret.md")
    (inside / "folder").symlink_to(outside, target_is_directory=True)
    (inside / "loop").symlink_to(inside, target_is_directory=True)
    (inside / "round.md").symlink_to("round.md")
    os.mkfifo(inside / "pipe.md")
    (inside / "kept.md").write_text("GPT-4o achieves 90.2% on HumanEval.")
    documents, unread = source_folder.read_folder(inside)
    assert not any(TOLD in one.text for one in documents)
    assert {Path(one.path).name for one in documents} == {"kept.md"}
    assert {Path(one.path).name for one in unread if "link out" in one.reason} >= {"file.md", "relative.md"}


@pytest.mark.parametrize("macro", ["input", "include", "subfile", "lstinputlisting", "verbatiminput", "bibliography"])
def test_latex_never_opens_another_file(tmp_path, macro):
    (tmp_path / "secret.tex").write_text(TOLD)
    (tmp_path / "a").mkdir()
    paper = tmp_path / "a" / "paper.tex"
    paper.write_text(
        rf"\begin{{document}}Before. \{macro}{{../secret}} \{macro}{{{tmp_path}/secret.tex}} After.\end{{document}}"
    )
    text = reader.read(paper).text
    assert "99.9" not in text
    assert "Before." in text
    assert "After." in text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.xml", '<!DOCTYPE a [<!ENTITY x SYSTEM "{file}">]><article><body><p>&x;</p></body></article>'),
        ("a.xml", '<!DOCTYPE a [<!ENTITY % x SYSTEM "{file}"> %x;]><article><body><p>a</p></body></article>'),
        ("a.xml", '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;">]><article><p>&b;</p></article>'),
    ],
)
def test_xml_with_entities_is_refused(tmp_path, name, text):
    (tmp_path / "secret").write_text(TOLD)
    with pytest.raises(DocumentError, match="declares XML entities and is not read"):
        read(text.format(file=(tmp_path / "secret").as_uri()), name)


XINCLUDE = """<article xmlns:x="http://www.w3.org/2001/XInclude"><body><p>Read.</p>
<x:include href="{file}" parse="text"/></body></article>"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.xml", '<!DOCTYPE article SYSTEM "{file}"><article><body><p>Read.</p></body></article>'),
        ("a.xml", XINCLUDE),
        ("a.xhtml", '<!DOCTYPE html [<!ENTITY x SYSTEM "{file}">]><html><body><p>Read. &x;</p></body></html>'),
        ("a.html", '<p>Read.</p><iframe src="{file}"></iframe><object data="{file}"></object>'),
        ("a.md", "Read. ![x]({file}) <img src='{file}'>"),
    ],
)
def test_what_a_document_points_at_is_not_opened(tmp_path, name, text):
    (tmp_path / "secret").write_text(TOLD)
    document = read(text.format(file=(tmp_path / "secret").as_uri()), name)
    assert "Read." in document.text
    assert "99.9" not in document.text


def million(head, row, tail):
    return head + row * 1000 + tail


BIG = {
    "a.csv": million("", ",".join(["1.5"] * 1000) + "\n", ""),
    "a.html": million("<table>", "<tr>" + "<td>1.5" * 1000, "</table><p>Behind it.</p>"),
    "a.xml": million("<article><body><table>", f"<tr>{'<td>1</td>' * 1000}</tr>", "</table></body></article>"),
    "a.md": million("", "|1.5" * 1000 + "|\n" + "|---" * 1000 + "|\n", "\n\nBehind it."),
    "a.tex": million("\\begin{tabular}{c}", "1.5" + "&1.5" * 999 + "\\\\\n", "\\end{tabular}\n\nBehind it."),
}


@pytest.mark.parametrize("name", BIG)
def test_a_table_of_a_million_cells_is_cut_and_says_so(name):
    document = read(BIG[name], name)
    assert len(document.cells) <= SMALL.table_cells
    assert any("cut" in warning for warning in document.warnings)
    assert name in {"a.csv", "a.xml"} or "Behind it." in document.text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "a.html",
            "<table><tr><td>a<td>b</tr>" + "<tr><td rowspan=99999999 colspan=99999999>1.5</tr>" * 50 + "</table>",
        ),
        (
            "a.tex",
            "\\begin{tabular}{*{99999999}{c}} a & b \\\\"
            + "\\multirow{99999}{*}{1} & 2 \\\\" * 2000
            + "\\end{tabular}",
        ),
        ("a.tex", "\\begin{tabular}{c} a & b \\\\" + "\\multicolumn{99999}{c}{1} & 2 \\\\" * 50 + "\\end{tabular}"),
    ],
)
def test_merged_cells_do_not_multiply(name, text):
    assert len(read(text, name).cells) <= SMALL.table_cells


def test_many_tables_are_bounded_together():
    one = "|a|b|\n|-|-|\n" + "|x|1.5|\n" * 100 + "\n"
    document = read(f"text\n\n{one}" * 60, "a.md", DocumentLimits(table_cells=500, cells=500))
    assert len(document.cells) <= 1_000
    assert any("were left out: over 500 cells" in warning for warning in document.warnings)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.tex", r"\def\a{\b\b\b\b\b\b\b\b}\def\b{\a\a\a\a\a\a\a\a}\a Behind it."),
        ("a.tex", r"\begin{table}" * 3_000),
        ("a.tex", r"\iffalse " * 30_000),
        ("a.tex", "{" * 30_000),
        ("a.html", "<div>" * 100_000 + "deep"),
        ("a.xml", "<article>" + "<sec>" * 100_000),
        ("a.md", ">" * 30_000 + " deep"),
    ],
)
def test_what_nests_or_repeats_without_end_ends(name, text):
    refused, document = outcome(lambda: read(text, name))
    assert name in refused if document is None else len(document.text) <= len(text)


def test_a_file_over_the_limit_is_refused_unread(tmp_path):
    path = tmp_path / "big.md"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(DocumentError, match="at most 67,108,864 are read"):
        reader.read(path)
    (unread,) = source_folder.read_folder(tmp_path)[1]
    assert "at most" in unread.reason


HTML = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'><svg onload=alert(3)>&lt;b&gt;"


def test_html_in_claims_names_and_sources_stays_text(tmp_path):
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "<b>paper.md").write_text(f"| Model | HumanEval |\n|---|---|\n| {HTML.replace('|', '')} | 90.2 |\n")
    line = {
        "id": f"c1{HTML}",
        "statement": f"{HTML} achieves 90.3% on HumanEval",
        "kind": "numeric",
        "facts": [{"subject": HTML, "benchmark": f"HumanEval{HTML}", "value": {"text": "90.3", "unit": HTML}}],
        "cites": [HTML],
    }
    (tmp_path / "claims.jsonl").write_text(json.dumps(line) + "\n")
    path = checked_report.write(report_check.check(tmp_path / "claims.jsonl", sources), tmp_path / "out")
    page = path.read_text()
    assert "alert(1)" in page
    for tag in ("<script>alert", "<img", "<svg onload", "<b>paper"):
        assert tag not in page


@pytest.mark.parametrize("value", ["1e999999999", "NaN", "9" * 5000, "Infinity", "0x1f", "1_0"])
def test_numbers_that_are_none_or_never_end(tmp_path, value):
    line = {"id": "c1", "statement": "x", "kind": "numeric", "facts": [{"subject": "x", "value": {"text": value}}]}
    (tmp_path / "claims.jsonl").write_text(json.dumps(line) + "\n")
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "a.csv").write_text("model,HumanEval\nx,1.5\n")
    refused, found = outcome(lambda: report_check.check(tmp_path / "claims.jsonl", tmp_path / "sources"))
    assert "line 1" in refused if found is None else not found.checked[0][1].fidelity.holds


def test_a_torn_line_of_claims_is_named(tmp_path):
    path = tmp_path / "claims.jsonl"
    path.write_text("[" * 100_000)
    with pytest.raises(ClaimError, match="line 1"):
        claim_model.load(path)


def test_a_hostile_name_and_text_are_values_to_the_corpus(tmp_path):
    evil = "Robert'); DROP TABLE document;--"
    with DocumentStore(tmp_path / "corpus.sqlite") as corpus:
        corpus.add(read(f"{evil} scores well here.", f"{evil}.md"))
        assert corpus.forget("' OR 1=1 --") == 0
        assert [corpus.document(digest).path for digest in corpus.digests()] == [f"{evil}.md"]
