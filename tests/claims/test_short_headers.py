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


WORDS = """| Method | Accuracy | Macro-F1 |
|---|---|---|
| Lexicon | 0.9167 | 0.9187 |
| Hybrid | 0.8750 | 0.8708 |
| Naive Bayes | 0.7917 | 0.7900 |
"""


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("supported", "The lexicon baseline obtains 0.9167 accuracy."),
        ("supported", "The hybrid method outperforms Naive Bayes in accuracy."),
        ("supported", "The hybrid model improves over Naive Bayes."),
        ("supported", "The naive Bayes model performs worse than the lexicon baseline."),
        ("contradicted", "The hybrid method outperforms the lexicon baseline in accuracy."),
        ("contradicted", "The hybrid system reaches 0.8950 accuracy."),
        # A word alone is no name, nor is it with a word before it that makes another system of it.
        ("partial", "A hybrid reaches 0.8950 accuracy."),
        ("partial", "The tuned hybrid method reaches 0.8950 accuracy."),
    ],
)
def test_an_ordinary_word_is_a_system_with_what_it_is_behind_it(word, sentence):
    sources = Sources.build([reader.read_bytes(WORDS.encode(), "paper.md")], [], REGISTRY)
    claim = report_claims.claim(sentence, REGISTRY, sources.vocabulary)
    assert verdict_rules.check(claim, sources).fidelity == word


def test_a_measure_with_another_word_before_it_is_no_column():
    tables = """| Dataset | Model | Acc | AUC |
|---|---|---|---|
| TN5000 | UL-Trans | 0.8960 | 0.9537 |
| TN5000 | ConvNeXt-T | 0.8811 | 0.9402 |

| Dataset | UL-Trans > BalAcc | ConvNeXt-T > BalAcc |
|---|---|---|
| TN5000 | 0.8865 | 0.8702 |
"""
    sources = Sources.build([reader.read_bytes(tables.encode(), "paper.md")], [], REGISTRY)
    sentence = "On TN5000, UL-Trans reaches AUC 0.9537 and balanced accuracy 0.8865, slightly above ConvNeXt-T."
    claim = report_claims.claim(sentence, REGISTRY, sources.vocabulary)
    assert not verdict_rules.check(claim, sources).fidelity.fails


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("supported", "The lexicon baseline obtains 0.9167 accuracy and 0.9187 macro-F1."),
        ("contradicted", "The lexicon baseline obtains 0.9367 accuracy and 0.9187 macro-F1."),
        ("supported", "The lexicon baseline is the strongest method, achieving 0.9167 accuracy and 0.9187 macro-F1."),
        ("supported", "The lexicon baseline is the best method in accuracy."),
        ("contradicted", "The hybrid method is the best in accuracy."),
        ("supported", "The hybrid method improves over Naive Bayes but does not surpass the lexicon baseline."),
        ("contradicted", "The lexicon method beats Naive Bayes, but does not beat the hybrid baseline."),
        ("supported", "Naive Bayes does not surpass the hybrid model and does not surpass the lexicon model."),
    ],
)
def test_two_measures_a_superlative_and_a_denied_second_clause(word, sentence):
    sources = Sources.build([reader.read_bytes(WORDS.encode(), "paper.md")], [], REGISTRY)
    claim = report_claims.claim(sentence, REGISTRY, sources.vocabulary)
    assert verdict_rules.check(claim, sources).fidelity == word


@pytest.mark.parametrize("table", [*TABLES.values(), WORDS])
def test_the_cells_of_a_table_are_what_it_says(table):
    rows = "| Part | VZ-C | VZ-R |\n|---|---|---|\n| AMBER/Avg ACC | 1.182 | 0.100 |\n| MMStar ACC | 1.146 | -0.491 |\n"
    for text in (table, rows):
        source = reader.read_bytes(text.encode(), "paper.md")
        sources = Sources.build([source], [], REGISTRY)
        claims = report_claims.claims(source, REGISTRY, sources.vocabulary)
        assert claims
        assert {verdict_rules.check(claim, sources).fidelity.value for claim in claims} == {"supported"}


@pytest.mark.parametrize(
    "sentence",
    [
        "The hybrid method outperforms Naive Bayes only in accuracy.",
        "The lexicon baseline is the only method above 0.9 accuracy.",
        "The lexicon baseline solely outperforms Naive Bayes in accuracy.",
        "The hybrid method narrowly outperforms Naive Bayes in accuracy.",
        "The hybrid method is third, behind the lexicon baseline, in accuracy.",
        "The hybrid method has a lower recall than the lexicon baseline.",
        "The lexicon baseline has a lead of 0.04 in accuracy.",
        "The lexicon baseline has a lead of 4 points in accuracy.",
        "More data gives the hybrid method 6.7 accuracy points.",
        "Is the hybrid method better than the lexicon baseline in accuracy?",
        "Does the lexicon baseline obtain 0.9167 accuracy?",
        "The lexicon baseline outperforms the hybrid method by more than 5 points in accuracy.",
    ],
)
def test_what_no_rule_knows_is_neither_right_nor_wrong(sentence):
    sources = Sources.build([reader.read_bytes(WORDS.encode(), "paper.md")], [], REGISTRY)
    fidelity = verdict_rules.check(report_claims.claim(sentence, REGISTRY, sources.vocabulary), sources).fidelity
    assert not fidelity.holds
    assert not fidelity.fails or "by more than" in sentence


@pytest.mark.parametrize(
    "sentence",
    [
        "The hybrid method only obtains 0.8750 accuracy.",
        "The hybrid method obtains only 0.8750 accuracy.",
        "The lexicon baseline is 0.0417 accuracy points better than the hybrid method.",
        "The lexicon baseline outperforms the hybrid method by more than 3 points in accuracy.",
    ],
)
def test_only_before_a_value_changes_nothing(sentence):
    sources = Sources.build([reader.read_bytes(WORDS.encode(), "paper.md")], [], REGISTRY)
    assert verdict_rules.check(report_claims.claim(sentence, REGISTRY, sources.vocabulary), sources).fidelity.holds
