"""A file is read as what it is, or refused with the reason."""

import hashlib

import pytest

from trimtab.documents.formats.limits import DocumentLimits
from trimtab.documents.reader import read, read_bytes, sniff
from trimtab.errors import DocumentError


@pytest.mark.parametrize(
    ("raw", "name", "kind"),
    [
        (b"%PDF-1.7\n", "paper.txt", "pdf"),
        (b"<!DOCTYPE html><p>", "paper.xml", "html"),
        (b'<?xml version="1.0"?><!-- x --><article>', "paper.html", "jats"),
        (b"\\documentclass{article}", "paper", "latex"),
        (b"# a", "a.md", "markdown"),
        (b"a\tb", "a.TSV", "csv"),
        (b"a", "a.txt", "text"),
    ],
)
def test_content_speaks_before_the_name(raw, name, kind):
    assert sniff(raw, name) == kind


@pytest.mark.parametrize(
    ("raw", "name", "message"),
    [
        (b"MZ\x90", "tool.exe", "no format that can be read"),
        (b"hello", "paper.pdf", "not pdf"),
        (b"\x00\x01", "table.csv", "not csv"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(raw, name, message):
    with pytest.raises(DocumentError, match=message) as caught:
        sniff(raw, name)
    assert name in caught.value.message


def test_a_file_is_known_by_its_bytes(tmp_path):
    path = tmp_path / "a.md"
    path.write_bytes(b"# A\n\nb")
    document = read(path)
    assert document.sha256 == hashlib.sha256(b"# A\n\nb").hexdigest()
    assert {span.document for span in document.spans} == {document.sha256}
    assert document.path == str(path)


def test_files_that_are_absent_or_too_large_are_refused(tmp_path):
    with pytest.raises(DocumentError, match=r"nothing.md cannot be opened: No such file"):
        read(tmp_path / "nothing.md")
    (tmp_path / "big.md").write_bytes(b"x" * 11)
    with pytest.raises(DocumentError, match="has 11 bytes; at most 10"):
        read(tmp_path / "big.md", limits=DocumentLimits(file_bytes=10))


def test_text_past_the_limit_is_left_out_and_said():
    document = read_bytes(b"aaaa bbbb\n\ncccc\n", "a.txt", limits=DocumentLimits(characters=12))
    assert document.text == "aaaa bbbb\ncc"
    assert document.warnings == ("text after 12 characters was left out",)


SAID = "# Caf\u00e9\n\nFoo-7B reaches 61.5 on MBPP.\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-mark", "utf-32"])
def test_any_unicode_is_read_as_it_is(encoding):
    raw = b"\xff\xfe" + SAID.encode("utf-16-le") if encoding.endswith("mark") else SAID.encode(encoding)
    document = read_bytes(raw, "a.md")
    assert (document.title, document.warnings) == ("Caf\u00e9", ())
    assert document.sha256 == hashlib.sha256(raw).hexdigest()


def test_latin_1_is_read_and_said():
    document = read_bytes(SAID.encode("latin-1"), "a.md")
    assert document.title == "Caf\u00e9"
    assert document.warnings == ("it is not UTF-8 and was read as Windows-1252 (Latin-1)",)


@pytest.mark.parametrize("raw", [b"", b" \n\n"])
def test_an_empty_file_is_no_document(raw):
    with pytest.raises(DocumentError, match=r"a\.md is empty"):
        read_bytes(raw, "a.md")


def test_an_address_is_not_downloaded():
    with pytest.raises(DocumentError, match=r"https://example\.org/a\.md is an address"):
        read("https://example.org/a.md")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("| System | Speed |\n|---|---|\n| Foo | 1\u00a0234 |\n\nFoo has 1\u00a0234.", "a.md"),
        ("| System | Speed |\n|---|---|\n| Foo | 1\u2009234 |\n\nFoo has 1\u202f234.", "a.md"),
        (
            "<html><table><tr><th>A<th>B</tr><tr><td>Foo<td>1&nbsp;234</tr></table>Foo has 1&thinsp;234.</html>",
            "a.html",
        ),
        (
            r"\begin{table}\begin{tabular}{lr}A & B \\ Foo & 1\,234 \\\end{tabular}\end{table} Foo has 1\,234.",
            "a.tex",
        ),
    ],
)
def test_thousands_parted_by_a_space_that_does_not_break_are_one_number(text, name):
    document = read_bytes(text.encode(), name)
    assert [str(number) for cell in document.cells for number in cell.numbers] == ["1234"]
    assert "Foo has 1,234." in document.text


@pytest.mark.parametrize("text", ["v1\u00a0234", "0.1\u00a0234", "2024\u00a0100", "1 234", "12\u00a03456"])
def test_other_numbers_beside_such_a_space_stay_two(text):
    assert "," not in read_bytes(f"It has {text} of them.".encode(), "a.md").text
