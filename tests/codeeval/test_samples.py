"""Files of others are read as they are; a log survives being cut off anywhere."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.codeeval import samples
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
        found = list(samples.read(tmp_path / name))
        assert [(s.task_id, s.sample_index, s.continues) for s in found] == [
            ("HumanEval/0", 0, True),
            ("HumanEval/0", 1, True),
            ("HumanEval/1", 0, False),
        ]


def test_evalplus_folders_are_read(tmp_path):
    for name in ("HumanEval_3/0.py", "HumanEval_3/10.py", "HumanEval_3/2.py", "Mbpp_7/0.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    found = list(samples.read(tmp_path))
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
        list(samples.read(path))


@given(st.binary(max_size=40), st.integers(0, 200), st.booleans())
@settings(max_examples=150, deadline=None)
def test_whatever_a_file_holds_it_is_samples_or_a_message_that_names_it(tmp_path_factory, data, at, packed):
    path = tmp_path_factory.mktemp("read") / "s.jsonl"
    lines = b"".join(b'{"task_id": "a/%d", "completion": "x"}\n' % number for number in range(3))
    whole = gzip.compress(lines) if packed else lines
    path.write_bytes(whole[:at] + data + whole[at + len(data) :])
    said, found = str(path), []
    try:
        found = list(samples.read(path))
    except BenchmarkError as error:
        said = error.message
    assert str(path) in said
    assert all(isinstance(sample.completion, str) for sample in found)
