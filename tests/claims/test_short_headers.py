"""A header is called by its name alone: "test-clean" for "test-clean WER", "on average" for a column "Avg."."""

import pytest

from trimtab.claims import report_claims, verdict_rules
from trimtab.claims.name_registry import Registry
from trimtab.claims.sources import Sources
from trimtab.documents import reader

REGISTRY = Registry.load()
TABLES = {
    "speech": """| System | test-clean WER \u2193 | test-other WER \u2193 | RTF \u2193 |
|---|---|---|---|
| Wren-L | 2.1 | 5.2 | 0.31 |
| Heron | 2.6 | 5.0 | 0.22 |
""",
    "retrieval": """Table 2: nDCG@10 on BEIR.

| Method | NQ | FiQA | Avg. |
|---|---|---|---|
| BM25 | 32.9 | 23.6 | 28.3 |
| Jay | 54.6 | 35.9 | 45.3 |
""",
    "answers": """| Method | NQ EM | NQ F1 |
|---|---|---|
| Corv | 41.0 | 52.3 |
| Jay | 44.6 | 55.1 |
""",
}
VERDICTS = [
    ("speech", "supported", "Wren-L reaches a WER of 2.1 on test-clean."),
    ("speech", "supported", "Wren-L has a lower WER than Heron on test-clean."),
    ("speech", "supported", "Heron outperforms Wren-L on test-other."),
    ("speech", "contradicted", "Wren-L outperforms Heron on test-other."),
    ("speech", "contradicted", "Wren-L has a lower WER than Heron on test-other."),
    ("speech", "supported", "Heron has a real-time factor of 0.22."),
    ("retrieval", "supported", "Jay achieves an nDCG@10 of 54.6 on NQ."),
    ("retrieval", "supported", "Jay outperforms BM25 on average (45.3 vs. 28.3)."),
    ("retrieval", "supported", "Jay outperforms BM25 by 17.0 points on average."),
    # Over what it is a mean nobody says, so another one may be meant.
    ("retrieval", "not found", "Jay outperforms BM25 by 12.0 points on average."),
    ("retrieval", "not found", "BM25 outperforms Jay on average."),
    ("answers", "supported", "Jay reaches 44.6 EM on NQ."),
    ("answers", "supported", "Jay reaches 55.1 on NQ."),
    # Of two measures of one name another one may be meant.
    ("answers", "not found", "Jay reaches 71.0 on NQ."),
]


@pytest.fixture(scope="module")
def where():
    return {
        name: Sources.build([reader.read_bytes(table.encode(), "paper.md")], [], REGISTRY)
        for name, table in TABLES.items()
    }


@pytest.mark.parametrize(("table", "word", "sentence"), VERDICTS)
def test_verdicts_by_a_header_without_its_measure(table, word, sentence, where):
    claim = report_claims.claim(sentence, REGISTRY, where[table].vocabulary)
    assert verdict_rules.check(claim, where[table]).fidelity == word


def test_a_header_of_one_word_that_holds_a_measure_is_a_name():
    table = "| Measure | Mean difference |\n|---|---|\n| macro_auroc | 0.0167 |\n| brier | 0.0021 |\n"
    source = reader.read_bytes(table.encode(), "paper.md")
    sources = Sources.build([source], [], REGISTRY)
    claims = report_claims.claims(source, REGISTRY, sources.vocabulary)
    assert [verdict_rules.check(claim, sources).fidelity for claim in claims] == ["supported", "supported"]
