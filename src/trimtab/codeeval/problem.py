"""One problem of a code benchmark, in the form that all of them are brought into.

Decisions: a program is ``prompt + completion`` and ``test`` defines ``check(candidate)``, HumanEval's form; how results
are compared where the published harness does more than ``==`` is data here (:class:`Differential`), not code in a
judge; what only a prompt style needs (the task in words, an assertion to show) is kept apart from what is judged.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

Arguments = tuple[Any, ...]


class Oracle(enum.StrEnum):
    """How a result of the program is compared with the reference's on the same input.

    Those beyond ``EQUAL`` are the exceptions that EvalPlus makes among the tasks of the versions read here.
    """

    EQUAL = "equal"
    ROOT = "root"  # HumanEval/32: the polynomial is zero there, within the tolerance; the reference's root is not asked
    SAME_SET = "same_set"  # seven MBPP tasks that return lists whose order and repetition the text leaves open
    NOT_NONE = "not_none"  # three MBPP tasks that may return a match object or a truth value
    PYRAMID = "pyramid"  # Mbpp/581: the height may be read as the perpendicular one
    DIGITS = "digits"  # Mbpp/558: the shorter number may be padded with zeros


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Differential:
    """Inputs on which a program must do what the reference solution does (EvalPlus, arXiv 2305.01210).

    Attributes:
        base: Arguments of the benchmark's own tests, one tuple a call.
        plus: Arguments of the added tests.
        atol: Absolute tolerance for floats; 0 means none is stated, and then a float, or a list or tuple of nothing
            but floats, is compared within 1e-6 and everything else exactly. The relative tolerance is always 1e-7.
            Each input is judged by its own expected value: EvalPlus raises the tolerance at the first float it meets
            and keeps it for the inputs after it, which this does not.
        oracle: What is compared.
    """

    base: tuple[Arguments, ...]
    plus: tuple[Arguments, ...]
    atol: float = 0.0
    oracle: Oracle = Oracle.EQUAL


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfInvoking:
    """The two halves of a self-invoking problem (arXiv 2412.21199), under the names its files give them.

    Attributes:
        base_task_id: The base problem in its own benchmark, for example ``HumanEval/0`` or ``Mbpp/2``.
        raw_problem: The base problem, ending in the header of its function.
        raw_solution: Its reference solution.
        new_problem: The problem that should call the base function; comments, and mostly a header.
        new_solution: Its reference solution.
        test_code: The assertions as published.
    """

    base_task_id: str
    raw_problem: str
    raw_solution: str
    new_problem: str
    new_solution: str
    test_code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A function to write: the program is ``prompt + completion``, and ``test`` judges ``entry_point``.

    Attributes:
        task_id: For example ``HumanEval/0``, ``Mbpp/2``, ``HumanEvalPro/0``, ``micro/17``, ``micro-pro/3``.
        prompt: What the program begins with; a base model continues it.
        entry_point: The name of the function that is tested.
        canonical_solution: A right continuation of the prompt.
        test: Source that defines ``check(candidate)``.
        benchmark: A name of :data:`trimtab.codeeval.benchmark_registry.BENCHMARKS`, ``micro`` or ``micro-pro``.
        description: The task in words, where the benchmark gives it apart from the code; else empty.
        assertions: The assertions one by one, where the benchmark gives them so; else empty.
        pro: The halves of a self-invoking problem.
        differential: Inputs to compare with the reference on, in place of ``test``.
        base_comparison: The inputs of ``test`` with the comparison that the benchmark's own harness makes on them; a
            program that ``test`` finds wrong and this does not is right, because a literal ``==`` in an assertion can
            ask for more than the task (the last bit of a float, an order that the text leaves open).
    """

    task_id: str
    prompt: str
    entry_point: str
    canonical_solution: str
    test: str
    benchmark: str
    description: str = ""
    assertions: tuple[str, ...] = ()
    pro: SelfInvoking | None = None
    differential: Differential | None = None
    base_comparison: Differential | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A published set of problems.

    Attributes:
        name: Its name here.
        problems: In the file's order.
        source: Where it was read from.
        sha256: Of the file's bytes.
        examples: Problems whose solutions its authors show in a prompt, in their order.
    """

    name: str
    problems: tuple[Problem, ...]
    source: str
    sha256: str
    examples: tuple[Problem, ...] = ()
