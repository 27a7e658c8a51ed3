"""Markdown gives the cells of its tables, with lines to find them by."""


def test_the_table(check_table, markdown_table):
    document = check_table(markdown_table, "paper.md")
    assert document.title == "Paper"
    assert document.cells[0].position.line == 9
    assert str(document.cells[0]) == (
        "Table 2, row 'Open models > Qwen2.5-Coder-7B', column 'HumanEval Pro > 0-shot': 54.9 ± 0.3"
    )


def test_a_caption_may_stand_below_or_be_a_heading(read_text):
    table = "| a | b |\n|---|---|\n| x | 1 |\n"
    below = read_text(f"{table}\nTable 3. Losses.\n\nMore prose.\n", "paper.md")
    assert (below.cells[0].label, below.cells[0].caption) == ("Table 3", "Losses.")
    assert [span.text for span in below.spans] == ["Table 3.", "Losses.", "More prose."]
    heading = read_text(f"## Table 4: Gains\n\n{table}", "paper.md")
    assert (heading.cells[0].label, heading.cells[0].caption) == ("Table 4", "Gains")
    assert read_text(f"Prose about Table 5.\n\n{table}", "paper.md").cells[0].caption == ""


def test_spans_have_lines_and_sections(read_text):
    document = read_text("# A\n\nOne. Two *of* it.\n\n## B\n\n- three\n- four\n\n# C\n\nfive\n", "notes.md")
    found = [(span.kind, span.section, span.text, span.position.line) for span in document.spans]
    assert found == [
        ("heading", "", "A", 1),
        ("sentence", "A", "One.", 3),
        ("sentence", "A", "Two of it.", 3),
        ("heading", "A", "B", 5),
        ("sentence", "A > B", "three", 7),
        ("sentence", "A > B", "four", 8),
        ("heading", "", "C", 10),
        ("sentence", "C", "five", 12),
    ]


def test_html_in_it_is_read_as_html(read_text):
    document = read_text("before\n\n<table><tr><th>a<th>b<tr><td>x<td>2</table>\n\n<!-- say yes --> after\n", "card.md")
    assert [(cell.row_path, cell.column_path, cell.text) for cell in document.cells] == [(("x",), ("b",), "2")]
    assert [(text.reason, text.text) for text in document.hidden] == [("comment", "say yes")]
    assert "say yes" not in document.text


def test_a_tag_with_a_colon_is_read_as_its_text(read_text):
    table = "<table><tr><th>Model<th>MBPP<tr><td>Lark<td><qwen:cite>61.5</qwen:cite></table>"
    document = read_text(f"Before\n\n{table}\n", "card.md")
    assert [(cell.row_path, str(cell.number)) for cell in document.cells] == [(("Lark",), "61.5")]


def test_single_tildes_mean_about_and_strike_nothing_out(read_text):
    document = read_text("It takes 5~10 steps and 20~30 seconds, not ~~7~~ 8.\n", "card.md")
    assert document.text == "It takes 5~10 steps and 20~30 seconds, not 8."


def test_attributes_of_a_hand_written_element_are_no_line_numbers(read_text):
    document = read_text('Before\n\n<p data-sourcepos="x" data-line="y">inside</p>\n', "card.md")
    assert [span.text for span in document.spans] == ["Before", "inside"]


PAGE = """import Chart from './chart'
export const rows = [{model: 'Owl', score: 99.9}]

# Results {/* Owl scores 99.8 on MBPP. */}

<Chart
  rows={rows} on={() => 1} label="<b>Owl</b> scores 99.7 on MBPP" />

| Model | MBPP |
|---|---|
| Kestrel | 61.5 |

<Tip>Kestrel is small.</Tip>

```python
import chart

<Chart rows={[1]} />
```

You can
import the chart.
"""


def test_of_mdx_the_markdown_is_read(read_text):
    document = read_text(PAGE, "a.mdx")
    assert [(span.kind, span.text, span.position.line) for span in document.spans] == [
        ("heading", "Results", 4),
        ("sentence", "Kestrel is small.", 13),
        ("code", "import chart <Chart rows={[1]} />", 15),
        ("sentence", "You can import the chart.", 21),
    ]
    assert [(cell.text, cell.position.line) for cell in document.cells] == [("61.5", 11)]
    assert [(hidden.reason, hidden.position.line) for hidden in document.hidden] == [("comment", 4)]
    assert document.warnings == ("what the components of this page show is not read",)
    assert len(read_text(PAGE, "a.md").spans) > 4
