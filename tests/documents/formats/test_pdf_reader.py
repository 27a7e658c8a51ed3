"""PDF gives the cells a reader sees; what a reader cannot see is reported; bombs end in an error."""

import io
import os
import signal
import zlib

import pytest
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen import canvas

from trimtab import isolation
from trimtab.documents.formats import pdf_reader
from trimtab.documents.formats.limits import DocumentLimits
from trimtab.documents.reader import read_bytes
from trimtab.errors import DocumentError

WIDTHS = [(72, 190), (200, 270), (280, 340), (350, 410), (420, 480)]
LINES = [
    ["Qwen2.5-Coder-7B", "54.9 ± 0.3", "61.0", "61.4", "—"],
    ["Qwen2.5-Coder-32B", "*61.6| (58.2)", "67.1", "65.6", "70.10"],
]


def draw_row(page, y, texts):
    for (left, right), text in zip(WIDTHS, texts, strict=True):
        bold, _, plain = text.partition("|") if "|" in text else ("", "", text)
        bold, plain = (text[1:], "") if text.startswith("*") and "|" not in text else (bold.lstrip("*"), plain)
        wide = page.stringWidth(bold, "Helvetica-Bold", 9) + page.stringWidth(plain, "Helvetica", 9)
        x = left if left == 72 else (left + right - wide) / 2
        page.setFont("Helvetica-Bold", 9)
        page.drawString(x, y, bold)
        page.setFont("Helvetica", 9)
        page.drawString(x + page.stringWidth(bold, "Helvetica-Bold", 9), y, plain)


def booktabs():
    """A table as LaTeX prints it with booktabs: three full rules, two short ones, a label over two lines."""
    out = io.BytesIO()
    page = canvas.Canvas(out, pagesize=A4, invariant=True)
    page.setFont("Helvetica-Bold", 12)
    page.drawString(72, 780, "1 Results")
    page.setFont("Helvetica", 9)
    page.drawString(72, 750, "We measured seven models. The results dif-")
    page.drawString(72, 739, "fer widely.")
    page.drawString(72, 700, "Table 2: Greedy pass@1 (%) of open and closed models.")
    for y in (690, 660, 640, 606, 570):
        page.line(72, y, 480, y) if y in {690, 660, 570} else None
    page.line(200, 676, 340, 676)
    page.line(350, 676, 480, 676)
    page.drawCentredString(270, 679, "HumanEval Pro")
    page.drawCentredString(415, 679, "MBPP Pro")
    page.drawString(72, 672, "Model")
    for (left, right), text in zip(WIDTHS[1:], ["0-shot", "1-shot", "0-shot", "1-shot"], strict=True):
        page.drawCentredString((left + right) / 2, 665, text)
    page.drawCentredString(276, 648, "Open models")
    draw_row(page, 633, LINES[0])
    draw_row(page, 618, LINES[1])
    page.drawCentredString(276, 603, "Closed models")
    draw_row(page, 588, ["o1-mini", "76.2", "*84.8", "68.3", "81.2"])
    page.drawString(72, 540, "After it.")
    page.save()
    return out.getvalue()


def test_the_table(check_table):
    document = check_table(booktabs(), "paper.pdf")
    assert document.cells[0].position.page == 1
    left, top, right, bottom = document.cells[0].position.box
    assert (200 < left < right < 270, 195 < top < bottom < 215) == (True, True)
    assert [(span.kind, span.section, span.text) for span in document.spans] == [
        ("heading", "", "1 Results"),
        ("sentence", "1 Results", "We measured seven models."),
        ("sentence", "1 Results", "The results differ widely."),
        ("sentence", "1 Results", "After it."),
        ("caption", "1 Results", "Table 2: Greedy pass@1 (%) of open and closed models."),
    ]


def test_hidden_text_is_removed_and_reported():
    out = io.BytesIO()
    page = canvas.Canvas(out, pagesize=A4)
    page.drawString(72, 700, "A visible sentence that is long enough.")
    page.setFillColorRGB(1, 1, 1)
    page.drawString(72, 680, "WHITE")
    page.setFillColorRGB(0, 0, 0.4)
    page.rect(72, 600, 200, 40, fill=1)
    page.setFillColorRGB(1, 1, 1)
    page.drawString(80, 615, "On color.")
    page.setFillColorRGB(0, 0, 0)
    page.setFont("Helvetica", 0.9)
    page.drawString(72, 560, "TINY")
    page.setFont("Helvetica", 10)
    page.drawString(-400, 540, "AWAY")
    text = page.beginText(72, 520)
    text.setTextRenderMode(3)
    text.textOut("MODE")
    page.drawText(text)
    page.save()
    document = read_bytes(out.getvalue(), "a.pdf")
    assert document.text == "A visible sentence that is long enough.\nOn color."
    assert {(each.reason, each.text) for each in document.hidden} == {
        ("white", "WHITE"),
        ("tiny", "TINY"),
        ("off-page", "AWAY"),
        ("invisible", "MODE"),
    }


def bomb(size):
    """A PDF whose page is ``size`` bytes of spaces behind two rounds of deflate."""
    stream = zlib.compress(zlib.compress(b" " * size, 9), 9)
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>",
        b"<</Filter[/FlateDecode/FlateDecode]/Length %d>>stream\n%s\nendstream" % (len(stream), stream),
    ]
    body = b"".join(b"%d 0 obj%s endobj\n" % (number, each) for number, each in enumerate(objects, start=1))
    return b"%PDF-1.7\n" + body + b"trailer<</Root 1 0 R/Size 5>>\n"


def test_a_bomb_ends_in_an_error_and_not_in_the_caller():
    raw = bomb(1 << 30)
    assert len(raw) < 20_000
    with pytest.raises(DocumentError, match=r"bomb.pdf is not read: it needs more than"):
        read_bytes(raw, "bomb.pdf", limits=DocumentLimits(cpu_seconds=4, memory_bytes=1 << 30))


def test_one_process_reads_file_after_file_and_is_started_again_when_it_was_ended():
    pids = []
    for raw in (b"%PDF-1.7\nnothing else", booktabs(), booktabs()):
        try:
            assert "After it." in read_bytes(raw, "a.pdf").text
        except DocumentError:
            assert b"nothing" in raw
        pids.append(pdf_reader._started(os.getpid(), *isolation.command("trimtab.documents.formats.pdf_pages"))[0].pid)
    assert len(set(pids)) == 1
    os.kill(pids[0], signal.SIGKILL)
    os.waitid(os.P_PID, pids[0], os.WEXITED | os.WNOWAIT)
    assert "After it." in read_bytes(booktabs(), "a.pdf").text


def test_what_is_no_pdf_inside_is_refused():
    with pytest.raises(DocumentError, match=r"broken.pdf is no PDF that can be read"):
        read_bytes(b"%PDF-1.7\nnothing else", "broken.pdf")


def test_pages_past_the_limit_are_left_out_and_said():
    out = io.BytesIO()
    page = canvas.Canvas(out)
    for number in range(3):
        page.drawString(72, 700, f"Sheet {number} says this much.")
        page.showPage()
    page.save()
    document = read_bytes(out.getvalue(), "a.pdf", limits=DocumentLimits(pages=2))
    assert document.warnings == ("pages after number 2 of 3 were left out",)
    assert len(document.spans) == 2


def drawn(draw):
    out = io.BytesIO()
    page = canvas.Canvas(out, pagesize=A4)
    page.setFont("Helvetica", 9)
    draw(page)
    page.save()
    return read_bytes(out.getvalue(), "a.pdf")


def test_a_chart_and_a_list_of_references_are_no_tables():
    def draw(page):
        for y in range(500, 701, 40):  # a chart's grid, its bars' values inside
            page.line(100, y, 400, y)
        for at, (name, value) in enumerate([("Foo", "71.2"), ("Bar", "60.5"), ("Baz", "44.0")]):
            page.drawString(130 + 90 * at, 660 - 50 * at, value)
            page.drawString(130 + 90 * at, 505, name)
        for at in range(3):  # references whose addresses are underlined
            page.drawString(72, 400 - 24 * at, f"A. Author{at} and B. Writer. A title of 202{at}, with pages 1-9.")
            page.drawString(72, 390 - 24 * at, "URL https://example.org/paper")
            page.line(100, 388 - 24 * at, 220, 388 - 24 * at)

    document = drawn(draw)
    assert document.cells == ()
    assert "71.2" in document.text
    assert "A. Author1 and B. Writer. A title of 2021" in document.text


def test_borders_drawn_cell_by_cell_bound_one_table():
    texts = [["Model", "MMLU", "GSM8K"], ["Foo-7B", "61.2", "50.5"], ["Bar-9B", "70.1", "64.0"]]

    def draw(page):
        for row, line in enumerate(texts):
            for column, text in enumerate(line):
                x, y = 100 + 80 * column, 700 - 20 * row
                page.rect(x, y - 6, 80, 20)
                page.drawString(x + 4, y, text)
                for height in (y - 6, y + 14):
                    page.line(x, height, x + 80, height)

    found = {(cell.row_path, cell.column_path): cell.text for cell in drawn(draw).cells}
    assert found[("Bar-9B",), ("GSM8K",)] == "64.0"
    assert len(found) == 4


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_turned_page_reads_as_it_is_shown(turn):
    def draw(page):
        page.setPageRotation(turn)
        width, height = A4
        page.translate(*{0: (0, 0), 90: (height, 0), 180: (width, height), 270: (0, width)}[turn])  # sides swap
        page.rotate(turn)
        page.drawString(72, 500, "A turned page still says this in one line.")

    assert drawn(draw).text == "A turned page still says this in one line."


def table_cells(texts, *, rules=(), caption="Table 1: Scores.", turned=False, top=True):
    """A page with a caption, three full rules or only the lower two, and texts at (x, y from the caption downwards)."""
    out = io.BytesIO()
    page = canvas.Canvas(out, pagesize=A4, invariant=True)
    if turned:
        page.translate(480, 20)
        page.rotate(90)
        page.translate(0, -580)
    page.setFont("Helvetica", 9)
    page.drawString(72, 700, caption)
    depth = max(down for _, down, _ in texts) + 8
    for down, left, right in (*[(10, 72, 400)] * top, (30, 72, 400), (depth, 72, 400), *rules):
        page.line(left, 700 - down, right, 700 - down)
    for x, down, text in texts:
        page.drawString(x, 700 - down, text)
    page.save()
    return [(cell.row_path, cell.column_path, cell.text) for cell in read_bytes(out.getvalue(), "paper.pdf").cells]


HEADS = [(72, 24, "Model"), (200, 24, "HumanEval"), (300, 24, "MBPP")]
SCORES = [
    (72, 44, "Kestrel"),
    (204, 44, "71.3"),
    (304, 44, "64.0"),
    (72, 58, "Merlin"),
    (204, 58, "62.2"),
    (304, 58, "69.5"),
]
CELLS = [
    (("Kestrel",), ("HumanEval",), "71.3"),
    (("Kestrel",), ("MBPP",), "64.0"),
    (("Merlin",), ("HumanEval",), "62.2"),
    (("Merlin",), ("MBPP",), "69.5"),
]


def test_a_short_rule_below_a_row_of_values_spans_none_of_them():
    assert table_cells([*HEADS, *SCORES], rules=[(63, 190, 400)]) == CELLS


def test_a_table_on_its_side_is_read():
    assert table_cells([*HEADS, *SCORES], turned=True) == CELLS


def test_narrow_columns_are_columns():
    heads = [(72, 24, "Model"), (200, 24, "CLS"), (222, 24, "USR"), (246, 24, "All")]
    rows = [
        *[(72, 44, "Kestrel"), (200, 44, "84.2"), (223, 44, "88.4"), (246, 44, "91.5")],
        *[(72, 58, "Merlin on co-citations with a tail"), (200, 58, "82.9"), (223, 58, "84.3"), (246, 58, "85.2")],
    ]
    cells = table_cells([*heads, *rows])
    assert [(column, text) for row, column, text in cells if row == ("Kestrel",)] == [
        (("CLS",), "84.2"),
        (("USR",), "88.4"),
        (("All",), "91.5"),
    ]
    assert [text for row, _, text in cells if row == ("Merlin on co-citations with a tail",)] == [
        "82.9",
        "84.3",
        "85.2",
    ]


def test_heads_of_several_words_stand_over_the_middle_of_their_columns():
    heads, left, middles = ["GPT", "Avg. Turn", "Llama", "Avg. Turn"], 200.0, []
    for head in heads:
        middles.append(left + stringWidth(head, "Helvetica", 9) / 2)
        left += stringWidth(f"{head} ", "Helvetica", 9)
    texts = [(72, 24, "Model"), (200, 24, " ".join(heads))]
    values = {"Kestrel": ["80.5", "6.4", "53.7", "9.1"], "Merlin": ["82.9", "6.2", "55.5", "7.8"]}
    for down, (name, row) in zip((44, 58), values.items(), strict=True):
        places = (middle - stringWidth(text, "Helvetica", 9) / 2 for middle, text in zip(middles, row, strict=True))
        texts += [(72, down, name), *((x, down, text) for x, text in zip(places, row, strict=True))]
    assert table_cells(texts) == [
        ((name,), (head,), text) for name, row in values.items() for head, text in zip(heads, row, strict=True)
    ]


def test_a_head_of_two_words_over_two_columns_stays_whole():
    heads = [(72, 24, "Model"), (205, 18, "HumanEval Pro"), (304, 24, "Size"), (200, 28, "base"), (245, 28, "plus")]
    rows = [(72, 44, "Kestrel"), (200, 44, "71.3"), (245, 44, "64.0"), (304, 44, "9")]
    assert [column for _, column, _ in table_cells([*heads, *rows], rules=[(20, 196, 268)])][:2] == [
        ("HumanEval Pro", "base"),
        ("HumanEval Pro", "plus"),
    ]


def test_a_label_in_the_middle_of_its_rows_names_all_of_them():
    heads = [(72, 24, "Setting"), (140, 24, "Model"), (200, 24, "HumanEval")]
    names = ["A", "B", "C", "D", "E", "F"]
    rows = [(140, 44 + 14 * at, name) for at, name in enumerate(names)]
    rows += [(204, 44 + 14 * at, f"{at + 1}.5") for at in range(6)]
    labels = [(72, 58, "1-shot"), (72, 100, "5-shot")]
    cells = table_cells([*heads, *rows, *labels], rules=[(76, 72, 400)])
    assert cells == [
        ((shot, name), ("HumanEval",), f"{at + 1}.5")
        for at, (shot, name) in enumerate(zip(["1-shot"] * 3 + ["5-shot"] * 3, names, strict=True))
    ]


def test_a_name_between_two_lines_of_its_values():
    heads = [(72, 24, "Model"), (150, 24, "Base"), (204, 24, "A"), (304, 24, "B")]
    rows = []
    for at, name in enumerate(["Kestrel", "Merlin"]):
        top = 42 + 36 * at
        rows += [(204, top, "0.01"), (304, top, "90.24"), (72, top + 12, name), (150, top + 12, f"4{at}.48")]
        rows += [(204, top + 24, "(-40.48)"), (304, top + 24, "(+49.76)")]
    assert table_cells([*heads, *rows]) == [
        ((name,), (column,), text)
        for at, name in enumerate(["Kestrel", "Merlin"])
        for column, text in (("Base", f"4{at}.48"), ("A", "0.01 (-40.48)"), ("B", "90.24 (+49.76)"))
    ]


def test_heads_that_no_rule_stands_above():
    heads = [(72, 24, "Model"), (190, 14, "Pass rates"), (200, 24, "HumanEval"), (300, 14, "Others"), (300, 24, "MBPP")]
    rows = [(72, 44, "Kestrel"), (204, 44, "71.3"), (304, 44, "64.0"), (72, 58, "Merlin"), (204, 58, "62.2")]
    expected = [
        (("Kestrel",), ("HumanEval",), "71.3"),
        (("Kestrel",), ("MBPP",), "64.0"),
        (("Merlin",), ("HumanEval",), "62.2"),
    ]
    single = [head for head in heads if head[1] == 24]
    assert table_cells([*single, *rows], caption="", top=False) == expected
    doubled = table_cells([*heads, *rows], caption="", top=False)
    assert [path for _, path, _ in doubled[:2]] == [("Pass rates", "HumanEval"), ("Others", "MBPP")]


def test_prose_above_a_rule_is_no_head():
    prose = [(72, 24, "All of the models were run on the same machine, and none of them twice.")]
    rows = [(72, 44, "Kestrel"), (204, 44, "71.3"), (304, 44, "64.0"), (72, 58, "Merlin"), (204, 58, "62.2")]
    cells = table_cells([*prose, *rows], caption="Table 1: Scores.", top=False)
    assert not any("machine" in head for _, path, _ in cells for head in path)
