"""A value belongs to the dataset that is named best where it stands."""

import runpy
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from trimtab.documents.parts import TableCell

Binder = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "dataset_binding.py"))["Binder"]

DATASETS = {
    "WikiText-2": (),
    "WikiText-103": (),
    "Penn Treebank": ("PTB", "WSJ"),
    "AS": (),
    "CoNLL 2003 (English)": (),
}


def cell(value, row, column, caption=""):
    return TableCell(
        document="a", table=1, row=0, column=0, row_path=(row,), column_path=(column,), caption=caption, text=value,
        numbers=(Decimal(value),),
    )  # fmt: skip


CELLS = [
    cell("17.7", "ours", "WikiText-103", "Perplexity on WikiText-2 and WikiText-103"),
    cell("40.6", "ours", "wikitext 2", "Perplexity on WikiText-2 and WikiText-103"),
    cell("95.1", "ours", "UAS", "Parsing of the WSJ, as others do"),
    cell("93.0", "ours", "LAS", "Parsing of the WSJ, as others do"),
    cell("50.0", "ours", "F1", "Perplexity on WikiText-2 and WikiText-103"),
]


@pytest.mark.parametrize(
    ("dataset", "value", "metric", "found"),
    [
        ("WikiText-103", "17.7", "", True),
        ("WikiText-2", "17.7", "", False),
        ("WikiText-2", "40.6", "", True),
        ("WikiText-2", "40.7", "", False),
        ("WikiText-2", "0.406", "", True),
        ("Penn Treebank", "95.1", "UAS", True),
        ("Penn Treebank", "95.1", "LAS", False),
        ("AS", "95.1", "UAS", False),
        ("CoNLL 2003 (English)", "95.1", "UAS", False),
    ],
)
def test_only_the_best_named_dataset_has_the_value(dataset, value, metric, found):
    hit = Binder(DATASETS).find(CELLS, dataset, Decimal(value), metric)
    assert (hit is not None) == found


def test_a_tie_is_undecided():
    for dataset in ("WikiText-2", "WikiText-103"):
        assert Binder(DATASETS).find(CELLS, dataset, Decimal("50.0")) is None


def holds(datasets, metrics, one, dataset, metric=""):
    return Binder(datasets, metrics).find([one], dataset, one.numbers[0], metric) is one


def test_a_number_is_heard_behind_its_own_word_only():
    ctb = {"Chinese Treebank 6": ("CTB6",), "Chinese Treebank 7": ("CTB7",)}
    one = cell("96.2", "ours", "F1", "Table 7: Results on CTB6.")
    assert holds(ctb, {}, one, "Chinese Treebank 6")
    assert not holds(ctb, {}, one, "Chinese Treebank 7")


@pytest.mark.parametrize(
    ("row", "column", "own"),
    [
        ("Vaswani et al. (2017)", "BLEU", False),
        ("RNN [12]", "BLEU", False),
        ("ours", "dev BLEU", False),
        ("ours", "test BLEU", True),
        ("Transformer", "BLEU", True),
    ],
)
def test_another_works_row_and_a_development_set_are_not_the_papers_result(row, column, own):
    one = cell("27.3", row, column, "Translation on newstest")
    assert holds({"newstest": ()}, {}, one, "newstest") == own
    assert holds({"newstest": ()}, {}, replace(one, bold=True), "newstest")


SUMMARIES = {"CNN / DM": (), "CNN / DM (Anonymized version)": (), "CNN / DM (Non-anonymized version)": ()}


@pytest.mark.parametrize(
    ("column", "accepted"),
    [
        ("R-1", set(SUMMARIES)),
        ("anonymized", {"CNN / DM (Anonymized version)"}),
        ("non-anonymized", {"CNN / DM (Non-anonymized version)"}),
        ("full-text", {"CNN / DM (Non-anonymized version)"}),
    ],
)
def test_versions_are_rivals_where_headers_say_which(column, accepted):
    one = cell("41.2", "ours", column, "Summaries of CNN / DM")
    assert {name for name in SUMMARIES if holds(SUMMARIES, {}, one, name)} == accepted


REVIEWS = {"SemEval-2014 Task 4": ("Restaurant (acc)", "Laptop (acc)"), "SQuAD": ("F1",)}


@pytest.mark.parametrize(
    ("dataset", "metric", "column", "accepted"),
    [
        ("SemEval-2014 Task 4", "Laptop (acc)", "Laptop", True),
        ("SemEval-2014 Task 4", "Restaurant (acc)", "Laptop", False),
        ("SQuAD", "Laptop (acc)", "Laptop", False),
        ("SQuAD", "F1", "Laptop", False),
    ],
)
def test_a_part_of_a_dataset_names_it(dataset, metric, column, accepted):
    one = cell("74.5", "ours", column, "Results")
    assert holds(dict.fromkeys(REVIEWS, ()), REVIEWS, one, dataset, metric) == accepted


def test_another_table_speaks_only_for_a_cell_that_names_the_metric():
    other = cell("1.0", "ours", "F1", "Results on SQuAD")
    for column, accepted in (("acc", False), ("F1", True)):
        one = cell("74.5", "ours", column, "Main results")
        hit = Binder({"SQuAD": ()}).find([other, one], "SQuAD", Decimal("74.5"), "F1")
        assert (hit is one) == accepted


@pytest.mark.parametrize(
    ("claimed", "exact", "rounding"), [("95.55", True, True), ("95.6", False, True), ("95.5", False, False)]
)
def test_a_value_is_exact_unless_rounding_is_asked_for(claimed, exact, rounding):
    cell = TableCell(
        document="a", table=1, row=1, column=1, row_path=("Ours",), column_path=("Penn Treebank",), text="95.55",
        numbers=(Decimal("95.55"),),
    )  # fmt: skip
    for asked, expected in ((False, exact), (True, rounding)):
        found = Binder({"Penn Treebank": ()}, rounding=asked).find([cell], "Penn Treebank", Decimal(claimed))
        assert (found is not None) == expected
