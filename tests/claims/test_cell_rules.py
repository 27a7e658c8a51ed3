"""Facts against cells: equal, different, elsewhere, compared, and nothing where the tuple is not there."""

import pytest

from trimtab.claims import cell_rules
from trimtab.claims.claim_model import Fact, MeasurementSetting, Quantity
from trimtab.claims.name_registry import Registry
from trimtab.claims.table_index import TableIndex
from trimtab.documents import reader

TABLE = """Table 1: Pass@1 (%).

| Model | HumanEval | HumanEval+ | MBPP |
|---|---|---|---|
| GPT-4o | 90.24 | 86.0 | 87.6 |
| Qwen2.5-Coder-7B | 61.6 | 53.0 | 76.9 |
| Someone et al. (2023) | 44.4 | 33.3 | 22.2 |
"""
READINGS = TableIndex([reader.read_bytes(TABLE.encode(), "paper.md")], Registry.load())


def look(subject, benchmark, value=None, **more):
    quantity = Quantity(text=value, unit="%") if value else None
    return cell_rules.look_up(Fact(subject=subject, benchmark=benchmark, value=quantity, **more), 0, READINGS)


@pytest.mark.parametrize(
    ("subject", "benchmark", "value", "stances"),
    [
        ("GPT-4o", "HumanEval", "90.2", ["supports"]),
        ("GPT-4o", "HumanEval", "90.24", ["supports"]),
        ("GPT-4o", "HumanEval", "90", ["supports"]),
        ("gpt 4o", "OpenAI HumanEval", "90.2", ["supports"]),
        ("GPT-4o", "HumanEval", "90.3", ["refutes"]),
        ("GPT-4o", "HumanEval", "86.0", ["refutes"]),
        ("GPT-4o", "BigCodeBench", "90.2", []),
        ("GPT-4o-mini", "HumanEval", "90.2", []),
        ("", "HumanEval", "61.6", ["supports"]),
        ("", "HumanEval", "61.7", []),
        ("", "HumanEval", "44.4", []),
        ("Someone et al. (2023)", "HumanEval", "44.4", ["supports"]),
    ],
)
def test_the_exact_tuple_decides_at_the_claims_precision(subject, benchmark, value, stances):
    assert [one.stance.value for one in look(subject, benchmark, value).evidence] == stances


@pytest.mark.parametrize(
    ("subject", "value", "home"),
    [
        ("GPT-4o", "86.0", "HumanEval+"),
        ("GPT-4o", "87.6", "MBPP"),
        ("GPT-4o", "61.6", "Qwen2.5-Coder-7B"),
        ("GPT-4o", "12.3", None),
    ],
)
def test_a_value_that_stands_elsewhere_has_its_home_named(subject, value, home):
    (one,) = look(subject, "HumanEval", value).evidence
    assert one.target.location.startswith("Table 1, row GPT-4o, column HumanEval")
    assert (one.home is None) if home is None else home in one.home.location


def test_another_setting_decides_nothing():
    text = "| Model | HumanEval (0-shot) |\n|---|---|\n| GPT-4o | 90.2 |\n"
    readings = TableIndex([reader.read_bytes(text.encode(), "paper.md")], Registry.load())

    def stances(shots, value):
        fact = Fact(
            subject="GPT-4o", benchmark="HumanEval", value=Quantity(text=value), setting=MeasurementSetting(shots=shots)
        )
        return [one.stance.value for one in cell_rules.look_up(fact, 0, readings).evidence]

    assert (stances(0, "90.2"), stances(0, "80.0"), stances(1, "80.0")) == (["supports"], ["refutes"], [])


@pytest.mark.parametrize(
    ("relation", "value", "stance"),
    [
        ("greater", None, "supports"),
        ("less", None, "refutes"),
        ("same", None, "refutes"),
        ("greater", "28.6", "supports"),
        ("greater", "28.7", "mixed"),  # as 61.6 may be 61.55
        ("greater", "28.9", "refutes"),
        ("less", "28.6", "refutes"),
    ],
)
def test_comparisons_are_computed_from_the_cells(relation, value, stance):
    (one,) = look("GPT-4o", "HumanEval", value, relation=relation, comparator="Qwen2.5-Coder-7B").evidence
    assert one.stance.value == stance
    assert "90.24 \u2212 61.6 = 28.64" in one.why


@pytest.mark.parametrize(("subject", "stance"), [("GPT-4o", "supports"), ("Qwen2.5-Coder-7B", "refutes")])
def test_the_best_is_the_best_of_its_column(subject, stance):
    (one,) = look(subject, "HumanEval", relation="best").evidence
    assert one.stance.value == stance
    assert "of 3 rows, 90.24 is best (GPT-4o)" in one.why


def test_digits_cut_off_and_digits_too_many_are_remarked():
    cut = TableIndex([reader.read_bytes(TABLE.replace("90.24", "90.29").encode(), "p.md")], Registry.load())
    fact = Fact(subject="GPT-4o", benchmark="HumanEval", value=Quantity(text="90.2", unit="%"))
    assert [flag.name for flag in cell_rules.look_up(fact, 0, cut).flags] == ["precision"]
    assert [flag.name for flag in look("GPT-4o", "MBPP", "87.64").flags] == ["precision"]


# A wins at equal capacity, everywhere; only a pair of unequal ones says that B does.
CAPACITIES = {
    "as row headers": """
| Model | Capacity | MBPP |
|---|---|---|
| Arm-A1 | dropless | 60.0 |
| Arm-A1 | tight | 50.0 |
| Arm-B1 | dropless | 58.0 |
| Arm-B1 | tight | 40.0 |
""",
    "as column headers": """
| Model | MBPP, dropless | MBPP, tight |
|---|---|---|
| Arm-A1 | 60.0 | 50.0 |
| Arm-B1 | 58.0 | 40.0 |
""",
    "as numbers beside the value": """
| Model | Eval. capacity | MBPP |
|---|---|---|
| Arm-A1 | 2.0 | 60.0 |
| Arm-A1 | 1.25 | 50.0 |
| Arm-B1 | 2.0 | 58.0 |
| Arm-B1 | 1.25 | 40.0 |
""",
}


@pytest.mark.parametrize("text", CAPACITIES.values(), ids=CAPACITIES)
@pytest.mark.parametrize(
    ("relation", "value", "stances"),
    [
        ("greater", None, ["supports", "supports"]),
        ("less", None, ["refutes", "refutes"]),
        ("less", "8", ["refutes", "refutes"]),
        ("greater", "20", ["refutes", "refutes"]),
        ("greater", "10", ["supports"]),
    ],
)
def test_a_comparison_is_made_at_one_capacity_not_across_two(text, relation, value, stances):
    readings = TableIndex([reader.read_bytes(text.encode(), "paper.md")], Registry.load())
    quantity = Quantity(text=value) if value else None
    fact = Fact(subject="Arm-A1", comparator="Arm-B1", benchmark="MBPP", relation=relation, value=quantity)
    assert [one.stance.value for one in cell_rules.look_up(fact, 0, readings).evidence] == stances


def test_a_header_of_an_ordinary_word_is_no_name_in_a_sentence():
    text = TABLE + "\nTable 2: More.\n\n| Achieves | GSM8K |\n|---|---|\n| achieves | 12.5 |\n| Results | 3.5 |\n"
    readings = TableIndex([reader.read_bytes(text.encode(), "paper.md")], Registry.load())
    assert {"achieves", "results"}.isdisjoint(readings.vocabulary())
    assert "gpt4o" in readings.vocabulary()


def test_in_a_table_with_a_measure_a_row_only_the_value_column_has_values():
    name = "tiny-loss_free-random-s1_1e2eea4a"
    text = f"cell,arm,endpoint,metric,value,numerator,units\n{name},sign,micro_pass1,pass@1,0.62,3.7,6\n"
    index = TableIndex([reader.read_bytes(text.encode(), "table.csv")], Registry.load())
    fact = Fact(subject=name, benchmark="micro_pass1", value=Quantity(text="3.7"))
    assert [str(one.value) for one in index.candidates(fact)] == ["0.62"]
