"""The two seccomp programs: what a zygote may call, and what its children may no longer call.

Decisions: an allow-list laid out as a binary tree over intervals of call numbers, because loading time grows with
length; the zygote's program is inherited, so a child only adds the few denials that its parent itself still needs
(fork, kill, prlimit, seccomp); the child's own process id is the only thing patched into its program. Arguments that
the kernel takes as a C int are compared by their low word, pointers by both words. Refusals are errors, not kills, so
that a program fails with an exception that says what it tried; a foreign architecture is killed.
Sources: seccomp(2); struct seccomp_data: nr at 0, arch at 4, args at 16 + 8n, low word first.
"""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING, Final

from trimtab.sandbox import syscalls

if TYPE_CHECKING:
    from trimtab.sandbox.profile import Profile

_LOAD: Final = 0x20
_JUMP: Final = 0x05
_EQUAL: Final = 0x15
_AT_LEAST: Final = 0x35
_ANY_BIT: Final = 0x45
_RETURN: Final = 0x06

_ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000
_KILL: Final = 0x80000000

# Every namespace flag and CLONE_NEWTIME.
_NEW_NAMESPACES: Final = 0x7E020000 | 0x80
# O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, __O_TMPFILE: the same on both machines.
_WRITING: Final = 0o1 | 0o2 | 0o100 | 0o1000 | 0o20000000
# F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC; not F_SETOWN or F_SETSIG, which send signals.
_FCNTL: Final = (0, 1, 2, 3, 4, 1030)
# F_GETLK, F_SETLK, F_SETLKW.
_LOCKS: Final = (5, 6, 7)
# FIOCLEX, FIONCLEX, FIONBIO, FIONREAD, TCGETS.
_IOCTL: Final = (0x5451, 0x5450, 0x5421, 0x541B, 0x5401)
_PID_MARK: Final = 0x5AFEC0DE
_CLONE_THREAD: Final = 0x10000
# AF_UNIX, SOCK_STREAM, SOCK_CLOEXEC, SOCK_NONBLOCK: the same on both machines.
_UNIX, _STREAM, _CLOEXEC, _NONBLOCK = 1, 1, 0o2000000, 0o4000
# Clocks with a negative number are those of a process or thread, anybody's; one's own have small numbers too.
_CLOCK_OF_A_PROCESS: Final = 0x80000000
# What only a zygote does with the scratch folder of a sample, and no sample may.
_SCRATCH_KEEPING: Final = ("mount", "umount2", "capset", "landlock_restrict_self")

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand
Block = list[Instruction]


def _end(action: int) -> Block:
    return [(_RETURN, 0, 0, action)]


def _refuse(number: int) -> Block:
    return _end(_ERRNO | number)


_PASS: Final[Block] = _end(_ALLOW)
_DENY: Final[Block] = _refuse(errno.EPERM)


def _argument(index: int, *, high: bool = False) -> Instruction:
    return (_LOAD, 0, 0, 16 + 8 * index + (4 if high else 0))


def _only(index: int, values: tuple[int, ...], otherwise: Block = _DENY, then: Block = _PASS) -> Block:
    """``then`` when the low word of an argument is one of ``values``."""
    tests: Block = []
    for position, value in enumerate(values):
        tests.append((_EQUAL, len(values) - 1 - position + len(otherwise), 0, value))
    return [_argument(index), *tests, *otherwise, *then]


def _without(index: int, mask: int, otherwise: Block) -> Block:
    """Allow when no bit of ``mask`` is set in the low word of an argument."""
    return [_argument(index), (_ANY_BIT, 0, len(otherwise), mask), *otherwise, *_PASS]


def _with(index: int, mask: int) -> Block:
    """Allow when a bit of ``mask`` is set in the low word of an argument."""
    return [_argument(index), (_ANY_BIT, len(_DENY), 0, mask), *_DENY, *_PASS]


def _null(index: int) -> Block:
    """Allow when a pointer argument is NULL."""
    return [
        _argument(index),
        (_EQUAL, 0, 2, 0),
        _argument(index, high=True),
        (_EQUAL, 1, 0, 0),
        *_DENY,
        *_PASS,
    ]


def _tree(edges: list[tuple[int, Block]]) -> Block:
    """Lay out intervals, each from its first number to the next edge's, as a binary search."""
    if len(edges) == 1:
        return edges[0][1]
    middle = len(edges) // 2
    left, right = _tree(edges[:middle]), _tree(edges[middle:])
    pivot = edges[middle][0]
    if len(left) <= 255:
        return [(_AT_LEAST, len(left), 0, pivot), *left, *right]
    return [(_AT_LEAST, 0, 1, pivot), (_JUMP, 0, 0, len(left)), *left, *right]


def _assemble(machine: str, rules: dict[int, Block], default: Block) -> bytes:
    edges: list[tuple[int, Block]] = [(0, default)]
    for number in sorted(rules):
        if edges[-1][0] == number:
            edges.pop()
        edges += [(number, rules[number]), (number + 1, default)]
    merged = [edge for i, edge in enumerate(edges) if i == 0 or edge[1] != edges[i - 1][1]]
    foreign = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, syscalls.AUDIT_ARCH[machine]), *_end(_KILL)]
    # Numbers from 0x40000000 on are the x32 variants of x86_64: same calls, other table.
    x32 = [(_LOAD, 0, 0, 0), (_AT_LEAST, 0, 1, 0x40000000), *_end(_KILL)]
    program = [*foreign, *x32, *_tree(merged)]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def zygote(machine: str, *, frozen: bool, profile: Profile) -> bytes:
    """Return the program a zygote loads: what children need, and fork, kill and prlimit for itself.

    Args:
        machine: A key of :data:`syscalls.TABLES`.
        frozen: Also refuse to open any file (tier C, where nothing else guards them).
        profile: What samples may do; scratch files open the calls that write, for mounts to guard.
    """
    readonly = _refuse(errno.EROFS)
    rules: dict[str, Block] = dict.fromkeys(syscalls.PLAIN, _PASS)
    rules |= {
        "open": _DENY if frozen else _without(1, _WRITING, readonly),
        "openat": _DENY if frozen else _without(2, _WRITING, readonly),
        "fcntl": _only(1, _FCNTL),
        "ioctl": _only(1, _IOCTL),
        # Streams between two ends of this process alone: a datagram socket could be aimed at a path.
        "socketpair": _only(0, (_UNIX,), then=_stream()),
        "sendto": _null(4),
        "clone": _without(0, _NEW_NAMESPACES, _DENY),
        "clone3": _refuse(errno.ENOSYS),  # its flags lie in memory; libc falls back to clone
        **dict.fromkeys(("fork", "kill", "tgkill", "prlimit64", "seccomp"), _PASS),
    }
    if profile.scratch_mib:
        rules |= dict.fromkeys((*syscalls.WRITING, *_SCRATCH_KEEPING, "open", "openat"), _PASS)
        rules |= dict.fromkeys(syscalls.ATTRIBUTES, _refuse(errno.ENOTSUP))
        rules["fcntl"] = _only(1, (*_FCNTL, *_LOCKS))
    if profile.processes:
        rules |= dict.fromkeys(syscalls.PROCESSES, _PASS)
    return _numbered(machine, rules, _DENY)


def _numbered(machine: str, rules: dict[str, Block], default: Block) -> bytes:
    table = syscalls.TABLES[machine]
    return _assemble(machine, {table[name]: block for name, block in rules.items() if name in table}, default)


def _stream() -> Block:
    return _only(1, tuple(_STREAM | extra for extra in (0, _CLOEXEC, _NONBLOCK, _CLOEXEC | _NONBLOCK)))


def child_template(machine: str, profile: Profile) -> bytes:
    """Return the program a child loads over its zygote's, before its process id is known."""
    rules = {**dict.fromkeys(("seccomp", *_SCRATCH_KEEPING), _DENY), "prlimit64": _only(0, (0,))}
    rules["clock_gettime"] = _without(0, _CLOCK_OF_A_PROCESS, _DENY)
    if not profile.processes:
        rules |= dict.fromkeys(("fork", "vfork"), _DENY)
        rules["clone"] = _with(0, _CLONE_THREAD) if profile.tasks else _DENY
        rules |= dict.fromkeys(("kill", "tgkill", "tkill"), _only(0, (_PID_MARK,)))
    return _numbered(machine, rules, _PASS)


def own_process(template: bytes) -> tuple[int, ...]:
    """Return the offsets in a child's program where its process id belongs: it may signal itself and nobody else."""
    mark = struct.pack("=I", _PID_MARK)
    return tuple(index for index in range(0, len(template), 4) if template[index : index + 4] == mark)
