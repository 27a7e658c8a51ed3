"""Requests and rulings as JSON: what goes to ``trimtab serve`` and what comes back.

``{"completion", "tests" or "task_id", "entry_point", "prefix", "continues", "partial", "tolerance", "limits"}`` in,
``{"outcome", "passed", "total", "reward", "detail", "reason", "cpu_s"}`` out. Decisions: an unknown name is refused, so
that a misspelt option is not a silent default; every field is looked at for its type.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

from trimtab.codeeval import given_tests, printed_output
from trimtab.codeeval.given_tests import Calls, InputOutput
from trimtab.codeeval.problem import Problem
from trimtab.codeeval.ruling import Ruling, RulingRequest
from trimtab.errors import BenchmarkError, nearest
from trimtab.sandbox.verdict import Limits, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "completion": (str, list),
    "tests": (str, list, dict),
    "task_id": (str,),
    "entry_point": (str,),
    "prefix": (str,),
    "continues": (bool,),
    "partial": (bool,),
    "tolerance": (int, float),
    "limits": (dict,),
}
_PREFIX: Final = 1 << 16  # characters; what extraction finds in one is remembered
_LIMITS: Final = tuple(entry.name for entry in dataclasses.fields(Limits))


def to_json(request: RulingRequest) -> dict[str, Any]:
    """Return a request as JSON has it."""
    message: dict[str, Any] = {"completion": request.completion, "partial": request.partial}
    tests = request.tests
    if isinstance(tests, Problem):
        message["task_id"] = tests.task_id
    elif isinstance(tests, InputOutput):
        message["tests"] = {"inputs": [i for i, _ in tests.pairs], "outputs": [o for _, o in tests.pairs]}
    elif isinstance(tests, Calls):
        inputs, outputs = [list(i) for i, _ in tests.pairs], [o for _, o in tests.pairs]
        message["tests"] = {"fn_name": tests.entry_point, "inputs": inputs, "outputs": outputs}
    else:
        message |= {"tests": tests.whole, "entry_point": tests.entry_point}
    if request.prefix or request.continues:
        message |= {"prefix": request.prefix, "continues": request.continues}
    if request.tolerance != printed_output.TOLERANCE:
        message["tolerance"] = request.tolerance
    if request.limits is not None:
        message["limits"] = dataclasses.asdict(request.limits)
    return message


def read_request(message: object, known: Mapping[str, Problem], most: Limits) -> RulingRequest:
    """Return the request of a message.

    Args:
        message: As JSON has it.
        known: Problems that a task id may name.
        most: Limits that none may ask to exceed, and those of a message that asks for none.

    Raises:
        BenchmarkError: A field is unknown, lacking, of another type or beyond its bounds; the message names it.
    """
    fields = _checked(message, _TYPES, "the request")
    if "completion" not in fields:
        raise BenchmarkError("the request has no 'completion'")
    if ("tests" in fields) == ("task_id" in fields):
        raise BenchmarkError("the request has both 'tests' and 'task_id', or neither of them")
    if "tests" in fields:
        tests: given_tests.GivenTests | Problem = given_tests.read(fields["tests"], fields.get("entry_point"))
    elif fields["task_id"] in known:
        tests = known[fields["task_id"]]
    else:
        raise BenchmarkError(f"this server has no problem {fields['task_id']!r}", hint="trimtab serve -b humaneval")
    if len(fields.get("prefix", "")) > _PREFIX:
        raise BenchmarkError(f"'prefix' has {len(fields['prefix'])} characters, more than {_PREFIX}")
    tolerance = float(fields.get("tolerance", printed_output.TOLERANCE))
    if not 0 <= tolerance < 1:
        raise BenchmarkError(f"'tolerance' is {tolerance!r}, not from 0 to 1")
    return RulingRequest(
        completion=completion_text(fields["completion"]),
        tests=tests,
        prefix=fields.get("prefix", ""),
        continues=fields.get("continues", False),
        partial=fields.get("partial", False),
        tolerance=tolerance,
        limits=_limits(fields.get("limits", {}), most),
    )


def _checked(message: object, types: Mapping[str, tuple[type, ...]], where: str) -> dict[str, Any]:
    """Return an object's fields, all of them known and of their types; a null is a field that is not there."""
    if not isinstance(message, dict):
        raise BenchmarkError(f"{where} is a JSON object, not {type(message).__name__}")
    fields = {name: value for name, value in message.items() if value is not None}
    for name, value in fields.items():
        if name not in types:
            raise BenchmarkError(f"{where} has a field {name!r}", hint=nearest(name, types))
        if not isinstance(value, types[name]) or (isinstance(value, bool) and bool not in types[name]):
            wanted = " or ".join(kind.__name__ for kind in types[name])
            raise BenchmarkError(f"{name!r} of {where} is {wanted}, not {type(value).__name__}")
    return fields


def _limits(message: object, most: Limits) -> Limits:
    fields = _checked(message, dict.fromkeys(_LIMITS, (int, float)), "'limits'")
    for name, value in fields.items():
        bound = {"call_s": most.cpu_s, "wall_s": most.latest}.get(name) or getattr(most, name)
        if not 0 < value <= bound:
            raise BenchmarkError(f"{name!r} of 'limits' is {value!r}, not above 0 and up to {bound:g}")
    if "memory_mib" in fields:
        fields["memory_mib"] = int(fields["memory_mib"])
    return dataclasses.replace(most, **fields)


def completion_text(content: object) -> str:
    """Return the text of a completion: itself, or that of a chat's last message, whose content may be in parts.

    Raises:
        BenchmarkError: It is neither.
    """
    if isinstance(content, str):
        return content
    if isinstance(content, list | tuple) and all(isinstance(part, dict) for part in content):
        last = content[-1] if content else {"content": None}
        if last.get("type") == "text" or "content" not in last:
            return "".join(completion_text(part.get("text")) for part in content if part.get("type") == "text")
        return "" if last["content"] is None else completion_text(last["content"])
    raise BenchmarkError(f"a completion is text or a chat, not {type(content).__name__}: {repr(content)[:80]}")


def ruling_json(ruled: Ruling) -> dict[str, Any]:
    """Return a ruling as JSON has it."""
    return dataclasses.asdict(ruled) | {"outcome": None if ruled.outcome is None else str(ruled.outcome)}


def read_ruling(message: Mapping[str, Any]) -> Ruling:
    """Return the ruling of a message.

    Raises:
        KeyError: A field is lacking.
        ValueError: An outcome is unknown.
    """
    names = [entry.name for entry in dataclasses.fields(Ruling)]
    fields = {name: message[name] for name in names}
    return Ruling(**fields | {"outcome": None if fields["outcome"] is None else Outcome(fields["outcome"])})
