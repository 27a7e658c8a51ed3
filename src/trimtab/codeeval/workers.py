"""A sandbox that is kept warm, with a thread for each of its workers: requests in, one ruling each.

Decisions: it starts at the first request and stays; where the sandbox itself fails for good
(:mod:`trimtab.sandbox.retries`) there is a ruling that says so, never a failed test. In a forked process the pool lets
go of its parent's processes and starts its own; a copy made by pickling is an unstarted one with the same settings.
"""

from __future__ import annotations

import atexit
import concurrent.futures
import dataclasses
import os
import threading
import time
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from trimtab.codeeval import ruling
from trimtab.codeeval.packages import needed
from trimtab.errors import SandboxError, SandboxUnavailable
from trimtab.sandbox.broker import Sandbox
from trimtab.sandbox.verdict import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trimtab.codeeval.ruling import Ruling, RulingRequest

TOO_LATE: Final = "waited too long for a free worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """What the sandbox of a pool is started with; see :class:`trimtab.sandbox.broker.Sandbox`.

    Attributes:
        workers: Programs run at once.
        tier: "auto", or exactly one.
        profile: What programs may do beside computing; "auto" as in ``trimtab judge``.
        packages: Installed packages that programs may import; what these need themselves goes with them.
        limits: What a program may use.
        allow_unsandboxed: Go on where no tier holds.
    """

    workers: int = field(default_factory=lambda: max(1, len(os.sched_getaffinity(0))))
    tier: str = "auto"
    profile: str = "auto"
    packages: Sequence[str] = ("numpy",)
    limits: Limits = field(default_factory=Limits)
    allow_unsandboxed: bool = False


class Workers:
    """A pool; a context manager. Thread-safe.

    Args:
        settings: Of its sandbox.

    Attributes:
        settings: The same.
    """

    def __init__(self, settings: WorkerSettings | None = None) -> None:
        self.settings = settings or WorkerSettings()
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._sandbox: Sandbox | None = None
        self._threads: concurrent.futures.ThreadPoolExecutor | None = None
        _pools.add(self)

    def start(self) -> None:
        """Start the sandbox, unless it runs.

        Raises:
            SandboxUnavailable: No tier holds on this machine.
            SandboxError: It does not come up.
        """
        with self._lock:
            if self._threads is not None:
                return
            fields = {entry.name: getattr(self.settings, entry.name) for entry in dataclasses.fields(self.settings)}
            fields["packages"] = sorted(needed(fields["packages"]))
            self._sandbox = Sandbox(**fields).__enter__()
            self._threads = concurrent.futures.ThreadPoolExecutor(self.settings.workers, "trimtab-judge")

    @property
    def attestation(self) -> dict[str, Any]:
        """What the sandbox observed of itself; it is started if need be."""
        self.start()
        assert self._sandbox is not None  # noqa: S101 - for the type checker
        return self._sandbox.attestation

    @property
    def retried(self) -> int:
        """How often a program ran again; see :mod:`trimtab.sandbox.retries`."""
        return 0 if self._sandbox is None else self._sandbox.retried

    def submit(self, request: RulingRequest, latest: float | None = None) -> concurrent.futures.Future[Ruling]:
        """Judge a request as soon as a worker is free.

        Args:
            request: The request.
            latest: The time, by ``time.monotonic()``, after which it is no longer begun.

        Raises:
            SandboxUnavailable: No tier holds on this machine.
        """
        try:
            self.start()
        except SandboxUnavailable:
            raise
        except SandboxError as error:
            future: concurrent.futures.Future[Ruling] = concurrent.futures.Future()
            future.set_result(ruling.failed(f"the sandbox does not start: {error.message}"))
            return future
        assert self._threads is not None  # noqa: S101 - for the type checker
        return self._threads.submit(self._rule, request, latest)

    def _rule(self, request: RulingRequest, latest: float | None) -> Ruling:
        if latest is not None and time.monotonic() > latest:
            return ruling.failed(TOO_LATE)
        sandbox = self._sandbox
        try:
            return ruling.failed("the pool was closed") if sandbox is None else ruling.rule(request, sandbox)
        except SandboxError as error:
            return ruling.failed(f"the sandbox failed: {error.message}")
        except Exception as error:  # noqa: BLE001 - a fault of ours must not become a failed test
            return ruling.failed(f"{type(error).__name__}: {error}")

    def close(self) -> None:
        """End the sandbox; what is under way is judged, what waits is told that the pool was closed."""
        with self._lock:
            threads, sandbox = self._threads, self._sandbox
            self._threads = self._sandbox = None
        if threads is not None:
            threads.shutdown(wait=True, cancel_futures=True)
        if sandbox is not None:
            sandbox.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> WorkerSettings:
        return self.settings

    def __setstate__(self, settings: WorkerSettings) -> None:
        self.settings = settings
        self._forget()

    def let_go(self) -> None:
        """In a forked process: leave what the parent has to the parent."""
        if self._sandbox is not None:
            self._sandbox.abandon()
        self._forget()


_pools: weakref.WeakSet[Workers] = weakref.WeakSet()


def _after_fork() -> None:
    for pool in list(_pools):
        pool.let_go()


def _at_exit() -> None:
    for pool in list(_pools):
        pool.close()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
