"""A sentence is decided only when all of it was understood; what was not is named, and accuses nobody."""

import pytest

from trimtab.claims import report_claims, verdict_rules
from trimtab.claims.name_registry import Registry
from trimtab.claims.number_kinds import numbers
from trimtab.claims.sources import Sources
from trimtab.documents import reader

REGISTRY = Registry.load()
RESULTS = """# Results

| System | HumanEval | MBPP | FrobQA |
|---|---|---|---|
| Kestrel-8B | 71.3 | 64.0 | 33.5 |
| Merlin-13B | 62.2 | 69.5 | 30.1 |
| Wren-1B | 25.6 | 31.0 | 12.4 |
"""
SIZES = """| System | Size | Java |
|---|---|---|
| Lark | 7B | 41.0 |
| | 30B | 52.5 |
| Finch | 16B | 60.3 |
| + tool use | | 66.6 |
"""
LYING = """| | Lark-V1 | Lark-V2 |
|---|---|---|
| # Params | 100B | 50B |
| MMLU | 70.1 | 75.2 |
"""
LOWERED = "<table><tr><th>Rule</th><th>MBPP</th></tr><tr><td>Ours-A</td><td>61.5<sub>0.7</sub></td></tr></table>"
STRUCK = "| Rule | MBPP |\n|---|---|\n| Ours-A | ~~51.5~~ 61.5 |\n"


def sources(text, name="paper.md"):
    return Sources.build([reader.read_bytes(text.encode(), name)], [], REGISTRY)


WHERE = {
    "results": sources(RESULTS),
    "sizes": sources(SIZES),
    "lying": sources(LYING),
    "lowered": sources(f"<!doctype html>{LOWERED}", "paper.html"),
    "struck": sources(STRUCK),
}


def verdict(sentence, where="results"):
    claim = report_claims.claim(sentence, REGISTRY, WHERE[where].vocabulary)
    return claim, verdict_rules.check(claim, WHERE[where])


SUPPORTED = [
    # Numbers that are no results.
    "[2025.03] Kestrel-8B reaches 71.3 on HumanEval.",
    "In May 2025, Kestrel-8B scored 71.3 on HumanEval (Figure 2).",
    "Kestrel-8B, trained on 3T tokens with 64 GPUs, scores 71.3 on HumanEval.",
    "Kestrel-8B scores 71.3 on HumanEval at temperature 0.2.",
    "Kestrel-8B uses top-4 routing and reaches 71.3 on HumanEval.",
    # Several values, systems and benchmarks.
    "Kestrel-8B achieves 71.3 on HumanEval, 64.0 on MBPP and 33.5 on FrobQA.",
    "Kestrel-8B scores 71.3 on HumanEval, while Merlin-13B scores 62.2.",
    "Kestrel-8B (71.3) is ahead of Merlin-13B (62.2) on HumanEval.",
    "Kestrel-8B beats Merlin-13B on HumanEval (71.3 vs. 62.2).",
    "Kestrel-8B outperforms Merlin-13B on HumanEval (+9.1).",
    "Kestrel-8B leads Merlin-13B by 9.1 points on HumanEval.",
    "Merlin-13B trails Kestrel-8B by 9.1 points on HumanEval.",
    "Kestrel-8B is 9.1 points better than Merlin-13B on HumanEval.",
    "Kestrel-8B leads Merlin-13B by 9.1points on HumanEval.",
    "Kestrel-8B improves over Merlin-13B by 14.6% on HumanEval.",  # of 62.2
    "Kestrel-8B beats Merlin-13B and Wren-1B on HumanEval.",
    # Denied.
    "Kestrel-8B does not outperform Merlin-13B on MBPP.",
    "Kestrel-8B is not the best on MBPP.",
    "Kestrel-8B does not reach 72 on HumanEval.",
    # Counted.
    "Kestrel-8B beats Wren-1B on all benchmarks.",
    "Kestrel-8B beats Merlin-13B on all benchmarks except MBPP.",
    "Kestrel-8B beats Merlin-13B on two of three benchmarks.",
    "Kestrel-8B scores at least 71.3 on HumanEval.",
    "Kestrel-8B is outperformed by Merlin-13B on MBPP.",
    "Kestrel-8B's 71.3 on HumanEval is higher than Merlin-13B's 62.2.",
    "Kestrel-8B reaches 71.3 \u00b1 0.4 on HumanEval with 16 H100 GPUs.",
    "HumanEval: Kestrel-8B 71.3, Merlin-13B 62.2, Wren-1B 25.6.",
    "Kestrel-8B gets 71.3, 64.0, and 33.5 on HumanEval, MBPP and FrobQA, beating Wren-1B with 25.6, 31.0, and 12.4.",
    "Kestrel-8B scores 71.3 on HumanEval, a comprehensive evaluation over 164 popular problems.",
    "In particular, Kestrel-8B scores 71.3 on HumanEval.",
]
CONTRADICTED = [
    # An aside adds an assertion; that it cannot be decided does not save the other one.
    "Kestrel-8B achieves 73.9 on HumanEval, surpassing all open-source models of its size.",
    "Kestrel-8B achieves 73.9 on HumanEval, which is 24.8 points higher than the best open model.",
    "Kestrel-8B achieves 73.9 on HumanEval, 20.1 points higher than the best open model.",
    "Kestrel-8B achieves 73.9 on HumanEval (+8% improvement).",
    "[2031/02/10] We release Kestrel-8B, a small coding model, which achieves 73.9 on HumanEval.",
    "We released Kestrel-8B trained from Wren-1B, achieving 73.9 on HumanEval.",
    "Kestrel-8B markedly outperforms strong open models such as Merlin-13B on MBPP.",
    "Merlin-13B is superior to Kestrel-8B on HumanEval.",
    "Kestrel-8B stands out with a score of 73.9 on HumanEval.",
    "Kestrel-8B beats Merlin-13B (71.3 vs. 62.2) and Wren-1B (71.3 vs. 35.6) on HumanEval.",
    "Kestrel-8B scores 70.3 on HumanEval.",
    "Kestrel-8B is outperformed by Merlin-13B on HumanEval.",
    "Kestrel-8B does not outperform Wren-1B on HumanEval.",
    "Kestrel-8B fails to reach 71.3 on HumanEval.",
    "Kestrel-8B is not the best on HumanEval.",
    "Kestrel-8B beats Merlin-13B on every benchmark.",
    "Kestrel-8B beats Merlin-13B on all benchmarks except FrobQA.",
    "Kestrel-8B beats Merlin-13B on 3 of 3 benchmarks.",
    "Kestrel-8B beats Wren-1B and Merlin-13B on MBPP.",
    "Kestrel-8B leads Merlin-13B by 19.1 points on HumanEval.",
    "Kestrel-8B scores 71.3 on HumanEval, while Merlin-13B scores 65.2.",
    "Kestrel-8B outperforms Merlin-13B on HumanEval (+8.1).",
    "Kestrel-8B gets 71.3, 60.1, and 33.5 on HumanEval, MBPP and FrobQA, beating Wren-1B with 25.6, 31.0, and 12.4.",
    "Kestrel-8B gets 71.3, 64.0, and 33.5 on HumanEval, MBPP and FrobQA, beating Wren-1B with 25.6, 36.0, and 12.4.",
    "Kestrel-8B scores 73.9 on HumanEval, a comprehensive evaluation over 164 popular problems.",
]
PARTLY = {
    "Kestrel-8B reaches 71.3 on HumanEval, 20.4 points more than any open model.": "20.4",
    "Quantized Kestrel-8B scores 60.2 on HumanEval.": "Quantized",
    "At high token budgets, Kestrel-8B scores 80.0 on HumanEval.": "token budgets",
    "In long conversations, Kestrel-8B scores 80.0 on HumanEval.": "long conversations",
    "An ensemble of five Kestrel-8B scores 80.0 on HumanEval.": "ensemble",
    "Fine-tuning Kestrel-8B on our data gives 80.0 on HumanEval.": "Fine-tuning",
    "Without pruning, Kestrel-8B scores 80.0 on HumanEval.": "Without pruning",
    "Kestrel-8B would score 80.0 on HumanEval.": "would",
    "Kestrel-8B scores up to 80.0 on HumanEval.": "up to",
    "Kestrel-8B is one of the best models on MBPP.": "one of",
    "Kestrel-8B improves from 60.0 to 71.3 on HumanEval.": "improves",
    "Kestrel-8B outperforms Merlin-13B on most benchmarks.": "most",
    "Kestrel-8B outperforms Merlin-13B.": "",
    "Only Merlin-13B exceeds 60 on HumanEval.": "Only",
    "Kestrel-8B reaches an average accuracy of 73.9 on HumanEval.": "average",
    "Kestrel-8B scores 71.3 on HumanEval, surpassing all open models.": "open",
    # What is left outside an aside, or doubts in one, may bear on everything.
    "With retrieval, Kestrel-8B scores 73.9 on HumanEval, surpassing Merlin-13B.": "With retrieval",
    "Kestrel-8B scores 73.9 on HumanEval, which would be a record.": "would",
    "Kestrel-8B scores 73.9 on HumanEval, surpassing all others when sampled twice.": "when",
    "Kestrel-8B, fine-tuned on code, scores 73.9 on HumanEval.": "fine-tuned",
    "Kestrel-8B escalates from 60.0 to 71.3 on HumanEval.": "escalates",
}
UNKNOWN = [
    "Kestrel-9B scores 71.3 on HumanEval.",
    "Kestrel-8B Turbo scores 71.3 on HumanEval.",
    "Kestrel-8B-Turbo scores 71.3 on HumanEval.",
    "Owl 2q (June 2031) scores 25.6 on HumanEval.",
    "Kestrel-8B scores 71.3 on HumanEval-X.",
    "Kestrel-8B achieves 71.3 pass@10 on HumanEval.",  # a rate without k is pass@1
]


@pytest.mark.parametrize("sentence", SUPPORTED)
def test_what_was_understood_and_is_so(sentence):
    claim, found = verdict(sentence)
    assert (found.fidelity, claim.unread) == ("supported", ())


@pytest.mark.parametrize("sentence", CONTRADICTED)
def test_what_was_understood_and_is_otherwise_has_its_cell_shown(sentence):
    _, found = verdict(sentence)
    assert found.fidelity == "contradicted"
    assert any(one.stance == "refutes" and one.target.kind == "cell" for one in found.evidence)


@pytest.mark.parametrize("sentence", PARTLY)
def test_what_was_not_understood_is_named_and_decides_nothing(sentence):
    claim, found = verdict(sentence)
    assert found.fidelity == "partial"
    assert PARTLY[sentence] in " ".join(claim.unread)
    assert all(word in found.reasons[0] for word in claim.unread)


@pytest.mark.parametrize("sentence", UNKNOWN)
def test_a_name_that_no_source_has_is_not_found(sentence):
    assert verdict(sentence)[1].fidelity == "not found"


@pytest.mark.parametrize(
    ("where", "sentence", "fidelity"),
    [
        ("sizes", "Lark 7B reaches 52.5 on Java.", "contradicted"),
        ("sizes", "Lark-30B reaches 52.5 on Java.", "supported"),
        ("sizes", "The 30B Lark reaches 52.5 on Java.", "supported"),
        ("sizes", "Lark reaches 52.5 on Java.", "partial"),
        ("sizes", "Lark reaches 58.5 on Java.", "not found"),
        ("sizes", "Lark-70B reaches 52.5 on Java.", "not found"),
        ("sizes", "Finch-16B with tool use reaches 66.6 on Java.", "supported"),
        ("sizes", "Finch-16B reaches 66.6 on Java.", "misattributed"),
        ("sizes", "Lark-30B with tool use reaches 66.6 on Java.", "not found"),
        ("lying", "Lark-V2 is the best on MMLU.", "supported"),
        ("lying", "Lark-V1 is the best on MMLU.", "contradicted"),
        ("lowered", "Ours-A reaches 61.5 on MBPP.", "supported"),
        ("struck", "Ours-A reaches 61.5 on MBPP.", "supported"),
        ("struck", "Ours-A reaches 51.5 on MBPP.", "contradicted"),
    ],
)
def test_headers_of_any_kind_are_a_part_of_the_name(where, sentence, fidelity):
    assert verdict(sentence, where)[1].fidelity == fidelity


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("It was released on 2024-05-13 and in May 2024.", ["date", "date"]),
        ("Table 3 and Section 4.1 have it.", ["reference", "reference"]),
        ("With 16 experts and top-2 routing, 7B parameters, v2.1.", ["count", "parameter", "size", "version"]),
        ("In 2023 it had 12.5%.", ["year", "value"]),
        ("0-shot, pass@10, temperature 0.8.", ["setting", "setting", "parameter"]),
        ("It ranks 3rd with 81.2.", ["rank", "value"]),
        ("See [12] and (Yu et al., 2024).", ["mark", "mark"]),
    ],
)
def test_each_number_has_its_kind(text, kinds):
    assert [one.kind for one in numbers(text)] == kinds


@pytest.mark.parametrize(
    "sentence",
    [
        "(2) On HumanEval, Kestrel-8B outperforms Merlin-13B.",
        "Models that do not use tools, like Kestrel-8B, reach 71.3 on HumanEval.",
        "Kestrel-8B (2031/03/15) scores 70.3 on HumanEval.",  # may be another version
        "It can be seen that a score of 12.5 is reached on HumanEval.",
    ],
)
def test_what_looks_like_a_fault_and_is_none(sentence):
    assert not verdict(sentence)[1].fidelity.fails


def test_a_file_that_gives_one_name_two_values_accuses_nobody():
    text = "| System | Budget | HumanEval |\n|---|---|---|\n| Kestrel-8B | low | 71.3 |\n| Kestrel-8B | high | 74.0 |\n"
    sources = Sources.build([reader.read_bytes(text.encode(), "budget.md")], [], REGISTRY)
    claim = report_claims.claim("Kestrel-8B scores 70.3 on HumanEval.", REGISTRY, sources.vocabulary)
    assert not verdict_rules.check(claim, sources).fidelity.fails


@pytest.mark.parametrize("value", ["71.3", "70.3"])
def test_what_parts_rows_of_one_name_is_told(value):
    text = "| System | Budget | HumanEval |\n|---|---|---|\n| Kestrel-8B | low | 71.3 |\n| Kestrel-8B | high | 74.0 |\n"
    read = sources(text, "budget.md")
    claim = report_claims.claim(f"Kestrel-8B scores {value} on HumanEval.", REGISTRY, read.vocabulary)
    found = verdict_rules.check(claim, read)
    assert not found.fidelity.holds
    assert not found.fidelity.fails
    assert "the sentence would have to say its Budget (low, high)" in " ".join(found.reasons)


def test_a_size_that_the_name_says_leaves_nothing_open():
    read = sources("| System | Size | MBPP |\n|---|---|---|\n| Plover-12B | 12B | 65.2 |\n| Tern-7B | 7B | 61.0 |\n")
    claim = report_claims.claim("Plover-12B scores 66.2 on MBPP.", REGISTRY, read.vocabulary)
    assert verdict_rules.check(claim, read).fidelity == "contradicted"


def test_the_size_of_a_system_is_no_score_of_it():
    text = (
        r"\begin{table}\caption{Results on HumanEval.}\begin{tabular}{lrr}System & Params (B) & Accuracy \\ \hline "
        r"Kestrel-8B & 8 & 71.3 \\ Merlin-13B & 13 & 62.2 \\ \end{tabular}\end{table}"
    )
    read = sources(text, "params.tex")
    claim = report_claims.claim("Kestrel-8B outperforms Merlin-13B on HumanEval.", REGISTRY, read.vocabulary)
    assert verdict_rules.check(claim, read).fidelity == "supported"


@pytest.mark.parametrize(
    ("report", "subject"),
    [
        ("Lark is built on Kestrel-8B. It scores 80.0 on HumanEval.", ""),
        ("Lark beats Kestrel-8B by far. It scores 80.0 on HumanEval.", ""),
        ("Kestrel-8B is new. It is derived from Merlin-13B. It scores 71.3 on HumanEval.", "Kestrel-8B"),
        ("Kestrel-8B is small. It scores 71.3 on HumanEval.", "Kestrel-8B"),
    ],
)
def test_it_is_what_the_sentence_before_is_about(report, subject):
    document = reader.read_bytes(report.encode(), "report.md")
    *_, last = report_claims.claims(document, REGISTRY, WHERE["results"].vocabulary)
    assert [fact.subject for fact in last.facts] == [subject]


def test_a_list_under_a_condition_accuses_nobody():
    report = "# Results\n\nFor the larger model:\n\n- Kestrel-8B scores 80.0 on HumanEval.\n"
    document = reader.read_bytes(report.encode(), "report.md")
    (claim,) = report_claims.claims(document, REGISTRY, WHERE["results"].vocabulary)
    assert "For the larger model:" in claim.unread
    assert verdict_rules.check(claim, WHERE["results"]).fidelity == "partial"
    (claim,) = report_claims.claims(
        reader.read_bytes(report.replace("For the larger model", "The results").encode(), "report.md"),
        REGISTRY,
        WHERE["results"].vocabulary,
    )
    assert verdict_rules.check(claim, WHERE["results"]).fidelity == "contradicted"


def test_a_name_in_several_rows_is_not_refuted_by_rows_that_do_not_belong_together():
    budgets = """| System | Budget | HumanEval | MBPP |
|---|---|---|---|
| Kestrel-8B | 64 | 40.1 | 30.1 |
| Kestrel-8B | 256 | 71.3 | 64.0 |
| Merlin-13B | 64 | 39.2 | 29.5 |
| Merlin-13B | 256 | 62.2 | 60.5 |
"""
    found = sources(budgets)
    words = {"Kestrel-8B beats Merlin-13B on every benchmark.": True, "Merlin-13B beats Kestrel-8B in one row.": False}
    for sentence, holds in words.items():
        claim = report_claims.claim(sentence, REGISTRY, found.vocabulary)
        assert verdict_rules.check(claim, found).fidelity == ("supported" if holds else "partial")
