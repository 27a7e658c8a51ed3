"""A model on benchmarks: samples and verdicts written as they come, so that a run can be killed and goes on.

::

    out/eval.json        what was asked: model, form, sampling, hashes of the data; a folder holds one thing only
    out/samples.jsonl    one line a sample      out/timing.jsonl     what generating took
    out/verdicts.jsonl   one line a verdict, and what the sandbox that made them observed of itself

Decisions: a sample's random numbers depend on its problem and number alone, so a run that was interrupted draws what an
uninterrupted one would have; a folder that was made with other settings is refused, never mixed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trimtab.codeeval import extract, prompts
from trimtab.codeeval.judge import JudgeElsewhere, Sample, judge_attested
from trimtab.codeeval.verdicts import VerdictLog
from trimtab.disk import LineLog, read_json, write_atomic
from trimtab.errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from trimtab.codeeval.completion import Completer, Completion, Sampling
    from trimtab.codeeval.problem import Benchmark
    from trimtab.codeeval.prompts import PromptForm
    from trimtab.codeeval.samples import SampleFile
    from trimtab.sandbox.broker import Sandbox

    Report = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalSettings:
    """What a run asks of a model.

    Attributes:
        model: As the user named it.
        form: How problems are put.
        shots: Examples shown; None for each benchmark's own.
        sampling: How it samples; stop strings come with the form.
    """

    model: str
    form: PromptForm
    shots: int | None
    sampling: Sampling

    def shots_of(self, benchmark: str) -> int:
        """Return how many examples a benchmark's problems are put with."""
        return prompts.default_shots(benchmark) if self.shots is None else self.shots


@dataclass(frozen=True, slots=True)
class EvalFolder:
    """Where a run keeps what it did."""

    path: Path

    @property
    def samples(self) -> Path:
        """One line a sample."""
        return self.path / "samples.jsonl"

    @property
    def verdicts(self) -> Path:
        """One line a verdict; see :mod:`trimtab.codeeval.verdicts`."""
        return self.path / "verdicts.jsonl"

    @property
    def timing(self) -> Path:
        """One line a batch that was generated."""
        return self.path / "timing.jsonl"

    def claim(self, record: Mapping[str, Any]) -> None:
        """Write what is asked into an empty folder, or see that it is what the folder was made for.

        Raises:
            BenchmarkError: It was made for something else; the message names the first difference.
        """
        file = self.path / "eval.json"
        if not file.exists():
            self.path.mkdir(parents=True, exist_ok=True)
            self.write("eval.json", record)
            return
        recorded = read_json(file, error=BenchmarkError)
        for key in sorted(recorded.keys() | record.keys()):
            if recorded.get(key) != record.get(key):
                raise BenchmarkError(
                    f"{self.path} was made with {key} = {recorded.get(key)!r}, now it is {record.get(key)!r}",
                    hint="name another folder with -o, or delete this one",
                )

    def write(self, name: str, record: Mapping[str, Any]) -> None:
        """Write a JSON file, whole or not at all."""
        write_atomic(self.path / name, json.dumps(record, indent=1) + "\n")


def run(  # noqa: PLR0913 - a model, what it is asked and how, where programs run, who hears of it
    completer: Completer,
    benchmarks: Sequence[Benchmark],
    settings: EvalSettings,
    folder: EvalFolder,
    sandbox: Sandbox | JudgeElsewhere,
    report: Report = lambda *_: None,
    *,
    judging: Mapping[str, Any] | None = None,
) -> None:
    """Generate and judge whatever of a run is not there yet.

    Args:
        completer: The model.
        benchmarks: What it is asked.
        settings: How.
        folder: Where samples and verdicts go.
        sandbox: Where programs run: a sandbox that is started, or a judge elsewhere.
        report: Called with a benchmark's name, verdicts so far and verdicts in all.
        judging: What of the sandbox is another than usual; verdicts of two settings do not share a folder.

    Raises:
        BenchmarkError: The folder was made for something else, or a file in it is damaged.
        SandboxError: The sandbox itself failed.
    """
    folder.claim({**_record(benchmarks, settings), **(judging or {})})
    with (
        LineLog(folder.samples, error=BenchmarkError) as written,
        VerdictLog(folder.verdicts) as verdicts,
        LineLog(folder.timing, error=BenchmarkError) as timing,
    ):
        for benchmark in benchmarks:
            task = _Task(completer, benchmark, settings, written, timing)
            judged = _keys(verdicts.records, benchmark.name)
            total = len(benchmark.problems) * settings.sampling.n
            judging_now = judge_attested(task.samples(judged), benchmark.problems, sandbox)
            for number, (verdict, attestation) in enumerate(judging_now, len(judged) + 1):
                verdicts.append(benchmark.name, verdict, attestation)
                report(benchmark.name, number, total)


def judge_file(
    file: SampleFile,
    benchmarks: Sequence[Benchmark],
    folder: EvalFolder,
    sandbox: Sandbox | JudgeElsewhere,
    report: Report = lambda *_: None,
    *,
    judging: Mapping[str, Any] | None = None,
) -> None:
    """Judge a file of samples: those that are not judged yet.

    Args:
        file: What :func:`trimtab.codeeval.samples.read` found.
        benchmarks: Where their problems are; each is judged on the samples that name one of its problems.
        folder: Where verdicts go.
        sandbox: Where programs run: a sandbox that is started, or a judge elsewhere.
        report: Called with a benchmark's name, verdicts so far and verdicts in all.
        judging: What of the sandbox is another than usual; verdicts of two settings do not share a folder.

    Raises:
        BenchmarkError: The folder was made for other samples, or by another extraction.
    """
    samples_read = file.samples
    text = "\0".join(f"{s.task_id} {s.sample_index} {s.continues} {s.completion}" for s in samples_read)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    data = {b.name: b.sha256 for b in benchmarks}
    folder.claim({"samples": digest, "data": data, "extraction": extract.identity(file.tokens), **(judging or {})})
    with VerdictLog(folder.verdicts) as verdicts:
        for benchmark in benchmarks:
            judged = _keys(verdicts.records, benchmark.name)
            tasks = {problem.task_id for problem in benchmark.problems}
            mine = [sample for sample in samples_read if sample.task_id in tasks]
            todo = [sample for sample in mine if (sample.task_id, sample.sample_index) not in judged]
            judging_now = judge_attested(todo, benchmark.problems, sandbox)
            for number, (verdict, attestation) in enumerate(judging_now, len(mine) - len(todo) + 1):
                verdicts.append(benchmark.name, verdict, attestation)
                report(benchmark.name, number, len(mine))


def _record(benchmarks: Sequence[Benchmark], settings: EvalSettings) -> dict[str, Any]:
    sampling = dataclasses.asdict(settings.sampling)
    del sampling["stop"]
    return {
        "model": settings.model,
        "form": str(settings.form),
        "shots": {b.name: settings.shots_of(b.name) for b in benchmarks},
        "sampling": sampling,
        "data": {b.name: b.sha256 for b in benchmarks},
        "extraction": extract.identity(),
    }


def _keys(records: Sequence[Mapping[str, Any]], benchmark: str) -> set[tuple[str, int]]:
    return {(r["task_id"], r["sample_index"]) for r in records if r["benchmark"] == benchmark}


@dataclass(frozen=True, slots=True)
class _Task:
    """One benchmark of a run."""

    completer: Completer
    benchmark: Benchmark
    settings: EvalSettings
    log: LineLog
    timing: LineLog

    def samples(self, judged: set[tuple[str, int]]) -> Iterator[Sample]:
        """Yield every sample that is not judged: those in the log, then new ones as they are written to it."""
        records = [record for record in self.log.records if record["benchmark"] == self.benchmark.name]
        for record in records:
            if (record["task_id"], record["sample_index"]) not in judged:
                yield _sample(record)
        yield from self._generate({(record["task_id"], record["sample_index"]) for record in records})

    def _generate(self, there: set[tuple[str, int]]) -> Iterator[Sample]:
        tasks = self.benchmark.problems
        shots, examples = self.settings.shots_of(self.benchmark.name), self.benchmark.examples
        questions = [prompts.ask(task, self.settings.form, shots=shots, examples=examples) for task in tasks]
        done = {
            (at, n) for at, p in enumerate(tasks) for n in range(self.settings.sampling.n) if (p.task_id, n) in there
        }
        if len(done) == len(tasks) * self.settings.sampling.n:
            return
        sampling = dataclasses.replace(self.settings.sampling, stop=questions[0].stop)
        completions = self.completer.complete([question.prompt for question in questions], sampling, done=done)
        for completion in self._timed(completions):
            problem, question = tasks[completion.prompt_index], questions[completion.prompt_index]
            record = {
                "benchmark": self.benchmark.name,
                "task_id": problem.task_id,
                "sample_index": completion.sample_index,
                "completion" if question.continues else "solution": completion.text,
                "finished": completion.finished,
                "prompt": question.digest,
                "prompt_tokens": completion.prompt_tokens,
                "new_tokens": completion.new_tokens,
            }
            self.log.append(record)
            yield _sample(record)

    def _timed(self, completions: Iterator[Completion]) -> Iterator[Completion]:
        """Pass completions on and note how long each batch of them took to come."""
        batch: list[Completion] = []
        wall, cpu = time.perf_counter(), time.process_time()
        spent = [0.0, 0.0]
        for completion in completions:
            took = time.perf_counter() - wall, time.process_time() - cpu
            if took[0] > 0.05 and batch:  # the next batch has come; those of one batch come at once
                self._note(batch, spent)
                batch, spent = [], [0.0, 0.0]
            spent = [spent[0] + took[0], spent[1] + took[1]]
            batch.append(completion)
            yield completion
            wall, cpu = time.perf_counter(), time.process_time()
        if batch:
            self._note(batch, spent)

    def _note(self, batch: Sequence[Completion], spent: Sequence[float]) -> None:
        record = {
            "benchmark": self.benchmark.name,
            "samples": len(batch),
            "prompt_tokens": sum(completion.prompt_tokens for completion in batch),
            "new_tokens": sum(completion.new_tokens for completion in batch),
            "wall_s": round(spent[0], 3),
            "cpu_s": round(spent[1], 3),
        }
        self.timing.append(record)


def _sample(record: Mapping[str, Any]) -> Sample:
    continues = "completion" in record
    return Sample(
        task_id=record["task_id"],
        sample_index=record["sample_index"],
        completion=record["completion" if continues else "solution"],
        continues=continues,
    )
