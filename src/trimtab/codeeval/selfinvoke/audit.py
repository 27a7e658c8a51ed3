"""Published or hand-made self-invoking sets put through the gates: which problems measure something else.

Any file in HumanEval Pro's schema can be audited: a JSON array or JSON Lines of records with ``raw_problem``,
``raw_solution``, ``new_problem``, ``new_solution`` and ``test_code``.
"""

from __future__ import annotations

import concurrent.futures
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trimtab import disk
from trimtab.codeeval import benchmark_readers
from trimtab.codeeval.selfinvoke import problem_gates
from trimtab.codeeval.selfinvoke.problem_gates import SOUND, GateCase, GateFinding, ProblemGate
from trimtab.errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from trimtab.codeeval.problem import Problem
    from trimtab.codeeval.selfinvoke.program_lab import Lab


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What the gates found in one problem.

    Attributes:
        task_id: Which problem.
        findings: One for each gate that was asked.
    """

    task_id: str
    findings: tuple[GateFinding, ...]

    @property
    def failed(self) -> frozenset[ProblemGate]:
        """The gates it does not go through."""
        return frozenset(finding.gate for finding in self.findings if not finding.passed)

    @property
    def sound(self) -> bool:
        """Whether a score on it says anything: see :data:`~trimtab.codeeval.selfinvoke.problem_gates.SOUND`."""
        return not self.failed & SOUND

    def record(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return {
            "task_id": self.task_id,
            "sound": self.sound,
            "gates": {finding.gate.value: [finding.passed, finding.detail] for finding in self.findings},
        }


def audit(
    problems: Iterable[Problem],
    lab: Lab,
    *,
    bases: Mapping[str, Problem] | None = None,
    only: Iterable[ProblemGate] = ProblemGate,
    workers: int = 1,
) -> Iterator[Audit]:
    """Yield what the gates find, in the problems' order.

    Args:
        problems: Self-invoking ones.
        lab: Where programs run.
        bases: Base problems by task id: a mutant of a base counts only if the base's own tests refute it.
        only: The gates to ask; :data:`~trimtab.codeeval.selfinvoke.problem_gates.SOUND` is what a score needs.
        workers: How many problems at once; the lab should have as many.

    Raises:
        BenchmarkError: A problem is not a self-invoking one.
    """
    wanted, known = frozenset(only), bases or {}

    def look(problem: Problem) -> Audit:
        base = known.get(problem.pro.base_task_id) if problem.pro else None
        return Audit(task_id=problem.task_id, findings=tuple(problem_gates.check(GateCase(problem, base), lab, wanted)))

    every, seen = tuple(problems), problem_gates.Seen()
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for problem, findings in zip(every, pool.map(look, every), strict=True):
            last = (seen.look(problem),) if ProblemGate.NEW in wanted else ()
            seen.add(problem)
            yield Audit(task_id=findings.task_id, findings=findings.findings + last)


def read(path: Path) -> tuple[Problem, ...]:
    """Read a file in HumanEval Pro's schema; its problems are numbered as in the file.

    Raises:
        BenchmarkError: It is not there, holds no record, or one that is not in that schema, saying which and why.
    """
    try:
        text = disk.without_mark(path.read_bytes()).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise BenchmarkError(f"{path} cannot be read: {error}") from None
    try:
        records = json.loads(text) if text.lstrip().startswith("[") else [json.loads(x) for x in text.splitlines() if x]
    except ValueError as error:
        raise BenchmarkError(f"{path} is neither a JSON array nor JSON Lines: {error}") from None
    if not records:
        raise BenchmarkError(f"{path} holds no problems", hint="see HumanEval Pro's schema")
    return tuple(_problem(path, number, record) for number, record in enumerate(records))


def _problem(path: Path, number: int, record: Any) -> Problem:  # noqa: ANN401 - whatever the file holds
    place = f"{path}, record {number}"
    if not isinstance(record, dict):
        raise BenchmarkError(f"{place}: expected an object, got {type(record).__name__}")
    for field in benchmark_readers.PRO_FIELDS:
        if field in record and not isinstance(record[field], str):
            raise BenchmarkError(f"{place}: the field {field!r} is {disk.json_kind(record[field])}, expected text")
    name = str(record.get("id", number))
    try:
        return benchmark_readers.self_invoking(
            record, f"{path.stem}/{name}", str(record.get("base_task_id", "")), path.stem
        )
    except KeyError as error:
        raise BenchmarkError(f"{place}: no field {error}", hint="see HumanEval Pro's schema") from None
    except (SyntaxError, ValueError, RecursionError) as error:
        raise BenchmarkError(f"{place}: not a Python program with tests: {error}") from None
    except StopIteration:
        raise BenchmarkError(f"{place}: its tests call no function that its program defines") from None


def failures(audits: Iterable[Audit]) -> dict[ProblemGate, list[str]]:
    """Return for each gate the problems that do not go through it."""
    failing: dict[ProblemGate, list[str]] = {gate: [] for gate in ProblemGate}
    for audited in audits:
        for gate in audited.failed:
            failing[gate].append(audited.task_id)
    return failing


def summary(audits: Sequence[Audit]) -> Iterator[str]:
    """Yield a line for each gate, with the problems that fail it, and the counts of all and of sound problems."""
    for gate, failing in failures(audits).items():
        numbers = " ".join(task_id.rpartition("/")[2] for task_id in failing)
        yield f"{gate.value:10} {len(failing):4}  {numbers}".rstrip()
    yield f"{'all':10} {len(audits):4}"
    yield f"{'sound':10} {sum(audited.sound for audited in audits):4}"
