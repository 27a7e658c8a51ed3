"""Each tool's file is read as that tool meant it; what nobody reads is told what it looks like."""

from __future__ import annotations

import json
import sys

import pytest

from trimtab.codeeval import extract, samples
from trimtab.errors import BenchmarkError, MissingExtraError


def as_lines(maker, **how):
    return lambda made, problems: made.lines(getattr(made, maker)(problems, **how))


def as_json(maker):
    return lambda made, problems: json.dumps(getattr(made, maker)(problems)).encode()


FORMS = {
    "human-eval": as_lines("human_eval"),
    "EvalPlus": as_lines("evalplus"),
    "a list of samples": lambda made, problems: json.dumps(list(made.evalplus(problems))).encode(),
    "BigCodeBench": as_lines("bigcodebench"),
    "EvalPlus' results": as_json("evalplus_results"),
    "BigCodeBench's results": as_json("bigcodebench_results"),
    "lm-eval, nested": as_lines("lm_eval"),
    "lm-eval, flat": as_lines("lm_eval", nested=False),
    "inspect, JSON": as_json("inspect_json"),
    "inspect, packed": lambda made, problems: made.inspect_eval(problems),
    "inspect, deflated": lambda made, problems: made.inspect_eval(problems, packed=False),
    "OpenCompass": as_json("opencompass"),
    "OpenCompass, while it runs": as_lines("opencompass_lines"),
    "OpenAI's batch": as_lines("openai_batch"),
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("dress", ["plain", "gzip", "mark"])
def test_a_right_and_a_wrong_reply_come_out_of_every_form(tmp_path, made, humaneval, name, dress):
    data = FORMS[name](made, humaneval)
    if dress == "mark" and not data.startswith(b"PK"):
        data = b"\xef\xbb\xbf" + data
    path = tmp_path / "anything.at.all"
    path.write_bytes(made.packed(data) if dress == "gzip" else data)
    found = samples.read(path, humaneval)
    assert [(s.task_id, s.sample_index) for s in found.samples] == [
        (task_id, index) for task_id in made.RIGHT for index in (0, 1)
    ]
    known = {p.task_id: p for p in humaneval}
    for sample in found.samples:
        problem = known[sample.task_id]
        program = extract.clean(problem, sample.completion, continues=sample.continues).program
        body = (made.RIGHT, made.WRONG)[sample.sample_index][sample.task_id]
        assert program.endswith(problem.prompt.rstrip() + "\n" + body)


SAID = {
    "human-eval": (True, False),
    "EvalPlus' results": (True, False),
    "BigCodeBench's results": (True, False),
    "inspect, JSON": (True, False),
    "inspect, packed": (True, False),
    "lm-eval, nested": (None, None),
    "OpenCompass": (None, None),
}


@pytest.mark.parametrize("name", SAID)
def test_what_a_tool_said_itself_is_kept(tmp_path, made, humaneval, name):
    path = tmp_path / "x"
    path.write_bytes(FORMS[name](made, humaneval))
    found = samples.read(path, humaneval)
    assert [reply.passed for reply in found.replies.values()] == list(SAID[name]) * 2
    assert {reply.share for reply in found.replies.values()} == ({0.5} if "lm-eval" in name else {None})


@pytest.mark.parametrize("prompt", [True, False])
def test_bigcode_s_lists_are_placed_by_what_they_define_or_by_an_offset(tmp_path, made, humaneval, prompt):
    path = tmp_path / "generations_humaneval.json"
    path.write_text(json.dumps(made.bigcode(humaneval[1:4], prompt=prompt)))
    offset = None if prompt else 1
    found = samples.read(path, humaneval, offset=offset)
    assert [s.task_id for s in found.samples] == [f"HumanEval/{n}" for n in (1, 1, 2, 2, 3, 3)]
    assert {s.continues for s in found.samples} == {not prompt}
    if not prompt:
        with pytest.raises(BenchmarkError, match="does not say which problems"):
            samples.read(path, humaneval)
        whole = samples.read(path, humaneval[:3])
        assert whole.samples[0].task_id == "HumanEval/0"
    with pytest.raises(BenchmarkError, match="3 lists from problem 163 on, but 164"):
        samples.read(path, humaneval, offset=163)


def test_codeeval_pro_s_numbers_and_lists(tmp_path, humaneval):
    path = tmp_path / "results.jsonl"
    path.write_text('{"task_id": 2, "completion": ["a", "b"]}\n{"task_id": 45, "completion": "c"}\n')
    found = samples.read(path, humaneval)
    assert [(s.task_id, s.sample_index, s.completion) for s in found.samples] == [
        ("HumanEval/2", 0, "a"),
        ("HumanEval/2", 1, "b"),
        ("HumanEval/45", 0, "c"),
    ]


def test_lm_eval_keeps_one_filtered_response_of_several(tmp_path, made, humaneval):
    record = next(iter(made.lm_eval(humaneval)))
    record |= {"filtered_resps": [record["filtered_resps"][0][0]], "pass_at_1": 1.0}
    del record["pass@1"]
    path = tmp_path / "x.jsonl"
    path.write_bytes(made.lines([record]))
    found = samples.read(path, humaneval)
    assert len(found.samples) == 2
    assert [reply.passed for reply in found.replies.values()] == [True, None]


def test_lm_eval_s_responses_count_once_however_many_filters_a_task_has(tmp_path, made, humaneval):
    records = list(made.lm_eval(humaneval))
    path = tmp_path / "samples_x.jsonl"
    path.write_bytes(made.lines([{**record, "filter": name} for name in ("first", "second") for record in records]))
    once = tmp_path / "samples_y.jsonl"
    once.write_bytes(made.lines([{**record, "filter": "first"} for record in records]))
    assert samples.read(path, humaneval).samples == samples.read(once, humaneval).samples


def test_an_inspect_sample_without_an_answer_is_left_out_and_said(tmp_path, made, humaneval):
    log = made.inspect_json(humaneval)
    log["samples"][0] |= {"error": {"message": "the server is gone"}, "output": {"choices": []}}
    path = tmp_path / "log.json"
    path.write_text(json.dumps(log))
    found = samples.read(path, humaneval)
    assert len(found.samples) == 3
    assert "1 samples" in found.notes[0]


def test_inspect_s_long_texts_are_put_back(tmp_path, made, humaneval):
    log = made.inspect_json(humaneval)
    name = "0123456789abcdef" * 2
    log["samples"][1]["output"]["choices"][0]["message"]["content"] = f"attachment://{name}"
    log["samples"][1]["attachments"] = {name: "the text"}
    path = tmp_path / "log.json"
    path.write_text(json.dumps(log))
    assert samples.read(path, humaneval).samples[1].completion == "the text"


def test_a_packed_log_without_its_package_names_the_extra(tmp_path, made, humaneval, monkeypatch):
    path = tmp_path / "log.eval"
    path.write_bytes(made.inspect_eval(humaneval))
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(MissingExtraError, match=r"trimtab\[inspect\]"):
        samples.read(path, humaneval)


def test_a_damaged_log_is_named_with_its_member(tmp_path, made, humaneval):
    data = bytearray(made.inspect_eval(humaneval))
    at = data.index(b"\x28\xb5\x2f\xfd", data.index(b"samples/"))
    data[at + 6 : at + 12] = b"\xff" * 6
    path = tmp_path / "log.eval"
    path.write_bytes(data)
    with pytest.raises(BenchmarkError, match=r"log\.eval"):
        samples.read(path, humaneval)


UNKNOWN = {
    "a table (CSV)": b"task_id,completion,passed\nHumanEval/0,x,1\n",
    "a Parquet file": b"PAR1\x00\x00",
    "a pickle": b"\x80\x04\x95abc",
    "text": b"Hello there\n",
    "requests of a batch": b'{"custom_id": "HumanEval/0", "method": "POST", "url": "/v1", "body": {}}\n',
    "problems of a benchmark": b'{"task_id": "x", "canonical_solution": "", "test": ""}\n',
    "without samples: run it with --log_samples": b'{"results": {}, "configs": {}, "versions": {}}',
    "verdicts of trimtab": b'{"box": "x", "outcome": "passed", "task_id": "x"}\n',
    "scores without samples": b'{"pass@1": 0.5}',
    "an object with 'a', 'b'": b'{"a": 1, "b": 2}\n{"a": 1}\n',
    "a number": b"3",
    "no samples": b"",
    "a ZIP file that is no log": None,
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_nobody_reads_is_told_what_it_looks_like(tmp_path, made, humaneval, name):
    path = tmp_path / "file"
    path.write_bytes(UNKNOWN[name] if UNKNOWN[name] is not None else made.zstandard_zip({"a.txt": b"x"}))
    with pytest.raises(BenchmarkError) as error:
        samples.read(path, humaneval)
    assert name in error.value.message
    assert name == "no samples" or "lm-eval" in error.value.hint


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"task_id": "HumanEval/2", "completion": None}, "line 2: the field 'completion' is null, expected text"),
        ({"task_id": "HumanEval/2", "completion": ["return 1"]}, "'completion' is a list, expected text"),
        ({"task_id": "HumanEval/2", "solution": 3}, "'solution' is a number, expected text"),
        ({"task_id": None, "completion": ""}, "name is null"),
        ({"task_id": True, "completion": ""}, "name is a truth value"),
        ({"task_id": "HumanEval/2", "completion": "", "sample_index": -1}, "'sample_index' is -1"),
        ({"task_id": "HumanEval/2", "completion": "", "sample_index": 1.0}, r"'sample_index' is a number \(1.0\)"),
        ({"task_id": "HumanEval/2", "completion": "", "sample_index": "0"}, "'sample_index' is text"),
        ({"task_id": "HumanEval/2", "completion": "", "sample_index": True}, "'sample_index' is a truth value"),
        ({"task_id": "HumanEval/2", "completion": "", "sample_index": None}, "'sample_index' is null"),
        ({"task_id": "HumanEval/2", "completion": "", "sample_index": 10**30}, "'sample_index' is 1000"),
        ({"task_id": "HumanEval/2", "text": ""}, "line 2 is not a sample: it has 'task_id', 'text'"),
        ({"completion": ""}, "line 2 is not a sample: it has 'completion', and no 'task_id'"),
        (
            {"task_id": "HumanEval/164", "completion": ""},
            "names the problem 'HumanEval/164', which is not among the 164",
        ),
        ({"task_id": "Mbpp/2", "completion": ""}, "names the problem 'Mbpp/2'"),
    ],
)
def test_a_field_that_is_something_else_is_named(tmp_path, made, humaneval, record, said):
    path = tmp_path / "s.jsonl"
    path.write_bytes(made.lines([{"task_id": "HumanEval/2", "completion": "x"}, record]))
    with pytest.raises(BenchmarkError, match=said):
        samples.read(path, humaneval)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"error": {"message": "too many"}}, "was not answered: .*too many"),
        ({"response": None}, "was not answered"),
        ({"response": {"status_code": 429, "body": {"error": "slow"}}}, "was not answered: .*slow"),
        (
            {"response": {"status_code": 200, "body": {"choices": [{"message": {"content": None}}]}}},
            "'content' is null",
        ),
        (
            {"response": {"status_code": 200, "body": {"choices": [{"message": {"content": 3}}]}}},
            "'content' is a number",
        ),
        (
            {"response": {"status_code": 200, "body": {"choices": [{"message": {"content": [3]}}]}}},
            "part 0 of the content",
        ),
        ({"custom_id": "request-7"}, "'request-7'"),
    ],
)
def test_a_batch_says_which_request_has_no_answer(tmp_path, made, humaneval, change, said):
    record = next(iter(made.openai_batch(humaneval)))
    path = tmp_path / "out.jsonl"
    path.write_bytes(made.lines([record | change]))
    with pytest.raises(BenchmarkError, match=said):
        samples.read(path, humaneval)


@pytest.mark.parametrize("message", [{"refusal": "no"}, {"reasoning_content": "hm"}, {}])
def test_an_answer_without_text_is_a_sample_without_code(tmp_path, made, humaneval, message):
    choice = {"message": {"content": None, **message}, "finish_reason": "length"}
    record = {"custom_id": "HumanEval/2#3", "response": {"status_code": 200, "body": {"choices": [choice]}}}
    path = tmp_path / "out.jsonl"
    path.write_bytes(made.lines([record]))
    found = samples.read(path, humaneval).samples
    assert [(s.task_id, s.sample_index, s.completion) for s in found] == [("HumanEval/2", 3, "")]


@pytest.mark.parametrize("name", ["HumanEval/2", "humaneval/2", "HumanEval_2", "HumanEval-2", "HumanEval 2", 2, "2"])
def test_a_problem_is_known_however_it_is_written(tmp_path, made, humaneval, name):
    path = tmp_path / "s.jsonl"
    path.write_bytes(made.lines([{"task_id": name, "completion": "x"}]))
    assert samples.read(path, humaneval).samples[0].task_id == "HumanEval/2"


@pytest.mark.parametrize("tool", ["lm-eval", "inspect"])
@pytest.mark.parametrize(("function", "fits"), [("string_xor", True), ("remove_Occ", False)])
def test_a_number_is_a_problem_of_the_benchmark_that_its_document_is_about(tmp_path, humaneval, tool, function, fits):
    test = f'assert {function}("hello","l") == "heo"'
    path = tmp_path / "samples.json"
    if tool == "lm-eval":
        document = {"task_id": 11, "text": "Remove.", "test_list": [test]}
        record = {"doc": document, "resps": [["def f(): pass"]], "filtered_resps": [["def f(): pass"]]}
        path.write_text(json.dumps([record]))
    else:
        output = {"choices": [{"message": {"content": "def f(): pass"}}]}
        sample = {"id": 11, "epoch": 1, "input": "Remove.", "target": [test], "output": output}
        path.write_text(json.dumps({"version": 2, "eval": {}, "samples": [sample]}))
    if fits:
        assert samples.read(path, humaneval).samples[0].task_id == "HumanEval/11"
        return
    with pytest.raises(BenchmarkError, match="problem 11 of humaneval is about string_xor") as error:
        samples.read(path, humaneval)
    assert "-b" in error.value.hint


@pytest.mark.parametrize("offset", [None, 1])
def test_lists_of_other_problems_are_refused_by_what_they_define(tmp_path, made, humaneval, offset):
    path = tmp_path / "generations.json"
    lists = made.bigcode(humaneval[:3])
    lists[2] = made.bigcode(humaneval[7:8])[0]
    path.write_text(json.dumps(lists))
    place = "entry 2 defines filter_by_substring" if offset is None else "entry 0 defines has_close_elements"
    with pytest.raises(BenchmarkError, match=f"{place} and never names") as error:
        samples.read(path, humaneval, offset=offset)
    assert "--offset" in error.value.hint


def test_no_line_of_a_file_is_passed_over_without_a_word(tmp_path, made, humaneval):
    sample = {"task_id": "HumanEval/2", "completion": "x"}
    path = tmp_path / "s.jsonl"
    path.write_bytes(made.lines([{**next(iter(made.lm_eval(humaneval))), "filter": "none"}, sample]))
    with pytest.raises(BenchmarkError, match="line 2 is no record of lm-eval: it has 'task_id', 'completion'"):
        samples.read(path, humaneval)
    path.write_bytes(made.lines([{**sample, "benchmark": "humaneval"}, sample, {**sample, "benchmark": "mbpp-378"}]))
    read = samples.read(path, humaneval)
    assert [s.sample_index for s in read.samples] == [0, 1]
    assert read.notes == (f"{path} holds samples of benchmarks that are not judged here: 1 of mbpp-378",)


def test_another_encoding_is_named_and_is_not_called_cut_off(tmp_path, humaneval):
    path = tmp_path / "s.jsonl"
    path.write_bytes('{"task_id": "HumanEval/2", "completion": "# é"}'.encode("latin-1"))
    with pytest.raises(BenchmarkError, match="line 1 is not UTF-8"):
        samples.read(path, humaneval)
    path.write_bytes('{"task_id": "HumanEval/2", "completion": "# é'.encode()[:-1])
    with pytest.raises(BenchmarkError, match="line 1 was cut off"):
        samples.read(path, humaneval)
