"""Verdicts where the truth is known, because the run folder was written with it."""

import dataclasses

import pytest

from trimtab import stats
from trimtab.study import contrasts, spec
from trimtab.study.table import StudyTable


@pytest.fixture
def table_of(synthetic, tmp_path):
    def build(folder="run", **settings):
        study = synthetic.Synthetic(**settings).write(tmp_path / folder)
        return StudyTable.load(tmp_path / folder, study)

    return build


def answer(table, endpoint, stressor, method="loss_free"):
    return next(
        row for row in table.answers if (row.endpoint, row.stressor.label, row.method) == (endpoint, stressor, method)
    )


SKEWED, TIGHT = "expert_init=skewed", "capacity=tight"
CORNER = f"{SKEWED} + {TIGHT}"


def test_stressors_are_each_level_and_the_corners(synthetic):
    labels = [stressor.label for stressor in contrasts.stressors(synthetic.Synthetic().study())]
    assert labels == [SKEWED, TIGHT, CORNER]


@pytest.mark.parametrize(
    ("endpoint", "extra", "word"),
    [
        ("python_loss", 0.05, "worse"),
        ("python_loss", -0.05, "better"),
        ("python_loss", 0.0, "equivalent"),
        ("micro_pass1", 0.15, "worse"),
        ("micro_pass1", -0.15, "better"),
    ],
)
def test_a_known_effect_gets_its_word(table_of, endpoint, extra, word):
    table = table_of(extra={endpoint: {"loss_free": (0.0, extra)}})
    row = answer(table, endpoint, TIGHT)
    assert row.words == word
    assert row.difference.value == pytest.approx(extra, abs=0.02)


def test_a_small_effect_in_much_noise_is_undecided(table_of):
    row = answer(
        table_of(seeds=6, cell_sd=0.05, extra={"python_loss": {"loss_free": (0.02, 0.0)}}), "python_loss", SKEWED
    )
    assert row.words == "undecided"


def test_degradations_of_a_row_add_up_and_pairing_removes_the_seed(table_of):
    table = table_of(seed_sd=1.0, cell_sd=0.0, extra={"python_loss": {"loss_free": (0.07, 0.0)}})
    row = answer(table, "python_loss", SKEWED)
    assert row.controlled.value == pytest.approx(0.03)
    assert row.treated.value == pytest.approx(0.10)
    assert row.difference.value == pytest.approx(row.treated.value - row.controlled.value)
    assert row.difference.student.width < 1e-9


def test_a_lost_pass_is_a_positive_degradation(table_of):
    row = answer(table_of(), "micro_pass1", TIGHT)
    assert row.treated.value == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize("seeds", [1, 2])
def test_under_three_seeds_every_tested_row_is_undecided(table_of, seeds):
    table = table_of(seeds=seeds, extra={"python_loss": {"loss_free": (5.0, 5.0)}})
    words = {row.words for row in table.answers if row.role != "exploratory"}
    assert words == {f"undecided ({seeds} seed{'s' * (seeds > 1)})"}


def test_an_endpoint_deaf_to_a_factor_prints_no_verdict_there(table_of):
    table = table_of(extra={"micro_pass1": {"loss_free": (0.3, 0.0)}})
    assert answer(table, "micro_pass1", SKEWED).words == "exploratory"
    assert answer(table, "micro_pass1", CORNER).words == "exploratory"
    assert "two live experts" in answer(table, "micro_pass1", SKEWED).reason
    assert answer(table, "micro_pass1", TIGHT).verdict is not None


def test_other_methods_are_exploratory(table_of):
    table = table_of(balancers=("loss_free", "aux_global", "none"), extra={"python_loss": {"none": (0.5, 0.0)}})
    row = answer(table, "python_loss", SKEWED, method="none")
    assert (row.role, row.words) == ("exploratory", "exploratory")
    assert row.difference.value == pytest.approx(0.5, abs=0.02)


def test_primary_and_secondary_rows_are_two_holm_families(table_of):
    table = table_of()
    primary = [row for row in table.answers if row.role == "primary"]
    secondary = [row for row in table.answers if row.role == "secondary"]
    assert [row.tests for row in primary] == [3, 3, 3]
    # Three endpoints under three stresses, less the two in which micro_pass1 is deaf.
    assert [row.tests for row in secondary] == [7] * 7
    for family in (primary, secondary):
        raw = [row.difference.p_difference for row in family]
        assert [row.p_difference for row in family] == pytest.approx(stats.holm(raw))


def test_a_missing_seed_leaves_the_pairs_that_are_whole(table_of):
    row = answer(table_of(unwritten=(("aux_global", "skewed", "dropless", 2),)), "python_loss", SKEWED)
    assert row.seeds == (0, 1, 3, 4)
    assert "not finished" in row.missing[0]
    assert len(row.difference.per_seed) == 4


def test_a_row_whose_seeds_are_not_all_run_has_numbers_and_no_word(table_of):
    gone = tuple(("aux_global", "skewed", "dropless", seed) for seed in range(2))
    table = table_of(unwritten=gone, extra={"python_loss": {"loss_free": (0.5, 0.5)}})
    row = answer(table, "python_loss", SKEWED)
    assert (row.words, row.verdict, row.waiting) == ("not yet run (3 of 5 seeds)", None, (0, 1))
    assert row.difference.value == pytest.approx(0.5, abs=0.02)
    assert answer(table, "python_loss", TIGHT).words == "worse"


def test_a_word_that_was_printed_is_not_taken_back_when_other_rows_arrive(table_of):
    gone = tuple(("aux_global", init, "tight", seed) for seed in range(5) for init in ("random", "skewed"))
    extra = {"python_loss": {"loss_free": (0.03, 0.03)}}
    before = answer(table_of(unwritten=gone, extra=extra), "python_loss", SKEWED)
    after = answer(table_of("whole", extra=extra), "python_loss", SKEWED)
    assert before.tests == after.tests == 3
    assert after.p_difference <= before.p_difference
    assert before.words == after.words != "undecided"


def test_a_cell_that_failed_whenever_it_was_tried_ranks_worst(table_of, tmp_path):
    lost = tuple(("loss_free", "skewed", "dropless", seed) for seed in range(5))
    table = table_of(unwritten=lost)
    for name in table.missing:
        (tmp_path / "run" / "cells" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / "cells" / name / "error.txt").write_text("RuntimeError: too large\n")
    row = answer(StudyTable.load(tmp_path / "run", table.study), "python_loss", SKEWED)
    assert (row.difference, row.ranks, len(row.diverged)) == (None, (5, 0), 5)
    assert row.seeds == tuple(range(5))


def test_other_arms_that_the_contrast_names_are_tested_in_the_same_family(table_of):
    table = table_of(balancers=("loss_free", "aux_global", "none"), extra={"python_loss": {"none": (0.5, 0.0)}})
    also = dataclasses.replace(table.study, contrast=spec.Contrast(
        treatment="loss_free", control="aux_global", also=("none",)
    ))  # fmt: skip
    row = answer(StudyTable.load(table.folder, also), "python_loss", SKEWED, method="none")
    assert (row.role, row.words, row.tests) == ("primary", "worse", 6)


def test_rows_that_the_study_leaves_out_are_no_tests_of_its_families(table_of):
    table = table_of()
    chosen = ({"expert_init": ("random",)}, {"capacity": ("dropless",)})
    partly = StudyTable.load(table.folder, dataclasses.replace(table.study, select=chosen))
    primary = [row for row in partly.answers if row.role == "primary"]
    assert [(row.stressor.label, row.tests) for row in primary] == [(SKEWED, 2), (TIGHT, 2)]
    raw = [row.difference.p_difference for row in primary]
    assert [row.p_difference for row in primary] == pytest.approx(stats.holm(raw))
    assert CORNER not in {found.stressor.label for found in partly.degradations}


def test_a_row_without_any_whole_pair_is_not_yet_run(table_of):
    gone = tuple(("aux_global", "skewed", "dropless", seed) for seed in range(5))
    row = answer(table_of(unwritten=gone), "python_loss", SKEWED)
    assert row.words == "not yet run (0 of 5 seeds)"
    assert "not finished" in row.missing[0]


def test_divergence_ranks_worst_and_is_never_dropped(table_of):
    lost = tuple(("loss_free", "skewed", "dropless", seed) for seed in range(6))
    row = answer(table_of(seeds=6, diverged=lost), "python_loss", SKEWED)
    assert row.seeds == tuple(range(6))
    assert (row.difference, row.ranks, len(row.diverged)) == (None, (6, 0), 6)
    # The sign test's 2/64, times three rows: not enough after Holm.
    assert row.p_difference == pytest.approx(3 * 2 / 64)
    assert row.words == "undecided"


def test_enough_divergence_is_worse(table_of):
    lost = tuple(("loss_free", "skewed", "dropless", seed) for seed in range(8))
    assert answer(table_of(seeds=8, diverged=lost), "python_loss", SKEWED).words == "worse"


def test_divergence_of_the_control_is_better(table_of):
    lost = tuple(("aux_global", "skewed", "dropless", seed) for seed in range(8))
    assert answer(table_of(seeds=8, diverged=lost), "python_loss", SKEWED).words == "better"


def test_both_arms_diverging_is_a_tie(table_of):
    lost = tuple((arm, "skewed", "dropless", 0) for arm in ("loss_free", "aux_global"))
    row = answer(table_of(diverged=lost), "python_loss", SKEWED)
    assert sum(row.ranks) == 4


def test_a_nominal_success_that_holm_takes_back_is_said(table_of):
    """Find a row that is significant alone; the remark must say that Holm undid it."""
    table = table_of(seeds=3, cell_sd=0.006, extra={"humaneval_nll": {"loss_free": (0.06, 0.0)}})
    undone = [row for row in table.answers if "but not after Holm" in row.reason]
    assert undone
    assert all(row.words == "undecided" for row in undone)


def test_every_row_names_its_cells(table_of):
    table = table_of()
    for row in table.answers:
        assert len(row.cells) == 4 * 5
        assert set(row.cells) <= set(table.cells)
    for found in table.degradations:
        assert len(found.cells) == 2 * 5


def test_no_row_ever_says_no_significant_difference(table_of):
    table = table_of(cell_sd=0.02)
    allowed = {"equivalent", "better", "worse", "undecided", "exploratory", "not measured"}
    assert {row.words for row in table.answers} <= allowed
