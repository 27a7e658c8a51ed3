"""Which problems of a benchmark measure something else than they say, found by running them, once a machine.

A self-invoking problem goes through the gates of :mod:`trimtab.codeeval.selfinvoke.gates` that a score needs. Any other
problem must be one whose reference passes and that no stub passes. What was found is kept in the user's cache under the
SHA-256 of the data and of the code that looked.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from trimtab.codeeval import hub, mutate
from trimtab.codeeval import judge as judging
from trimtab.codeeval.judge import Sample
from trimtab.codeeval.packages import packages
from trimtab.codeeval.selfinvoke import audit, gates
from trimtab.codeeval.selfinvoke.lab import Lab
from trimtab.sandbox.verdict import Outcome

if TYPE_CHECKING:
    from trimtab.codeeval.problem import Benchmark, Problem
    from trimtab.sandbox.broker import Sandbox


def unsound(benchmark: Benchmark, sandbox: Sandbox) -> dict[str, str]:
    """Return the tasks that a score should leave out, and why.

    Raises:
        SandboxError: The sandbox itself failed.
    """
    kept = hub.cached(f"unsound-{benchmark.name}-{_digest(benchmark)}.json")
    if kept.is_file():
        found: dict[str, str] = json.loads(kept.read_text(encoding="utf-8"))
        return found
    pro = any(problem.pro is not None for problem in benchmark.problems)
    found = _pro(benchmark, sandbox) if pro else _plain(benchmark, sandbox)
    hub.keep(kept, json.dumps(found, indent=1).encode())
    return found


def _digest(benchmark: Benchmark) -> str:
    code = b"".join(Path(module.__file__).read_bytes() for module in (gates, mutate, judging) if module.__file__)
    return hashlib.sha256(benchmark.sha256.encode() + code).hexdigest()[:12]


def _pro(benchmark: Benchmark, sandbox: Sandbox) -> dict[str, str]:
    unsandboxed, workers = sandbox.attestation["tier"] == "D", sandbox.workers
    with Lab(allow_unsandboxed=unsandboxed, workers=workers, packages=packages(benchmark.problems)) as lab:
        audits = list(audit.audit(benchmark.problems, lab, only=gates.SOUND, workers=workers))
    return {one.task_id: "; ".join(sorted(one.failed)) for one in audits if not one.sound}


def _plain(benchmark: Benchmark, sandbox: Sandbox) -> dict[str, str]:
    with concurrent.futures.ThreadPoolExecutor(sandbox.workers) as pool:
        reasons = pool.map(lambda problem: _reason(problem, sandbox), benchmark.problems)
        return {p.task_id: reason for p, reason in zip(benchmark.problems, reasons, strict=True) if reason}


def _reason(problem: Problem, sandbox: Sandbox) -> str:
    texts = {"": problem.canonical_solution}
    indented = not problem.assertions  # HumanEval's prompt ends inside the function, MBPP's before it
    before = "    pass\n" if indented else ""
    texts |= {answer: before + mutate.stub(problem.entry_point, answer) for answer in mutate.STUBS}
    samples = [Sample(task_id=problem.task_id, sample_index=0, completion=text) for text in texts.values()]
    outcomes = [verdict.raw for verdict in judging.judge(samples, [problem], sandbox)]
    if outcomes[0] is not Outcome.PASSED:
        return f"reference: {outcomes[0]}"
    passing = next((a for a, outcome in zip(texts, outcomes, strict=True) if a and outcome is Outcome.PASSED), None)
    return "" if passing is None else f"stubs: passed by: return {passing}"
