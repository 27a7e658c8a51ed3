"""BibTeX: what entries say, what is refused with its place, and agreement with bibtexparser."""

import bibtexparser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.documents.bibliography import bibtex_reader, reference_files
from trimtab.documents.work import Author
from trimtab.errors import DocumentError

FILE = r"""A remark with a@b.org in it.
@string{acl = "Association for " # {Computational Linguistics}}
@comment{jabref-meta: @article{no, title = {nothing}}}
@preamble{"\newcommand{\x}{y}"}
@inproceedings{yu2025,
  title     = {{HumanEval Pro} and {MBPP} Pro: {\"E}valuating \& more},
  author    = {Yu, Zhaojian and Ludwig van Beethoven and {The {BigCode} Team} and others},
  booktitle = acl,
  year      = 2025, month = jul # "~1",
  doi       = {https://doi.org/10.18653/V1/2025.findings-acl.1},
}
@misc(chen2021,
  title = "Evaluating Large {Language} Models",
  author = {Chen, M.}, date = {2021-07-07},
  eprint = {2107.03374v2}, archivePrefix = {arXiv})
@article{zheng, title = {CodeGeeX}, journal = {arXiv preprint arXiv:2303.17568}, year = {2023}}
@inbook{part, title = {A part}, crossref = {whole}}
@proceedings{whole, title = {The whole}, year = {1999}, publisher = {Press}}
"""


def test_works_as_a_person_would_list_them():
    yu, chen, zheng, part = bibtex_reader.read(FILE, "refs.bib")
    assert yu.id == "doi:10.18653/v1/2025.findings-acl.1"
    assert yu.title == "HumanEval Pro and MBPP Pro: Ëvaluating & more"
    assert [str(one) for one in yu.authors] == ["Yu, Zhaojian", "van Beethoven, Ludwig", "The BigCode Team"]
    assert (yu.year, yu.versions[0].name) == (2025, "published")
    assert yu.versions[0].venue == "Association for Computational Linguistics"
    assert yu.found_by == ("refs.bib#yu2025",)
    assert (chen.id, chen.ids.arxiv, chen.versions[0].name, chen.year) == ("arxiv:2107.03374", "2107.03374", "v2", 2021)
    assert (zheng.id, zheng.year, zheng.versions[0].name) == ("arxiv:2303.17568", 2023, "")
    assert (part.id, part.year, part.versions[0].venue) == ("part", 1999, "The whole")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\n@article{a, title = {x}", "line 2, entry 'a'"),
        ("\n@article{a,\n title = {x", "line 2, entry 'a': a brace, a quotation mark"),
        ("@article{a, title = {x}\n\n@book{b, title = {y}}", "line 1, entry 'a': a brace, a quotation mark"),
        ("@article{a, title = {x} {y}}", "line 1, entry 'a': a value is a number"),
        ("@article{a, two words = {x}}", "line 1, entry 'a': 'two words' is no name of a field"),
        ("@ article{a, title = {x}}", "line 1: an entry needs an opening brace"),
        ("Remark.\n\n@article\n{a, title = {x}}", "line 3: an entry needs an opening brace"),
        ('@article{a,\n title = "x', "line 1, entry 'a': a brace, a quotation mark"),
        ("@article{a,\n\n title {x}}", "line 1, entry 'a': a brace, a quotation mark, a comma or = is missing"),
        ("@article{a,\n title = {x}\n year = 2020}", "line 2, entry 'a': a value is a number, a macro, {...}"),
        ("@article{a, title = {x},\n title = {y}}", "line 2, entry 'a': the field 'title' is given twice"),
        (
            "@article{a, title = {x}}\n@book{A, title = {y}}",
            "line 2, entry 'A': the key is used twice, first on line 1",
        ),
        ("@article{a, doi = {10.1/x},\n title = tacl}", "line 2, entry 'a': the macro 'tacl' is not defined"),
        ("@article{a, year = 2020}", "line 1, entry 'a': it has no title"),
        ("@article{a, title = {x},\n year = {soon}}", "line 2, entry 'a': 'soon' is no year"),
        ("@article{a, title = {x},\n doi = {n/a}}", "line 2, entry 'a': 'n/a' is no DOI"),
        ("@misc{a, title = {x},\n eprint = {q}, archiveprefix = {arXiv}}", "line 2, entry 'a': 'q' is no arXiv number"),
        ("@misc{a, title = {x}, crossref = {b}}", "line 1, entry 'a': crossref 'b' names no other entry"),
        ("\n@article a, title = {x}}", "line 2: an entry needs an opening brace"),
        ("@article{a, title = {x})", "line 1, entry 'a': a brace, a quotation mark"),
    ],
)
def test_a_malformed_file_is_refused_with_its_place(text, told):
    with pytest.raises(DocumentError, match=r"^refs\.bib, ") as caught:
        bibtex_reader.read(text, "refs.bib")
    assert told in caught.value.message


# As they stand in the bibliographies of public papers: journals' macros from a style, a key left out, an entry twice.
LIKE_OTHERS = """@article{li05, title = {X}, journal = toms, year = 2005}
@manual{, title = {The manual}}
@misc{agieval, title = {{AGIEval}}, year = 2023}
@misc{AGIEval, title = {AGIEval}, year = 2023}
@misc{vae, title = {Y}, eprint = {http://arxiv.org/abs/1312.6114v10}, archiveprefix = {arXiv}}
"""


def test_what_others_read_is_read():
    li, manual, agieval, vae = bibtex_reader.read(LIKE_OTHERS, "refs.bib")
    assert li.versions[0].venue == "toms"
    assert (manual.id, manual.title) == ("entry of line 2", "The manual")
    assert (agieval.id, agieval.year) == ("agieval", 2023)
    assert (vae.id, vae.versions[0].name) == ("arxiv:1312.6114", "v10")


def test_a_deep_value_is_an_error_and_no_crash(tmp_path):
    (tmp_path / "deep.bib").write_text("@misc{a, title = {x " + "{" * 50_000 + "}" * 50_000 + "}}")
    with pytest.raises(DocumentError, match=r"deep\.bib is nested too deeply"):
        reference_files.read(tmp_path / "deep.bib")


def test_no_file_is_read_through_a_value(tmp_path):
    secret = tmp_path / "secret.tex"
    secret.write_text("classified")
    (work,) = bibtex_reader.read(f"@misc{{a, title = {{x \\input{{{secret}}} y}}}}", "refs.bib")
    assert "classified" not in work.title


def test_an_address_at_the_resolver_is_a_doi():
    (work,) = bibtex_reader.read("@misc{a, title = {x}, url = {http://dx.doi.org/10.1038/323533A0}}", "refs.bib")
    assert (work.id, work.versions[0].name) == ("doi:10.1038/323533a0", "published")


def test_a_part_stands_in_the_title_of_its_book_as_the_book_gives_it():
    parent = "title = {Proceedings of X}, booktitle = {Proceedings of X (Book)}"
    for fields in (parent, ", ".join(reversed(parent.split(", ")))):
        text = f"@inproceedings{{a, title = {{A}}, crossref = {{b}}}} @proceedings{{b, {fields}}}"
        (work,) = bibtex_reader.read(text, "refs.bib")
        assert (work.title, work.versions[0].venue) == ("A", "Proceedings of X (Book)")


def test_a_macro_without_its_argument_is_no_crash():
    (work,) = bibtex_reader.read(r"@misc{a, title = {Half of \href}, author = {Li, \href}, year = 2020}", "refs.bib")
    assert (work.title, work.authors) == ("Half of href", (Author(family="Li", given="href"),))


def test_undated_works_have_no_year():
    (work,) = bibtex_reader.read("@misc{a, title = {x}, year = {in press}}", "refs.bib")
    assert work.year is None


@pytest.mark.parametrize(
    ("text", "people"),
    [
        ("de la Vallée Poussin, Charles Louis", [("de la Vallée Poussin", "Charles Louis")]),
        ("King, Jr, Martin Luther", [("King", "Martin Luther Jr")]),
        ("Charles Louis de la Vallée Poussin", [("de la Vallée Poussin", "Charles Louis")]),
        ("{Barnes and Noble} and Knuth", [("Barnes and Noble", ""), ("Knuth", "")]),
        (r"G{\"o}del, Kurt\n and \'Eva", None),
    ],
)
def test_names(text, people):
    found = list(bibtex_reader.authors(text.replace(r"\n", "\n")))
    if people is None:
        people = [("Gödel", "Kurt"), ("Éva", "")]
    assert found == [Author(family=family, given=given) for family, given in people]


word = st.text(st.characters(categories=["Lu", "Ll", "Nd"], max_codepoint=0x17F), min_size=1, max_size=8)
title = st.lists(word, min_size=1, max_size=5).map(" ".join)


@given(st.lists(st.tuples(title, st.integers(1900, 2030), st.lists(st.tuples(word, word), max_size=3)), max_size=5))
def test_bibtexparser_reads_the_same(entries):
    text = "\n".join(
        f"@article{{key{index},\n title = {{{{{name}}}}}, year = {year},\n"
        f" author = {{{' and '.join(f'{family}, {given}' for family, given in people)}}},\n}}"
        for index, (name, year, people) in enumerate(entries)
    )
    ours = bibtex_reader.read(text, "x.bib")
    theirs = bibtexparser.parse_string(text).entries
    assert [work.id for work in ours] == [entry.key for entry in theirs]
    assert [work.title for work in ours] == [entry["title"].strip("{}") for entry in theirs]
    assert [str(work.year) for work in ours] == [entry["year"] for entry in theirs]
    assert [" and ".join(map(str, work.authors)) for work in ours] == [entry["author"] for entry in theirs]
