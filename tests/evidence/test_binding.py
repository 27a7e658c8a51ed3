"""A value belongs to the dataset that is named best where it stands."""

from decimal import Decimal

import pytest

from trimtab.evidence.binding import Binder
from trimtab.evidence.document import Cell

DATASETS = {
    "WikiText-2": (),
    "WikiText-103": (),
    "Penn Treebank": ("PTB", "WSJ"),
    "AS": (),
    "CoNLL 2003 (English)": (),
}


def cell(value, row, column, caption=""):
    return Cell(
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


def test_a_tie_is_undecided_unless_asked_for():
    for dataset in ("WikiText-2", "WikiText-103"):
        assert Binder(DATASETS).find(CELLS, dataset, Decimal("50.0")) is None
        assert Binder(DATASETS, ties=True).find(CELLS, dataset, Decimal("50.0")) == CELLS[4]
