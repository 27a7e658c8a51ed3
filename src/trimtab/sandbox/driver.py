"""The driver side: runs the benchmark's own test code in a confined process, against proxies of the program.

The test code is trusted to judge, the program is not: it lives in another process, and all that arrives from there is
data. The driver's verdict leaves on a socket that the program's process never had. Decisions: only names on the
trusted list become proxies, so a program that defines ``isinstance`` or ``check`` changes nothing; helpers that a
prompt defines run here from the prompt's own text (``support``), never from the program's; changes that a call made to
list, dict and set arguments are applied to the originals; once the program has gone no verdict can be a pass.

First message in: ``{"test", "support", "entry_point", "names"}``. Message out: ``{"outcome", "detail", "calls"}``.
"""

# ruff: noqa: ANN401 - values of any type pass through here

from __future__ import annotations

import builtins
import contextlib
import os
import sys
import types
from collections import deque
from typing import Any, Final

from trimtab.sandbox import codec, wire
from trimtab.sandbox.stand_ins import Handle

# Three published tests use a module that only the reference solution imports.
_ASSUMED: Final = ("math", "cmath", "sys", "re", "collections", "itertools", "datetime", "random", "copy", "typing")
# Exceptions of a program that end it: no test may catch them and go on.
ENDINGS: Final = ("SystemExit", "KeyboardInterrupt", "GeneratorExit", "BaseException", "BaseExceptionGroup")
_TEST_FILE: Final = "tests.py"


class SampleEndedError(BaseException):
    """The program's process ended, or will not answer; not an Exception, so that tests do not catch it."""


class Remote(Handle):
    """An object of the program, reachable by attribute and by call."""

    __slots__ = ("trimtab_client",)
    trimtab_client: Client

    def __init__(self, client: Client, number: int, kind: str, truth: bool) -> None:  # noqa: FBT001 - as on the wire
        super().__init__(number, kind, truth=truth)
        object.__setattr__(self, "trimtab_client", client)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.trimtab_client.request({"get": [self.trimtab_parts[0], name]})

    def __setattr__(self, name: str, value: object) -> None:
        client = self.trimtab_client
        client.request({"set": [self.trimtab_parts[0], name, client.encode(value)]})

    def __call__(self, *args: object, **kwargs: object) -> Any:
        """Call the object over there."""
        return self.trimtab_client.call(self.trimtab_parts[0], args, kwargs)


class Client:
    """Calls into the program's process.

    Attributes:
        end: Why the program cannot be used, as ``[outcome, detail]``, or None.
        gone: Whether its process stopped answering.
        calls: How many calls were answered.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._decoder = codec.Decoder(handle=lambda *parts: Remote(self, *parts))
        self.end: list[str] | None = None
        self.gone = False
        self.calls = 0

    def start(self) -> None:
        """Wait until the program is loaded."""
        self._receive()

    def proxy(self, name: str) -> Any:
        """Return a function that calls ``name`` over there."""

        def remote(*args: object, **kwargs: object) -> Any:
            return self.call(name, args, kwargs)

        remote.__name__ = name
        return remote

    def call(self, target: str | int, args: tuple[object, ...], kwargs: dict[str, object]) -> Any:
        """Call a function of the program with copies of the arguments, and apply what it did to them."""
        answer = self._exchange(
            {
                "call": target,
                "args": [self.encode(arg) for arg in args],
                "kwargs": {name: self.encode(value) for name, value in kwargs.items()},
                "mutable": True,
            }
        )
        self.calls += 1
        for arg, data in zip((*args, *kwargs.values()), answer.get("args", ()), strict=False):
            if data is not None:
                _replace(arg, self._decode(data))
        return self._decode(answer["value"])

    def request(self, message: dict[str, Any]) -> Any:
        """Get or set an attribute."""
        return self._decode(self._exchange(message)["value"])

    def encode(self, value: object) -> Any:
        """Return an argument as data; an object of the program goes back as its number."""
        return codec.encode(value, self._handle)

    @staticmethod
    def _handle(value: object) -> Any:
        if isinstance(value, Remote):
            return {"handle": list(value.trimtab_parts)}
        raise codec.CodecError(f"a test passes a {type(value).__name__}, which is not data")

    def _decode(self, data: Any) -> Any:
        try:
            return self._decoder.decode(data)
        except codec.CodecError:
            raise self._no_data() from None

    def _no_data(self) -> SampleEndedError:
        """Note that the program cannot be used because of what it sent."""
        self.end = ["error", "the program answered what is not data"]
        return SampleEndedError()

    def _exchange(self, message: dict[str, Any]) -> dict[str, Any]:
        if self.gone or self.end is not None:
            raise SampleEndedError
        try:
            wire.write(self._descriptor, codec.dumps(message))
        except wire.ClosedError:
            self.gone = True
            raise SampleEndedError from None
        answer = self._receive()
        if "raise" in answer:
            name, text = codec.pair(answer["raise"])
            if name in ENDINGS:
                self.end = ["exit", f"{name}: {text}"]
                raise SampleEndedError
            raise _exception(name, text, self._decode(answer.get("with")))
        if "value" not in answer:
            raise self._no_data()
        return answer

    def _receive(self) -> dict[str, Any]:
        try:
            message = codec.loads(wire.read(self._descriptor))
        except wire.ClosedError:
            self.gone = True
            raise SampleEndedError from None
        except codec.CodecError:
            raise self._no_data() from None
        if "end" in message:
            self.end = list(codec.pair(message["end"]))
            raise SampleEndedError
        return message


def _replace(target: object, value: Any) -> None:
    if isinstance(target, list) and isinstance(value, list):
        target[:] = value
    elif isinstance(target, dict | set) and type(target) is type(value):
        target.clear()
        target.update(value)
    elif isinstance(target, deque) and isinstance(value, deque):
        target.clear()
        target.extend(value)


def _exception(name: str, text: str, args: object) -> BaseException:
    """Build the local exception for one that was raised over there: a builtin type, by name.

    With its arguments where these give the same text, as those of a KeyError do, else with the text.
    A StopIteration becomes an error, as in generators (PEP 479): ``map`` in a test would take it for its end.
    """
    kind = getattr(builtins, name, None)
    if not (isinstance(kind, type) and issubclass(kind, Exception)) or issubclass(kind, StopIteration):
        return RuntimeError(f"{name}: {text}")
    error: BaseException = RuntimeError(f"{name}: {text}")
    for given in (args, (text,)):
        with contextlib.suppress(TypeError, ValueError):
            made = kind(*given) if isinstance(given, tuple) else None
            if made is not None and (str(made) == text or given == (text,)):
                error = made
                break
    error.from_program = True  # type: ignore[attr-defined]  # told apart from an assertion of the test's own
    return error


def serve(verdicts: int, calls: int) -> None:
    """Read one test from ``verdicts``, run it against the program behind ``calls``, report, and end the process."""
    try:
        client = Client(calls)
        outcome, detail = _judge(client, codec.loads(wire.read(verdicts)))
        if client.end is not None:
            outcome, detail = "end", ": ".join(client.end)
        elif client.gone:
            outcome, detail = "gone", ""
        message = {"outcome": outcome, "detail": detail[:1000], "calls": client.calls, "end": client.end}
        wire.write(verdicts, codec.dumps(message))
    finally:
        os._exit(0)


def _judge(client: Client, job: dict[str, Any]) -> tuple[str, str]:
    module = types.ModuleType("tests")
    sys.modules["tests"] = module
    try:
        client.start()
        _prepare(client, job, module.__dict__)
        exec(compile(job["test"], _TEST_FILE, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - trusted text
        module.__dict__["check"](module.__dict__[job["entry_point"]])
    except SampleEndedError:
        return "gone", ""
    except AssertionError as error:
        if not hasattr(error, "from_program"):
            return "wrong", _place(error, job["test"])
        return "error", f"AssertionError: {error}"
    except MemoryError as error:
        return ("oom" if hasattr(error, "from_program") else "error"), f"MemoryError: {error}"
    except BaseException as error:  # noqa: BLE001 - comparing a wrong result may raise anything
        return "error", f"{type(error).__name__}: {error}"
    return "passed", ""


def _prepare(client: Client, job: dict[str, Any], names: dict[str, Any]) -> None:
    """Fill the namespace of the tests: assumed modules, the prompt's own helpers, and proxies over them."""
    text = job["test"] + job["support"]
    for name in _ASSUMED:
        if name in text:
            names[name] = __import__(name)
    if "random" in names:
        names["random"].seed(0)
    if job["support"]:
        with contextlib.suppress(SyntaxError):
            exec(compile(job["support"], "support.py", "exec", dont_inherit=True), names)  # noqa: S102 - trusted text
    for name in (*job["names"], job["entry_point"]):
        names[name] = client.proxy(name)


def _place(error: BaseException, test: str) -> str:
    """Quote the line of the test whose assertion failed."""
    number, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _TEST_FILE:
            number = trace.tb_lineno
        trace = trace.tb_next
    lines = test.splitlines()
    return lines[number - 1].strip() if 0 < number <= len(lines) else "an assertion of the tests"
