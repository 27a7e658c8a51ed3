import pytest

from trimtab.report import words
from trimtab.study.table import StudyTable


@pytest.fixture
def table_of(synthetic, tmp_path):
    def build(**settings):
        return StudyTable.load(tmp_path, synthetic.Synthetic(**settings).write(tmp_path))

    return build


def primary(table):
    return [words.sentence(row, table.study.confidence) for row in table.answers if row.role == "primary"]


def test_a_sentence_tells_size_direction_interval_and_word(table_of):
    table = table_of(cell_sd=0.0, extra={"python_loss": {"loss_free": (0.05, -0.04)}})
    skewed, tight, _ = primary(table)
    assert skewed == (
        "Under expert_init=skewed, loss_free loses 0.050 nats/token more than aux_global"
        " (95\u202f% interval [+0.050, +0.050], 5 seeds): worse."
    )
    assert "loses 0.040 nats/token less than aux_global" in tight
    assert tight.endswith(": better.")


def test_no_difference_to_the_digits_shown_is_said_as_such(table_of):
    skewed = primary(table_of(cell_sd=0.0))[0]
    assert "loses as much as aux_global, to the digits shown" in skewed
    assert skewed.endswith(": equivalent, within \u00b10.02 nats/token.")


def test_the_lead_counts_the_words_of_the_primary_endpoint(table_of):
    lead = words.lead(table_of(extra={"python_loss": {"loss_free": (0.05, 0.0)}}))
    assert lead.endswith("over 3 stresses: 2 worse, 1 equivalent.")


def test_a_primary_endpoint_that_is_deaf_everywhere_is_not_an_answer(synthetic, tmp_path):
    source = synthetic.Synthetic(seeds=3)
    study = source.write(tmp_path)

    def deafen(record):
        for factor in ("expert_init", "capacity"):
            entry = {**record["controls"][0], "factor": factor, "passed": False}
            record["controls"].append(entry)

    synthetic.rewrite(tmp_path / "controls.json", deafen)
    assert "Not answerable here" in words.lead(StudyTable.load(tmp_path, study))


@pytest.mark.parametrize(("seeds", "told"), [(1, "1 seed: "), (3, "3.26 standard"), (4, "with 3 seeds"), (10, "1.00")])
def test_limits_say_what_this_many_seeds_can_find(table_of, seeds, told):
    assert told in words.limits(table_of(seeds=seeds))[0]
