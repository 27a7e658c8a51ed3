"""What no cell says: a comparison across two settings, a mean of some benchmarks, and what a "− X" row takes away."""

import dataclasses

import pytest

from trimtab.claims import report_claims, settings, verdict_rules
from trimtab.claims.name_registry import Registry
from trimtab.claims.sources import Sources
from trimtab.documents import reader

REGISTRY = Registry.load()

BITS = """| Method | Bits | RACE | SQuAD |
|---|---|---|---|
| Finch-Q | 8 | 66.0 | 71.5 |
| Wren-Q | 8 | 64.1 | 70.0 |
| Finch-Q | 2 | 41.0 | 45.2 |
| Wren-Q | 2 | 39.9 | 40.1 |
"""
MEANS = """| Model | RACE | SQuAD | BoolQ | Avg. |
|---|---|---|---|---|
| Finch-1B | 61.5 | 70.3 | 80.1 | 70.6 |
| Wren-2B | 66.1 | 74.9 | 82.0 | 74.3 |
"""
SHOTS = """| Model | RACE (0-shot) | RACE (8-shot) |
|---|---|---|
| Finch-1B | 61.5 | 70.3 |
| Wren-2B | 66.1 | 74.9 |
"""
ABLATION = """| Variant | RACE | SQuAD |
|---|---|---|
| Full Finch-1B | 71.5 | 80.3 |
| \u2212 query expansion | 69.0 | 77.9 |
| - label smoothing | 70.2 | 79.0 |
| w/o hard negatives | 68.8 | 77.0 |
| + longer context | 72.0 | 80.9 |
"""
MEASURES = """| Measure | Wren-2B | Finch-1B | Robin-7B |
|---|---|---|---|
| Sensitivity | 0.71 | 0.64 | 0.80 |
| Purity | 0.55 | 0.93 | 0.60 |
| F1 | 0.62 | 0.76 | 0.69 |
| Rank | 2 | 3 | 1 |
"""


def fidelity(sentence, table):
    sources = Sources.build([reader.read_bytes(table.encode(), "t.md")], [], REGISTRY)
    claim = dataclasses.replace(report_claims.claim(sentence, REGISTRY, sources.vocabulary), id="c1")
    return verdict_rules.check(claim, sources).fidelity


@pytest.mark.parametrize(
    ("sentence", "right"),
    [
        ("Finch-Q at 2 bits beats Wren-Q at 8 bits on RACE.", "partial"),
        ("Wren-Q at 8 bits beats Finch-Q at 2 bits on RACE.", "partial"),
        ("Finch-Q beats Wren-Q on RACE at 8 bits.", "supported"),
        ("Wren-Q beats Finch-Q on RACE at 8 bits.", "contradicted"),
        ("Finch-Q scores 66.0 on RACE at 8 bits.", "supported"),
        ("Finch-Q scores 66.0 on RACE at 2 bits.", "misattributed"),
    ],
)
def test_a_comparison_across_two_settings_is_left_open(sentence, right):
    assert fidelity(sentence, BITS) == right


@pytest.mark.parametrize(
    ("sentence", "right"),
    [
        ("Wren-2B beats Finch-1B on RACE with 0 and 8 shots.", "partial"),
        ("Finch-1B beats Wren-2B on RACE with 0 or 8 shots.", "partial"),
        ("Wren-2B scores 66.1 on RACE at 0-shot and 74.9 on RACE at 8-shot.", "supported"),
    ],
)
def test_a_list_of_shots_holds_no_value(sentence, right):
    assert fidelity(sentence, SHOTS) == right


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("with 0, 4 and 16 shots", {0, 4, 16}),
        ("in the 0- and 5-shot settings", {0, 5}),
        ("zero and five shots", {0, 5}),
        ("scores 70.1 and, at 5-shot, 72", {5}),
        ("scores 50, 5-shot", {5}),
        ("scores 50.5 with 5 shots", {5}),
    ],
)
def test_shots_in_a_list(text, numbers):
    assert settings.shots(text) == numbers


@pytest.mark.parametrize(
    ("sentence", "right"),
    [
        ("On RACE and SQuAD, Finch-1B averages 65.9.", "partial"),
        ("On RACE and SQuAD, Finch-1B averages 70.6.", "partial"),  # that is the mean of all three
        ("Finch-1B has an average of 70.6.", "supported"),
    ],
)
def test_a_mean_of_some_benchmarks_is_not_that_of_all(sentence, right):
    assert fidelity(sentence, MEANS) == right


@pytest.mark.parametrize(
    ("sentence", "right"),
    [
        ("Without query expansion, the model scores 69.0 on RACE.", "supported"),
        ("The query expansion reaches 69.0 on RACE.", "not found"),
        ("Query expansion is better than label smoothing on RACE.", "not found"),
        ("Label smoothing is better than query expansion on RACE.", "not found"),
    ],
)
def test_a_row_without_something_is_not_its_row(sentence, right):
    assert fidelity(sentence, ABLATION) == right


@pytest.mark.parametrize(
    "row", ["\u2212 query expansion", "- label smoothing", "w/o hard negatives", "+ longer context"]
)
def test_a_row_that_takes_something_away_is_found_by_its_own_name(row):
    sources = Sources.build([reader.read_bytes(ABLATION.encode(), "t.md")], [], REGISTRY)
    assert sources.readings.by_subject[sources.readings.subject_id(row)]


@pytest.mark.parametrize(
    ("sentence", "right"),
    [
        ("Wren-2B has a higher sensitivity than Finch-1B.", "supported"),
        ("Finch-1B has a higher sensitivity than Wren-2B.", "contradicted"),
        ("Wren-2B has a lower purity than Finch-1B.", "supported"),
        ("Finch-1B has a lower purity than Wren-2B.", "contradicted"),
        ("Robin-7B has a sensitivity of 0.80.", "supported"),
        ("Robin-7B has a sensitivity of 0.93.", "contradicted"),
    ],
)
def test_a_measure_in_small_letters_is_its_row(sentence, right):
    assert fidelity(sentence, MEASURES) == right


@pytest.mark.parametrize("sentence", ["Robin-7B has a higher rank than Finch-1B.", "Robin-7B has the highest rank."])
def test_a_high_rank_is_not_refuted_by_its_number(sentence):
    assert fidelity(sentence, MEASURES) != "contradicted"
