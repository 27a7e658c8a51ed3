"""The zygote: a fresh interpreter that confines itself, then forks one child per sample and watches it.

Decisions: started by exec, so that nothing of the broker is in its memory; it never sees a program, because that goes
over the sample's own socket straight to the child, so one sample cannot find another in inherited memory. It forks,
polls, kills, reaps and reports, one sample at a time. Most of what a sample costs is memory that a fork shares and
somebody then writes to, page by page. So a zygote is small: it loads what most programs import and leaves the rest to
one that is well furnished; and it forks several children at once, which wait for their sample, because what it writes
itself between two forks it would copy after each. A child that waits has run nothing, and where samples may be
processes none waits, so that all but process 1 can be ended after each. Modules with fork hooks (threading, random)
stay unloaded: their hooks triple the cost of a child. ``python -s -S -P`` rather than ``-I``: the environment is ours
and fixes the hash seed, which ``-I`` would ignore.

Control messages, one JSON object a packet: in ``{"job", "cpu", "call", "wall", "latest", "busy", "memory", "paired",
"script"}``
with the sample's descriptors (a script's standard input is the last), and ``{"kill": job}``; out ``{"job", "busy"}`` of
a job that is paired, after each stretch of its time, and ``{"job", "status", "cpu", "rss", "ended", "progress"}``.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import builtins
import contextlib
import gc
import json
import mmap
import os
import resource
import select
import signal
import struct
import sys
import time
from _sitebuiltins import Quitter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from trimtab.sandbox import confine, driver, filters, kernel, solution, tree
from trimtab.sandbox.process_watch import ProcessWatch
from trimtab.sandbox.profile import PROFILES, Profile
from trimtab.sandbox.zygote_modules import FROZEN, FURNISHED, LEAN

if TYPE_CHECKING:
    from collections.abc import Iterable

CONTROL: Final = 3
SOCKET: Final = 3  # in a child
CALLS: Final = 4  # in a child: between a program and its driver
PACKET: Final = 1 << 16
_FIRST_FREE: Final = 5
_DESCRIPTORS: Final = 64
_SENT: Final = 4  # descriptors of a sample at most
_MOST_WAITING: Final = 16
_ASSIGNMENT: Final = struct.Struct(
    "=?Qdq"
)  # whether it is a script, bytes of memory, CPU seconds, tasks besides its own
# Tasks that a process namespace has beside a sample's own extra ones: its first process, the one waiting outside for
# that, and the sample.
_TASKS: Final = 3
# How many times the memory it may use a process may reserve. Only what it touches is its use, so the address space is a
# backstop; where a sample may be several processes, of which one is watched, it is the limit itself.
_RESERVED: Final = 8
_REHEARSALS: Final = 8  # until the interpreter has specialized what they run


def main() -> None:
    """Serve the broker on descriptor :data:`CONTROL` until it closes; the zygote's process runs nothing else."""
    os.dup2(0, CALLS)  # keeps the number free for drivers' children
    control = _socket.socket(fileno=CONTROL)
    config = json.loads(control.recv(PACKET))
    try:
        profile = PROFILES[config["profile"]]
        confined = _prepare(control, config, profile)
    except confine.LayerError as failure:
        facts = {"layer": failure.layer, "errno": failure.error.errno, "text": str(failure.error)}
        control.send(json.dumps({"failed": facts}).encode())
        os._exit(1)
    strict = config["tier"] != "D"
    zygote = Zygote(control, role=config["role"], profile=profile, strict=strict, ruleset=confined.ruleset)
    control.send(json.dumps({"ready": confined.layers, "machine": kernel.MACHINE}).encode())
    zygote.loop()


def _prepare(control: _socket.socket, config: dict[str, Any], profile: Profile) -> confine.Confined:
    _load(LEAN if config["lean"] else FURNISHED)
    for name in ("exit", "quit"):  # what ``site`` would have added
        setattr(builtins, name, Quitter(name, "Ctrl-D"))
    if profile.scratch_mib:
        os.environ["TMPDIR"] = tree.SCRATCH
    readable = tree.survey(tuple(config["packages"]), profile, mounts=config["tier"] == "A")
    if config["tier"] == "C" or (config["tier"] == "B" and not _readable_by_others(readable.stdlib)):
        _load(FROZEN)
    tree.resolve_path(readable)

    def ask(word: str) -> None:
        control.send(json.dumps({"ask": word}).encode())
        if not control.recv(PACKET):
            os._exit(1)

    os.umask(0o022)
    confined = confine.confine(config["tier"], readable, profile, ask)
    os.chdir("/")
    return confined


def _load(names: Iterable[str]) -> None:
    for name in names:
        with contextlib.suppress(ImportError):  # an interpreter built without it
            __import__(name)


def _readable_by_others(path: str) -> bool:
    """Whether the user that root becomes can reach ``path``."""
    if os.geteuid() != 0:
        return True
    while path != "/":
        if not os.stat(path).st_mode & 0o001:  # noqa: PTH116
            return False
        path = os.path.dirname(path)  # noqa: PTH120
    return True


class Zygote:
    """Forks and watches children.

    Args:
        control: The packet socket to the broker.
        role: "solution" or "driver": what its children are.
        profile: What its children may do.
        strict: Whether children add their own seccomp program.
        ruleset: Landlock's rules for children to take on; None where the zygote itself did.
    """

    def __init__(
        self, control: _socket.socket, *, role: str, profile: Profile, strict: bool, ruleset: int | None
    ) -> None:
        self._control = control
        self._role = role
        self._profile = profile
        self._filter = kernel.Filter(filters.child_template(kernel.MACHINE, profile)) if strict else None
        self._own = filters.own_process(bytes(self._filter.program)) if self._filter else ()
        self._ruleset = ruleset
        self._drop_capabilities = kernel.dropping_capabilities()
        self._take_on_rules = kernel.PreparedCall("landlock_restrict_self", -1 if ruleset is None else ruleset, 0)
        self._scratch = tree.Scratch(profile.scratch_mib) if profile.scratch_mib else None
        self._progress = mmap.mmap(-1, mmap.PAGESIZE)  # shared with children
        self._waiting: list[_Waiting] = []
        self._next_batch = 1
        # A child's end wakes poll through this pipe; pidfd_open is not everywhere.
        self._wake, wake_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        os.set_blocking(wake_writer, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one signal of a sample that could reach process 1
        signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
        self._poll = select.poll()
        self._poll.register(self._wake, select.POLLIN)
        self._poll.register(CONTROL, select.POLLIN)

    def loop(self) -> None:
        """Run jobs until the broker closes the control socket."""
        largest = self._profile.scratch_mib << 20
        for option, value in (
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_FSIZE, largest),
            (resource.RLIMIT_NOFILE, _DESCRIPTORS),
        ):
            resource.setrlimit(option, (value, value))
        for _ in range(_REHEARSALS):
            solution.rehearse()
        gc.disable()
        gc.collect()
        gc.freeze()
        while True:
            data, descriptors = _receive(self._control)
            if not data:
                os._exit(0)
            message = json.loads(data)
            if "job" in message:  # a kill that arrives late names a job that is over
                self._run(message, descriptors)

    def _run(self, job: dict[str, Any], descriptors: list[int]) -> None:
        started = time.monotonic()
        if self._scratch is not None:
            self._scratch.fresh()
        self._progress[: solution.PROGRESS.size] = bytes(solution.PROGRESS.size)
        process = self._assign(job, descriptors)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        for descriptor in descriptors:
            os.close(descriptor)
        watch = ProcessWatch(process, job, started, self._progress)
        ended = self._watch(watch, job)
        status, usage = watch.end or os.wait4(process, 0)[1:]
        if self._profile.processes and os.getpid() == 1:
            _sweep()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)  # with whatever the sample had left behind
        report = {
            "job": job["job"],
            "status": status,
            "cpu": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 6),
            "rss": usage.ru_maxrss,
            "ended": ended,
            "progress": solution.PROGRESS.unpack_from(self._progress),
        }
        with contextlib.suppress(OSError):  # the broker has gone; the next receive ends this process
            self._control.send(json.dumps(report).encode())

    def _assign(self, job: dict[str, Any], descriptors: list[int]) -> int:
        """Give a sample to a child that waits, and return the child's process."""
        rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack(f"={len(descriptors)}i", *descriptors))]
        while True:
            if not self._waiting:
                self._fork()
            child = self._waiting.pop()
            # Limits on tasks count those of the same user, and so all who wait.
            others = len(self._waiting) + _TASKS
            assignment = _ASSIGNMENT.pack(job["script"], job["memory"], job["cpu"], others)
            try:
                child.jobs.sendmsg([assignment], rights)
            except OSError:  # somebody has ended it
                child.jobs.close()
                os.waitpid(child.process, 0)
                continue
            child.jobs.close()
            return child.process

    def _fork(self) -> None:
        """Fork children that wait, twice as many as last time: who runs one sample pays for one child."""
        pairs = [_socket.socketpair() for _ in range(self._next_batch)]
        processes = []
        for _, theirs in pairs:
            process = os.fork()
            if process == 0:
                self._become_child(theirs)
            processes.append(process)
        for process, (ours, theirs) in zip(processes, pairs, strict=True):
            theirs.close()
            self._waiting.append(_Waiting(process, ours))
        if not self._profile.processes:
            self._next_batch = min(2 * self._next_batch, _MOST_WAITING)

    def _watch(self, watch: ProcessWatch, job: dict[str, Any]) -> str:
        """Wait for a child to end, or end it; say which."""
        while True:
            ready = {descriptor for descriptor, _ in self._poll.poll(watch.wait() * 1000 + 1)}
            if self._wake in ready:
                os.read(self._wake, 64)
                if watch.hear():
                    return "exit"
            ended = (self._order(job) if CONTROL in ready else "") or watch.over()
            if watch.busy is not None and not ended:
                with contextlib.suppress(OSError):
                    self._control.send(json.dumps({"job": job["job"], "busy": watch.busy}).encode())
                watch.busy = None
            if ended:
                os.kill(watch.process, signal.SIGKILL)
                return ended

    def _order(self, job: dict[str, Any]) -> str:
        data = self._control.recv(PACKET)
        if not data:
            return "closed"
        return "killed" if json.loads(data).get("kill") == job["job"] else ""

    def _become_child(self, jobs: _socket.socket) -> None:
        """Wait for a sample and turn into its process; never returns."""
        try:
            # Whoever held another's sockets would keep it from seeing that the zygote has gone.
            os.dup2(0, CONTROL)  # keeps the number free for the sample's socket
            number = jobs.fileno()
            first, last = sorted((number, number if self._ruleset is None else self._ruleset))
            os.closerange(_FIRST_FREE, first)
            os.closerange(first + 1, last)
            os.closerange(last + 1, 1024)
            # Not by the module that makes enumerations of them, whose every step would touch other pages.
            _signal.set_wakeup_fd(-1)
            _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
            _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
            data, descriptors = _receive(jobs)
            if not data:  # the zygote has gone
                os._exit(0)
            script, memory, cpu_s, others = _ASSIGNMENT.unpack(data)
            output, *sockets = descriptors
            # A stdin of its own, at its end: the flags of one that all samples share would carry notes between them.
            os.dup2(sockets.pop() if script else os.pipe()[0], 0)
            os.dup2(output, 1)
            # What a script prints as an error is no part of its answer and goes into a pipe that nobody reads.
            os.dup2(os.pipe()[1] if script else output, 2)
            for target, descriptor in zip((SOCKET, CALLS), sockets, strict=False):
                os.dup2(descriptor, target)
            if self._ruleset is not None:
                os.chdir(tree.SCRATCH)
                self._drop_capabilities()
                self._take_on_rules()
            os.closerange(_FIRST_FREE if len(sockets) > 1 else CALLS, 1024)
            self._limit(memory, cpu_s, others)
            sys.argv = ["solution.py"]
            gc.enable()
            if self._role == "driver":
                driver.serve(SOCKET, CALLS)
            solution.serve(SOCKET, CALLS, self._progress)
        finally:
            os._exit(70)

    def _limit(self, memory: int, cpu_s: float, others: int) -> None:
        # A backstop that counts ticks, which on a busy machine run ahead of the time used: the zygote's watch is exact.
        seconds = int(2 * cpu_s) + 2
        for option, value in (
            (resource.RLIMIT_AS, memory if self._profile.processes else _RESERVED * memory),
            (resource.RLIMIT_CPU, seconds),
            (resource.RLIMIT_NPROC, self._profile.tasks and self._profile.tasks + others),
        ):
            resource.setrlimit(option, (value, value))
        if self._filter is not None:
            process = os.getpid()
            for offset in self._own:
                struct.pack_into("=I", self._filter.program, offset, process)
            self._filter.load()


class _Waiting(NamedTuple):
    """A child that waits for its sample: its process, and the socket to send it on."""

    process: int
    jobs: _socket.socket


def _receive(source: _socket.socket) -> tuple[bytes, list[int]]:
    """Return a packet and the descriptors that came with it; an empty one when the other side has gone."""
    data, ancillary, _, _ = source.recvmsg(PACKET, _socket.CMSG_SPACE(4 * _SENT))
    return data, [number for _, _, packed in ancillary for (number,) in struct.iter_unpack("=i", packed)]


def _sweep() -> None:
    """End and reap whatever a sample left behind in this process namespace."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    while True:
        try:
            if os.waitpid(-1, 0)[0] == 0:
                return
        except ChildProcessError:
            return
