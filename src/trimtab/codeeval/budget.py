"""What a sample may use: the usual budget, or five times its reference's CPU time where that is more.

A reference is measured only when a sample has used up the usual budget, once per problem and process.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from trimtab.sandbox.verdict import Limits, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from trimtab.codeeval.problem import Problem
    from trimtab.sandbox.verdict import RunVerdict

USUAL: Final = Limits()
TIMES: Final = 5
_REFERENCE: Final = Limits(cpu_s=120.0, wall_s=300.0)
_measured: dict[Problem, float] = {}


def limits(problem: Problem, run_reference: Callable[[Limits], RunVerdict]) -> Limits | None:
    """Return larger limits for samples of a problem whose reference needs them, else None.

    Args:
        problem: The problem.
        run_reference: Runs its reference under given limits.
    """
    if problem not in _measured:
        found = run_reference(_REFERENCE)
        _measured[problem] = found.cpu_s if found.outcome is Outcome.PASSED else 0.0
    needed = TIMES * _measured[problem]
    return dataclasses.replace(USUAL, cpu_s=needed) if needed > USUAL.cpu_s else None
