"""Merged cells are laid out as the HTML standard says, and no table grows past its limit."""

import pytest

from trimtab.documents.formats.cell_grid import RawCell, lay_out
from trimtab.documents.formats.cell_text import numeric
from trimtab.documents.formats.limits import DocumentLimits


def texts(grid):
    return ["".join(cell.text or "." for cell in line) for line in grid]


def test_merged_cells_cover_their_places_and_short_rows_are_filled():
    rows = [
        [RawCell(text="a", rowspan=2), RawCell(text="b", colspan=2)],
        [RawCell(text="c"), RawCell(text="d")],
        [RawCell(text="e")],
    ]
    grid, cut = lay_out(rows, 100)
    assert (texts(grid), cut) == (["abb", "acd", "e.."], False)


def test_spans_without_end_are_bounded(read_text):
    grid, cut = lay_out([[RawCell(text="x", rowspan=10**6, colspan=10**6)] * 50] * 50, 10_000)
    assert cut
    assert sum(map(len, grid)) <= 10_000
    cell = '<td colspan="999999999" rowspan="99999999">x'
    document = read_text(f"<table>{f'<tr>{cell}' * 200}</table>", "a.html", limits=DocumentLimits(table_cells=5_000))
    assert len(document.cells) <= 5_000
    assert "was cut" in document.warnings[0]


def test_a_million_cells_are_cut_at_the_limit_and_said(read_text):
    row = "1," * 999 + "1\n"
    document = read_text(row * 1_000, "a.csv", limits=DocumentLimits(table_cells=5_000))
    assert 0 < len(document.cells) <= 5_000
    assert document.warnings == ("table 1 was cut after 5 rows: over 5000 cells",)


@pytest.mark.parametrize(
    ("text", "is_measurement"),
    [("97.6 (90.2)", True), ("54.9 ± 0.3", True), ("12 ms", True), ("GPT-4 (2023)", False), ("7B", True), ("-", False)],
)
def test_numeric(text, is_measurement):
    assert numeric(text) == is_measurement


def columns(document):
    """The heads of the cells of the first row of values, without its name."""
    first = min(cell.row for cell in document.cells)
    return [" > ".join(cell.column_path) for cell in document.cells if cell.row == first]


def markdown(text):
    """A Markdown table from its rows, cells between semicolons; the first is its header line."""
    header, *rows = [[cell.strip() for cell in row.split(";")] for row in text.split("\n")]
    return "".join("| " + " | ".join(row) + " |\n" for row in [header, ["---"] * len(header), *rows])


GROUPS = ["CoNLL > P", "CoNLL > F1", "WNUT > P", "WNUT > F1"]


@pytest.mark.parametrize(
    ("heads", "expected"),
    [
        ("; CoNLL; ; WNUT; \nModel; P; F1; P; F1", GROUPS),
        ("; CoNLL; CoNLL; WNUT; WNUT\nModel; P; F1; P; F1", GROUPS),
        ("Task; CoNLL; ; WNUT; \nModel; P; F1; P; F1", GROUPS),
        ("Model; CoNLL; ; WNUT; \nModel; P; F1; P; F1", GROUPS),
        ("; ; CoNLL; ; WNUT\nModel; P; F1; P; F1", GROUPS),
        ("; Flickr; ; COCO; \nModel; R@1; R@5; R@1; R@5", ["Flickr > R@1", "Flickr > R@5", "COCO > R@1", "COCO > R@5"]),
        ("; ; CoNLL; ; MRR\nModel; Speed; P; F1; ", ["Speed", "CoNLL > P", "CoNLL > F1", "MRR"]),
        ("; Size; CoNLL; ; \nModel; Size; P; R; F1", ["Size", "CoNLL > P", "CoNLL > R", "CoNLL > F1"]),
        ("Model; MRR; Video; ; Audio\n; ; w/o subs; w subs; ", ["MRR", "Video > w/o subs", "Video > w subs", "Audio"]),
    ],
)
def test_a_row_that_names_the_columns_of_groups_is_a_second_row_of_heads(read_text, heads, expected):
    values = "\nBERT; 92.1; 93.2; 94.3; 95.4\nLUKE; 96.5; 97.6; 98.7; 99.8"
    assert columns(read_text(markdown(heads + values), "paper.md")) == expected


@pytest.mark.parametrize(
    "row",
    [
        "Pretrained; yes; no; yes; no",
        "BERT; N/A; \u2013; N/A; \u2013",
        "BERT; 91.0; low; 92.0; high",
        "BERT; out of memory; out of memory; out of memory; out of memory",
        "1; fast; slow; fast; slow",
        "BERT; fast; ; slow; ",
    ],
)
def test_a_row_of_words_that_name_no_columns_stays_a_row(read_text, row):
    text = markdown(f"; CoNLL; ; WNUT; \n{row}\nLUKE; 96.5; 97.6; 98.7; 99.8")
    document = read_text(text, "paper.md")
    assert {cell.row for cell in document.cells} == {1, 2}
    assert [cell.column_path for cell in document.cells if cell.row == 2] == [("CoNLL",), (), ("WNUT",), ()]


@pytest.mark.parametrize(
    "text",
    [
        "Check; Outcome; \nlint; clean; first try\ntests; 45; 3\ntypes; 12; 4",
        "; Ours; \nTask; easy; long remark\nSpeed; 4.5; faster\nSize; 7; smaller",
        "; GPT; ; Qwen; \nTask; Answer; Remark; Answer; Remark\nSums; right; quick; wrong; slow",
    ],
)
def test_a_column_of_remarks_without_a_head_makes_no_group(read_text, text):
    assert {cell.row for cell in read_text(markdown(text), "paper.md").cells} >= {1}


BODY = [["Model", "P", "F1", "P", "F1"], ["BERT", "92.1", "93.2", "94.3", "95.4"]]


def html_rows(rows, tag="td"):
    return "".join(f"<tr>{''.join(f'<{tag}>{cell}</{tag}>' for cell in row)}</tr>" for row in rows)


@pytest.mark.parametrize("tag", ["td", "th"])
@pytest.mark.parametrize("groups", [["", "CoNLL", "", "WNUT", ""], ["", "CoNLL", "CoNLL", "WNUT", "WNUT"]])
def test_two_rows_of_heads_without_merged_cells_read_the_same_in_other_formats(read_text, groups, tag):
    page = f"<!doctype html><html><body><table>{html_rows([groups], tag)}{html_rows(BODY)}</table></body></html>"
    assert columns(read_text(page, "a.html")) == GROUPS
    assert columns(read_text("".join(",".join(row) + "\n" for row in [groups, *BODY]), "a.csv")) == GROUPS
    head, names, *body = (" & ".join(row) + r" \\ " for row in [groups, *BODY])
    latex = rf"\begin{{tabular}}{{lcccc}} \toprule {head} \midrule {names} {''.join(body)} \bottomrule \end{{tabular}}"
    assert columns(read_text(latex, "a.tex")) == GROUPS


def test_merged_heads_above_a_row_of_names_in_the_body_are_groups(read_text):
    page = f"<table><tr><th><th colspan=2>CoNLL<th colspan=2>WNUT</tr>{html_rows(BODY)}</table>"
    assert columns(read_text(page, "a.html")) == GROUPS


def test_heads_that_are_printed_once_more_do_not_name_columns_twice(read_text):
    heads = r"Op & Model & Rate & Solved & Error \\ & & Median & Mean & Mean \\ "
    rows = r"add & NAC & 93.5 & 1.8 & 9.5 \\ sub & NAU & 94.5 & 2.8 & 8.5 \\"
    latex = rf"\begin{{longtable}}{{lllll}} {heads} \midrule {heads} {rows} \end{{longtable}}"
    values = [cell for cell in read_text(latex, "a.tex").cells if cell.numbers]
    assert [" > ".join(cell.column_path) for cell in values[:3]] == ["Rate > Median", "Solved > Mean", "Error > Mean"]
