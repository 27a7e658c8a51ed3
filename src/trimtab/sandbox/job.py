"""One sample's process as the broker sees it: what is sent to it, what it sends and prints, and how it ends.

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
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trimtab.errors import SandboxError
from trimtab.sandbox import crowding, wire

if TYPE_CHECKING:
    from trimtab.sandbox.verdict import Limits

_GRACE_S: Final = 10.0  # beyond the wall limit, for a zygote on a busy machine to do its work
_LINGER_S: Final = 0.02  # for a sample whose verdict is settled to end by itself
_KEPT_OUTPUT: Final = 64 << 10
CHUNK: Final = 1 << 16  # bytes read at a time of what a process prints or a zygote says


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


@dataclass(frozen=True, slots=True)
class Script:
    """What a process has that reads its standard input and whose standard output is its answer.

    Attributes:
        stdin: A descriptor to read from, which the broker then closes.
        kept_bytes: How much of what it prints to standard output is kept; standard error is not kept.
    """

    stdin: int
    kept_bytes: int


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
            data = os.read(self._pipe, CHUNK)
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
                data = self._control.recv(CHUNK)
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
