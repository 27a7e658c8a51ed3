"""A program that reads its standard input and prints its answer, as programming contests have it.

Decisions: the input is a sealed file in memory, so that every way of reading descriptor 0 works, and what is printed
to descriptor 1 comes back as text that the program chose; the answer expected never goes near the process, so whoever
compares does it outside. The program is ``__main__``, with ``exit`` and ``quit`` and a standard error that leads
nowhere; it has ended well when its exit status is 0, whichever way it ended.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trimtab.sandbox import codec
from trimtab.sandbox.job import Script
from trimtab.sandbox.program_end import ending, over, unanswered
from trimtab.sandbox.verdict import Outcome

if TYPE_CHECKING:
    from trimtab.sandbox.job import Job, Report
    from trimtab.sandbox.lane import Lane
    from trimtab.sandbox.program_end import Judged
    from trimtab.sandbox.verdict import Limits

_ENTRY: Final = "trimtab_run_script"
# Runs beside the untrusted text and is trusted by nobody: what it returns only tells how a process ended.
_RUNNER: Final = f"""
def {_ENTRY}(text):
    import atexit, builtins, io, sys, types
    class Discarded(io.TextIOBase):
        def writable(self): return True
        def write(self, text): return len(text)
    sys.stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)
    sys.stderr = Discarded()
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    builtins.exit = builtins.quit = sys.exit
    if "random" in text:
        import random
        random.seed(0)
    status, flush = 0, sys.stdout.flush
    try:
        exec(compile(text, "solution.py", "exec", dont_inherit=True), main.__dict__)
    except SystemExit as end:
        status = 0 if end.code is None else end.code & 255 if isinstance(end.code, int) else 1
    except SyntaxError as error:
        if error.filename == "solution.py" and error.__traceback__.tb_next is None:
            return ["syntax", f"{{type(error).__name__}}: {{error}}"]
        raise
    if "threading" in sys.modules:
        sys.modules["threading"]._shutdown()
    atexit._run_exitfuncs()
    for end in (flush, sys.stdout.flush):
        try:
            end()
        except (OSError, ValueError):
            pass
    return ["status", status]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptRun:
    """What came of a program.

    Attributes:
        outcome: ``Outcome.PASSED`` when it ended with exit status 0, else how it ended.
        detail: Which exception, which exit status, which signal; empty when it ended well.
        output: The beginning of what it printed to standard output; data that the program chose.
        whole: Whether ``output`` is all it printed.
        cpu_s: CPU seconds of its process.
        memory_mib: Its peak resident memory.
    """

    outcome: Outcome
    detail: str
    output: str
    whole: bool
    cpu_s: float
    memory_mib: float


def run(lane: Lane, program: str, stdin: str, limits: Limits, kept_bytes: int) -> ScriptRun:
    """Run ``program`` in a process of its own that reads ``stdin``.

    Raises:
        SandboxError: The zygote failed.
    """
    limits = dataclasses.replace(limits, call_s=limits.cpu_s)  # the whole program is one call
    limits = dataclasses.replace(limits, call_s=limits.cpu_s)  # the whole program is one call
    descriptor = _sealed(stdin)
    try:
        job = lane.start(limits, script=Script(descriptor, kept_bytes))
    finally:
        os.close(descriptor)
    try:
        job.send(codec.dumps({"program": _RUNNER, "calls": [[_ENTRY, [codec.encode(program)], {}]]}))
        frame = job.take()
        report = job.finish()
        outcome, detail = _ended(frame, job, report, limits)
        return ScriptRun(
            outcome=outcome,
            detail=detail,
            output=job.output,
            whole=job.printed_bytes <= kept_bytes,
            cpu_s=report.cpu_s,
            memory_mib=round(report.rss_kib / 1024, 1),
        )
    finally:
        over(job)


def _sealed(text: str) -> int:
    """Return a descriptor of a file in memory that holds ``text``, at its beginning; nobody can change it."""
    import fcntl  # noqa: PLC0415 - not on every platform on which this module is imported

    descriptor = os.memfd_create("stdin", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(text.encode("utf-8", "surrogateescape"))
        while view:
            view = view[os.write(descriptor, view) :]
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
        os.lseek(descriptor, 0, os.SEEK_SET)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _ended(frame: bytes | None, job: Job, report: Report, limits: Limits) -> Judged:
    if frame is None:
        judged = ending(job, report, limits, lambda _: "")
        return (Outcome.PASSED, "") if judged[0] is Outcome.EXIT and report.status == 0 else judged
    with contextlib.suppress(codec.CodecError, TypeError, ValueError):
        answer = codec.loads(frame)
        if "value" not in answer:
            return unanswered(answer)
        kind, what = codec.Decoder(plain=True).decode(answer["value"])
        if kind == "syntax":
            return Outcome.SYNTAX, str(what)[:500]
        return (Outcome.PASSED, "") if what == 0 else (Outcome.EXIT, f"exit status {what}")
    return Outcome.ERROR, "the program answered what is not data"
