"""The Linux calls that confine a process, through ctypes; nothing outside the standard library.

Decisions: numbers, not libc wrappers, where old libcs have none; every failure is an OSError that names the call, so
that an attestation can say which layer is missing and why; no policy here (see filters, tree and zygote).
Sources: landlock(7), seccomp(2), prctl(2), mount_setattr(2), capset(2), user_namespaces(7).
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from typing import Final

from trimtab.sandbox import syscalls

CLONE_NEWNS: Final = 0x00020000
CLONE_NEWCGROUP: Final = 0x02000000
CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000

MS_NOSUID: Final = 2
MS_NODEV: Final = 4
MS_NOEXEC: Final = 8
MS_NOATIME: Final = 1024
MS_BIND: Final = 4096
MS_REC: Final = 16384
MS_PRIVATE: Final = 1 << 18
MNT_DETACH: Final = 2
ATTR_RDONLY: Final = 1
ATTR_NOSUID: Final = 2
ATTR_NODEV: Final = 4

_AT_FDCWD: Final = -100
_AT_RECURSIVE: Final = 0x8000
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_KEEPCAPS: Final = 8
_PR_SET_NO_NEW_PRIVS: Final = 38
CAP_SYS_ADMIN: Final = 1 << 21
_CAPABILITY_VERSION_3: Final = 0x20080522
_SECCOMP_SET_MODE_FILTER: Final = 1

FS_EXECUTE: Final = 1 << 0
FS_READ_FILE: Final = 1 << 2
FS_READ_DIR: Final = 1 << 3
# How many file-system rights each Landlock ABI knows: bits 0-12, then REFER, TRUNCATE and IOCTL_DEV.
_FS_BITS: Final = {1: 13, 2: 14, 3: 15, 4: 15}
_LATEST_FS_BITS: Final = 16
# Everything one may do with files and folders of one's own: all but devices and sockets.
FS_SCRATCH: Final = 0xFFFF & ~(1 << 6 | 1 << 9 | 1 << 11 | 1 << 15)

_libc: Final = ctypes.CDLL(None, use_errno=True)
MACHINE: Final = os.uname().machine
TABLE: Final = syscalls.TABLES.get(MACHINE, {})


def _checked(name: str, result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
    return result


def call(name: str, *args: int | bytes | ctypes.Array[ctypes.c_char]) -> int:
    """Make system call ``name``; raise OSError with the call's name when it fails."""
    words = [ctypes.c_long(arg) if isinstance(arg, int) else ctypes.c_char_p(bytes(arg)) for arg in args]
    return _checked(name, int(_libc.syscall(ctypes.c_long(TABLE[name]), *words)))


def unshare(flags: int) -> None:
    """Leave the namespaces named in ``flags`` (CLONE_NEW*) for new ones."""
    call("unshare", flags)


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """Mount a file system, or bind what is at ``source``, at ``target``."""
    texts = [None if text is None else text.encode() for text in (source, target, kind)]
    packed = None if data is None else data.encode()
    _checked(f"mount {target}", int(_libc.mount(*texts, ctypes.c_ulong(flags), packed)))


def mount_attributes(target: str, attributes: int, *, recursive: bool = True) -> None:
    """Add mount attributes; unlike a remount this never trips over flags locked by an outer user namespace."""
    packed = ctypes.create_string_buffer(struct.pack("=QQQQ", attributes, 0, 0, 0), 32)
    flags = _AT_RECURSIVE if recursive else 0
    number = ctypes.c_long(TABLE["mount_setattr"])
    path = target.encode()
    result = _libc.syscall(number, ctypes.c_long(_AT_FDCWD), path, ctypes.c_long(flags), packed, ctypes.c_long(32))
    _checked(f"mount_setattr {target}", int(result))


def pivot_here() -> None:
    """Make the working directory the root of the file system and forget the old root."""
    call("pivot_root", b".", b".")
    _checked("umount2", int(_libc.umount2(b".", MNT_DETACH)))
    os.chdir("/")


def unmount(target: str) -> None:
    """Take a mount out of the tree; it goes when nobody uses it any more."""
    _checked(f"umount2 {target}", int(_libc.umount2(target.encode(), MNT_DETACH)))


class PreparedCall:
    """A system call whose arguments are made before a fork, so that the child that makes it allocates nothing.

    Args:
        name: Of the call.
        arguments: Integers and buffers.
    """

    def __init__(self, name: str, *arguments: int | ctypes.Array[ctypes.c_char]) -> None:
        self._name = name
        words = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in arguments]
        self._words = (ctypes.c_long(TABLE[name]), *words)

    def __call__(self) -> None:
        """Make the call.

        Raises:
            OSError: It failed.
        """
        if _libc.syscall(*self._words) < 0:
            _checked(self._name, -1)


def dropping_capabilities(keep: int = 0) -> PreparedCall:
    """Return the call that gives up every capability but ``keep``, for good once ``no_new_privileges`` holds."""
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), 8)
    data = ctypes.create_string_buffer(struct.pack("=6I", keep, keep, 0, 0, 0, 0), 24)
    return PreparedCall("capset", header, data)


def keep_capabilities() -> None:
    """Keep permitted capabilities when root becomes another user."""
    _prctl("prctl(KEEPCAPS)", _PR_SET_KEEPCAPS, 1)


def _prctl(name: str, option: int, value: int) -> None:
    zero = ctypes.c_ulong(0)
    _checked(name, int(_libc.prctl(option, ctypes.c_ulong(value), zero, zero, zero)))


def no_new_privileges() -> None:
    """No exec from here on can gain privileges; seccomp and Landlock ask for this."""
    _prctl("prctl(NO_NEW_PRIVS)", _PR_SET_NO_NEW_PRIVS, 1)


def not_dumpable() -> None:
    """No core dump, and no tracing by others of the same user."""
    _prctl("prctl(DUMPABLE)", _PR_SET_DUMPABLE, 0)


def die_with_parent(signal_number: int) -> None:
    """Get ``signal_number`` when the parent goes."""
    _prctl("prctl(PDEATHSIG)", _PR_SET_PDEATHSIG, signal_number)


class Filter:
    """A seccomp program ready to load: 8-byte instructions as :mod:`trimtab.sandbox.filters` assembles them.

    Made before a fork and patched after it, so that a child neither assembles nor allocates.
    """

    def __init__(self, program: bytes) -> None:
        self.program = bytearray(program)
        instructions = (ctypes.c_char * len(program)).from_buffer(self.program)
        packed = struct.pack("=H6xQ", len(program) // 8, ctypes.addressof(instructions))  # struct sock_fprog, 64 bits
        self._kept = instructions
        self._load = PreparedCall("seccomp", _SECCOMP_SET_MODE_FILTER, 0, ctypes.create_string_buffer(packed, 16))

    def load(self) -> None:
        """Install the program in this process and all it forks."""
        self._load()


def landlock_abi() -> int:
    """Return the Landlock ABI of this kernel.

    Raises:
        OSError: ENOSYS when not built in, EOPNOTSUPP when disabled at boot.
    """
    return call("landlock_create_ruleset", 0, 0, 1)


def landlock_ruleset(rules: list[tuple[str, int]]) -> tuple[int, dict[str, int]]:
    """Build a ruleset that denies every file-system right that Landlock knows, TCP and signals, except ``rules``.

    Args:
        rules: Pairs of a path and the rights on it and beneath it; paths that do not exist are skipped.

    Returns:
        The ruleset's descriptor, and what it enforces: ``abi``, ``fs`` (handled rights), ``net``, ``scope``, ``rules``
        (how many).
    """
    abi = landlock_abi()
    handled = (1 << _FS_BITS.get(abi, _LATEST_FS_BITS)) - 1
    net = 0b11 if abi >= 4 else 0
    scope = 0b11 if abi >= 6 else 0
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    attributes = ctypes.create_string_buffer(struct.pack("=QQQ", handled, net, scope)[:size], size)
    number = ctypes.c_long(TABLE["landlock_create_ruleset"])
    result = _libc.syscall(number, attributes, ctypes.c_long(size), ctypes.c_long(0))
    ruleset = _checked("landlock_create_ruleset", int(result))
    count = sum(_add_rule(ruleset, path, rights & handled) for path, rights in rules)
    return ruleset, {"abi": abi, "fs": handled, "net": net, "scope": scope, "rules": count}


def landlock_restrict(ruleset: int) -> None:
    """Bind this process and all it forks to a ruleset, and close its descriptor."""
    PreparedCall("landlock_restrict_self", ruleset, 0)()
    os.close(ruleset)


def _add_rule(ruleset: int, path: str, rights: int) -> bool:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return False
    if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
        rights &= FS_EXECUTE | FS_READ_FILE  # a right on directories is refused for a file
    packed = ctypes.create_string_buffer(struct.pack("=Qi", rights, descriptor), 12)
    number = ctypes.c_long(TABLE["landlock_add_rule"])
    result = _libc.syscall(number, ctypes.c_long(ruleset), ctypes.c_long(1), packed, ctypes.c_long(0))
    os.close(descriptor)
    _checked(f"landlock_add_rule {path}", int(result))
    return True
