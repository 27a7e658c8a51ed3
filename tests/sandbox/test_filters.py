"""The seccomp programs decide as the policy says, for every call number and the arguments that matter.

Oracle: a small interpreter of classic BPF, which knows nothing of how the programs were laid out.
"""

# ruff: noqa: E501 - one case a place in a row

from __future__ import annotations

import errno
import socket
import struct

import pytest

from trimtab.sandbox import filters, syscalls
from trimtab.sandbox.profile import LIB, PURE, THREADS

ALLOW, KILL = "allow", "kill"
MACHINES = list(syscalls.TABLES)


def decide(program, machine, number, args=()):
    """Run a program on a struct seccomp_data; return "allow", "kill" or the name of an errno."""
    words = [number, syscalls.AUDIT_ARCH[machine] if isinstance(machine, str) else machine, 0, 0]
    for arg in (*args, *[0] * (6 - len(args))):
        words += [arg & 0xFFFFFFFF, arg >> 32 & 0xFFFFFFFF]
    instructions = list(struct.iter_unpack("=HBBI", program))
    counter = accumulator = 0
    while True:
        code, true, false, operand = instructions[counter]
        counter += 1
        if code == 0x20:
            accumulator = words[operand // 4]
        elif code == 0x05:
            counter += operand
        elif code == 0x06:
            kinds = {0x7FFF0000: ALLOW, 0x80000000: KILL}
            return kinds.get(operand) or errno.errorcode[operand & 0xFFFF]
        else:
            taken = {0x15: accumulator == operand, 0x35: accumulator >= operand, 0x45: bool(accumulator & operand)}[
                code
            ]
            counter += true if taken else false


@pytest.mark.parametrize("machine", MACHINES)
def test_every_number_is_decided_as_listed(machine):
    program = filters.zygote(machine, frozen=False, profile=PURE)
    names = {number: name for name, number in syscalls.TABLES[machine].items()}
    judged_by_arguments = {"open", "openat", "fcntl", "ioctl", "socketpair", "sendto", "clone"}
    extra = {"fork", "kill", "tgkill", "prlimit64", "seccomp"}
    for number in range(600):
        name = names.get(number)
        if name in judged_by_arguments:
            continue
        expected = ALLOW if name in syscalls.PLAIN or name in extra else "ENOSYS" if name == "clone3" else "EPERM"
        assert decide(program, machine, number) == expected, name


@pytest.mark.parametrize("machine", MACHINES)
def test_arguments_decide(machine):
    table = syscalls.TABLES[machine]
    program = filters.zygote(machine, frozen=False, profile=PURE)
    path = 1 << 40
    cases = [
        ("openat", (-100, path, 0o2000000), ALLOW), ("openat", (-100, path, 1), "EROFS"), ("openat", (-100, path, 2), "EROFS"),
        ("openat", (-100, path, 0o100), "EROFS"), ("openat", (-100, path, 0o1000), "EROFS"),
        ("openat", (-100, path, 0o20200000), "EROFS"), ("open", (path, 0), ALLOW), ("open", (path, 1), "EROFS"),
        ("fcntl", (3, 1), ALLOW), ("fcntl", (3, 1030), ALLOW), ("fcntl", (3, 8, 1), "EPERM"), ("fcntl", (3, 10, 9), "EPERM"),
        ("fcntl", (3, 15), "EPERM"), ("fcntl", (3, 1031), "EPERM"), ("ioctl", (1, 0x5401), ALLOW), ("ioctl", (1, 0x5412), "EPERM"),
        ("socketpair", (socket.AF_UNIX, socket.SOCK_STREAM), ALLOW), ("socketpair", (1, 1 | 0o2000000 | 0o4000), ALLOW),
        ("socketpair", (1, 2), "EPERM"), ("socketpair", (1, 5), "EPERM"), ("socketpair", (2, 1), "EPERM"),
        ("sendto", (3, path, 1, 0, 0), ALLOW), ("sendto", (3, path, 1, 0, path), "EPERM"), ("sendto", (3, path, 1, 0, 1), "EPERM"),
        ("clone", (17,), ALLOW), ("clone", (0x10000000,), "EPERM"), ("clone", (0x80,), "EPERM"), ("clone", (0x20000000 | 17,), "EPERM"),
    ]  # fmt: skip
    for name, args, expected in cases:
        if name in table:
            assert decide(program, machine, table[name], args) == expected, (name, args)


@pytest.mark.parametrize("machine", MACHINES)
def test_frozen_opens_nothing(machine):
    program = filters.zygote(machine, frozen=True, profile=PURE)
    for name in ("open", "openat"):
        if name in syscalls.TABLES[machine]:
            assert decide(program, machine, syscalls.TABLES[machine][name]) == "EPERM"


@pytest.mark.parametrize("machine", MACHINES)
def test_a_child_loses_fork_and_may_signal_itself_only(machine):
    table = syscalls.TABLES[machine]
    program = bytearray(filters.child_template(machine, PURE))
    for offset in filters.own_process(bytes(program)):
        struct.pack_into("=I", program, offset, 4711)
    names = {number: name for name, number in table.items()}
    for number in range(600):
        name = names.get(number, "")
        denied = name in {"clone", "fork", "vfork", "seccomp", "kill", "tkill", "tgkill", *filters._SCRATCH_KEEPING}
        assert decide(program, machine, number) == ("EPERM" if denied else ALLOW), name
    for name in ("kill", "tgkill"):
        assert decide(program, machine, table[name], (4711, 9)) == ALLOW
        assert decide(program, machine, table[name], (-1, 9)) == "EPERM"
        assert decide(program, machine, table[name], (4712, 9)) == "EPERM"
    assert decide(program, machine, table["prlimit64"], (0, 7)) == ALLOW
    assert decide(program, machine, table["prlimit64"], (4711, 7)) == "EPERM"
    for own in (0, 1, 2, 3, 7):
        assert decide(program, machine, table["clock_gettime"], (own,)) == ALLOW
    for others in ((~4711 << 3) | 2, (~0 << 3) | 6):
        assert decide(program, machine, table["clock_gettime"], (others,)) == "EPERM"


@pytest.mark.parametrize("machine", MACHINES)
def test_threads_are_tasks_that_share_memory_and_scratch_is_kept_by_the_zygote(machine):
    table = syscalls.TABLES[machine]
    zygote, child = filters.zygote(machine, frozen=False, profile=THREADS), filters.child_template(machine, THREADS)
    assert decide(child, machine, table["clone"], (0x3D0F00,)) == ALLOW  # what a C library's thread asks for
    assert decide(child, machine, table["clone"], (0x01200011,)) == "EPERM"  # and its fork
    assert decide(zygote, machine, table["clone"], (0x10010000,)) == "EPERM"  # a thread in a new user namespace
    for name in filters._SCRATCH_KEEPING:
        assert decide(zygote, machine, table[name]) == ALLOW
        assert decide(child, machine, table[name]) == "EPERM"
    for name in ("unlinkat", "mkdirat", "ftruncate"):
        assert decide(zygote, machine, table[name]) == ALLOW
        assert decide(filters.zygote(machine, frozen=False, profile=PURE), machine, table[name]) == "EPERM"
    assert decide(zygote, machine, table["openat"], (-100, 1 << 40, 0o101)) == ALLOW
    assert decide(zygote, machine, table["execve"]) == "EPERM"


@pytest.mark.parametrize("machine", MACHINES)
def test_processes_may_be_forked_and_executed_but_not_into_namespaces(machine):
    table = syscalls.TABLES[machine]
    programs = filters.zygote(machine, frozen=False, profile=LIB), filters.child_template(machine, LIB)
    for name, args in (("execve", ()), ("clone", (17,)), ("kill", (5, 9)), ("setsid", ())):
        assert [decide(program, machine, table[name], args) for program in programs] == [ALLOW, ALLOW]
    assert decide(programs[0], machine, table["clone"], (0x20000011,)) == "EPERM"
    assert decide(programs[1], machine, table["prlimit64"], (1,)) == "EPERM"
    for name in ("unshare", "pivot_root", "mount_setattr", "landlock_create_ruleset"):
        assert decide(programs[0], machine, table[name]) == "EPERM"


@pytest.mark.parametrize("machine", MACHINES)
def test_foreign_architectures_are_killed(machine):
    program = filters.zygote(machine, frozen=False, profile=PURE)
    assert decide(program, 0x40000003, 1) == KILL
    assert decide(program, machine, 0x40000000) == KILL
    assert decide(program, machine, 0xFFFFFFFF) == KILL


def test_programs_stay_short_because_loading_time_grows_with_them():
    assert len(filters.zygote("x86_64", frozen=False, profile=PURE)) // 8 < 300
    assert len(filters.child_template("x86_64", PURE)) // 8 < 66
