"""What isolates on this machine, layer by layer, and the command that would mend what does not: for ``trimtab doctor``.

Decisions: a layer holds when a tier that is made of it held, with its canaries; the way out is chosen by what the
machine says of itself (kernel settings, security modules, container), because a list of everything that might help
helps nobody.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trimtab.errors import SandboxUnavailable
from trimtab.sandbox.broker import Sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping

_LAYERS: Final = ("namespaces", "landlock", "seccomp")
_MADE_OF: Final = {"A": _LAYERS, "B": ("landlock", "seccomp"), "C": ("seccomp",)}
_SETTINGS: Final = {
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": ("1", "kernel.apparmor_restrict_unprivileged_userns=0"),
    "/proc/sys/kernel/unprivileged_userns_clone": ("0", "kernel.unprivileged_userns_clone=1"),
    "/proc/sys/user/max_user_namespaces": ("0", "user.max_user_namespaces=15000"),
}
_CONTAINERS: Final = ("/.dockerenv", "/run/.containerenv", "/var/run/secrets/kubernetes.io")


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosisLine:
    """One line of the diagnosis.

    Attributes:
        name: A tier or a layer.
        holds: Whether it does.
        text: What was observed.
        fix: What would change it; empty where it holds.
    """

    name: str
    holds: bool
    text: str
    fix: str = ""


def examine() -> list[DiagnosisLine]:
    """Try every tier, one after another, and say what held: first the tiers, then the layers they are made of."""
    held: dict[str, dict[str, Any]] = {}
    refused: dict[str, dict[str, Any]] = {}
    for tier in _MADE_OF:
        box = Sandbox(tier=tier)
        try:
            with box:
                held[tier] = box.attestation
        except SandboxUnavailable:
            refused[tier] = box.reasons[tier]
    tiers = [_tier(tier, held.get(tier), refused.get(tier)) for tier in _MADE_OF]
    return [*tiers, *layers(held, refused)]


def _tier(tier: str, attestation: dict[str, Any] | None, reason: dict[str, Any] | None) -> DiagnosisLine:
    if attestation is not None:
        count = len([met for met in attestation["canaries"].values() if met != "open"])
        return DiagnosisLine(name=f"tier {tier}", holds=True, text=f"holds; {count} canaries contained")
    facts = reason or {"layer": "unknown", "text": ""}
    return DiagnosisLine(name=f"tier {tier}", holds=False, text=f"does not hold: {facts['layer']}: {facts['text']}")


def layers(held: Mapping[str, dict[str, Any]], refused: Mapping[str, dict[str, Any]]) -> list[DiagnosisLine]:
    """Say of each layer whether some tier that is made of it held, else why not and what would mend it.

    Args:
        held: Attestations of the tiers that hold.
        refused: For the others, the layer at which they failed, errno and text.
    """
    findings = []
    for layer in _LAYERS:
        attested = next((record for tier, record in held.items() if layer in _MADE_OF[tier]), None)
        failed = next((facts for facts in refused.values() if facts["layer"] == layer), None)
        if attested is not None:
            findings.append(DiagnosisLine(name=layer, holds=True, text=_describe(layer, attested["layers"][layer])))
        elif failed is not None:
            findings.append(DiagnosisLine(name=layer, holds=False, text=failed["text"], fix=_fix(layer)))
        else:
            findings.append(DiagnosisLine(name=layer, holds=False, text="not reached: an earlier layer failed"))
    return [*findings, *_user(held)]


def _describe(layer: str, facts: dict[str, Any]) -> str:
    if layer == "landlock":
        parts = [f"ABI {facts['abi']}", f"{facts['rules']} rules"]
        parts += [name for name, key in (("TCP", "net"), ("signals", "scope")) if facts[key]]
        return "holds: " + ", ".join(parts)
    if layer == "seccomp":
        return f"holds: {facts['instructions']} instructions"
    return "holds: user, mount, process, network, IPC, UTS, cgroup"


def _user(held: Mapping[str, dict[str, Any]]) -> list[DiagnosisLine]:
    """Root only: whether samples run as somebody else."""
    record = next(iter(held.values()), None)
    if record is None or "uid_dropped" not in record["layers"]:
        return []
    facts = record["layers"]["uid_dropped"]
    text = "holds: samples run as a user that nobody is" if facts["active"] else facts["why"]
    fix = "" if facts["active"] else "run as a plain user, or with --cap-add SETUID --cap-add SETGID"
    return [DiagnosisLine(name="other user", holds=facts["active"], text=text, fix=fix)]


def _fix(layer: str) -> str:
    if layer == "namespaces":
        return _fix_namespaces()
    if layer == "landlock":
        return _fix_landlock()
    return "run on Linux with CONFIG_SECCOMP_FILTER (x86_64 or aarch64), or inside a Linux container or virtual machine"


def _fix_namespaces() -> str:
    commands = [f"sudo sysctl -w {setting}" for path, (bad, setting) in _SETTINGS.items() if _read(path) == bad]
    if commands:
        return " && ".join(commands)
    if any(Path(path).exists() for path in _CONTAINERS) or "KUBERNETES_SERVICE_HOST" in os.environ:
        return "docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined …"
    return "sudo sysctl -w user.max_user_namespaces=15000, or ask whoever runs this machine for user namespaces"


def _fix_landlock() -> str:
    modules = _read("/sys/kernel/security/lsm")
    if modules and "landlock" not in modules.split(","):
        return f"boot with lsm=landlock,{modules} (sudo grubby --update-kernel=ALL --args=lsm=landlock,{modules})"
    return "boot a kernel from 5.13 on, built with CONFIG_SECURITY_LANDLOCK"


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return ""
