"""The best of a column: of all its rows, not of one group, of one row, of a row's years or of rows of other units."""

import dataclasses

import pytest

from trimtab.claims import report_claims, verdict_rules
from trimtab.claims.name_registry import Registry
from trimtab.claims.sources import Sources
from trimtab.documents import reader

REGISTRY = Registry.load()

PRUNING = """| Method | Sparsity | PPL \u2193 | ARC-C |
|---|---|---|---|
| Dense-7B | 0 | 5.68 | 44.9 |
| Wanda-7B | 50 | 7.26 | 42.3 |
| SparseGPT | 50 | 7.22 | 41.8 |
| Wanda-7B | 70 | 70.4 | 25.1 |
| SparseGPT | 70 | 26.3 | 27.0 |
"""
GROUPED = """| Model | SQuAD | RACE |
|---|---|---|
| *Encoders* | | |
| Finch-1B | 88.1 | 70.2 |
| Wren-2B | 91.4 | 81.0 |
| *Decoders* | | |
| Robin-7B | 84.0 | 79.5 |
| Heron-3B | 80.2 | 66.6 |
"""
YEARS = """| | 2021 | 2022 | 2023 |
|---|---|---|---|
| Turnover | 310 | 355 | 341 |
| Staff costs | 88 | 91 | 97 |
| Net margin | 8.1% | 9.4% | 7.7% |
"""
UNITS = """| Figure | Kestrel-1 | Kestrel-2 |
|---|---|---|
| Mass (kg) | 12.5 | 14.0 |
| Range (km) | 40 | 55 |
"""


def verdict(sentence, table):
    sources = Sources.build([reader.read_bytes(table.encode(), "t.md")], [], REGISTRY)
    claim = dataclasses.replace(report_claims.claim(sentence, REGISTRY, sources.vocabulary), id="c1")
    return verdict_rules.check(claim, sources)


@pytest.mark.parametrize(
    ("sentence", "fidelity"),
    [
        ("Dense-7B has the lowest perplexity.", "supported"),
        ("Wanda-7B has the lowest perplexity.", "contradicted"),
        ("Dense-7B has the highest perplexity.", "not found"),  # the only row at its sparsity
        ("SparseGPT has the lowest perplexity.", "not found"),  # of the pruned ones only
        ("SparseGPT has the highest score on ARC-C.", "not found"),
        ("SparseGPT has the highest score on ARC-C at a sparsity of 70.", "supported"),
        ("Wanda-7B has the highest score on ARC-C at a sparsity of 70.", "contradicted"),
    ],
)
def test_the_best_of_rows_in_several_settings(sentence, fidelity):
    assert verdict(sentence, PRUNING).fidelity == fidelity


@pytest.mark.parametrize(
    ("sentence", "fidelity"),
    [
        ("Wren-2B is the best on RACE.", "supported"),
        ("Finch-1B is the best on RACE.", "contradicted"),
        ("Robin-7B is the best on RACE.", "not found"),  # of the decoders it is
        ("Heron-3B is the best on RACE.", "contradicted"),
    ],
)
def test_the_best_of_a_group_is_left_open(sentence, fidelity):
    assert verdict(sentence, GROUPED).fidelity == fidelity


@pytest.mark.parametrize(
    "sentence",
    [
        "Turnover was highest in 2022.",
        "Turnover was highest in 2023.",
        "Net margin was lowest in 2023.",
        "Staff costs were lowest in 2021.",
    ],
)
def test_the_highest_of_a_row_is_not_that_of_a_column_of_other_things(sentence):
    assert verdict(sentence, YEARS).fidelity == "not found"


def test_rows_in_several_units_have_no_highest():
    assert verdict("Range was highest on Kestrel-2.", UNITS).fidelity == "not found"
    assert verdict("Mass was highest on Kestrel-2.", UNITS).fidelity == "not found"


def test_of_one_row_nothing_is_the_best():
    table = "| Model | SQuAD | RACE |\n|---|---|---|\n| Finch-1B | 88.1 | 70.2 |\n"
    assert verdict("Finch-1B is the best on RACE.", table).fidelity == "not found"
    assert verdict("Finch-1B is the worst on RACE.", table).fidelity == "not found"
