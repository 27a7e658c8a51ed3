"""The same work from three formats, and files that are none."""

import pytest

from trimtab.documents.bibliography import reference_files
from trimtab.documents.formats.limits import DocumentLimits
from trimtab.errors import DocumentError

SAME = {
    "x.bib": "@article{a, title={On Load}, author={Wang, Lean and Gao, Huazuo}, year={2024}, doi={10.1000/ABC}}",
    "x.ris": "TY  - JOUR\nID  - a\nTI  - On Load\nAU  - Wang, Lean\nAU  - Gao, Huazuo\nPY  - 2024\n"
    "DO  - 10.1000/ABC\nER  -\n",
    "x.json": '[{"id": "a", "title": "On Load", "DOI": "10.1000/ABC", "issued": {"date-parts": [[2024]]}, "author":'
    '[{"family": "Wang", "given": "Lean"}, {"family": "Gao", "given": "Huazuo"}]}]',
}


def test_three_formats_one_work(tmp_path):
    works = []
    for name, text in SAME.items():
        (tmp_path / name).write_text(text, encoding="utf-8-sig")
        works += reference_files.read(tmp_path / name)
    assert len({(one.id, one.title, one.authors, one.year, one.ids, one.versions) for one in works}) == 1
    assert [one.found_by for one in works] == [(f"{tmp_path / name}#a",) for name in SAME]


@pytest.mark.parametrize(
    ("name", "raw", "told"),
    [
        ("x.docx", b"", "is no bibliography"),
        ("x.bib", b"\xff\xfe", "is not UTF-8"),
        ("x.bib", b"%" * 200, "at most 100 are read"),
        ("x.json", b"[" + b'{"a":' * 19, "is no JSON"),
    ],
)
def test_files_that_are_none(tmp_path, name, raw, told):
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(DocumentError, match=told):
        reference_files.read(tmp_path / name, limits=DocumentLimits(file_bytes=100))


def test_a_deep_file_is_an_error_and_no_crash(tmp_path):
    (tmp_path / "deep.json").write_text('[{"id": ' + "[" * 200_000)
    with pytest.raises(DocumentError, match="deep"):
        reference_files.read(tmp_path / "deep.json")


def test_an_absent_file(tmp_path):
    with pytest.raises(DocumentError, match="cannot be opened"):
        reference_files.read(tmp_path / "none.bib")
