"""lm-eval with our data, extraction and sandbox: tasks, and metrics for tasks of one's own.

::

    lm_eval --include_path "$(python -m trimtab.codeeval.lm_eval_judging)" --tasks trimtab_humaneval --model ...

    metric_list:                                                   # in a task of one's own, in place of code_eval
      - metric: !function trimtab.codeeval.lm_eval_judging.pass_at_k
        aggregation: mean
        higher_is_better: true
        k: [1]

Decisions: the tasks score what the model wrote, as it wrote it: no stop string and no filter cuts a reply before
extraction sees it (only a completion, which has no other end, stops at HumanEval's stop words); all repeats count; what
could not be judged ends the run, because a mean without it is another score. Written against lm-eval 0.4.13.
"""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trimtab.codeeval import given_tests, problems, prompts
from trimtab.codeeval.ruling import RulingRequest
from trimtab.codeeval.workers import Workers
from trimtab.errors import BenchmarkError, SandboxError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trimtab.codeeval.problem import Problem

TASKS: Final = Path(__file__).with_name("lm_eval_tasks")
"""The folder for ``--include_path``."""


@functools.cache
def _workers() -> Workers:
    return Workers()


@functools.cache
def _problems(benchmark: str) -> dict[str, Problem]:
    return {problem.task_id: problem for problem in problems.load(benchmark, fetch=True).problems}


def dataset(benchmark: str, **_: object) -> dict[str, Any]:
    """Return a benchmark as lm-eval's ``custom_dataset`` does, from the bytes that are pinned here.

    Raises:
        BenchmarkError: There is no such benchmark, or its file is not to be had.
    """
    from datasets import Dataset  # noqa: PLC0415 - lm-eval brings it

    rows = [
        {
            "task_id": problem.task_id,
            "benchmark": benchmark,
            "prompt": problem.prompt,
            "request": _request(problem),
        }
        for problem in _problems(benchmark).values()
    ]
    return {"test": Dataset.from_list(rows)}


def _request(problem: Problem) -> str:
    """Return what a chat is asked: the words of ``trimtab eval``."""
    prompt = prompts.ask(problem, prompts.PromptForm.REPLY).prompt
    return prompt if isinstance(prompt, str) else prompt.user


def whole(resps: Sequence[Sequence[str]], docs: Sequence[Mapping[str, Any]]) -> list[list[str]]:  # noqa: ARG001
    """Pass on every repeat as the model wrote it: lm-eval's own default keeps the first."""
    return [list(replies) for replies in resps]


def judge_completions(doc: Mapping[str, Any], results: Sequence[Sequence[str]]) -> dict[str, float]:
    """Return the score of texts that continue a problem's prompt, as lm-eval's ``process_results`` does.

    Raises:
        SandboxError: One could not be judged.
    """
    return _scored(doc, results, continues=True)


def judge_replies(doc: Mapping[str, Any], results: Sequence[Sequence[str]]) -> dict[str, float]:
    """Return the score of replies to a chat, as lm-eval's ``process_results`` does.

    Raises:
        SandboxError: One could not be judged.
    """
    return _scored(doc, results, continues=False)


def _scored(doc: Mapping[str, Any], results: Sequence[Sequence[str]], *, continues: bool) -> dict[str, float]:
    problem = _problems(doc["benchmark"])[doc["task_id"]]
    replies = [reply for group in results for reply in ([group] if isinstance(group, str) else group)]
    passed = _passed([RulingRequest(completion=reply, tests=problem, continues=continues) for reply in replies])
    return {"pass@1": sum(passed) / len(passed)}


def pass_at_k(
    references: Sequence[str], predictions: Sequence[Sequence[str]], k: int | Sequence[int] = (1,)
) -> dict[str, float]:
    """Return pass@k of programs, in place of the ``code_eval`` metric that lm-eval's code tasks call.

    Args:
        references: Tests of each problem: assertions, or ``check(candidate)`` and a call of it.
        predictions: Programs of each problem, or replies with one.
        k: Up to the number of programs of a problem.

    Returns:
        ``pass@k`` for each k: the unbiased estimate (arXiv 2107.03374, equation 1), its mean over problems.

    Raises:
        BenchmarkError: A test cannot be read, or k exceeds the number of programs.
        SandboxError: A program could not be judged.
    """
    wanted = [k] if isinstance(k, int) else list(k)
    counts = []
    for reference, programs in zip(references, predictions, strict=True):
        tests = given_tests.read(reference)
        passed = _passed([RulingRequest(completion=program, tests=tests) for program in programs])
        counts.append((len(passed), sum(passed)))
    for size in wanted:
        short = next((n for n, _ in counts if n < size), None)
        if short is not None:
            raise BenchmarkError(f"pass@{size} of {short} programs", hint="generate more: repeats in the task")
    return {
        f"pass@{size}": sum(1.0 - math.comb(n - c, size) / math.comb(n, size) for n, c in counts) / len(counts)
        for size in wanted
    }


def pass_at_1(references: str | Sequence[str], predictions: Sequence[str] | Sequence[Sequence[str]]) -> float:
    """Return pass@1 of programs in the form that lm-eval's MBPP tasks call; see :func:`pass_at_k`.

    Raises:
        BenchmarkError: A test cannot be read.
        SandboxError: A program could not be judged.
    """
    tests = [references] if isinstance(references, str) else references
    programs = [[group] if isinstance(group, str) else group for group in predictions]
    return pass_at_k(tests, programs, 1)["pass@1"]


def _passed(requests: Sequence[RulingRequest]) -> list[bool]:
    rulings = [future.result() for future in [_workers().submit(request) for request in requests]]
    for ruled in rulings:
        if ruled.reward is None:
            raise SandboxError(f"a program could not be judged: {ruled.reason}")
    return [ruled.reward == 1 for ruled in rulings]


if __name__ == "__main__":
    print(TASKS)  # noqa: T201 - for the command line
