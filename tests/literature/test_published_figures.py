"""A local corpus: lines become records, cells and claims; a line that is wrong is named with what is wrong in it."""

import json

import pytest

from trimtab.claims.name_registry import Registry
from trimtab.errors import SearchError
from trimtab.literature import figure_claims, published_figures

WORK = {"kind": "work", "work": "arxiv:2408.1", "title": "ALF-LB and tea", "year": 2024, "short": "Wang"}
FIGURE = {"kind": "figure", "work": "arxiv:2408.1", "place": "Table 1", "arm": "ALF-LB", "conditions": "1B",
          "measure": "pass@1", "value": "41.5", "unit": "%", "benchmark": "HumanEval", "shots": 0}  # fmt: skip
OTHER = FIGURE | {"arm": "auxiliary loss", "value": "40.0"}


@pytest.fixture
def load(tmp_path):
    def write(*lines):
        path = tmp_path / "few.jsonl"
        path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
        return published_figures.load(str(path))

    return write


def test_figures_side_by_side_are_cells_and_claims_and_their_difference_is_one(load):
    place = load(WORK, FIGURE, OTHER)
    document = place.documents["arxiv:2408.1"]
    assert [(cell.row, cell.column, cell.text) for cell in document.cells] == [(1, 1, "41.5"), (2, 1, "40.0")]
    assert document.cells[0].column_path == ("HumanEval", "pass@1", "0-shot")
    methods = ("loss_free", "auxiliary_loss")
    claims = [*figure_claims.claims(place.figures["arxiv:2408.1"], document, Registry.load(), methods)]
    assert [claim.id for claim in claims] == ["arxiv:2408.1#2", "arxiv:2408.1#3", "arxiv:2408.1#2-3"]
    assert claims[0].statement == "ALF-LB (1B): pass@1 on HumanEval, 0-shot is 41.5% (Wang, Table 1)."
    assert "is higher by 1.5 points, 41.5 against 40.0 (Wang, Table 1)" in claims[2].statement
    assert (claims[2].facts[0].relation, claims[2].facts[0].comparator) == ("greater", "auxiliary loss (1B)")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ({"kind": "wrok"}, r"line 2: kind is 'wrok'\n  hint: did you mean 'work'"),
        (
            {"kind": "figure", "work": "a", "place": "p", "arm": "b"},
            "line 2: a figure needs conditions, measure, value",
        ),
        (FIGURE | {"value": "4x"}, "line 2: value is '4x': expected digits as printed, in quotes"),
        (FIGURE | {"value": 41.5}, "line 2: value is 41.5: expected digits as printed, in quotes"),
        (FIGURE | {"value": "NaN"}, "line 2: value is 'NaN': expected digits"),
        (FIGURE | {"shots": "none"}, "line 2: shots is 'none': "),
        (FIGURE | {"work": "doi:10.1/x"}, "line 2: there is no line for the work 'doi:10.1/x'"),
        ("{", "line 2 is no"),
    ],
)
def test_a_line_that_is_wrong_is_named(load, line, told):
    with pytest.raises(SearchError, match=f"few.jsonl, {told}"):
        load(WORK, line)
