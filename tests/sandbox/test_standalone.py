"""The sandbox by itself: the standard library only, no site-packages, as root and as a plain user."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

if platform.system() != "Linux":
    pytest.skip("the sandbox is Linux only", allow_module_level=True)

SOURCE = Path(__file__).parents[2] / "src"
NOBODY = 65534
# No site, no environment, nothing to import but the standard library and this one folder.
PROGRAM = """
import json, os, sys
before = set(sys.modules)
sys.path.append(sys.argv[1])
from trimtab.sandbox.broker import Sandbox
loaded = sorted(name for name in set(sys.modules) - before if name.partition(".")[0] not in sys.stdlib_module_names)
with Sandbox() as box:
    test = "def check(candidate):\\n    for x in range(3):\\n        assert candidate(x) == x\\n"
    texts = "return x", "return 1", "import os; os._exit(0)", "import os; return os.fork()"
    outcomes = [box.run(program="def f(x): " + text, entry_point="f", test=test).outcome for text in texts]
    print(json.dumps([os.getuid(), loaded, box.attestation["tier"], outcomes]))
"""


def _interpreter():
    """This interpreter, or the system's where others may not read this one."""
    places = [Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}"), Path("/usr/bin/python3")]
    for place in places:
        reachable = place.exists() and all(parent.stat().st_mode & 1 for parent in place.resolve().parents)
        if reachable and _version(place) >= (3, 11):
            return str(place)
    pytest.skip("no Python of 3.11 or later that another user can read")
    return ""


def _version(place):
    done = subprocess.run(
        [place, "-I", "-S", "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, check=True
    )
    return tuple(map(int, done.stdout.split()))


def alone(**user):
    command = [_interpreter(), "-I", "-S", "-c", PROGRAM, str(SOURCE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", env={}, **user)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _check(found, user):
    uid, loaded, tier, outcomes = found
    assert uid == user
    others = [name for name in loaded if not name.startswith("trimtab.sandbox")]
    assert others == ["trimtab", "trimtab.errors", "trimtab.isolation"]
    assert tier in "ABC"
    assert outcomes == ["passed", "wrong", "exit", "error"]


def test_the_sandbox_needs_nothing_but_the_standard_library():
    _check(alone(), os.getuid())


def test_a_plain_user_has_a_sandbox_too():
    if os.getuid() != 0:
        pytest.skip("only root can become another user; as a plain user the other test has shown it")
    if not all(parent.stat().st_mode & 1 for parent in (SOURCE, *SOURCE.parents)):
        pytest.skip("another user cannot read this checkout")
    _check(alone(user=NOBODY, group=NOBODY, extra_groups=[]), NOBODY)
