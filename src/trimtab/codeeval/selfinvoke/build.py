"""The builder: a proposal, its ground truth by execution, assertions from the results, and the gates.

The three steps of arXiv 2412.21199, section 3; what that recipe leaves to people is done by machine. Step one asks a
completer (see :mod:`~trimtab.codeeval.selfinvoke.proposal_prompt`). Step two runs the proposed solution on the inputs,
under two hash seeds, in both orders and with both kinds of float sums; an input on which the results differ, or which
raises, is left out. Step three writes the assertions and puts the problem through every gate. What fails is kept with
its reason, and the next attempt is told of it.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from trimtab.codeeval import benchmark_readers
from trimtab.codeeval.selfinvoke import plain_literals as texts
from trimtab.codeeval.selfinvoke import problem_gates, program_lab, proposal_prompt
from trimtab.codeeval.selfinvoke.attempt import Attempt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trimtab.codeeval.completion import Completer, Sampling
    from trimtab.codeeval.problem import Problem
    from trimtab.codeeval.selfinvoke.base_problem import Base
    from trimtab.codeeval.selfinvoke.build_folder import BuildFolder
    from trimtab.codeeval.selfinvoke.program_lab import Evaluated, Lab

ASSERTS: Final = 10  # at most; different results first
_LONGEST: Final = 2000  # characters of an assertion


def build(
    bases: Sequence[Base], completer: Completer, laboratory: Lab, folder: BuildFolder, sampling: Sampling, attempts: int
) -> Iterator[Attempt]:
    """Make attempts until each base has an accepted problem or has had its share; yield each as it is recorded.

    Args:
        bases: What to build on.
        completer: Who proposes; asked for all open bases at once, with the attempt added to the seed.
        laboratory: Where programs run.
        folder: Where attempts are kept; those that are there already are not repeated.
        sampling: How to sample; ``n`` is taken to be 1.
        attempts: For each base at most.
    """
    seen = problem_gates.Seen()
    for record in folder.accepted():
        seen.add(problem_of(record["base"], record["fields"]))
    for number in range(attempts):
        open_bases = [base for base in bases if folder.awaits(base.task_id, number)]
        if not open_bases:
            continue
        prompts = [proposal_prompt.write(base, folder.reason(base.task_id)) for base in open_bases]
        settings = replace(sampling, n=1, seed=sampling.seed + number)
        replies = completer.complete(prompts, settings)
        rows = ((open_bases[answer.prompt_index], prompts[answer.prompt_index], answer.text) for answer in replies)
        for made in _examine(rows, number, laboratory):
            final = _compare(made, seen)
            folder.add(final)
            yield final


def _examine(rows: Iterator[tuple[Base, str, str]], number: int, laboratory: Lab) -> Iterator[Attempt]:
    """Examine answers, several at once, in the order in which they come; never far ahead of what was recorded."""
    with concurrent.futures.ThreadPoolExecutor(laboratory.workers) as pool:
        waiting: list[concurrent.futures.Future[Attempt]] = []
        for base, prompt, reply in rows:
            waiting.append(pool.submit(examine, base, reply, number, laboratory, prompt))
            if len(waiting) > 2 * laboratory.workers:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()


def _compare(made: Attempt, seen: problem_gates.Seen) -> Attempt:
    """Let the last gate, which needs the other problems, look at what the others let through."""
    if made.stage != "accepted" or made.fields is None:
        return made
    problem = problem_of(made.base, made.fields)
    finding = seen.look(problem)
    findings = {**(made.found or {}), finding.gate.value: (finding.passed, finding.detail)}
    if not finding.passed:
        return replace(made, stage="gates", reason=f"new: {finding.detail}", found=findings)
    seen.add(problem)
    return replace(made, found=findings)


def examine(base: Base, reply: str, number: int, laboratory: Lab, prompt: str = "") -> Attempt:
    """Take one answer through steps two and three."""
    made = Attempt(
        base=base.task_id,
        attempt=number,
        stage="reply",
        prompt_sha256=hashlib.sha256(prompt.encode()).hexdigest(),
        reply=reply,
    )
    try:
        proposal = proposal_prompt.read(reply, base)
    except proposal_prompt.ReplyError as error:
        return replace(made, reason=str(error) if reply.strip() else "no answer")
    parts = (base.raw_problem + base.raw_solution, proposal.new_problem, proposal.new_solution)
    program = "".join(map(benchmark_readers.line_end, parts))
    stable, reason = _ground_truth(program, proposal, laboratory)
    chosen = _choose(proposal.entry_point, stable)
    made = replace(made, inputs=(len(proposal.test_inputs), len(stable), len(chosen)))
    if len(chosen) < problem_gates.MIN_ASSERTS:
        return replace(made, stage="run", reason=reason or f"only {len(chosen)} inputs give a stable result")
    fields = _fields(base, proposal, texts.join(chosen))
    try:
        case = problem_gates.GateCase(problem_of(base.task_id, fields), base.problem)
    except (SyntaxError, ValueError, StopIteration) as error:
        return replace(made, stage="run", reason=f"the parts do not join to a program: {error!r}"[:300])
    findings = list(problem_gates.check(case, laboratory))
    failed = [f"{finding.gate}: {finding.detail}" for finding in findings if not finding.passed]
    return replace(
        made,
        stage="gates" if failed else "accepted",
        reason="; ".join(failed),
        fields=fields,
        found={finding.gate.value: (finding.passed, finding.detail) for finding in findings},
    )


def problem_of(task_id: str, fields: dict[str, Any]) -> Problem:
    """Return what a record in HumanEval Pro's schema, built on a base, poses."""
    return benchmark_readers.self_invoking(fields, f"{task_id}/self-invoking", task_id, "built")


def _ground_truth(
    program: str, proposal: proposal_prompt.ProblemProposal, laboratory: Lab
) -> tuple[list[Evaluated], str]:
    """Return the inputs whose result is the same however it is computed, and why the others are not among them."""
    inputs = list(proposal.test_inputs)
    first = laboratory.evaluate(program, proposal.entry_point, inputs)
    if not first.rows:
        return [], f"the solution does not run: {first.ended}"
    again = laboratory.evaluate(program, proposal.entry_point, inputs[::-1], hash_seed=1).rows[::-1]
    stable, reason = [], ""
    sums = [
        laboratory.evaluate(text + program, proposal.entry_point, inputs).rows
        for text in (program_lab.PLAIN, program_lab.COMPENSATED)
    ]
    for number, row in enumerate(first.rows):
        others = [rows[number] if number < len(rows) else None for rows in (again, *sums)]
        if row.how != "returned":
            reason = f"{proposal.entry_point}({inputs[number]}): {row.how}: {row.result}"[:300]
        elif all(other is not None and texts.same(row.result, other.result) for other in others):
            stable.append(row)
        else:
            reason = f"{proposal.entry_point}({inputs[number]}) does not give the same result each time"[:300]
    return stable, reason


def _choose(function: str, rows: Sequence[Evaluated]) -> list[str]:
    """Write assertions: each different result once before any comes a second time."""
    count: dict[str, int] = {}
    ranked: list[tuple[int, int, str]] = []
    for number, row in enumerate(rows):
        text = texts.literal(row.result)
        count[text] = count.get(text, -1) + 1
        assertion = texts.assertion(function, row.arguments, row.result)
        if len(assertion) <= _LONGEST:
            ranked.append((count[text], number, assertion))
    chosen = sorted(ranked)[:ASSERTS]
    return [assertion for _, _, assertion in sorted(chosen, key=lambda entry: entry[1])]


def _fields(base: Base, proposal: proposal_prompt.ProblemProposal, test_code: str) -> dict[str, Any]:
    """Return a record in HumanEval Pro's schema."""
    return {
        "id": base.number,
        "raw_problem": base.raw_problem,
        "raw_solution": base.raw_solution,
        "new_problem": proposal.new_problem,
        "new_solution": proposal.new_solution,
        "test_code": test_code,
    }
