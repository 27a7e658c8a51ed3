"""Base problems, in the two texts that a self-invoking problem keeps of them, with calls that were observed."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trimtab.codeeval.selfinvoke.plain_literals import arguments, literal
from trimtab.sandbox import source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trimtab.codeeval.problem import Problem
    from trimtab.codeeval.selfinvoke.program_lab import Example, Lab


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What is built on.

    Attributes:
        number: Its position in its benchmark, which becomes the ``id`` of what is built on it.
        problem: The problem itself, with its test.
        raw_problem: Its text, ending in the header of its function.
        raw_solution: The rest of the reference.
        examples: Calls that its own test makes and their results, short ones and different results first.
    """

    number: int
    problem: Problem
    raw_problem: str
    raw_solution: str
    examples: tuple[Example, ...]

    @property
    def task_id(self) -> str:
        """The problem's own id."""
        return self.problem.task_id

    @property
    def entry_point(self) -> str:
        """The function to call."""
        return self.problem.entry_point


def observe(number: int, problem: Problem, lab: Lab) -> Base:
    """Take a problem apart and run its own test to see how its function is called."""
    raw_problem, raw_solution = split(problem)
    examples = _telling(lab.observe(problem))
    return Base(
        number=number, problem=problem, raw_problem=raw_problem, raw_solution=raw_solution, examples=tuple(examples)
    )


def split(problem: Problem) -> tuple[str, str]:
    """Return the problem, ending in the header of its function, and the solution.

    HumanEval's prompts are so already. MBPP's solutions are whole programs, so the header is taken from there and the
    task stands before it as a comment, as in MBPP Pro; the assertions that a prompt shows are left out.
    """
    if re.search(rf"^def {re.escape(problem.entry_point)}\b", problem.prompt, re.MULTILINE):
        return problem.prompt, problem.canonical_solution
    code = problem.canonical_solution.strip("\n") + "\n"
    lines = code.splitlines(keepends=True)
    header = _header_end(code, problem.entry_point)
    words = "".join(f"# {line.strip()}\n" for line in problem.description.splitlines())
    return words + "".join(lines[:header]), "".join(lines[header:])


def _header_end(code: str, entry_point: str) -> int:
    """Return how many lines there are up to and including the header of the function; 0 if its body is on it."""
    for node in source.parse(code).body:
        if isinstance(node, ast.FunctionDef) and node.name == entry_point:
            first = node.body[0].lineno - 1
            return first if first >= node.lineno else 0
    return 0


def _telling(examples: Sequence[Example]) -> list[Example]:
    """Order examples: each result once, before any result a second time; short ones first."""
    rows = sorted(examples, key=lambda entry: len(arguments(entry.arguments)) + len(literal(entry.result)))
    seen: dict[str, int] = {}
    ranked: list[tuple[int, int, Example]] = []
    for row in rows:
        text = literal(row.result)
        seen[text] = seen.get(text, -1) + 1
        ranked.append((seen[text], len(ranked), row))
    return [row for _, _, row in sorted(ranked, key=lambda entry: entry[:2])]
