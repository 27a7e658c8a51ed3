"""A run that was cut off goes on, and comes to what it would have come to."""

from __future__ import annotations

import dataclasses
import itertools
import json

import pytest

from trimtab.codeeval import evaluation_run, problems, samples, soundness, verdicts
from trimtab.codeeval.completion import Completion, Sampling
from trimtab.codeeval.prompts import PromptForm
from trimtab.errors import BenchmarkError
from trimtab.sandbox.broker import Sandbox

SETTINGS = evaluation_run.EvalSettings(model="m", form=PromptForm.COMPLETION, shots=None, sampling=Sampling(n=2))


@pytest.fixture(scope="module")
def box():
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def few():
    whole = problems.load("humaneval")
    return dataclasses.replace(whole, problems=whole.problems[:4])


class Scripted:
    """Completes with reference solutions, every second sample wrong; stops when told."""

    def __init__(self, benchmark, stop_after=None):
        self.benchmark, self.stop_after, self.given = benchmark, stop_after, 0

    def complete(self, prompts, sampling, *, done=()):
        for at, n in itertools.product(range(len(prompts)), range(sampling.n)):
            if (at, n) in done:
                continue
            if self.given == self.stop_after:
                raise KeyboardInterrupt
            self.given += 1
            text = "    return None\n" if n else self.benchmark.problems[at].canonical_solution
            yield Completion(prompt_index=at, sample_index=n, text=text, finished="eos", prompt_tokens=2, new_tokens=3)


def outcomes(folder):
    records = verdicts.read(folder.verdicts).verdicts
    return {(r["task_id"], r["sample_index"]): r["outcome"] for r in records}


def test_a_run_that_was_cut_off_goes_on(tmp_path, few, box):
    folder = evaluation_run.EvalFolder(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        evaluation_run.run(Scripted(few, stop_after=3), [few], SETTINGS, folder, box)
    with folder.samples.open("a") as file:
        file.write('{"task_id": "torn')
    completer = Scripted(few)
    evaluation_run.run(completer, [few], SETTINGS, folder, box)
    assert completer.given == 5
    expected = {(p.task_id, n): "wrong" if n else "passed" for p in few.problems for n in (0, 1)}
    assert outcomes(folder) == expected
    assert len(folder.samples.read_text().splitlines()) == len(verdicts.read(folder.verdicts).verdicts) == 8
    again = Scripted(few, stop_after=0)
    evaluation_run.run(again, [few], SETTINGS, folder, box)
    assert outcomes(folder) == expected


def test_a_folder_holds_one_thing_only(tmp_path, few, box):
    folder = evaluation_run.EvalFolder(tmp_path)
    evaluation_run.run(Scripted(few), [few], SETTINGS, folder, box)
    with pytest.raises(BenchmarkError, match="model = 'm', now it is 'other'"):
        evaluation_run.run(Scripted(few), [few], dataclasses.replace(SETTINGS, model="other"), folder, box)


def test_a_file_of_samples_is_judged_once(tmp_path, few, box):
    file = tmp_path / "s.jsonl"
    lines = [{"task_id": p.task_id, "completion": p.canonical_solution} for p in few.problems]
    lines += [{"task_id": p.task_id, "solution": p.prompt + p.canonical_solution} for p in few.problems]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    folder = evaluation_run.EvalFolder(tmp_path / "out")
    for _ in range(2):
        evaluation_run.judge_file(samples.read(file, few.problems), [few], folder, box)
        assert list(outcomes(folder).values()) == ["passed"] * 8
    file.write_text(json.dumps({"task_id": "HumanEval/99", "completion": ""}))
    with pytest.raises(BenchmarkError, match="'HumanEval/99', which is not among the 4 that are judged"):
        samples.read(file, few.problems)


def test_soundness_is_found_by_running_and_kept(no_data, few, box):
    trivial = dataclasses.replace(few.problems[0], task_id="x/0", test="def check(candidate):\n    assert True\n")
    broken = dataclasses.replace(few.problems[1], task_id="x/1", canonical_solution="    return 1\n")
    found = soundness.unsound(dataclasses.replace(few, name="x", problems=(trivial, broken, few.problems[2])), box)
    assert set(found) == {"x/0", "x/1"}
    assert found["x/0"].startswith("stubs")
    assert found["x/1"].startswith("reference")
    assert len(list(no_data.rglob("unsound-x.json"))) == 1


def test_every_verdict_names_the_sandbox_that_made_it(tmp_path, few, box):
    folder = evaluation_run.EvalFolder(tmp_path)
    evaluation_run.run(Scripted(few), [few], SETTINGS, folder, box)
    folder.verdicts.write_text("".join(folder.verdicts.read_text().splitlines(keepends=True)[:-3]))
    with Sandbox(hash_seed=1) as other:
        evaluation_run.run(Scripted(few), [few], SETTINGS, folder, other)
        found = verdicts.read(folder.verdicts)
        attested = [found.attestations[record["box"]] for record in found.verdicts]
        assert attested == [box.attestation] * 5 + [other.attestation] * 3
    assert found.tiers == box.attestation["tier"]


def test_a_verdict_without_an_attestation_is_refused(tmp_path, few, box):
    folder = evaluation_run.EvalFolder(tmp_path)
    evaluation_run.run(Scripted(few), [few], SETTINGS, folder, box)
    lines = folder.verdicts.read_text().splitlines(keepends=True)
    folder.verdicts.write_text("".join(lines[1:]))
    with pytest.raises(BenchmarkError, match="'HumanEval/0' names no sandbox that this file attests"):
        verdicts.read(folder.verdicts)
