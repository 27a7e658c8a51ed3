"""One sandbox a tier for the whole session: whichever tiers hold on this machine."""

from __future__ import annotations

import platform

import pytest

from trimtab.errors import SandboxUnavailable
from trimtab.sandbox.broker import Sandbox
from trimtab.sandbox.verdict import Limits

_started = {}


def _start(tier):
    """Return a running sandbox, or why there is none."""
    if tier not in _started:
        try:
            _started[tier] = Sandbox(tier=tier, limits=Limits(memory_mib=512, output_mib=2.0)).__enter__()
        except SandboxUnavailable as error:
            _started[tier] = error
    return _started[tier]


@pytest.fixture(scope="session", autouse=True)
def _close_all():
    yield
    for box in _started.values():
        if isinstance(box, Sandbox):
            box.close()


@pytest.fixture(params=["A", "B", "C"])
def box(request):
    if platform.system() != "Linux":
        pytest.skip("the sandbox is Linux only")
    found = _start(request.param)
    if isinstance(found, SandboxUnavailable):
        pytest.skip(f"tier {request.param} does not hold here: {found.message}")
    assert found.attestation["enforced"], "hostile programs must never run without isolation: they would do harm"
    return found


@pytest.fixture
def best():
    """The best tier of this machine; a machine without any cannot judge, so this does not skip."""
    found = next((b for b in map(_start, "ABC") if isinstance(b, Sandbox)), None)
    assert found is not None, _started
    return found
