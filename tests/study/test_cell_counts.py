import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.errors import RunFolderError
from trimtab.study import cell_counts
from trimtab.study.cell_counts import CellCounts
from trimtab.study.store import CellResult

NUMBERS = st.one_of(
    st.integers(-2, 60), st.floats(allow_nan=True, allow_infinity=True), st.booleans(), st.none(), st.just("3"),
    st.just(2**70),
)  # fmt: skip
SOUND = st.one_of(st.integers(1, 60), st.floats(0.01, 1e9))


def result(**measured):
    return CellResult(cell_id="c", factors={}, outcome="completed", training={}, **measured)


def unit_by_unit(endpoint, made):
    return {capacity: endpoint.counts(made, capacity) for capacity in endpoint.capacities(made)}


def check(made):
    """Bulk counts are those read unit by unit, to the last bit, or refused where those are."""
    try:
        expected = {endpoint.name: unit_by_unit(endpoint, made) for endpoint in cell_counts.MEASURED}
    except (RunFolderError, AttributeError, TypeError, ValueError) as error:
        with pytest.raises(type(error)):
            CellCounts.of(made)
        return
    counts = CellCounts.of(made)
    for name, capacities in expected.items():
        for capacity, pairs in capacities.items():
            sums = (sum(n for n, _ in pairs.values()), sum(d for _, d in pairs.values()), len(pairs))
            assert counts.sums[name, capacity] == sums
        dropless = capacities.get("dropless")
        if dropless:
            assert counts.units[name].names == tuple(dropless)
            assert counts.units[name].pairs.tolist() == [list(map(float, pair)) for pair in dropless.values()]
        else:
            assert name not in counts.units


@given(st.dictionaries(st.text(max_size=3), st.lists(SOUND, min_size=3, max_size=3), max_size=5))
def test_sound_losses_are_counted_in_bulk_as_unit_by_unit(units):
    check(result(losses={"python": {"dropless": units, "1.25": units}, "humaneval": {"1.0": units}}))


@given(st.dictionaries(st.text(max_size=3), st.lists(NUMBERS, min_size=2, max_size=4), max_size=3))
def test_whatever_stands_in_a_result_is_refused_in_bulk_as_unit_by_unit(units):
    check(result(losses={"python": {"dropless": units}}))
    check(result(passes={"micro": {"dropless": units}}))
    check(result(ranking={"humaneval": units}))


@given(st.dictionaries(st.text(max_size=3), st.tuples(st.integers(1, 50), st.integers(0, 50)).map(list), max_size=5))
def test_passes_are_counted_in_bulk_as_unit_by_unit(units):
    check(result(passes={"micro": {"dropless": units, "1.0": {}}}))


def test_sound_results_do_not_take_the_slow_way(monkeypatch):
    monkeypatch.setattr(cell_counts.Endpoint, "counts", None)
    counts = CellCounts.of(
        result(
            losses={"python": {"dropless": {"a": [6.0, 3, 9]}}, "humaneval": {"dropless": {"a": [6.0, 3, 9]}}},
            passes={"micro": {"dropless": {"a": [4, 1], "b": [4, 4]}}},
            ranking={"humaneval": {"a": [3, 4]}},
        )
    )
    assert counts.sums["python_loss", "dropless"] == (6.0, 3.0, 1)
    assert counts.sums["humaneval_nll", "dropless"] == (6.0 / math.log(2), 9.0, 1)
    assert counts.sums["micro_pass1", "dropless"] == (1.25, 2.0, 2)
    assert counts.sums["humaneval_ranking", "dropless"] == (3.0, 4.0, 1)


def test_cells_share_the_names_of_their_units():
    names = {}
    first, second = (CellCounts.of(result(ranking={"humaneval": {"a": [3, 4]}}), names) for _ in range(2))
    assert first.units["humaneval_ranking"].names is second.units["humaneval_ranking"].names
