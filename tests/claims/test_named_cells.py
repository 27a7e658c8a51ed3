"""Values that stand in none of the cells a sentence names are caught; nobody is accused wrongly."""

import pytest

from trimtab.claims import report_claims, verdict_rules
from trimtab.claims.name_registry import Registry
from trimtab.claims.sources import Sources
from trimtab.documents import reader

REGISTRY = Registry.load()
RESULTS = """# Results

| Defense | Overall FooRate | BarRate | Base Acc | Halluc. |
|---|---|---|---|---|
| No Guard | 74.2 | 70.3 | 31.4 | 12.5 |
| Shield-Only | 32.5 | 58.3 | 30.2 | 11.8 |
| FullShield | 6.8 | 60.7 | 29.9 | 10.1 |
| Prompt-Only | 34.2 | 90.1 | 33.6 | 14.0 |
"""
LEVELS = """| Level | Conversation | Swarm |
|---|---|---|
| Easy | 33.3 | 86.7 |
| Hard | 2.2 | 15.6 |
"""
# A benchmark that has the name of its topic.
TOPICS = """| Benchmark | Domain | Foo-7B (SFT) | Bar-7B (SFT) |
|---|---|---|---|
| MMLU | English | 49.7 | 71.1 |
| GSM8K | Math | 62.6 | 79.2 |
| Math | Math | 15.4 | 43.6 |
"""


def sources(text):
    return Sources.build([reader.read_bytes(text.encode(), "paper.md")], [], REGISTRY)


WHERE = {"results": sources(RESULTS), "levels": sources(LEVELS), "topics": sources(TOPICS)}


def verdict(sentence, where="results"):
    claim = report_claims.claim(sentence, REGISTRY, WHERE[where].vocabulary)
    return verdict_rules.check(claim, WHERE[where])


# Each with its true value and one that no cell has; the words around it are of real papers' kind.
CHANGED = [
    ("results", "Comparing Shield-Only (BarRate {}) to FullShield, the two layers are complementary.", "58.3", "57.1"),
    ("results", "FullShield introduces a cost: BarRate drops from 70.3 (No Guard) to {} (FullShield).", "60.7", "62.9"),
    (
        "results",
        "The gap between Prompt-Only ({}) and FullShield (60.7) in BarRate merits explanation.",
        "90.1",
        "88.4",
    ),
    ("topics", "On Math, Foo-7B (SFT) achieves {}.", "15.4", "15.9"),
    ("results", "Even so, Shield-Only shows {} hallucination, as reviewers noticed.", "11.8", "13.1"),
    ("results", "FullShield reaches {} base accuracy, which reviewers noticed.", "29.9", "28.2"),
    ("levels", "Swarm-based coordination solves {} on easy problems and 15.6 on hard ones.", "86.7", "84.2"),
]


@pytest.mark.parametrize(("where", "sentence", "right", "wrong"), CHANGED)
def test_a_value_that_no_named_cell_has_contradicts_the_sentence(where, sentence, right, wrong):
    assert not verdict(sentence.format(right), where).fidelity.fails
    found = verdict(sentence.format(wrong), where)
    assert found.fidelity == "contradicted"
    assert any(wrong in one.why and right in one.target.quote for one in found.evidence if one.target is not None)


def test_values_that_changed_places_are_misattributed_with_their_home():
    found = verdict("The gap between Prompt-Only (60.7) and FullShield (90.1) in BarRate merits explanation.")
    assert found.fidelity == "misattributed"
    assert {home.quote for home in found.homes} == {"60.7", "90.1"}


def test_a_change_that_goes_the_other_way_is_seen():
    sentence = "FullShield, as hoped, {} the BarRate from 70.3 (No Guard) to 60.7."
    assert not verdict(sentence.format("reduces")).fidelity.fails
    found = verdict(sentence.format("increases"))
    assert found.fidelity == "contradicted"
    assert any("goes the other way" in one.why for one in found.evidence)


@pytest.mark.parametrize(
    "sentence",
    [
        # Another number than the cell's: a difference, a factor, a threshold, a count, a parameter.
        "FullShield lowers BarRate by 9.6 points over the years.",
        "FullShield is 62.1 points better than all others in BarRate.",
        "FullShield shows a 62.1x speed-up in BarRate.",
        "FullShield keeps BarRate above 55.2 in every run.",
        "FullShield improves 62.1% of the BarRate cases.",
        # Another thing than the row's or the column's: a name no header has, a condition, a mean, another version.
        "FullShield and Frobnicator-9B reach a BarRate of 63.1, oddly.",
        "FullShield reaches a BarRate of 60.7, and GlimmerNet of 62.9.",
        "FullShield reaches 62.1 FrobScore and an acceptable BarRate.",
        "Quantized FullShield keeps a BarRate of 62.1, oddly.",
        "With majority voting, FullShield keeps a BarRate of 62.1, oddly.",
        "FullShield, retrained on logs, keeps a BarRate of 62.1, oddly.",
        "FullShield (2031/03/15) keeps a BarRate of 62.1, oddly.",
        "FullShield keeps a mean BarRate of 62.1, oddly.",
        "Our own method gets a BarRate of 62.1 beside FullShield.",
        "FullShield has a BarRate of 60.7, as against 62.9 for the next-best baseline.",
        # Denied, doubted, hypothetical.
        "FullShield would keep a BarRate of 62.1, oddly.",
        "FullShield never brought a BarRate of 62.1, oddly.",
        "FullShield brings BarRate down to 62.1 unless it is tuned.",
        # A list of numbers of which none is a cell, and a number of another kind.
        "FullShield ran at BarRate 61.2, 62.9 and 63.4 in three seeds.",
        "FullShield has a BarRate of 60.72, oddly.",
    ],
)
def test_what_may_be_another_number_accuses_nobody(sentence):
    assert not verdict(sentence).fidelity.fails


def test_a_value_beside_its_own_name_is_not_refuted_by_a_name_farther_off():
    text = "| Model | Accuracy | Macro-F1 |\n|---|---|---|\n| Lean-CNN | 0.27 | 0.15 |\n| Full-CNN | 0.60 | 0.26 |\n"
    where = sources(text)
    sentence = "In contrast, the best competing baseline (Lean-CNN) has only 27% accuracy and macro-F1 of 0.15."
    claim = report_claims.claim(sentence, REGISTRY, where.vocabulary)
    assert not verdict_rules.check(claim, where).fidelity.fails
    assert all(fact.relation == "equals" for fact in claim.facts)  # the baseline is not called the best


def test_a_metric_under_another_benchmark_may_not_be_the_one_that_is_meant():
    where = sources("| Model | SQuAD F1 | QuAC F1 |\n|---|---|---|\n| Arm-A1 | 91.2 | 72.7 |\n")
    claim = report_claims.claim("Arm-A1 brings 80.0 F1 home.", REGISTRY, where.vocabulary)
    assert not verdict_rules.check(claim, where).fidelity.fails


def test_differences_named_respectively_are_paired_in_order():
    where = sources("| Design | Density |\n|---|---|\n| Micro-A1 | 28.0 |\n| Olive-B1 | 14.0 |\n| Gobo-C1 | 2.0 |\n")
    for sentence, fails in (
        ("Micro-A1 has 2x and 14x higher Density than Olive-B1 and Gobo-C1 respectively.", False),
        ("Micro-A1 has 14x and 2x higher Density than Olive-B1 and Gobo-C1 respectively.", True),
    ):
        claim = report_claims.claim(sentence, REGISTRY, where.vocabulary)
        assert verdict_rules.check(claim, where).fidelity.fails == fails


def test_values_in_brackets_behind_their_names_are_not_crossed_in_any_language():
    where = sources("| Net | AJI | PQ |\n|---|---|---|\n| FCR-Net | 0.7513 | 0.7753 |\n| U-Net | 0.71 | 0.70 |\n")
    sentence = "실험 결과, FCR-Net은 AJI(0.7513)와 PQ(0.7753) 지표에서 가장 우수했다."
    claim = report_claims.claim(sentence, REGISTRY, where.vocabulary)
    assert not verdict_rules.check(claim, where).fidelity.fails


def test_of_cells_that_are_equally_near_the_same_one_is_shown_in_each_run():
    """Twelve files have the same two cells; in the order of a set of names another one was shown each time."""
    texts = [f"{LEVELS}| Level {number} | {number} | {number} |\n" for number in range(12)]
    held = Sources.build(
        [reader.read_bytes(text.encode(), f"{number}.md") for number, text in enumerate(texts)], [], REGISTRY
    )
    sentence = "Swarm-based coordination solves 84.2 on easy problems and 15.6 on hard ones."
    found = verdict_rules.check(report_claims.claim(sentence, REGISTRY, held.vocabulary), held)
    (shown,) = {one.target.sha256 for one in found.evidence if "no cell that is named" in one.why}
    assert shown == min(document.sha256 for document in held.documents)
