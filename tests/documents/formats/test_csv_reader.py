"""CSV gives a cell for each value, with its line."""

from trimtab.documents.formats.limits import DocumentLimits


def test_names_left_and_above(read_text):
    document = read_text("model,benchmark,pass@1 (%),n\na,HumanEval,54.90,164\na,MBPP,61.4,378\n", "my_results.csv")
    assert [(cell.row_path, cell.column_path, cell.text, cell.unit, cell.position.line) for cell in document.cells] == [
        (("a", "HumanEval"), ("pass@1 (%)",), "54.90", "%", 2),
        (("a", "HumanEval"), ("n",), "164", "", 2),
        (("a", "MBPP"), ("pass@1 (%)",), "61.4", "%", 3),
        (("a", "MBPP"), ("n",), "378", "", 3),
    ]
    assert document.cells[0].caption == "my results"


def test_numbers_in_a_label_column_are_cells_too(read_text):
    document = read_text("layer\tload\n1\t0.5\n2\t0.7\n", "load.tsv")
    assert [(cell.row_path, cell.column_path, cell.text) for cell in document.cells] == [
        ((), ("layer",), "1"),
        (("1",), ("load",), "0.5"),
        ((), ("layer",), "2"),
        (("2",), ("load",), "0.7"),
    ]


def test_quotes_semicolons_and_remarks(read_text):
    document = read_text('# made by hand\nname;value\n"a;b";"1,234.5"\n', "x.csv")
    assert [(cell.row_path, str(cell.number)) for cell in document.cells] == [(("a;b",), "1234.5")]
    assert document.text.startswith("made by hand")


def test_a_table_over_the_limit_is_cut_and_says_so(read_text):
    text = "name,value\n" + "".join(f"a{row},{row}\n" for row in range(1000))
    document = read_text(text, "long.csv", limits=DocumentLimits(table_cells=100))
    assert len(document.cells) == 49
    assert document.warnings == ("table 1 was cut after 50 rows: over 100 cells",)


def test_thousands_with_a_space_that_does_not_break_stay_in_their_cell(read_text):
    document = read_text("System,Tokens,Speed\nFoo, 1\u00a0234,7\n2\u202f345,8,9\n", "x.csv")
    assert [cell.text for cell in document.cells if cell.column_path != ("System",)] == ["1234", "7", "8", "9"]
