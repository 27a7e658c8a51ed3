"""Where a paper's references stand: in its text, beside it, or in the bibliography that its source names."""

import pytest

from trimtab.errors import DocumentError
from trimtab.review import reference_list

BIB = """@article{kestrel, title={Kestrels and the balancing of many experts}, author={Angstrom, A. and Roe, B.},
year={2024}, eprint={2401.00001}, archiveprefix={arXiv}}
@article{pipes, title={Water in pipes of many bends}, author={Roe, B.}, year={2010}, doi={10.1000/pipes}}
"""
WORDS = [
    "Angstrom et al. Kestrels and the balancing of many experts. arXiv:2401.00001. 2024",
    "Roe. Water in pipes of many bends. doi:10.1000/pipes. 2010",
]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.tex", "\\begin{document}\\cite{kestrel} % \\bibliography{x}\n\\bibliography{refs}\\end{document}"),
        ("p.tex", "\\documentclass{article}\\addbibresource[a=b]{refs.bib}\\begin{document}Hi.\\end{document}"),
        ("p.md", "---\ntitle: T\nbibliography: refs.bib\n---\n\n# P\n\nHi [@kestrel].\n"),
    ],
)  # fmt: skip
def test_a_source_names_its_bibliography(tmp_path, name, text):
    (tmp_path / "refs.bib").write_text(BIB)
    (tmp_path / name).write_text(text)
    listed = reference_list.read(tmp_path / name)
    assert list(listed.entries.values()) == WORDS
    assert listed.files == (tmp_path / "refs.bib",)
    (tmp_path / "refs.bib").unlink()
    with pytest.raises(DocumentError, match=r"names the bibliography .*refs\.bib, which is not there"):
        reference_list.read(tmp_path / name)


def test_a_bibliography_is_a_list_itself(tmp_path):
    (tmp_path / "refs.bib").write_text(BIB)
    assert list(reference_list.read(tmp_path / "refs.bib").entries.values()) == WORDS


def test_what_the_paper_prints_and_what_latex_made_of_it_come_before_what_it_names(tmp_path):
    paper = tmp_path / "p.tex"
    item = "\\begin{thebibliography}{9}\\bibitem{k} Roe. On bends in pipes, 2011.\\end{thebibliography}"
    paper.write_text("\\documentclass{article}\\begin{document}Hi.\\bibliography{refs}\\end{document}")
    (tmp_path / "p.bbl").write_text(item)
    assert ["On bends in pipes" in entry for entry in reference_list.read(paper).entries.values()] == [True]
    paper.write_text(f"\\documentclass{{article}}\\begin{{document}}Hi.{item}\\end{{document}}")
    (tmp_path / "p.bbl").unlink()
    assert ["On bends in pipes" in entry for entry in reference_list.read(paper).entries.values()] == [True]


def test_a_paper_without_any_has_none(tmp_path):
    (tmp_path / "p.md").write_text("# P\n\nNothing is cited.\n")
    assert reference_list.read(tmp_path / "p.md").entries == {}
