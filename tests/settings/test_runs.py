"""Text, optimization and evaluation of a cell."""

import pytest

from trimtab.errors import StudyError
from trimtab.settings.reading import encode, read
from trimtab.settings.runs import CorpusSettings, Evaluation, Schedule


def test_the_rate_warms_up_stays_and_decays():
    schedule = Schedule(steps=100, warmup_steps=10, learning_rate=1.0, decay_fraction=0.5)
    rates = [schedule.learning_rate_at(step) for step in (1, 5, 10, 50, 51, 76, 100)]
    assert rates == pytest.approx([0.1, 0.5, 1.0, 1.0, 1.0, 0.5, 0.02])


@pytest.mark.parametrize(
    ("kind", "table", "message"),
    [
        (Schedule, {"steps": 0}, "x.steps: must be at least 1"),
        (Schedule, {"learning_rate": 0.0}, "x.learning_rate: must be positive"),
        (Schedule, {"warmup_steps": -1}, "x.warmup_steps: must be not negative"),
        (Schedule, {"decay_fraction": 1.5}, r"x.decay_fraction: must be in \[0, 1\]"),
        (Schedule, {"lerning_rate": 1.0}, "x: unknown key 'lerning_rate'"),
        (CorpusSettings, {"vocab_size": 70_000}, "x.vocab_size: must be in"),
        (CorpusSettings, {"python_share": 1.5}, r"x.python_share: must be in \[0, 1\]"),
        (CorpusSettings, {"rows": 1}, "x.rows: must be at least 2"),
        (Evaluation, {"capacities": [1.0, 0.0]}, r"x.capacities\[1\]: must be positive"),
        (Evaluation, {"capacities": 1.0}, "x.capacities: expected list of float"),
        (Evaluation, {"benchmarks": ["humanevl"]}, r"x.benchmarks\[0\]: 'humanevl' is not known"),
    ],
)
def test_what_measures_nothing_is_refused(kind, table, message):
    with pytest.raises(StudyError, match=message) as caught:
        read(kind, table, "x")
    assert caught.value.message.startswith("x")


def test_what_came_later_is_left_out_of_a_cell():
    assert "beta1" not in encode(Schedule())
    assert encode(Schedule(beta1=0.8))["beta1"] == 0.8
    assert "micro_seed" not in encode(CorpusSettings())
    assert read(Evaluation, encode(Evaluation(capacities=(1.0, 1.25))), "x").capacities == (1.0, 1.25)
