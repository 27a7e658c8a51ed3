"""A zygote stays pristine and small, and does not outlive its broker."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trimtab.errors import SandboxUnavailable
from trimtab.sandbox.broker import Sandbox
from trimtab.sandbox.verdict import Limits, Outcome
from trimtab.sandbox.zygote_pair import imported

if platform.system() != "Linux":
    pytest.skip("the sandbox is Linux only", allow_module_level=True)

SOURCE = Path(__file__).parents[2] / "src"
TEST = "def check(candidate):\n    assert candidate(1) == 1\n"


def descendants(process):
    found = []
    for child in Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii").split():
        found += [int(child), *descendants(int(child))]
    return found


def running(process):
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_killing_the_broker_ends_zygotes_and_the_sample_in_flight():
    text = (
        f"import sys; sys.path.insert(0, {str(SOURCE)!r})\n"
        "from trimtab.sandbox.broker import Sandbox\n"
        "with Sandbox() as box:\n    print('up', flush=True)\n"
        f"    box.run(program='while True: pass', entry_point='f', test={TEST!r})\n"
    )
    with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True) as broker:
        assert broker.stdout.readline() == "up\n"
        time.sleep(0.2)
        family = descendants(broker.pid)
        assert len(family) >= 2
        broker.kill()
    until = time.monotonic() + 10
    while any(map(running, family)) and time.monotonic() < until:
        time.sleep(0.02)
    assert [process for process in family if running(process)] == []


def resident(process):
    line = next(x for x in Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines() if "VmRSS" in x)
    return int(line.split()[1])


def test_memory_stays_flat_over_many_samples():
    with Sandbox() as box:
        for number in range(50):
            box.run(program=f"def f(x): return x + {number}", entry_point="f", test=TEST)
        watched = [os.getpid(), *descendants(box._pairs[0].solution._process.pid)]
        before = [resident(process) for process in watched]
        for number in range(300):
            box.run(program=f"def f(x): return x + {number}\n" + "#" * 10_000, entry_point="f", test=TEST)
        # Children that waited for their sample have ended since.
        growth = [resident(process) - old for process, old in zip(watched, before, strict=True) if running(process)]
    assert len(growth) >= 2
    assert max(growth) < 1024  # KiB


@pytest.mark.parametrize("tier", ["A", "B", "C"])
def test_children_that_wait_end_with_their_zygote_and_may_be_ended_by_others(tier):
    try:
        box = Sandbox(tier=tier).__enter__()
    except SandboxUnavailable as error:
        pytest.skip(error.message)
    try:
        lane = box._pairs[0].solution
        for number in range(9):
            program = f"def f(x): return x + {number} - {number}"
            assert box.run(program=program, entry_point="f", test=TEST).outcome is Outcome.PASSED
            for waiting in descendants(lane._process.pid)[-1:] if number in (5, 6) else ():
                os.kill(waiting, signal.SIGKILL)
                while running(waiting):
                    time.sleep(0.01)
        family = descendants(lane._process.pid)
        assert len(family) >= 2
        lane._process.kill()
        until = time.monotonic() + 10
        while any(map(running, family)) and time.monotonic() < until:
            time.sleep(0.02)
        assert [process for process in family if running(process)] == []
    finally:
        box.close()


def test_a_program_finds_the_same_modules_in_every_zygote(best):
    by_statement = "import decimal\ndef f(x): return int(decimal.Decimal(x))"
    by_name = "def f(x): return int(__import__('deci' + 'mal').Decimal(x))"
    pair = best._pairs[0]
    assert pair.solution_for(by_statement) is not pair.solution_for(by_name) or best.attestation["tier"] == "C"
    for program in (by_statement, by_name):
        assert best.run(program=program, entry_point="f", test=TEST).outcome is Outcome.PASSED
    for kind, value in (("decimal.Decimal(x)", 1), ("fractions.Fraction(x)", 1), ("array.array('i', [x])[0]", 1)):
        module = kind.partition(".")[0]
        program = f"def f(x):\n    {module} = __import__({module!r})\n    return {kind}"
        verdict = best.run(
            program=program, entry_point="f", test=f"def check(candidate):\n    assert candidate(1) == {value}\n"
        )
        assert verdict.outcome is Outcome.PASSED, (kind, verdict)


@pytest.mark.parametrize(
    ("program", "names"),
    [
        ("import os.path as p, sys\nfrom math import pi\n", {"os", "sys", "math"}),
        ("def f():\n    from decimal import Decimal\n\timport  json  # not csv\n", {"decimal", "json"}),
        ("x = 1  # import re\nimportant = 2\n", set()),
    ],
)
def test_what_a_text_imports(program, names):
    assert imported(program) == names


def test_kinds_of_modules_that_are_not_loaded_cross_too():
    text = (
        f"import sys; sys.path.insert(0, {str(SOURCE)!r})\n"
        "from trimtab.sandbox import codec, snapshot\n"
        "assert not {'decimal', 'fractions', 'datetime', 'array', 'base64', 'hashlib'} & set(sys.modules)\n"
        "data = [{'Decimal': '1.5'}, {'Fraction': [1, 3]}, {'date': '2020-01-02'}, {'array': ['i', 1]}]\n"
        "data += [{'bytes': 'YQ=='}]\n"
        "values = codec.Decoder().decode(data)\n"
        "assert codec.encode(values) == data, codec.encode(values)\n"
        "import _decimal; assert codec.encode(_decimal.Decimal('2')) == {'Decimal': '2'}\n"
        "print(snapshot.freeze([1, 'a'], lambda _: None).digest)\n"
    )
    found = subprocess.run([sys.executable, "-S", "-P", "-c", text], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert len(found.stdout.strip()) == 16


def test_cpu_is_counted_over_loading_and_all_calls_together(best):
    program = (
        "import time\ndef burn():\n    end = time.process_time() + 0.2\n    while time.process_time() < end: pass\n"
        "burn()\ndef f(x):\n    burn()\n    return x\n"
    )
    test = "def check(candidate):\n" + "    assert candidate(1) == 1\n" * 4
    enough = best.run(program=program, entry_point="f", test=test, limits=Limits(cpu_s=3.0, wall_s=60))
    assert enough.outcome is Outcome.PASSED
    assert 0.95 < enough.cpu_s < 1.5
    short = best.run(program=program, entry_point="f", test=test, limits=Limits(cpu_s=0.5, wall_s=60))
    assert short.outcome is Outcome.TIMEOUT_CPU
    assert 0.45 < short.cpu_s < 0.8


def test_ctrl_c_in_the_terminal_reaches_the_broker_only(best):
    group = os.getpgid(best._pairs[0].solution._process.pid)
    assert group != os.getpgid(0)
    os.killpg(group, signal.SIGCONT)  # the group exists, and is the zygote's own


def test_memory_that_is_reserved_is_not_used_and_memory_that_is_used_counts(best):
    test = "def check(candidate):\n    assert candidate(1) == 1\n"
    reserved = "import mmap\nroom = mmap.mmap(-1, 2 << 30)\ndef f(x): return x"
    assert best.run(program=reserved, entry_point="f", test=test).outcome is Outcome.PASSED
    used = "def f(x):\n    room = []\n    while True: room.append(b'a' * (1 << 20))"
    verdict = best.run(program=used, entry_point="f", test=test, limits=Limits(memory_mib=200))
    assert verdict.outcome is Outcome.OOM
    assert "of 200 MiB in assert 1" in verdict.detail
    assert 200 < verdict.memory_mib < 1000
    caught = "def f(x):\n    try: return len(b'a' * (1 << 40))\n    except MemoryError: return x"
    assert best.run(program=caught, entry_point="f", test=test).outcome is Outcome.PASSED


def test_a_time_out_names_the_call_that_was_slow(best):
    program = "def f(x):\n    while x > 1: pass\n    return x"
    test = "def check(candidate):\n    assert candidate(1) == 1\n    assert candidate(2) == 2\n"
    verdict = best.run(program=program, entry_point="f", test=test, limits=Limits(cpu_s=0.3))
    assert verdict.outcome is Outcome.TIMEOUT_CPU
    assert verdict.detail.startswith("0.3 s of CPU time in assert 2: candidate(2) == 2, 0.")
    driven = f"{test}    for _ in range(1): pass\n"
    verdict = best.run(program=program, entry_point="f", test=driven, limits=Limits(cpu_s=0.3))
    assert verdict.detail.startswith("0.3 s of CPU time in call 2, 0.")
    verdict = best.run(program="while True: pass", entry_point="f", test=test, limits=Limits(cpu_s=0.3))
    assert verdict.detail == "0.3 s of CPU time before the first call, while the program was loaded"


def test_only_our_own_modules_leave_bytecode_behind(best):
    program = "import sys, os\ndef f(): return sys.dont_write_bytecode, os.environ['PYTHONDONTWRITEBYTECODE']"
    assert best.call(program, [("f", ())]).values == ((True, "1"),)
