"""What a completer is asked for, and how its answer is read: step one.

The prompt gives the base problem, its solution and observed calls, and asks for one JSON object. The observed calls
stand in a JSON block of their own, so that a program can read the prompt as a model can. Nothing of an answer is
repaired: what is not that object is a failed attempt with a reason, and the next attempt is told of it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from trimtab.codeeval.selfinvoke.plain_literals import arguments, literal

if TYPE_CHECKING:
    from trimtab.codeeval.selfinvoke.base_problem import Base

MAX_INPUTS: Final = 24
MAX_TEXT: Final = 20_000
_SHOWN: Final = 12
_TEXT: Final = """\
Below is a Python function with its solution, and calls of it with their results. Write a new, harder problem that is \
solved by calling this function, usually several times. Its solution must call the function by name and must not \
restate it.

Answer with one JSON object and nothing else. Its keys:
"entry_point": the name of the new function, not the name of an existing one;
"new_problem": Python source: comment lines that state the problem completely and name the new function, the edge \
cases included, then the imports it needs, then the header of the new function, ending in a colon; no solution;
"new_solution": Python source: the indented body of the new function;
"test_inputs": a list of 5 to 12 strings, each the arguments of one call of the new function as they \
stand between the parentheses, Python literals only, for example "[1, 2], 'a'".

Results must be plain data (numbers, strings, lists, tuples, dictionaries, sets, booleans, None), the same at each \
run, and different for different inputs. Do not read files, the clock, or random numbers.

Problem:
{problem}
Solution:
{solution}
Observed:
```json
{facts}
```
{feedback}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemProposal:
    """A new problem as it was proposed: names as in the published sets, and the texts of calls to test it with."""

    entry_point: str
    new_problem: str
    new_solution: str
    test_inputs: tuple[str, ...]


class ReplyError(ValueError):
    """An answer that is not the JSON object that was asked for; the message says what is wrong with it."""


def write(base: Base, feedback: str = "") -> str:
    """Return the prompt; ``feedback`` says what was wrong with the answer before."""
    calls = [[arguments(example.arguments), literal(example.result)] for example in base.examples[:_SHOWN]]
    facts = {"base": base.task_id, "function": base.entry_point, "calls": calls}
    return _TEXT.format(
        problem=base.raw_problem,
        solution=base.raw_solution,
        facts=json.dumps(facts),
        feedback=f"An earlier answer was refused: {feedback}\n" if feedback else "",
    )


def facts(prompt: str) -> dict[str, Any]:
    """Read the JSON block of a prompt back."""
    blocks = re.findall(r"^```json\n(.*)\n```$", prompt, re.MULTILINE)
    return dict(json.loads(blocks[-1]))


def read(reply: str, base: Base) -> ProblemProposal:
    """Read an answer.

    Raises:
        ReplyError: It is not one JSON object with exactly the keys and types asked for.
    """
    if len(reply) > MAX_TEXT:
        raise ReplyError(f"{len(reply)} characters, more than {MAX_TEXT}")
    try:
        data = json.loads(_unfenced(reply))
    except (ValueError, RecursionError) as error:
        raise ReplyError(f"not JSON: {error}") from None
    if not isinstance(data, dict):
        raise ReplyError("not a JSON object")
    wanted = set(ProblemProposal.__slots__)
    if set(data) != wanted:
        raise ReplyError(f"the keys are {sorted(data)}, not {sorted(wanted)}")
    inputs = data.pop("test_inputs")
    if not all(isinstance(text, str) for text in data.values()):
        raise ReplyError("entry_point, new_problem and new_solution must be strings")
    if not isinstance(inputs, list) or not all(isinstance(text, str) for text in inputs):
        raise ReplyError("test_inputs must be a list of strings")
    name = data["entry_point"]
    if not name.isidentifier() or name == base.entry_point:
        raise ReplyError(f"entry_point {name!r} is not a name of its own")
    return ProblemProposal(**data, test_inputs=tuple(dict.fromkeys(inputs))[:MAX_INPUTS])


def _unfenced(reply: str) -> str:
    """Take the one fence off that chat models put around JSON whatever they are told."""
    fenced = re.fullmatch(r"\s*```(?:json)?\s*\n(.*?)\n```\s*", reply, re.DOTALL)
    return fenced.group(1) if fenced else reply
