"""A problem of a code benchmark, whatever the benchmark."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A function to write: the program is ``prompt + completion``, and ``test`` judges ``entry_point``.

    Attributes:
        task_id: For example ``HumanEval/0``, ``Mbpp/2``, ``micro/17``, ``micro-pro/3``.
        prompt: What the model continues.
        entry_point: The name of the function that is tested.
        canonical_solution: A right continuation of the prompt.
        test: Source that defines ``check(candidate)``.
        benchmark: ``humaneval``, ``mbpp-sanitized``, ``mbpp``, ``micro`` or ``micro-pro``.
    """

    task_id: str
    prompt: str
    entry_point: str
    canonical_solution: str
    test: str
    benchmark: str
