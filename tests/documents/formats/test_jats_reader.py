"""JATS gives its tables, sections and references; XML that expands or reads other files is refused."""

import pytest

from trimtab.documents.formats import markup
from trimtab.errors import DocumentError

ARTICLE = """<?xml version="1.0"?>
<article xmlns:xlink="http://www.w3.org/1999/xlink"><front><article-meta>
<title-group><article-title>Self-invoking <italic>code</italic></article-title></title-group>
<abstract><p>We ask.</p></abstract></article-meta></front>
<body><sec><title>Results</title><p>As <xref>Table 2</xref> says.
<table-wrap><label>Table 2.</label><caption><p>Greedy pass@1 (%) of open and closed models.</p></caption>
<table><thead><tr><th rowspan="2">Model</th><th colspan="2">HumanEval Pro</th><th colspan="2">MBPP Pro</th></tr>
<tr><th>0-shot</th><th>1-shot</th><th>0-shot</th><th>1-shot</th></tr></thead>
<tbody><tr><td colspan="5">Open models</td></tr>
<tr><td>Qwen2.5-Coder-7B</td><td>54.9 ± 0.3</td><td>61.0</td><td>61.4</td><td>—</td></tr>
<tr><td>Qwen2.5-Coder-32B</td><td><bold>61.6</bold> (58.2)</td><td>67.1</td><td>65.6</td><td>70.10</td></tr>
<tr><td colspan="5">Closed models</td></tr>
<tr><td>o1-mini</td><td>76.2</td><td><bold>84.8</bold></td><td>68.3</td><td>81.2</td></tr></tbody></table>
</table-wrap> And on.</p></sec></body>
<back><ref-list><title>References</title>
<ref><label>1</label><mixed-citation>Zheng, 2023.</mixed-citation></ref></ref-list></back>
</article>"""


def test_the_table(check_table):
    document = check_table(ARTICLE, "paper.xml")
    assert document.title == "Self-invoking code"
    assert [(span.kind, span.section, span.text) for span in document.spans] == [
        ("heading", "", "Abstract"),
        ("sentence", "Abstract", "We ask."),
        ("heading", "", "Results"),
        ("sentence", "Results", "As Table 2 says."),
        ("sentence", "Results", "And on."),
        ("caption", "Results", "Table 2: Greedy pass@1 (%) of open and closed models."),
        ("heading", "", "References"),
        ("reference", "References", "1 Zheng, 2023."),
    ]


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    "text",
    [
        f'<?xml version="1.0"?><!DOCTYPE article [<!ENTITY l0 "lol">{LAUGHS}]><article><p>&l9;</p></article>',
        '<!DOCTYPE article [<!ENTITY x SYSTEM "file:///etc/passwd">]><article><p>&x;</p></article>',
        '<!DOCTYPE article [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x.dtd"> %x;]><article><p>a</p></article>',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_declared_entities_are_refused_in_any_encoding(text, encoding):
    with pytest.raises(DocumentError, match=r"a.xml (declares XML entities|is not well-formed)"):
        markup.parse_xml(text.encode(encoding), "a.xml")


def test_an_external_dtd_is_not_fetched(read_text):
    text = '<!DOCTYPE article SYSTEM "file:///nonexistent.dtd"><article><body><p>a</p></body></article>'
    assert read_text(text, "a.xml").text == "a"


@pytest.mark.parametrize("text", ["<article><p>", "<article>" + "<p>" * 100_000])
def test_malformed_and_bottomless_xml_are_refused(read_text, text):
    with pytest.raises(DocumentError, match=r"a.xml is not well-formed XML"):
        read_text(text, "a.xml")
