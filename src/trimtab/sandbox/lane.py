"""A zygote as the broker sees it: started, asked to run one sample at a time, and replaced when it breaks.

Decisions: the broker passes each sample its own socket and output pipe and keeps the other ends; all reading is
non-blocking and bounded, so nothing a sample sends can stall or fill the broker; a job is over when the zygote has
reported it, not when its sockets close.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trimtab.errors import SandboxError
from trimtab.sandbox import crowding, wire
from trimtab.sandbox.profile import PURE, Profile

if TYPE_CHECKING:
    from trimtab.sandbox.verdict import Limits

_SOURCE: Final = Path(__file__).resolve().parents[2]
# Our own modules, and only they, may leave their bytecode behind: compiling them anew takes half of a start.
_BOOT: Final = (
    "import os, sys; os.dup2(int(sys.argv[2]), 3); os.closerange(4, 4096); sys.path.append(sys.argv[1]); "
    "sys.dont_write_bytecode = False; from trimtab.sandbox import zygote; sys.dont_write_bytecode = True; "
    "sys.path.pop(); del sys.argv[1:]; zygote.main()"
)
_ENVIRONMENT: Final = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/tmp",  # noqa: S108 - in tier A the sample's own, elsewhere out of reach
    "LC_ALL": "C.UTF-8",
    "PYTHONIOENCODING": "utf-8:backslashreplace",  # half a surrogate pair can be printed
    "PYTHONDONTWRITEBYTECODE": "1",
    "MALLOC_ARENA_MAX": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
_START_S: Final = 30.0
_GRACE_S: Final = 10.0  # beyond the wall limit, for a zygote on a busy machine to do its work
_LINGER_S: Final = 0.02  # for a sample whose verdict is settled to end by itself
_KEPT_OUTPUT: Final = 64 << 10
_CHUNK: Final = 1 << 16


class LayerRefusedError(SandboxError):
    """A zygote could not confine itself as asked; ``facts`` has layer, errno and text."""

    def __init__(self, facts: dict[str, Any]) -> None:
        super().__init__(facts["text"])
        self.facts = facts


@dataclass(frozen=True, slots=True)
class Report:
    """What the zygote says about a process that is over: wait status, CPU seconds, peak KiB, what ended it.

    ``progress`` is what the process itself noted of its calls; see ``solution.PROGRESS``.
    """

    status: int
    cpu_s: float
    rss_kib: int
    ended: str
    progress: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What samples find.

    Attributes:
        packages: Paths of packages they may read beside the standard library.
        profile: What they may do.
        hash_seed: Their PYTHONHASHSEED.
    """

    packages: tuple[str, ...] = ()
    profile: Profile = PURE
    hash_seed: int = 0


_DEFAULTS: Final = Settings()


@dataclass(frozen=True, slots=True)
class Script:
    """What a process has that reads its standard input and whose standard output is its answer.

    Attributes:
        stdin: A descriptor to read from, which the broker then closes.
        kept_bytes: How much of what it prints to standard output is kept; standard error is not kept.
    """

    stdin: int
    kept_bytes: int


class Lane:
    """One zygote.

    Args:
        role: "solution" or "driver".
        tier: The tier to confine it to.
        settings: What its samples find.
        lean: Whether it has loaded no more than ``zygote.LEAN``.

    Raises:
        LayerRefusedError: The tier is not to be had.
        SandboxError: The process did not come up.
    """

    def __init__(self, *, role: str, tier: str, settings: Settings = _DEFAULTS, lean: bool = False) -> None:
        self._numbers = iter(range(1, 1 << 62))
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own text
                [sys.executable, "-s", "-S", "-P", "-B", "-c", _BOOT, str(_SOURCE), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=_ENVIRONMENT | {"PYTHONHASHSEED": str(settings.hash_seed)},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is the broker's business
            )
        self.control.settimeout(_START_S)
        try:
            config = {"packages": settings.packages, "profile": settings.profile.name}
            self.layers = self._handshake({"role": role, "tier": tier, "lean": lean, **config})
        except BaseException:
            self.close()
            raise
        self.control.setblocking(False)

    def _handshake(self, config: dict[str, Any]) -> dict[str, Any]:
        try:
            self.control.send(json.dumps(config).encode())
            while True:
                answer = json.loads(self.control.recv(_CHUNK) or b'{"gone": true}')
                if "ask" in answer:
                    self._write_maps()
                    self.control.send(b"{}")
                elif "failed" in answer:
                    raise LayerRefusedError(answer["failed"])
                elif "ready" in answer:
                    return dict(answer["ready"])
                else:
                    raise SandboxError("the zygote ended while it confined itself")
        except OSError as error:
            raise SandboxError(f"the zygote did not come up: {error}") from error

    def _write_maps(self) -> None:
        """Give the zygote's user namespace its ids; root also gives it the unused one it will become."""
        folder = Path("/proc") / str(self._process.pid)
        user, group = os.geteuid(), os.getegid()
        try:
            if user == 0:
                for name in ("uid_map", "gid_map"):
                    (folder / name).write_text(_root_map())
            else:
                (folder / "setgroups").write_text("deny")
                (folder / "uid_map").write_text(f"1000 {user} 1")
                (folder / "gid_map").write_text(f"1000 {group} 1")
        except OSError as error:
            facts = {"layer": "namespaces", "errno": error.errno, "text": f"uid_map: {error.strerror}"}
            raise LayerRefusedError(facts) from None

    def start(self, limits: Limits, extra: socket.socket | None = None, script: Script | None = None) -> Job:
        """Fork a process for one sample; ``extra`` is a second socket for it, which the broker then closes."""
        return Job(self.control, next(self._numbers), limits, extra, script)

    def abandon(self) -> None:
        """Let go of the zygote in a forked process: it belongs to the one that forked."""
        self.control.close()
        self._process.returncode = 0  # it is no child of this process: nothing to wait for

    def close(self) -> None:
        """End the zygote and wait for it."""
        self.control.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(2)
            return
        self._process.kill()
        self._process.wait()


def _root_map() -> str:
    """Map root, and to the id used inside an id that nobody has outside, if this namespace knows it."""
    from trimtab.sandbox import confine  # noqa: PLC0415 - only root needs it

    known = [line.split() for line in Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines()]
    spans = [range(int(first), int(first) + int(count)) for first, _, count in known]
    unused = next(
        (i for i in confine.UNUSED_IDS if any(i in span for span in spans)),
        confine.UNUSED_IDS[-1],
    )
    return f"0 0 1\n{confine.INSIDE_ID} {unused} 1\n"


class Job:
    """One sample's process.

    Attributes:
        inbox: Frames it sent.
        report: How it ended, once it has.
        flooded: Whether it printed more than its limit.
    """

    def __init__(
        self,
        control: socket.socket,
        number: int,
        limits: Limits,
        extra: socket.socket | None,
        script: Script | None = None,
    ) -> None:
        self._control = control
        self._number = number
        self._outbox = bytearray()
        self._output = bytearray()
        self._printed = 0
        self._kept = _KEPT_OUTPUT if script is None else script.kept_bytes
        self._open_socket = self._open_pipe = True
        self._allowed = int(limits.output_mib * (1 << 20))
        crowd = crowding.processes_per_processor()
        latest = limits.latest * min(crowd, crowding.MOST)
        self._backstop = time.monotonic() + latest + _GRACE_S
        self.inbox = wire.Inbox()
        self.report: Report | None = None
        self.flooded = self.stalled = False
        self.idle = 0
        self._socket, theirs = socket.socketpair()
        self._pipe, writer = os.pipe()
        os.set_blocking(self._pipe, False)
        self._socket.setblocking(False)
        self._paired = extra is not None
        times = {"cpu": limits.cpu_s, "call": limits.call, "wall": limits.wall, "latest": latest}
        message = {"job": number, "memory": limits.memory_mib << 20, "paired": self._paired, **times}
        message |= {"script": script is not None, "busy": crowding.busy_share(crowd)}
        given = [writer, theirs.fileno(), *([] if extra is None else [extra.fileno()])]
        given += [] if script is None else [script.stdin]
        try:
            socket.send_fds(control, [json.dumps(message).encode()], given)
        except OSError as error:
            self.close()
            raise SandboxError(f"the zygote is gone: {error}") from error
        finally:
            os.close(writer)
            theirs.close()

    def send(self, data: bytes) -> None:
        """Queue one frame."""
        self._outbox += wire.HEADER.pack(len(data)) + data
        self._flush()

    def take(self, *others: Job) -> bytes | None:
        """Return the next frame, serving ``others`` meanwhile; None when the process is over or sends too much.

        Processes of a pair wait for each other, so neither is late by itself: both are ended when both zygotes have
        seen theirs do nothing for as long as it may. A zygote that is starved itself has seen nothing.
        """
        while True:
            frame = self.inbox.take()
            if frame is not None:
                return frame
            if self.inbox.overflowed:
                return None
            if self.report is not None and not self._receive():
                return self.inbox.take()
            if self.report is not None:
                continue
            serve(self, *others)
            if self._paired:
                self._end_stalled(self, *others)

    def _end_stalled(self, *jobs: Job) -> None:
        if self.report is not None or any(job.idle < wire.STRETCHES and job.report is None for job in jobs):
            return
        for job in jobs:
            if not job.stalled:
                job.stalled = True
                job.kill()

    def finish(self, linger_s: float = _LINGER_S) -> Report:
        """Wait for the end of a process whose verdict is settled; end it when it lingers."""
        until = time.monotonic() + linger_s
        while self.report is None and time.monotonic() < until:
            serve(self, timeout=linger_s)
        if self.report is None:
            self.kill()
        while self.report is None:
            serve(self)
        self._drain()
        return self.report

    def kill(self) -> None:
        """Ask the zygote to end the process."""
        with contextlib.suppress(OSError):
            self._control.send(json.dumps({"kill": self._number}).encode())

    @property
    def output(self) -> str:
        """The beginning of what was printed."""
        return self._output.decode(errors="replace")

    @property
    def printed_bytes(self) -> int:
        """How much was printed, kept or not."""
        return self._printed

    def close(self) -> None:
        """Close what the broker holds; the process must be over."""
        self._socket.close()
        os.close(self._pipe)

    def watch(self, poll: select.poll) -> None:
        """Register what to wait for: streams that have not ended, and the zygote's report."""
        if self._open_socket and not self.inbox.overflowed:
            poll.register(self._socket, select.POLLIN | (select.POLLOUT if self._outbox else 0))
        if self._open_pipe:
            poll.register(self._pipe, select.POLLIN)
        if self.report is None:
            poll.register(self._control, select.POLLIN)

    def service(self, ready: set[int]) -> None:
        """Read and write what is ready."""
        if self._socket.fileno() in ready:
            self._flush()
            self._open_socket = self._receive()
        if self._pipe in ready:
            self._open_pipe = self._drain()
        if self._control.fileno() in ready:
            self._hear()
        if time.monotonic() > self._backstop:
            raise SandboxError("the zygote does not end a sample that is over its time")

    def _flush(self) -> None:
        with contextlib.suppress(BlockingIOError):
            try:
                while self._outbox:
                    del self._outbox[: self._socket.send(self._outbox)]
            except (BrokenPipeError, ConnectionResetError):
                self._outbox.clear()

    def _receive(self) -> bool:
        """Read what there is; return whether more may come."""
        try:
            data = self._socket.recv(1 << 20)
        except BlockingIOError:
            return self.report is None
        except ConnectionResetError:
            return False
        self.inbox.feed(data)
        if self.inbox.overflowed:
            self.kill()
        return bool(data)

    def _drain(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._pipe, _CHUNK)
            self._printed += len(data)
            self._output += data[: max(0, self._kept - len(self._output))]
            if self._printed > self._allowed and not self.flooded:
                self.flooded = True
                self.kill()
            return bool(data)
        return True

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            try:
                data = self._control.recv(_CHUNK)
            except ConnectionResetError:
                data = b""
            if not data:
                raise SandboxError("the zygote has gone")
            message = json.loads(data)
            if message["job"] != self._number:
                return
            if "busy" in message:
                self.idle = 0 if message["busy"] else self.idle + 1
            else:
                status, cpu_s, rss_kib, ended = (message[name] for name in ("status", "cpu", "rss", "ended"))
                self.report = Report(status, cpu_s, rss_kib, ended, tuple(message["progress"]))


def serve(*jobs: Job, timeout: float = 1.0) -> None:
    """Wait until something is ready on any of the jobs, and deal with it."""
    poll = select.poll()
    for job in jobs:
        job.watch(poll)
    ready = {descriptor for descriptor, _ in poll.poll(timeout * 1000)}
    for job in jobs:
        job.service(ready)
