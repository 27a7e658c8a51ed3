"""HTML gives what a reader sees: cells with merged heads, text in order, and hidden text as a finding."""

import pytest

TABLE = """<!doctype html><html><head><title>Paper</title></head><body><h1>Results</h1><figure>
<table><thead><tr><th rowspan="2">Model</th><th colspan="2">HumanEval Pro</th><th colspan=2>MBPP Pro</th></tr>
<tr><th>0-shot</th><th>1-shot</th><th>0-shot</th><th>1-shot</th></tr></thead>
<tbody><tr><td colspan="5"><i>Open models</i></td></tr>
<tr><th>Qwen2.5-Coder-7B</th><td>54.9 &plusmn; 0.3</td><td>61.0</td><td>61.4</td><td>&mdash;</td></tr>
<tr><th>Qwen2.5-Coder-32B</th><td><b>61.6</b> (58.2)</td><td>67.1</td><td>65.6</td><td>70.10</td></tr>
<tr><td colspan="5">Closed models</td></tr>
<tr><th>o1-mini</th><td>76.2</td><td style="font-weight: bold">84.8</td><td>68.3</td><td>81.2</td></tr></tbody></table>
<figcaption>Table 2: Greedy pass@1 (%) of open and closed models.</figcaption></figure></body></html>"""


def test_the_table(check_table):
    document = check_table(TABLE, "page.html")
    assert document.title == "Paper"
    assert document.cells[0].position.path == "/html/body/figure/table/tbody/tr[2]/td[1]"
    assert [span.kind for span in document.spans] == ["heading", "caption"]


def test_without_marked_heads_the_table_reads_the_same(check_table):
    check_table(
        TABLE.replace("<th", "<td").replace("</th", "</td").replace("<tdead", "<x").replace("</tdead", "</x"), "p.html"
    )


def test_blocks_come_in_reading_order_with_their_text_whole(read_text):
    document = read_text(
        "<p>One <b>two</b><!-- c --> three<br>four</p>tail<div>x<p>y</p>z</div><script>no()</script>"
        "<ul><li>a<li>b</ul>",
        "a.html",
    )
    assert document.text == "One two three four\ntail\nx\ny\nz\na\nb"


def test_raised_digits_do_not_join_the_number(read_text):
    document = read_text("<table><tr><td>m<td>acc<tr><td>a<td>95.7<sup>2</sup></table>", "a.html")
    assert [str(number) for number in document.cells[0].numbers] == ["95.7"]
    assert document.cells[0].text == "95.7²"


@pytest.mark.parametrize(
    ("element", "reason"),
    [
        ('<p style="display:none">X</p>', "display:none"),
        ('<span style="visibility: hidden">X</span>', "visibility:hidden"),
        ('<div style="color:#FFF">X</div>', "white"),
        ('<span style="color: rgb(255, 255, 255); font-size: 12pt">X</span>', "white"),
        ('<span style="font-size:1px">X</span>', "tiny"),
        ('<p style="opacity:0">X</p>', "transparent"),
        ('<p style="position:absolute; left:-9999px">X</p>', "off-page"),
        ("<p hidden>X</p>", "hidden attribute"),
        ('<style>.q, p#z { display: none !important }</style><p class="a q">X</p>', "display:none"),
        ("<!--X-->", "comment"),
    ],
)
def test_hidden_text_is_removed_and_reported(read_text, element, reason):
    document = read_text(f"<p>seen</p>{element}<p>too</p>", "a.html")
    assert document.text == "seen\ntoo"
    assert [(text.reason, text.text) for text in document.hidden] == [(reason, "X")]
    assert document.hidden[0].position.path


def test_text_a_reader_can_see_is_kept(read_text):
    visible = (
        '<div style="background:#123"><p style="color:white">a</p></div>'
        '<p style="color:white;background-color:navy">b</p>'
        '<p style="font-size:80%;opacity:0.5">c</p><p style="left:3px">d</p><style>div > .q {display:none}</style>'
        '<p class="q">e</p>'
    )
    document = read_text(visible, "a.html")
    assert document.text == "a\nb\nc\nd\ne"
    assert document.hidden == ()


@pytest.mark.parametrize("name", ["a.html", "a.md", "a.txt", "a.csv"])
def test_letters_nobody_sees_are_removed_in_every_format(read_text, name):
    tags = "".join(chr(0xE0000 + ord(letter)) for letter in "obey")
    document = read_text(f"\ufeffhead\n\ngood pa\u200bper {tags}so\u00adft\n", name)
    tagged, zero = sorted(document.hidden, key=lambda text: text.reason)
    assert (tagged.reason, tagged.text, zero.reason) == ("unicode tags", "obey", "zero-width")
    assert zero.text.endswith("good pa|per soft")
    read = [span.text for span in document.spans] + [cell.text for cell in document.cells]
    assert "good paper soft" in " ".join(read)


def test_raised_words_stay_words_and_raised_marks_stay_marks(read_text):
    head = "<tr><th>Bench<th>Best <sup>(Open models)</sup>"
    table = f"<table>{head}<tr><td>Frob<sup>2</sup><td>58.3<sup>a</sup></table>"
    (cell,) = read_text(f"<!doctype html>{table}", "page.html").cells
    assert cell.column_path == ("Best (Open models)",)
    assert [str(number) for number in cell.numbers] == ["58.3"]
    assert cell.row_path == ("Frob\u00b2",)


def test_thousands_in_groups_are_one_number(read_text):
    cells = ["37\u2009323", "1\u202f234\u202f567", "1\u00a0234", "12\u00a0GB", "71.3\u00a0128", "4\u00a0128\u00a0x"]
    rows = "".join(f"<tr><td>r{at}</td><td>{text}</td></tr>" for at, text in enumerate(cells))
    document = read_text(f"<html><table><tr><th>m</th><th>n</th></tr>{rows}</table></html>", "a.html")
    assert [[str(number) for number in cell.numbers] for cell in document.cells] == [
        *(["37323"], ["1234567"], ["1234"], ["12"], ["71.3", "128"], ["4128"])
    ]
