"""What a table's numbers are about, whichever way round the table stands."""

from decimal import Decimal

import pytest

from trimtab.claims.name_registry import Registry
from trimtab.claims.table_index import TableIndex, matching
from trimtab.claims.wording import stems
from trimtab.documents import reader

REGISTRY = Registry.load()
UPRIGHT = """Table 1: Accuracy (%).

| Model | HumanEval | MBPP (3-shot) |
|---|---|---|
| GPT-4o | 90.2 | 87.6 |
| Qwen2.5-Coder-7B | 61.6 | 76.9 |
"""
LYING = """Table 1: Accuracy (%).

| | GPT-4o | Qwen2.5-Coder-7B |
|---|---|---|
| HumanEval | 90.2 | 61.6 |
| MBPP (3-shot) | 87.6 | 76.9 |
"""


def readings(text):
    return TableIndex([reader.read_bytes(text.encode(), "paper.md")], REGISTRY)


def facts(found):
    return {(tuple(one.subjects), one.benchmark, one.metric, one.setting.shots, one.value) for one in found.all}


def test_a_table_may_have_its_models_in_rows_or_in_columns():
    gpt, qwen = (readings(UPRIGHT).subject_id(name) for name in ("GPT-4o", "Qwen2.5-Coder-7B"))
    metric = REGISTRY.id_of("accuracy", "metrics")
    assert metric
    assert facts(readings(UPRIGHT)) == {
        ((gpt,), "humaneval", metric, None, Decimal("90.2")),
        ((gpt,), "mbpp", metric, 3, Decimal("87.6")),
        ((qwen,), "humaneval", metric, None, Decimal("61.6")),
        ((qwen,), "mbpp", metric, 3, Decimal("76.9")),
    }
    assert facts(readings(LYING)) == facts(readings(UPRIGHT))


def test_a_number_in_brackets_under_a_plus_is_of_the_plus_benchmark():
    found = readings("| Model | HumanEval (+) |\n|---|---|\n| GPT-4o | 90.2 (86.0) |\n")
    assert [(one.benchmark, one.value) for one in found.all] == [
        ("humaneval", Decimal("90.2")),
        ("humaneval_plus", Decimal("86.0")),
    ]


@pytest.mark.parametrize(
    ("caption", "benchmark"),
    [
        ("Table 1: Results on MBPP.", "mbpp"),
        ("Table 1: Results on MBPP and HumanEval.", ""),
        ("Table 1: Results.", ""),
    ],
)
def test_a_caption_speaks_where_headers_do_not_and_it_names_one_thing(caption, benchmark):
    (one,) = readings(f"{caption}\n\n| Model | Score |\n|---|---|\n| GPT-4o | 90.2 |\n").all
    assert one.benchmark == benchmark


def test_unknown_benchmarks_are_found_by_the_words_of_their_headers():
    found = readings("| Model | FrobBench Hard | FrobBench |\n|---|---|---|\n| GPT-4o | 1.5 | 2.5 |\n").all
    hard, plain = (frozenset(stems(text)) for text in ("FrobBench Hard", "FrobBench"))
    assert [one.value for one in matching(found, "", hard)] == [Decimal("1.5")]
    assert [one.value for one in matching(found, "", plain)] == [Decimal("1.5"), Decimal("2.5")]


def test_rows_tables_and_names():
    found = readings(UPRIGHT)
    assert found.of(found.all[0]).row(found.all[0]) == (("HumanEval", "90.2"), ("MBPP (3-shot)", "87.6"))
    assert [len(table.readings) for table in found.tables] == [4]
    assert {name for name, term in found.vocabulary().items() if term.kind == "models"} == {
        one for reading_ in found.all for one in reading_.subjects
    }
    assert readings("| Model | n |\n|---|---|\n| Average | 3 |\n").vocabulary() == {}
