"""The solution side: runs the untrusted program in its own process and serves calls to it.

Nothing here is trusted by anybody: the program shares this interpreter and may change all of it. What leaves is data
that the other side checks, and no verdict is ever made here.

Messages in: ``{"program", "calls"}`` first. With ``calls`` (a list of ``[name, args, kwargs]``) each is answered in
turn and the process ends; without, requests follow: ``{"call", "args", "kwargs"}``, ``{"get"}`` and ``{"set"}``. With
``"batch"``, a name, ``{"inputs"}`` follow, rows of arguments, answered by digests, and ``{"tell"}``, positions in the
last row of digests, answered by values.
Messages out: ``{"value"}`` or ``{"raise"}`` an answer, ``{"end"}`` the program cannot be used, ``{"ready"}``,
``{"digests"}`` with ``"more"`` when inputs are left over, or with what ended the row.
"""

# ruff: noqa: ANN401 - values of any type pass through here

from __future__ import annotations

import _socket
import collections
import contextlib
import os
import struct
import sys
import types
from time import process_time as _process_time
from typing import Any, Final

from trimtab.sandbox import codec, snapshot, wire

# What is known of a process that had to be ended: calls begun, its CPU seconds when the last one began, and which call
# took longest, with its seconds. The program can write there, so it explains a verdict and never makes one. Each number
# is written by itself, in one piece: the zygote reads at any moment.
PROGRESS: Final = struct.Struct("=dddd")
NAME: Final = "solution"  # not "__main__": demonstration blocks do not run
_KEPT_BYTES: Final = 4 << 20  # of results that may still be asked for
_MUTABLE: Final = (list, dict, set, collections.deque)
_SHORT: Final = 4096  # characters of an exception's arguments
# What many programs begin with: typing remembers what it has made of such annotations.
_REHEARSED: Final = """
from typing import Any, Dict, List, Optional, Tuple, Union

def f(x: List[int], a: List[float] = [], b: List[str] = [], c: Optional[int] = 0, d: Dict[str, int] = {}) -> List[Any]:
    numbers = [item for item in range(3)]
    return x

def g(x: Tuple[int, int], y: Tuple[str, bool], z: Union[int, float], u: List[List[int]]) -> Optional[str]:
    return None
"""
_TOO_LARGE: Final = codec.dumps({"end": ["output_limit", "a result longer than a message"]})


def serve(descriptor: int, calls: int, progress: Any) -> None:
    """Read a program from ``descriptor``, run it and answer its calls, or those that come on ``calls``; then end.

    Args:
        descriptor: Where the program comes from.
        calls: Where calls come from that another process makes.
        progress: Memory that the zygote reads when the process has to be ended; see :data:`PROGRESS`.
    """
    solution = Solution(descriptor, progress)
    try:
        solution.run(calls)
    except wire.ClosedError:
        pass
    except BaseException as error:  # noqa: BLE001 - a result that cannot be written, for one
        solution.fail(error)
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # the program may have closed or replaced it
                stream.flush()
        os._exit(0)


def rehearse() -> None:
    """Go through a job once in the zygote: what the interpreter adapts and allocates now, no child does again."""
    ours, theirs = _socket.socketpair()
    calls = [["f", [codec.encode(value)], {}] for value in (1, "x", [2.5, None], {"k": (1,)})] * 3
    wire.write(ours.fileno(), codec.dumps({"program": _REHEARSED, "calls": calls}))
    Solution(theirs.fileno(), bytearray(PROGRESS.size)).run(theirs.fileno())
    ours.close()
    theirs.close()
    del sys.modules[NAME]


class Solution:
    """One loaded program and the objects it handed out."""

    def __init__(self, descriptor: int, progress: Any) -> None:
        self._descriptor = descriptor
        self._progress = memoryview(progress)[: PROGRESS.size].cast("d")
        self._begun = 0
        self._started = self._longest = 0.0
        self._names: dict[str, Any] = {}
        self._kept: list[object] = []
        self._decoder = codec.Decoder(handle=lambda number, *_: self._kept[number])

    def run(self, calls: int) -> None:
        """Load, then answer."""
        request = codec.loads(wire.read(self._descriptor))
        if request["calls"] is None and "batch" not in request:
            self._descriptor = calls
        end = self._load(request["program"])
        if end is not None:
            self._send({"end": end})
            return
        if "batch" in request:
            self._batches(request["batch"])
        if request["calls"] is None:
            self._send({"ready": True})
            while True:
                self._send(self._answer(codec.loads(wire.read(self._descriptor))))
        for name, args, kwargs in request["calls"]:
            answer = self._answer({"call": name, "args": args, "kwargs": kwargs})
            self._send(answer)
            if "value" not in answer:
                return

    def fail(self, error: BaseException) -> None:
        """Say that no answer can be given."""
        with contextlib.suppress(BaseException):
            self._send({"end": ["error", f"{_builtin_name(error)}: {_text(error)[:500]}"]})

    def _batches(self, name: str) -> None:
        """Answer rows of inputs for ``name`` until the other side closes."""
        left: list[list[Any]] = []
        results: list[snapshot.Snapshot] = []
        while True:
            message = codec.loads(wire.read(self._descriptor))
            for position in message.get("tell", ()):
                self._progress[1] = _process_time()
                text = results[position].text()
                self._send_text(_TOO_LARGE if text is None else f'{{"value":{text}}}'.encode())
            if "inputs" in message:
                left = [*left, *message["inputs"]]
                results, answer = self._row(name, left)
                self._send(answer)
                left = left[len(results) :]

    def _row(self, name: str, inputs: list[list[Any]]) -> tuple[list[snapshot.Snapshot], dict[str, Any]]:
        """Call ``name`` on inputs until one fails or the results kept for questions grow large."""
        results: list[snapshot.Snapshot] = []
        digests: list[str] = []
        size = 0
        for args in inputs:
            handles_before = len(self._kept)
            answer = self._answer({"call": name, "args": args, "kwargs": {}, "frozen": True})
            if "value" not in answer:
                return results, {"digests": digests, **answer}
            results.append(answer["value"])
            digests.append(results[-1].digest if len(self._kept) == handles_before else "-")
            size += len(results[-1].data)
            self._note_time()  # freezing a large result can take longer than the call
            if size > _KEPT_BYTES:
                break
        return results, {"digests": digests, "more": True}

    def _send(self, message: dict[str, Any]) -> None:
        self._send_text(codec.dumps(message))

    def _send_text(self, data: bytes) -> None:
        if len(data) > wire.MAX_FRAME:
            data = codec.dumps({"end": ["output_limit", f"a result of {len(data)} bytes"]})
        wire.write(self._descriptor, data)

    def _load(self, program: str) -> list[str] | None:
        """Run the program's top level; return how it ended when it cannot be used."""
        module = types.ModuleType(NAME)
        sys.modules[NAME] = module  # dataclasses and enums look their module up
        self._names = module.__dict__
        if "random" in program:
            import random  # noqa: PLC0415 - only for programs that use it: its fork hook is dear

            random.seed(0)
        try:
            code = compile(program, f"{NAME}.py", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError) as error:
            return ["syntax", _describe(error)]
        except MemoryError:
            return ["oom", "while compiling"]
        try:
            exec(code, self._names)  # noqa: S102 - the purpose of this process
        except SystemExit as error:
            return ["exit", _describe(error)]
        except MemoryError:
            return ["oom", "MemoryError"]
        except BaseException as error:  # noqa: BLE001 - anything may come
            return ["error", _describe(error)]
        return None

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._perform(request)
        except wire.ClosedError:
            raise
        except codec.CodecError as error:
            return {"raise": ["CodecError", str(error)]}
        except BaseException as error:  # noqa: BLE001 - anything may come
            return {"raise": [_builtin_name(error), _text(error)[:1000]], "with": _arguments(error)}

    def _perform(self, request: dict[str, Any]) -> dict[str, Any]:
        if "get" in request:
            target, name = request["get"]
            return {"value": codec.encode(getattr(self._kept[target], name), self._keep)}
        if "set" in request:
            target, name, value = request["set"]
            setattr(self._kept[target], name, self._decoder.decode(value))
            return {"value": None}
        target = request["call"]
        if isinstance(target, str):
            if target not in self._names:
                return {"end": ["missing", f"the program does not define {target}"]}
            function = self._names[target]
        else:
            function = self._kept[target]
        return self._call(function, request)

    def _call(self, function: Any, request: dict[str, Any]) -> dict[str, Any]:
        self._started = self._progress[1] = _process_time()
        self._begun += 1
        self._progress[0] = self._begun
        args = [self._decoder.decode(arg) for arg in request["args"]]
        kwargs = {name: self._decoder.decode(value) for name, value in request["kwargs"].items()}
        value = function(*args, **kwargs)
        self._note_time()
        if request.get("frozen"):
            return {"value": snapshot.freeze(value, self._keep)}
        answer: dict[str, Any] = {"value": codec.encode(value, self._keep)}
        if request.get("mutable"):
            # What the call did to its arguments, for tests that look at them afterwards.
            given = [*args, *kwargs.values()]
            after = [codec.encode(arg, self._keep) if isinstance(arg, _MUTABLE) else None for arg in given]
            before = [*request["args"], *request["kwargs"].values()]
            if any(new is not None and new != old for new, old in zip(after, before, strict=True)):
                answer["args"] = after
        return answer

    def _note_time(self) -> None:
        """Note how long the call under way has taken so far, what was made of its result included."""
        took = _process_time() - self._started
        if took > self._longest:
            self._longest = self._progress[3] = took
            self._progress[2] = self._begun

    def _keep(self, value: object) -> Any:
        self._kept.append(value)
        try:
            truth = bool(value)
        except Exception:  # noqa: BLE001 - its own method may do anything
            truth = True
        return {"handle": [len(self._kept) - 1, type(value).__name__, truth]}


def _builtin_name(error: BaseException) -> str:
    """Name the nearest builtin ancestor of an exception's type: what a test can expect."""
    for kind in type(error).__mro__:
        if kind.__module__ == "builtins":
            return kind.__name__
    return "Exception"


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {_text(error)}"[:500]


def _text(error: BaseException) -> str:
    """Return an exception's text, whatever its own methods do."""
    try:
        return f"{error}"
    except BaseException as other:  # noqa: BLE001 - anything may come
        return f"no text: {type(other).__name__}"


def _arguments(error: BaseException) -> Any:
    """Encode the arguments of an exception that are data and short; else None."""
    try:
        data = codec.encode(error.args)
        return data if len(codec.text(data)) <= _SHORT else None
    except Exception:  # noqa: BLE001 - anything may be among them
        return None
