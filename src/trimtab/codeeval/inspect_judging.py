"""A scorer for inspect: our extraction and sandbox in place of a container.

::

    from trimtab.codeeval.inspect_judging import judged
    task = Task(dataset=..., solver=generate(), scorer=judged())
    eval(humaneval(scorer=judged(), sandbox=None), model=...)          # inspect_evals' own task

Decisions: tests come from a sample's metadata (``test`` and ``entry_point``, or ``test_list``), else from its target,
as inspect_evals' tasks have them; what could not be judged is unscored, which inspect leaves out of every metric, and
never incorrect. Written against inspect_ai 0.3.285.
"""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any, Final

from inspect_ai.scorer import CORRECT, INCORRECT, Score, Scorer, Target, accuracy, scorer, stderr

from trimtab.codeeval import given_tests
from trimtab.codeeval.judge import Outcome
from trimtab.codeeval.problem import Problem
from trimtab.codeeval.ruling import RulingRequest
from trimtab.codeeval.workers import Workers
from trimtab.errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inspect_ai.solver import TaskState

_PROMPTED: Final = ("prompt", "test", "entry_point")


@functools.cache
def _workers() -> Workers:
    return Workers()


@scorer(metrics=[accuracy(), stderr()])
def judged(*, continues: bool = False, partial: bool = False) -> Scorer:
    """Return a scorer that runs the program in a completion against the sample's tests.

    Args:
        continues: Whether completions continue the prompt's code, rather than being replies.
        partial: Score the share of tests that hold; else C for all of them and I for less.
    """

    async def score(state: TaskState, target: Target) -> Score:
        text = state.output.completion
        tests = _tests(state.metadata, list(target), str(state.sample_id))
        request = RulingRequest(
            completion=text,
            tests=tests,
            prefix=str(state.metadata.get("prompt", "")) if continues else "",
            continues=continues,
            partial=partial,
        )
        ruled = await asyncio.wrap_future(await asyncio.to_thread(_workers().submit, request))
        if ruled.reward is None:
            return Score.unscored(reason="scoring_failed", answer=text, explanation=ruled.reason)
        value: str | float = ruled.reward if partial else CORRECT if ruled.outcome is Outcome.PASSED else INCORRECT
        explanation = f"{ruled.outcome}: {ruled.detail}" if ruled.detail else str(ruled.outcome)
        return Score(
            value=value,
            answer=text,
            explanation=f"{explanation} ({ruled.passed} of {ruled.total} tests hold)",
            metadata={"outcome": str(ruled.outcome), "passed": ruled.passed, "total": ruled.total},
        )

    return score


def _tests(metadata: Mapping[str, Any], target: list[str], sample: str) -> given_tests.GivenTests | Problem:
    """Return a sample's tests.

    Raises:
        BenchmarkError: It has none that can be read.
    """
    if all(isinstance(metadata.get(name), str) for name in _PROMPTED):
        fields = {name: metadata[name] for name in _PROMPTED}
        return _problem(sample, **fields, solution="".join(target))
    try:
        return given_tests.read(
            metadata.get("test_list") or metadata.get("tests") or target, metadata.get("entry_point")
        )
    except BenchmarkError as error:
        raise BenchmarkError(f"sample {sample}: {error.message}", hint=error.hint) from None


@functools.lru_cache(maxsize=4096)
def _problem(sample: str, prompt: str, test: str, entry_point: str, solution: str) -> Problem:
    return Problem(
        task_id=sample,
        prompt=prompt,
        entry_point=entry_point,
        canonical_solution=solution,
        test=test,
        benchmark="inspect",
    )
