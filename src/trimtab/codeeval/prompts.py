"""How a problem is put to a model: plain text that a base model continues, or a turn of a chat.

The structures are the published ones, the words are ours: HumanEval's own prompt and stop words (arXiv 2107.03374);
a fenced problem and a reply that begins in a code block (EvalPlus); three worked examples between ``[BEGIN]`` and
``[DONE]`` for MBPP (arXiv 2108.07732); both problems in one instruction and a reply that begins with the base problem
for the self-invoking sets, where *one shot* shows one assertion and so the function's name (arXiv 2412.21199). A form
is named in every results file, because it moves scores by more than most differences between models.
"""

from __future__ import annotations

import enum
import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from trimtab.codeeval.completion import Chat, Prompt
from trimtab.errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trimtab.codeeval.problem import Problem

_FENCE: Final = "\n```"
_FUNCTION_ENDS: Final = ("\nclass ", "\ndef ", "\n#", "\nif ", "\nprint", _FENCE)
_PROGRAM_ENDS: Final = ("\nassert ", '\n"""', "\nprint", "\nif ", _FENCE)
_SYSTEM: Final = "You are an expert Python programmer."
_ONE: Final = "Write a complete Python program for this problem, in one code block."
_BOTH: Final = (
    "Write a complete Python program that solves both of these problems, in one code block. The function that solves"
    " the second problem has to call the function that solves the first one, once or more."
)


class PromptForm(enum.StrEnum):
    """Who is asked, and how the reply can begin."""

    COMPLETION = "completion"  # plain text, continued
    CHAT = "chat"  # a turn of a chat whose reply we begin: local models
    REPLY = "reply"  # a turn of a chat whose reply is the model's own from its first word: servers


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A problem as it is put to a model.

    Attributes:
        prompt: What the model is given.
        continues: Whether what comes continues the problem's own prompt; if not, it is a program or a text with one.
        stop: Strings before which the text ends.
    """

    prompt: Prompt
    continues: bool
    stop: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits of everything that was put to the model."""
        text = self.prompt if isinstance(self.prompt, str) else json.dumps(asdict(self.prompt), sort_keys=True)
        return hashlib.sha256("\0".join((text, *self.stop)).encode()).hexdigest()[:8]


def default_shots(benchmark: str) -> int:
    """Return how many examples a benchmark's authors show: three where MBPP's prompting split is not in the set."""
    return 3 if benchmark in _THREE_SHOT else 0


_THREE_SHOT: Final = ("mbpp-test", "mbpp-validation", "mbpp-train", "mbpp-sanitized-test", "mbpp-sanitized-train")


def ask(problem: Problem, form: PromptForm, *, shots: int = 0, examples: Sequence[Problem] = ()) -> Asked:
    """Put one problem.

    Args:
        problem: The problem.
        form: Plain text or chat.
        shots: For MBPP worked examples, for a self-invoking problem one assertion.
        examples: Where worked examples come from, in order; never the problem itself.

    Raises:
        BenchmarkError: More shots than this kind of problem can be given.
    """
    if problem.pro is not None:
        return _self_invoking(problem, form, shots)
    if shots and not problem.assertions:
        raise BenchmarkError(f"{problem.task_id} can be put without examples only, not with {shots}")
    shown = [example for example in examples if example.task_id != problem.task_id][:shots]
    if len(shown) < shots:
        raise BenchmarkError(f"{shots} examples are asked for, {len(shown)} are given")
    if form is not PromptForm.COMPLETION:
        worked = "".join(
            f"{_fenced('An example of a problem:', example.prompt)}\n\n"
            f"Its solution:\n\n{_block(example.canonical_solution)}\n\n"
            for example in shown
        )
        return _chat(form, worked + _fenced(_ONE, problem.prompt), "")
    if shown:
        text = "".join(
            f"{_task(example)}[BEGIN]\n{example.canonical_solution.strip()}\n[DONE]\n\n" for example in shown
        )
        return Asked(prompt=f"{text}{_task(problem)}[BEGIN]\n", continues=True, stop=("[DONE]",))
    return Asked(prompt=problem.prompt, continues=True, stop=_PROGRAM_ENDS if problem.assertions else _FUNCTION_ENDS)


def _task(problem: Problem) -> str:
    tests = "\n".join(problem.assertions)
    return f"{_SYSTEM} Here is your task: {problem.description} Your code has to pass these tests:\n\n{tests}\n\n"


def _fenced(words: str, code: str) -> str:
    return f"{words}\n\n{_block(code)}"


def _block(code: str) -> str:
    return f"```python\n{code.strip(chr(10))}\n```"


def _chat(form: PromptForm, user: str, begins: str) -> Asked:
    if form is PromptForm.REPLY:
        return Asked(prompt=Chat(user=user, system=_SYSTEM), continues=False, stop=())
    prefix = f"Here is the program:\n\n```python\n{begins}"
    return Asked(prompt=Chat(user=user, system=_SYSTEM, prefix=prefix), continues=bool(begins), stop=(_FENCE,))


def _self_invoking(problem: Problem, form: PromptForm, shots: int) -> Asked:
    if shots > 1:
        raise BenchmarkError(f"{problem.task_id} can be put with 0 or 1 assertions shown, not {shots}")
    halves = problem.pro
    assert halves is not None  # noqa: S101 - for the type checker; the caller looked
    user = _fenced(_BOTH, f"{halves.raw_problem.rstrip()}\n\n\n{halves.new_problem.strip()}")
    if shots:
        user += f"\n\nIt has to pass this test:\n\n{_block(problem.assertions[0])}"
    if form is not PromptForm.COMPLETION:
        return _chat(form, user, halves.raw_problem)
    text = f"{_SYSTEM}\n\n### Instruction\n{user}\n\n### Response\n```python\n{halves.raw_problem}"
    return Asked(prompt=text, continues=True, stop=(_FENCE,))
