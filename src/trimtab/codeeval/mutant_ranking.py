"""Ranking without generating: a reference solution beside mutants of it, where a model would write it.

A small model passes nothing and still finds right code likelier than wrong code. For a self-invoking problem the
context is the whole base problem with its solution and the second problem's header, and what is ranked is the second
solution alone: the question is whether a function that is *there* is used rightly (arXiv 2412.21199). Half of those
solutions are a call within a loop, without an operator to change; there one variable stands for another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trimtab.codeeval import mutate

if TYPE_CHECKING:
    from trimtab.codeeval.problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedChoice:
    """Texts to score, given a context.

    Attributes:
        context: What comes before each of them.
        right: The reference.
        wrong: Its mutants, of one token each; none where it has no token to change.
    """

    context: str
    right: str
    wrong: tuple[str, ...]


def choice(problem: Problem, mutants: int) -> RankedChoice:
    """Return what is ranked for a problem, with at most ``mutants`` mutants."""
    context, right = _halves(problem)
    wrong = mutate.mutants(context, right, limit=mutants)
    if problem.pro is not None and len(wrong) < mutants:
        wrong += mutate.misnamed(context, right, limit=mutants - len(wrong))
    return RankedChoice(context=context, right=right, wrong=tuple(wrong))


def _halves(problem: Problem) -> tuple[str, str]:
    if problem.pro is None:
        return problem.prompt, problem.canonical_solution
    parts = problem.pro
    base = f"{parts.raw_problem}{parts.raw_solution.rstrip()}\n\n\n"
    return f"{base}{parts.new_problem.rstrip()}\n", f"{parts.new_solution.rstrip()}\n"
