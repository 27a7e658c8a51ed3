import math

import pytest

from trimtab.errors import RunFolderError
from trimtab.study import endpoints, spec, store


def result(**parts):
    return store.CellResult(cell_id="a_1", factors={"seed": 0}, outcome="completed", training={}, **parts)


def test_a_study_file_may_name_exactly_these():
    assert tuple(endpoints.ENDPOINTS) == spec.ENDPOINTS


def test_losses_are_read_per_token_and_per_byte():
    measured = result(losses={text: {"dropless": {"u": [6.0, 3, 9]}} for text in ("python", "humaneval")})
    assert endpoints.ENDPOINTS["python_loss"].counts(measured) == {"u": (6.0, 3.0)}
    assert endpoints.ENDPOINTS["humaneval_nll"].counts(measured) == {"u": (6.0 / math.log(2), 9.0)}


def test_passes_are_read_as_unbiased_pass_at_1():
    measured = result(passes={"micro": {"dropless": {"micro/0": [8, 2]}}})
    assert endpoints.ENDPOINTS["micro_pass1"].counts(measured) == {"micro/0": (0.25, 1.0)}


def test_evaluation_capacities_come_headline_first_then_wide_to_tight():
    measured = result(losses={"python": {"1.0": {}, "dropless": {}, "2.0": {}, "1.25": {}}})
    assert endpoints.ENDPOINTS["python_loss"].capacities(measured) == ("dropless", "2.0", "1.25", "1.0")


def test_what_was_not_measured_has_no_counts():
    assert endpoints.ENDPOINTS["mbpp_nll"].counts(result()) == {}
    assert endpoints.DESCRIPTIVE[0].capacities(result()) == ()


@pytest.mark.parametrize("record", [[1, 2], [1.0, 0, 4], [math.nan, 3, 4], [math.inf, 3, 4], "abc", None, [1, "2", 3]])
def test_a_loss_that_is_not_one_is_named(record):
    measured = result(losses={"python": {"dropless": {"file.py": record}}})
    with pytest.raises(RunFolderError, match=r"a_1: losses\.python\.dropless\['file\.py'\]"):
        endpoints.ENDPOINTS["python_loss"].counts(measured)


@pytest.mark.parametrize("record", [[1, 2], [0, 0], [3, -1], [3], 4])
def test_a_pass_count_that_is_not_one_is_named(record):
    measured = result(passes={"micro": {"dropless": {"micro/0": record}}})
    with pytest.raises(RunFolderError, match="micro/0"):
        endpoints.ENDPOINTS["micro_pass1"].counts(measured)


def test_harm_is_positive_where_a_metric_gets_worse():
    assert endpoints.ENDPOINTS["python_loss"].harm == 1
    assert endpoints.ENDPOINTS["micro_pass1"].harm == -1
