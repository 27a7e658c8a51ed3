"""The flag of silent death, on the numbers of the description it follows (Jin et al. 2026)."""

import pytest

from trimtab.inspection.expert_condition import silent_death

NOW = [0.08, 0.09, 1.3, 1.4, 1.35, 1.2, 1.5]


def test_both_tenths_make_a_flag():
    assert silent_death(NOW, [1.0] * 7) == [True, True, False, False, False, False, False]


@pytest.mark.parametrize(("start", "flag"), [([0.09, *[1.0] * 6], False), (None, None)])
def test_a_layer_that_was_always_small_is_cleared_and_one_of_unknown_start_suspected(start, flag):
    assert silent_death(NOW, start)[0] is flag
    assert silent_death(NOW, start)[2] is False
