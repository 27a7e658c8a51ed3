"""A cell that has the value and is another measure, setting or unit, or whose row denies what is said beside it."""

import dataclasses

import pytest

from trimtab.claims import report_claims, verdict_rules
from trimtab.claims.name_registry import Registry
from trimtab.claims.sources import Sources
from trimtab.documents import reader

REGISTRY = Registry.load()

PAIRS = """Table 4: Development sets, median of three runs.

| Model | Tokens | QuAC (EM / F1) | GSM8K (loose) | CoLA (Mcc) |
|---|---|---|---|---|
| Finch (r=8) | 1.5T | 61.5 / 70.3 | 40.1 | 55.2 |
| Wren (r=4) | 2.0T | 66.1 / 74.9 | 44.3 | 58.9 |
"""
FEW_SHOT = """Table 1: Results over 4 runs. RACE is 3-shot, SQuAD zero-shot.

| Model | RACE | SQuAD |
|---|---|---|
| Finch-1B | 61.5 | 70.3 |
| Wren-2B | 66.1 \u00b1 0.8 | 74.9 |
"""
RANKING = """Table 2: nDCG@20 with Recall@50 in brackets (Recall@50).

| Retriever | Touche | SciDocs |
|---|---|---|
| Owl-1 | 24.4 (61.0) | 15.2 (40.1) |
| Owl-2 | 27.9 (66.3) | 16.6 (44.8) |
"""
CUTOFFS = """| Model | Metric | @1 | @20 |
|---|---|---|---|
| Owl-1 | Recall | 11.4 | 41.9 |
| Owl-1 | nDCG | 11.4 | 28.6 |
| Owl-2 | Recall | 13.0 | 44.7 |
| Owl-2 | nDCG | 13.0 | 30.2 |
"""
UNITS = """| Model | PPL \u2193 | AUROC | ECE \u2193 | Coverage (%) | Speed | MMLU | Regret |
|---|---|---|---|---|---|---|---|
| Finch-1B | 12.4 | 0.771 | 0.034 | 91.2 | 44 | 61.7 | 0.21 |
| Wren-2B | 9.8 | 0.802 | 0.021 | 93.0 | 38 | 66.0 | 0.18 |
"""
SIZES = """| Model | Params | RACE |
|---|---|---|
| Finch | 340M | 61.5 |
| Wren-2B | 2B | 66.1 |
| Robin | 7B | 70.2 |
"""


def fidelity(sentence, table):
    sources = Sources.build([reader.read_bytes(table.encode(), "t.md")], [], REGISTRY)
    claim = dataclasses.replace(report_claims.claim(sentence, REGISTRY, sources.vocabulary), id="c1")
    return verdict_rules.check(claim, sources).fidelity


@pytest.mark.parametrize(
    ("sentence", "right"),
    [
        ("Finch-1B scores 61.5 on RACE.", "supported"),
        ("Finch-1B scores 61.5 on RACE at 3-shot.", "supported"),
        ("Finch-1B scores 61.5 on RACE at 0-shot.", "not found"),  # SQuAD is
        ("Finch-1B scores 70.3 on SQuAD at 0-shot.", "supported"),
        ("Finch-1B scores 70.3 on SQuAD at 3-shot.", "not found"),
        ("Finch-1B scores 59.9 on RACE at 0-shot.", "not found"),  # nor is another setting refuted
        ("Over 4 runs, Finch-1B scores 61.5 on RACE.", "supported"),
        ("Over 9 runs, Finch-1B scores 61.5 on RACE.", "not found"),
        ("Wren-2B scores 66.1 \u00b1 0.8 on RACE.", "supported"),
        ("Wren-2B scores 66.1 \u00b1 0.3 on RACE.", "partial"),
    ],
)
def test_shots_runs_and_spreads(sentence, right):
    assert fidelity(sentence, FEW_SHOT) == right


@pytest.mark.parametrize(
    ("sentence", "right"),
    [
        ("Owl-1 has an nDCG@20 of 24.4 on Touche.", "supported"),
        ("Owl-1 has an nDCG@5 of 24.4 on Touche.", "not found"),
        ("Owl-1 has an nDCG@5 of 22.9 on Touche.", "not found"),
        ("Owl-1 has an nDCG@20 of 61.0 on Touche.", "not found"),
        ("Owl-2 has an nDCG@20 of 27.9 on Touche.", "supported"),
    ],
)
def test_cutoffs_and_brackets(sentence, right):
    assert fidelity(sentence, RANKING) == right


def test_a_row_of_another_measure_is_not_the_one_that_is_named():
    assert fidelity("Owl-2 has an nDCG@20 of 44.7.", CUTOFFS) == "not found"


@pytest.mark.parametrize(
    ("sentence", "right"),
    [
        ("Finch-1B scores 61.7% on MMLU.", "supported"),
        ("Finch-1B has a perplexity of 12.4.", "supported"),
        ("Finch-1B has a perplexity of 12.4%.", "partial"),
        ("Finch-1B has an AUROC of 77.1%.", "supported"),
        ("Finch-1B has an AUROC of 0.771.", "supported"),
        ("Finch-1B has an AUROC of 0.771%.", "partial"),
        ("Finch-1B has an ECE of 3.4%.", "supported"),
        ("Finch-1B has an ECE of 3.4.", "not found"),
        ("Finch-1B has a regret of 21%.", "supported"),
        ("Finch-1B has a regret of 0.21%.", "partial"),
        ("Finch-1B has 44% on Speed.", "partial"),
        ("Finch-1B has 91.2% on Coverage.", "supported"),
    ],
)
def test_per_cent_only_of_what_is_in_per_cent(sentence, right):
    assert fidelity(sentence, UNITS) == right


@pytest.mark.parametrize(
    ("sentence", "right"),
    [
        ("Finch with 340M parameters scores 61.5 on RACE.", "supported"),
        ("Finch with 110M parameters scores 61.5 on RACE.", "partial"),
        ("Wren-2B (2B parameters) scores 66.1 on RACE.", "supported"),
        ("Wren-2B (9B parameters) scores 66.1 on RACE.", "partial"),
        ("Robin has 7B parameters and scores 70.2 on RACE.", "supported"),
        ("Robin has 13B parameters and scores 70.2 on RACE.", "partial"),
    ],
)
def test_the_size_beside_a_name(sentence, right):
    assert fidelity(sentence, SIZES) == right


@pytest.mark.parametrize(
    ("sentence", "right"),
    [
        ("Finch has an EM of 61.5 on QuAC.", "supported"),
        ("Finch has an F1 of 70.3 on QuAC.", "supported"),
        ("Finch scores 61.5 / 70.3 (EM / F1) on QuAC.", "supported"),
        ("Finch has an F1 of 61.5 on QuAC.", "not found"),
        ("Finch has an EM of 70.3 on QuAC.", "not found"),
        ("Wren beats Finch in F1 on QuAC by 4.6 points.", "supported"),
        ("Wren has an accuracy of 58.9 on CoLA.", "not found"),
        ("Wren has an MCC of 58.9 on CoLA.", "supported"),
    ],
)
def test_of_two_numbers_of_a_cell_the_one_that_the_head_names(sentence, right):
    assert fidelity(sentence, PAIRS) == right


@pytest.mark.parametrize(
    ("sentence", "right"),
    [
        ("Finch (r=8) scores 40.1 on GSM8K.", "supported"),
        ("Finch (r=16) scores 40.1 on GSM8K.", "partial"),
        ("Finch (70B) scores 40.1 on GSM8K.", "partial"),
        ("Finch (Aviary) scores 40.1 on GSM8K.", "partial"),
        ("Finch (1.5T) scores 40.1 on GSM8K.", "supported"),
        ("Finch (3T) scores 40.1 on GSM8K.", "partial"),
        ("Finch with 1.5T tokens scores 40.1 on GSM8K.", "supported"),
        ("Finch with 3T tokens scores 40.1 on GSM8K.", "partial"),
        ("Finch scores 40.1 on GSM8K (loose).", "supported"),
        ("Finch scores 40.1 on GSM8K (flexible).", "partial"),
        ("Finch scores 40.1 on GSM8K over 3 seeds.", "supported"),
        ("Finch scores 40.1 on GSM8K over 12 seeds.", "not found"),
    ],
)
def test_what_is_said_in_brackets_or_of_an_amount_stands_in_the_row(sentence, right):
    assert fidelity(sentence, PAIRS) == right
