"""A zygote as the broker sees it: started, asked to run one sample at a time, and replaced when it breaks."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trimtab.errors import SandboxError
from trimtab.sandbox.job import CHUNK, Job
from trimtab.sandbox.profile import PURE, Profile

if TYPE_CHECKING:
    from trimtab.sandbox.job import Script
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
_STARTS: Final = 3  # of a zygote that is ended while it starts


class LayerRefusedError(SandboxError):
    """A zygote could not confine itself as asked; ``facts`` has layer, errno and text."""

    def __init__(self, facts: dict[str, Any]) -> None:
        super().__init__(facts["text"])
        self.facts = facts


class _EndedError(SandboxError):
    """A zygote ended before it was ready, without a word: something from outside may have ended it."""


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
        what = {"role": role, "tier": tier, "lean": lean}
        config = {**what, "packages": settings.packages, "profile": settings.profile.name}
        for start in range(1, _STARTS + 1):
            try:
                self.layers = self._start(config, settings.hash_seed)
                break
            except _EndedError:
                if start == _STARTS:
                    raise

    def _start(self, config: dict[str, Any], hash_seed: int) -> dict[str, Any]:
        """Start the process and return the layers that it has put around itself."""
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own text
                [sys.executable, "-s", "-S", "-P", "-B", "-c", _BOOT, str(_SOURCE), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=_ENVIRONMENT | {"PYTHONHASHSEED": str(hash_seed)},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is the broker's business
            )
        self.control.settimeout(_START_S)
        try:
            layers = self._handshake(config)
        except BaseException:
            self.close()
            raise
        self.control.setblocking(False)
        return layers

    def _handshake(self, config: dict[str, Any]) -> dict[str, Any]:
        try:
            self.control.send(json.dumps(config).encode())
            while True:
                answer = json.loads(self.control.recv(CHUNK) or b'{"gone": true}')
                if "ask" in answer:
                    self._write_maps()
                    self.control.send(b"{}")
                elif "failed" in answer:
                    raise LayerRefusedError(answer["failed"])
                elif "ready" in answer:
                    return dict(answer["ready"])
                else:
                    raise _EndedError("the zygote ended while it confined itself")
        except (ConnectionResetError, BrokenPipeError) as error:
            raise _EndedError(f"the zygote ended while it started: {error}") from error
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
            if self._process.poll() is not None:
                raise _EndedError("the zygote ended while it asked for its namespaces") from None
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
