"""The check-up tells what holds and names a command for what does not."""

from __future__ import annotations

import pytest

from trimtab.sandbox import diagnosis

REFUSED = {
    "A": {"layer": "namespaces", "errno": 1, "text": "uid_map: Operation not permitted"},
    "B": {"layer": "landlock", "errno": 38, "text": "Function not implemented"},
    "C": {"layer": "seccomp", "errno": 22, "text": "Invalid argument"},
}


def test_every_tier_is_tried_and_its_layers_hold_where_it_does():
    found = {finding.name: finding for finding in diagnosis.examine()}
    assert {"tier A", "tier B", "tier C", "namespaces", "landlock", "seccomp"} <= set(found)
    assert found["seccomp"].holds
    for tier, made_of in diagnosis._MADE_OF.items():
        if found[f"tier {tier}"].holds:
            assert "canaries contained" in found[f"tier {tier}"].text
            assert all(found[layer].holds and not found[layer].fix for layer in made_of)


def test_a_layer_that_fails_is_named_with_the_kernel_s_answer():
    found = {finding.name: finding for finding in diagnosis.layers({}, REFUSED)}
    assert not any(finding.holds for finding in found.values())
    assert found["namespaces"].text == "uid_map: Operation not permitted"
    assert all(finding.fix for finding in found.values())


def test_a_layer_behind_a_failed_one_is_not_called_broken():
    found = {finding.name: finding for finding in diagnosis.layers({}, {"C": REFUSED["C"]})}
    assert "not reached" in found["landlock"].text
    assert not found["landlock"].fix


@pytest.mark.parametrize(
    ("machine", "command"),
    [
        ({"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1"}, "apparmor_restrict_unprivileged_userns=0"),
        ({"/proc/sys/user/max_user_namespaces": "0"}, "max_user_namespaces=15000"),
        ({"/proc/sys/kernel/unprivileged_userns_clone": "0"}, "unprivileged_userns_clone=1"),
        ({}, "max_user_namespaces"),
    ],
)
def test_the_command_for_namespaces_is_the_one_this_machine_needs(monkeypatch, machine, command):
    monkeypatch.setattr(diagnosis, "_read", lambda path: machine.get(path, ""))
    monkeypatch.setattr(diagnosis, "_CONTAINERS", ())
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert command in diagnosis._fix("namespaces")


def test_inside_a_container_the_way_out_is_the_container_s(monkeypatch):
    monkeypatch.setattr(diagnosis, "_read", lambda _: "")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert "seccomp=unconfined" in diagnosis._fix("namespaces")


def test_landlock_left_out_at_boot_is_told_from_a_kernel_without_it(monkeypatch):
    monkeypatch.setattr(diagnosis, "_read", lambda _: "lockdown,yama")
    assert "lsm=landlock,lockdown,yama" in diagnosis._fix("landlock")
    monkeypatch.setattr(diagnosis, "_read", lambda _: "")
    assert "5.13" in diagnosis._fix("landlock")
