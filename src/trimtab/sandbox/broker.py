"""The sandbox: runs untrusted Python functions against tests, and tells what came of it.

::

    with Sandbox() as box:
        verdict = box.run(program=..., entry_point="add", test="def check(candidate): assert candidate(1, 2) == 3")

Decisions: the program runs in one process, the verdict is made in another; tests that are literal assertions are
compared here, as data, and all others run in a confined driver; the tier is what canaries observed, not what calls
returned; without a tier the sandbox refuses to start. The broker never runs program text or test text.
"""

# ruff: noqa: ANN401 - values of any type pass through here

from __future__ import annotations

import contextlib
import queue
import reprlib
import socket
from typing import TYPE_CHECKING, Any, Final, Self

from trimtab.errors import SandboxError
from trimtab.sandbox import asserts, calls, codec, probe
from trimtab.sandbox.endings import ending, over, unanswered
from trimtab.sandbox.lane import Job, Lane, LayerRefusedError
from trimtab.sandbox.verdict import Limits, Outcome, RunVerdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trimtab.sandbox.endings import Judged
    from trimtab.sandbox.lane import Report

_SHOWN: Final = reprlib.Repr()
_SHOWN.maxstring = _SHOWN.maxother = _SHOWN.maxlong = 120
_SHOWN.maxlist = _SHOWN.maxtuple = _SHOWN.maxset = _SHOWN.maxdict = 20
_DYING_S: Final = 1.0
_PLAIN_FRAME: Final = calls.MAX_ANSWER  # answers beyond this are read in a confined process


class _NeedsDriverError(Exception):
    """A result is not plain data: the comparison belongs in a confined process."""


class _Pair:
    """A solution zygote and, once a test needs it, a driver zygote."""

    def __init__(self, tier: str, packages: Sequence[str], hash_seed: int) -> None:
        self._tier, self._packages, self._hash_seed = tier, packages, hash_seed
        self.solution = self._start()
        self._driver: Lane | None = None

    def _start(self) -> Lane:
        return Lane(role="solution", tier=self._tier, packages=self._packages, hash_seed=self._hash_seed)

    @property
    def driver(self) -> Lane:
        """The driver zygote, started at first use."""
        if self._driver is None:
            self._driver = Lane(role="driver", tier=self._tier)
        return self._driver

    def restart(self) -> None:
        """Replace zygotes that broke."""
        self.close()
        self.solution = self._start()

    def close(self) -> None:
        """End both."""
        self.solution.close()
        if self._driver is not None:
            self._driver.close()
            self._driver = None


class Sandbox:
    """Runs untrusted functions; a context manager. Thread-safe: as many samples at once as ``workers``.

    Args:
        tier: "auto", or exactly "A" (namespaces, Landlock, seccomp), "B" (Landlock, strict seccomp) or
            "C" (seccomp that opens no file); "D" is no isolation and needs ``allow_unsandboxed``.
        allow_unsandboxed: Go on without isolation where no tier holds; the attestation says so.
        limits: For samples that are given none.
        workers: How many zygotes to start.
        packages: Import names of installed packages that programs may use beside the standard library.
        hash_seed: What programs see as PYTHONHASHSEED: the order of sets of strings follows from it.

    Raises:
        SandboxUnavailable: On entering, when no tier holds, naming each layer that is missing and what would fix it.
        SandboxError: A zygote does not come up.
    """

    def __init__(
        self,
        *,
        tier: str = "auto",
        allow_unsandboxed: bool = False,
        limits: Limits | None = None,
        workers: int = 1,
        packages: Sequence[str] = (),
        hash_seed: int = 0,
    ) -> None:
        self._hash_seed = hash_seed
        self._requested = tier
        self._allow_unsandboxed = allow_unsandboxed
        self._limits = limits or Limits()
        self._workers = workers
        self._packages = probe.package_paths(packages)
        self._idle: queue.SimpleQueue[_Pair] = queue.SimpleQueue()
        self._pairs: list[_Pair] = []
        self._attestation: dict[str, Any] | None = None

    def __enter__(self) -> Self:
        reasons: dict[str, dict[str, Any]] = {}
        for tier in probe.candidates(self._requested, allow_unsandboxed=self._allow_unsandboxed):
            found = self._try(tier)
            if isinstance(found, probe.Observed):
                break
            reasons[tier] = found
        else:
            raise probe.unavailable(reasons)
        self._attestation = probe.attestation(found, self._requested, reasons, self._limits)
        try:
            for _ in range(self._workers - 1):
                self._pairs.append(_Pair(tier, self._packages, self._hash_seed))
        except BaseException:
            self.close()
            raise
        for each in self._pairs:
            self._idle.put(each)
        return self

    def _try(self, tier: str) -> probe.Observed | dict[str, Any]:
        """Start a zygote at ``tier`` and observe it; return what is wrong when the tier does not hold."""
        try:
            pair = _Pair(tier, self._packages, self._hash_seed)
        except LayerRefusedError as refused:
            return refused.facts
        except SandboxError as error:
            return {"layer": "zygote", "errno": 0, "text": error.message}
        try:
            canaries = probe.observe(lambda program: self._observe(pair, program))
            leaks = probe.leaks(tier, canaries)
        except SandboxError as error:
            pair.close()
            return {"layer": "canaries", "errno": 0, "text": error.message}
        if leaks:
            pair.close()
            return {"layer": "canaries", "errno": 0, "text": f"not contained: {', '.join(leaks)}"}
        self._pairs.append(pair)
        return probe.Observed(tier=tier, layers=pair.solution.layers, canaries=canaries)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all zygotes."""
        for pair in self._pairs:
            pair.close()
        self._pairs.clear()
        self._idle = queue.SimpleQueue()

    @property
    def workers(self) -> int:
        """How many samples may run at once."""
        return self._workers

    @property
    def attestation(self) -> dict[str, Any]:
        """What was observed when the sandbox started; JSON-able, for every file of results."""
        if self._attestation is None:
            raise SandboxError("a sandbox attests nothing before it has started", hint="use it in a with statement")
        return self._attestation

    def run(
        self,
        *,
        program: str,
        entry_point: str,
        test: str,
        support: str = "",
        trusted_names: Sequence[str] = (),
        limits: Limits | None = None,
    ) -> RunVerdict:
        """Run a program and test one function of it.

        Args:
            program: Untrusted source that should define ``entry_point``.
            entry_point: The function the test is given as ``candidate``.
            test: Trusted source that defines ``check(candidate)``.
            support: Trusted source that the test needs, run before it; never run beside the program.
            trusted_names: Other names of the program, functions or classes, that the test may use.
            limits: For this sample.

        Raises:
            SandboxError: The sandbox itself failed, twice; a failing program is a verdict.
        """
        bounds = limits or self._limits
        cases = None if support else asserts.parse(test, entry_point)
        message = {"test": test, "support": support, "entry_point": entry_point, "names": list(trusted_names)}
        with self._pair() as pair:
            for attempt in (1, 2):
                try:
                    if cases is not None:
                        with contextlib.suppress(_NeedsDriverError):
                            return _by_data(pair, program, cases, bounds)
                    return _by_driver(pair, program, message, bounds)
                except SandboxError:
                    pair.restart()
                    if attempt == 2:
                        raise
        raise AssertionError("unreachable")

    def call(self, program: str, asked: Sequence[calls.Call], limits: Limits | None = None) -> calls.Answers:
        """Run a program and return what its functions return; data that the program chose, never a verdict.

        Args:
            program: Untrusted source.
            asked: Calls to make in turn: a name the program defines, and arguments that are data.
            limits: For this sample.

        Raises:
            SandboxError: The sandbox itself failed, twice.
        """
        with self._pair() as pair:
            try:
                return calls.answers(pair.solution, program, asked, limits or self._limits)
            except SandboxError:
                pair.restart()
                return calls.answers(pair.solution, program, asked, limits or self._limits)

    @contextlib.contextmanager
    def _pair(self) -> Iterator[_Pair]:
        if not self._pairs:
            raise SandboxError("the sandbox is not running", hint="use it in a with statement")
        pair = self._idle.get()
        try:
            yield pair
        finally:
            self._idle.put(pair)

    def _observe(self, pair: _Pair, program: str) -> Any:
        """Run a canary program and return what its ``probe()`` returned."""
        found = calls.answers(pair.solution, program, [("probe", ())], Limits(cpu_s=10.0))
        if not found.values:
            raise SandboxError(f"the canaries did not run: {found.outcome}: {found.detail}")
        return found.values[0]


def _by_data(pair: _Pair, program: str, cases: tuple[asserts.Case, ...], limits: Limits) -> RunVerdict:
    """Send all calls at once and compare each answer here, in order, as it comes."""
    job = pair.solution.start(limits)
    try:
        job.send(codec.dumps({"program": program, "calls": [case.call for case in cases]}))
        judged: Judged | None = None
        for number, case in enumerate(cases, 1):
            frame = job.take()
            judged = None if frame is None else _judge(frame, case, number)
            if frame is None or judged is not None:
                break
        else:
            judged = Outcome.PASSED, ""
        if judged is not None and judged[0] is not Outcome.PASSED:
            job.kill()
        report = job.finish()
        return _verdict(job, report, judged or ending(job, report, limits), "data")
    finally:
        over(job)


def _judge(frame: bytes, case: asserts.Case, number: int) -> Judged | None:
    """Return None when the answer satisfies its assertion, else what is wrong with it."""
    if len(frame) > _PLAIN_FRAME:
        raise _NeedsDriverError
    try:
        answer = codec.loads(frame)
    except codec.CodecError as error:
        return Outcome.ERROR, str(error)
    if "value" not in answer:
        return unanswered(answer)
    try:
        value = codec.Decoder(plain=True).decode(answer["value"])
    except codec.CodecError:
        raise _NeedsDriverError from None
    try:
        if case.holds(value):
            return None
    except Exception as error:  # noqa: BLE001 - a wrong result may not compare at all
        return Outcome.ERROR, f"assert {number}: {case.source}: {type(error).__name__}: {error}"[:500]
    return Outcome.WRONG, f"assert {number}: {case.source}: got {_show(value)}"[:500]


def _show(value: Any) -> str:
    try:
        return _SHOWN.repr(value)
    except ValueError:  # an integer of more digits than Python prints
        return f"a large {type(value).__name__}"


def _by_driver(pair: _Pair, program: str, message: dict[str, Any], limits: Limits) -> RunVerdict:
    """Let the program and the test code run in two processes that talk to each other; hear the second."""
    calls, theirs = socket.socketpair()
    jobs: list[Job] = []
    try:
        solution = pair.solution.start(limits, theirs)
        jobs.append(solution)
        theirs.close()
        solution.send(codec.dumps({"program": program, "calls": None}))
        driver = pair.driver.start(limits, calls)
        jobs.append(driver)
        calls.close()
        driver.send(codec.dumps(message))
        frame = driver.take(solution)
        driver_report = driver.finish()
        found = {} if frame is None else codec.loads(frame)
        if found.get("outcome") != "gone":
            solution.kill()
        report = solution.finish(_DYING_S)  # one that has gone may still be dying, and how it dies is its outcome
        ended = ending(solution, report, limits)
        judged = _driver_says(found, ended, ending(driver, driver_report, limits))
        return _verdict(solution, report, judged, "driver")
    finally:
        for end in (calls, theirs):
            end.close()
        for job in jobs:
            over(job)


def _driver_says(found: dict[str, Any], solution: Judged, driver: Judged) -> Judged:
    if not found:
        return driver[0], f"the test code: {driver[1]}"
    if found["end"] is not None:
        return unanswered(found)
    if found["outcome"] == "gone":
        return solution
    return Outcome(found["outcome"]), found["detail"]


def _verdict(job: Job, report: Report, judged: Judged, oracle: str) -> RunVerdict:
    return RunVerdict(
        outcome=judged[0],
        detail=judged[1],
        cpu_s=report.cpu_s,
        memory_mib=round(report.rss_kib / 1024, 1),
        output=job.output,
        oracle=oracle,
    )
