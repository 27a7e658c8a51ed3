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
import dataclasses
import queue
import re
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from trimtab.errors import SandboxError
from trimtab.sandbox import asserts, batch, calls, probe, script, trial
from trimtab.sandbox.lane import LayerRefusedError, Settings
from trimtab.sandbox.profile import named
from trimtab.sandbox.retries import Ended, Retries
from trimtab.sandbox.verdict import Limits, Outcome, RunVerdict
from trimtab.sandbox.zygote_pair import ZygotePair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from trimtab.sandbox.script import ScriptRun

# How the standard library says that a profile does not let it.
_REFUSALS: Final = ("can't start new thread", "[Errno 30]", "[Errno 1]", "No usable temporary directory")
# How a package that is not admitted looks: not there, or at tier B there and not to be opened.
_LACKING: Final = re.compile(
    r"(?:ModuleNotFoundError: No module named '|Permission denied: '[^']*/site-packages/)(\w+)"
)
_Result = TypeVar("_Result", bound=Ended)


class Sandbox:
    """Runs untrusted functions; a context manager. Thread-safe: as many samples at once as ``workers``.

    Args:
        tier: "auto", or exactly "A" (namespaces, Landlock, seccomp), "B" (Landlock, strict seccomp) or
            "C" (seccomp that opens no file); "D" is no isolation and needs ``allow_unsandboxed``.
        allow_unsandboxed: Go on without isolation where no tier holds; the attestation says so.
        limits: For samples that are given none.
        workers: How many zygotes to start.
        packages: Import names of installed packages that programs may use beside the standard library.
        profile: What programs may do: "pure" computes; "threads" also starts threads and writes to a private, empty
            ``/tmp``; "lib" also starts processes. The last two need tier A. "auto" is "threads" at tier A, else "pure".
        hash_seed: What programs see as PYTHONHASHSEED: the order of sets of strings follows from it.

    Raises:
        SandboxUnavailable: On entering, when no tier holds, naming each layer that is missing and what would fix it.
        SandboxError: A zygote does not come up.
    """

    def __init__(  # noqa: PLR0913 - independent choices, all with defaults
        self,
        *,
        tier: str = "auto",
        allow_unsandboxed: bool = False,
        limits: Limits | None = None,
        workers: int = 1,
        packages: Sequence[str] = (),
        profile: str = "pure",
        hash_seed: int = 0,
    ) -> None:
        self._requested = tier
        self._allow_unsandboxed = allow_unsandboxed
        self._limits = limits or Limits()
        self._workers = workers
        self._profile = profile
        self._admitted = frozenset(packages)
        paths = probe.package_paths(packages)
        self._settings = Settings(packages=paths, profile=named(profile, tier), hash_seed=hash_seed)
        self._idle: queue.SimpleQueue[ZygotePair] = queue.SimpleQueue()
        self._pairs: list[ZygotePair] = []
        self._attestation: dict[str, Any] | None = None
        self._reasons: dict[str, dict[str, Any]] = {}
        self._retries = Retries()

    def __enter__(self) -> Self:
        reasons = self._reasons
        for tier in probe.candidates(self._requested, allow_unsandboxed=self._allow_unsandboxed):
            profile = named(self._profile, tier)
            self._settings = dataclasses.replace(self._settings, profile=profile)
            observed = self._try(tier) if tier in profile.tiers else probe.no_profile(profile.name)
            if isinstance(observed, probe.Observed):
                break
            reasons[tier] = observed
        else:
            raise probe.unavailable(reasons)
        self._attestation = probe.attestation(observed, self._requested, reasons, self._limits, self._settings)
        try:
            for _ in range(self._workers - 1):
                self._pairs.append(ZygotePair(tier, self._settings))
        except BaseException:
            self.close()
            raise
        for each in self._pairs:
            self._idle.put(each)
        return self

    def _try(self, tier: str) -> probe.Observed | dict[str, Any]:
        """Start a zygote at ``tier`` and observe it; return what is wrong when the tier does not hold."""
        try:
            pair = ZygotePair(tier, self._settings)
        except LayerRefusedError as refused:
            return refused.facts
        except SandboxError as error:
            return {"layer": "zygote", "errno": 0, "text": error.message}
        try:
            canaries = probe.observe(lambda program: self._observe(pair, program))
            leaks = probe.leaks(tier, canaries, self._settings.profile)
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

    def abandon(self) -> None:
        """In a process that was forked from the one that started it: let go of the zygotes, and end none.

        Both processes would otherwise speak to them, and one could be told the other's verdict.
        """
        for pair in self._pairs:
            pair.abandon()
        self._pairs.clear()
        self._idle = queue.SimpleQueue()

    @property
    def workers(self) -> int:
        """How many samples may run at once."""
        return self._workers

    @property
    def retried(self) -> int:
        """How often a sample ran again, because the sandbox failed or something ended its process."""
        return self._retries.count

    @property
    def limits(self) -> Limits:
        """What samples may use that are given no limits of their own."""
        return self._limits

    @property
    def reasons(self) -> dict[str, dict[str, Any]]:
        """Why tiers that were tried do not hold: layer, errno and text of each."""
        return self._reasons

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
            SandboxError: The sandbox itself failed, again and again; a failing program is a verdict.
        """
        bounds = limits or self._limits
        cases = None if support else asserts.parse(test, entry_point)
        message = {"test": test, "support": support, "entry_point": entry_point, "names": list(trusted_names)}

        def judge(pair: ZygotePair) -> RunVerdict:
            if cases is not None:
                with contextlib.suppress(trial.NeedsDriverError):
                    return trial.by_data(pair, program, cases, bounds)
            return trial.by_driver(pair, program, message, bounds)

        return self._explained(self._persist(judge))

    def call(self, program: str, requests: Sequence[calls.Call], limits: Limits | None = None) -> calls.Answers:
        """Run a program and return what its functions return; data that the program chose, never a verdict.

        Args:
            program: Untrusted source.
            requests: Calls to make in turn: a name the program defines, and arguments that are data.
            limits: For this sample.

        Raises:
            SandboxError: The sandbox itself failed, again and again.
        """
        return self._persist(
            lambda pair: calls.answers(pair.solution_for(program), program, requests, limits or self._limits)
        )

    def script(self, program: str, stdin: str, limits: Limits | None = None, kept_bytes: int = 1 << 20) -> ScriptRun:
        """Run a program that reads its standard input; see :mod:`trimtab.sandbox.script`.

        Args:
            program: Untrusted source.
            stdin: What it finds there.
            limits: For this sample.
            kept_bytes: How much of its standard output is kept.

        Raises:
            SandboxError: The sandbox itself failed, again and again.
        """
        bounds = limits or self._limits
        return self._persist(lambda pair: script.run(pair.solution_for(program), program, stdin, bounds, kept_bytes))

    def truth(self, program: str, inputs: batch.Inputs, limits: Limits) -> batch.Truth:
        """Run a reference on many inputs and keep what it returned; see :mod:`trimtab.sandbox.batch`.

        Raises:
            SandboxError: The sandbox itself failed, again and again.
        """
        return self._persist(lambda pair: batch.truth(pair.solution_for(program), program, inputs, limits))

    def compare(
        self,
        program: str,
        expected: batch.Truth,
        holds: Callable[[int, Any], bool],
        limits: Limits | None = None,
        named: Callable[[int], str] = "input {}".format,
    ) -> RunVerdict:
        """Run a program on many inputs and compare with what a reference returned.

        Args:
            program: Untrusted source.
            expected: What the reference returned.
            holds: Whether a value that is not encoded as the expected one is will do for the input of this index.
            limits: For this sample.
            named: How an input is named in messages, by its number from 1 on.

        Raises:
            SandboxError: The sandbox itself failed, again and again.
        """
        bounds = limits or self._limits

        def judge(pair: ZygotePair) -> RunVerdict:
            return batch.compare(pair.solution_for(program), program, expected, holds, bounds, named)

        return self._explained(self._persist(judge))

    def _persist(self, act: Callable[[ZygotePair], _Result]) -> _Result:
        """Do something with a pair of zygotes until it has an outcome; see :mod:`trimtab.sandbox.retries`."""
        with self._pair() as pair:
            return self._retries.run(pair, act)

    def _explained(self, verdict: RunVerdict) -> RunVerdict:
        """Say so where a program probably failed for what its profile or the list of packages refuses."""
        if verdict.outcome is not Outcome.ERROR:
            return verdict
        profile, why = self._settings.profile, ""
        if lacking := _LACKING.search(verdict.detail):
            why = probe.how_to_admit(lacking[1])
            if lacking[1] in self._admitted:
                why = f"{lacking[1]} is admitted, but at tier {self.attestation['tier']} it cannot be read"
        elif not profile.processes and any(text in verdict.detail for text in _REFUSALS):
            why = f"the sandbox's profile {profile.name!r} may have refused this; tier A has 'threads' and 'lib'"
        return dataclasses.replace(verdict, detail=f"{verdict.detail} ({why})") if why else verdict

    @contextlib.contextmanager
    def _pair(self) -> Iterator[ZygotePair]:
        if not self._pairs:
            raise SandboxError("the sandbox is not running", hint="use it in a with statement")
        pair = self._idle.get()
        try:
            yield pair
        finally:
            self._idle.put(pair)

    def _observe(self, pair: ZygotePair, program: str) -> Any:
        """Run a canary program and return what its ``probe()`` returned."""
        answers = self._retries.run(
            pair,
            lambda pair: calls.answers(pair.solution_for(program), program, [("probe", ())], Limits(cpu_s=10.0)),
        )
        if not answers.values:
            raise SandboxError(f"the canaries did not run: {answers.outcome}: {answers.detail}")
        return answers.values[0]
