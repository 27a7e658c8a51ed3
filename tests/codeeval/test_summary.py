"""What a run came to: the record survives JSON, its lines say what the record says, and its verdicts are whole."""

from __future__ import annotations

import json

import pytest

from trimtab.codeeval import scores, summary, verdicts
from trimtab.codeeval.judge import SampleVerdict
from trimtab.codeeval.problem import Benchmark, Problem, SelfInvoking
from trimtab.errors import BenchmarkError
from trimtab.sandbox.verdict import Outcome

BOX = {"tier": "A", "python": "3.11"}
TIMING = [
    {"samples": 3, "prompt_tokens": 10, "new_tokens": 40, "wall_s": 2.0, "cpu_s": 1.0},
    {"samples": 1, "prompt_tokens": 5, "new_tokens": 60, "wall_s": 3.0, "cpu_s": 4.0},
]


def benchmark(name, number):
    def halves(n):
        texts = dict.fromkeys(("raw_problem", "raw_solution", "new_problem", "new_solution", "test_code"), "")
        return SelfInvoking(base_task_id=f"base/{n}", **texts) if name == "pro" else None

    fields = {"prompt": "", "entry_point": "f", "canonical_solution": "", "test": "", "benchmark": name}
    made = tuple(Problem(task_id=f"{name}/{n}", pro=halves(n), **fields) for n in range(number))
    return Benchmark(name=name, problems=made, source="", sha256="")


def write(path, *, tier="A", passed=(0,)):
    with verdicts.VerdictLog(path) as log:
        for name in ("base", "pro"):
            for n in range(4):
                good = n in passed or name == "base"
                outcome = Outcome.PASSED if good else Outcome.ERROR
                verdict = SampleVerdict(
                    task_id=f"{name}/{n}", sample_index=0, outcome=outcome, raw=Outcome.SYNTAX if n == 1 else outcome,
                    detail="" if good else "NameError: f", steps=("imports",) if n == 0 else (),
                    calls_base=name == "pro" and n < 3 if name == "pro" else None,
                )  # fmt: skip
                log.append(name, verdict, {**BOX, "tier": tier})


def record_of(path, *, sound=True):
    judged = verdicts.read(path)
    loaded = [benchmark("base", 4), benchmark("pro", 4)]
    unsound = {} if sound else {"pro/3": "named"}
    tallies = [
        scores.tally(one, [row for row in judged.verdicts if row["benchmark"] == one.name], unsound) for one in loaded
    ]
    return summary.record(tallies, summary.drops(loaded, tallies), TIMING, judged)


def test_the_record_is_data_and_its_lines_are_the_same_after_json(tmp_path):
    write(tmp_path / "verdicts.jsonl")
    record = record_of(tmp_path / "verdicts.jsonl", sound=False)
    again = json.loads(json.dumps(record, allow_nan=False))
    assert list(summary.lines(again)) == list(summary.lines(record))
    assert again["benchmarks"]["pro"]["unsound"] == {"pro/3": "named"}
    assert again["benchmarks"]["pro"]["extracted"]["sound"]["pass@1"]["problems"] == 3


def test_every_number_that_is_printed_is_one_of_the_record(tmp_path):
    write(tmp_path / "verdicts.jsonl")
    record = record_of(tmp_path / "verdicts.jsonl")
    text = "\n".join(summary.lines(record))
    pro = record["benchmarks"]["pro"]
    assert pro["extracted"]["all"]["pass@1"]["value"] == 1 / 4
    assert record["benchmarks"]["base"]["raw"]["all"]["pass@1"]["value"] == 3 / 4
    assert record["drops"][0] | {"low": 0, "high": 0} == {
        "value": 3 / 4, "low": 0, "high": 0, "pairs": 4, "base": "base", "pro": "pro",
    }  # fmt: skip
    assert record["generation"] == {"samples": 4, "prompt_tokens": 15, "new_tokens": 100, "wall_s": 5.0, "cpu_s": 5.0}
    for expected in (
        "pro pass@1", "25.0 % [", "of 4", "75.0 % [", "over 4 pairs", "failures: NameError 3", "imports 1",
        "never call the base function: 0 that passed, 1 that failed", "generated 4 samples, 100 tokens in 5 s",
        "20.0 tokens/s; 20.0 per CPU second", "judged in the sandbox, tier A",
    ):  # fmt: skip
        assert expected in text, expected


def test_pass_at_10_is_left_out_where_a_problem_has_fewer_samples(tmp_path):
    write(tmp_path / "verdicts.jsonl")
    assert list(record_of(tmp_path / "verdicts.jsonl")["benchmarks"]["pro"]["extracted"]["all"]) == ["pass@1"]


def test_a_file_of_samples_has_no_generation_to_speak_of(tmp_path):
    write(tmp_path / "verdicts.jsonl")
    record = {**record_of(tmp_path / "verdicts.jsonl"), "generation": summary.speed([])}
    assert not any("generated" in line for line in summary.lines(record))


def test_a_torn_last_line_is_dropped_when_the_run_goes_on(tmp_path):
    path = tmp_path / "verdicts.jsonl"
    write(path)
    whole, data = record_of(path), path.read_bytes()
    path.write_bytes(data + b'{"benchmark": "pro", "task_id": "pro/0", "outc')
    with verdicts.VerdictLog(path) as log:
        assert len(log.records) == 8
    assert path.read_bytes() == data
    assert record_of(path) == whole


def test_two_sandboxes_of_one_run_are_both_named(tmp_path):
    path = tmp_path / "verdicts.jsonl"
    write(path)
    with verdicts.VerdictLog(path) as log:
        log.append("pro", SampleVerdict(task_id="pro/0", sample_index=1, outcome=Outcome.WRONG), {**BOX, "tier": "B"})
    record = record_of(path)
    assert record["tiers"] == "AB"
    assert {one["tier"] for one in record["attestations"].values()} == {"A", "B"}
    assert "tier A/B" in "\n".join(summary.lines(record))


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: [lines[0], lines[1][:20], *lines[2:]],  # torn, but not at the end
        lambda lines: [line for line in lines if b"attestation" not in line],  # nobody says who judged
        lambda lines: [lines[0], b'{"version": 99}', *lines[1:]],  # of no kind that is known
        lambda lines: [lines[0], b"[1]", *lines[1:]],
    ],
)
def test_damaged_verdicts_are_refused_with_their_file(tmp_path, damage):
    path = tmp_path / "verdicts.jsonl"
    write(path)
    path.write_bytes(b"\n".join(damage(path.read_bytes().splitlines())) + b"\n")
    with pytest.raises(BenchmarkError, match=r"verdicts\.jsonl"):
        verdicts.read(path)
