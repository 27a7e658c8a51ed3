"""Raised, lowered, struck-out and nested content of cells, in every format that has it."""

from decimal import Decimal

import pytest

from trimtab.documents.reader import read_bytes


def cells(text, name):
    return [(one.text, one.numbers, one.spread) for one in read_bytes(text.encode(), name).cells]


def page(cell):
    return f"<!doctype html><table><tr><th>Rule</th><th>MBPP</th></tr><tr><td>A</td><td>{cell}</td></tr></table>"


def paper(cell):
    return (
        "\\documentclass{article}\\begin{document}\\begin{tabular}{ll}Rule & MBPP \\\\ \\hline A & "
        + cell
        + (" \\\\ \\end{tabular}\\end{document}")
    )


VALUE, SPREAD = Decimal("61.5"), Decimal("0.7")


@pytest.mark.parametrize(
    "cell",
    [
        "61.5<sub>0.7</sub>",
        "61.5<sub>\u00b10.7</sub>",
        "61.5<small>0.7</small>",
        "<math><msub><mn>61.5</mn><mn>0.7</mn></msub></math>",
        "<math><msub><mn>61.5</mn><mrow><mo>\u00b1</mo><mn>0.7</mn></mrow></msub></math>",
    ],
)
def test_a_lowered_number_is_the_spread_of_the_value_before_it(cell):
    ((_, numbers, spread),) = cells(page(cell), "a.html")
    assert (numbers, spread) == ((VALUE,), SPREAD)


@pytest.mark.parametrize(
    "cell",
    [
        "61.5\\textsubscript{0.7}",
        "$61.5_{0.7}$",
        "$61.5_{\\pm 0.7}$",
        "61.5{\\tiny 0.7}",
        "61.5 {\\scriptsize $\\pm$0.7}",
    ],
)
def test_so_it_is_in_latex(cell):
    ((_, numbers, spread),) = cells(paper(cell), "a.tex")
    assert (numbers, spread) == ((VALUE,), SPREAD)


@pytest.mark.parametrize("cell", ["61.5<sup>1</sup>", "61.5<sup>a</sup>", "61.5<sup>\u2020</sup>", "61.5<sup>*</sup>"])
def test_a_raised_mark_is_no_second_number(cell):
    ((_, numbers, _),) = cells(page(cell), "a.html")
    assert numbers == (VALUE,)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (page("<del>12.1</del> 61.5"), "a.html"),
        (page("<s>12.1</s> 61.5"), "a.html"),
        (page('<span style="text-decoration: line-through">12.1</span> 61.5'), "a.html"),
        (paper("\\sout{12.1} 61.5"), "a.tex"),
        ("| Rule | MBPP |\n|---|---|\n| A | ~~12.1~~ 61.5 |\n", "a.md"),
    ],
)
def test_what_is_struck_out_is_not_said(text, name):
    assert cells(text, name) == [("61.5", (VALUE,), None)]


def test_struck_out_prose_is_not_said_either():
    assert read_bytes(b"Foo-7B reaches ~~12.1~~ 61.5 on MBPP.\n", "a.md").text.split() == (
        ["Foo-7B", "reaches", "61.5", "on", "MBPP."]
    )


def test_a_nested_table_costs_only_its_own_cell():
    inner = "<table><tr><th>Run</th><th>Loss</th></tr><tr><td>first</td><td>2.5</td></tr></table>"
    rows = f"<tr><td>A</td><td>61.5</td><td>{inner}</td></tr><tr><td>B</td><td>60.5</td><td>none</td></tr>"
    text = f"<!doctype html><table><tr><th>Rule</th><th>MBPP</th><th>Runs</th></tr>{rows}</table>"
    document = read_bytes(text.encode(), "a.html")
    assert [(one.table, one.row_path, one.number) for one in document.cells if one.number is not None] == [
        (1, ("A",), VALUE),
        (1, ("B",), Decimal("60.5")),
        (2, ("first",), Decimal("2.5")),
    ]


def test_a_table_for_the_layout_of_a_page_is_read_as_its_parts():
    inner = "<table><tr><th>Rule</th><th>MBPP</th></tr><tr><td>A</td><td>61.5</td></tr></table>"
    text = f"<!doctype html><table><tr><td><p>Some words of the page.</p>{inner}</td></tr></table>"
    document = read_bytes(text.encode(), "a.html")
    assert [one.number for one in document.cells] == [VALUE]
    assert "Some words of the page." in document.text


def test_a_block_of_code_is_no_sentence():
    document = read_bytes(b"# Use\n\n```\nfoo --score 61.5\n```\n\nIt works.\n", "a.md")
    assert [(one.kind, one.text) for one in document.spans] == [
        ("heading", "Use"),
        ("code", "foo --score 61.5"),
        ("sentence", "It works."),
    ]


@pytest.mark.parametrize(
    ("text", "number"),
    [("61,5", "61.5"), ("61,5 %", "61.5"), ("0,125", "0.125"), ("1,024", "1024"), ("61,5 \u00b1 0,7", "61.5")],
)
def test_a_comma_before_one_or_two_digits_is_a_decimal_one(text, number):
    document = read_bytes(f"| Rule | MBPP |\n|---|---|\n| A | {text} |\n".encode(), "a.md")
    assert document.cells[0].number == Decimal(number)
