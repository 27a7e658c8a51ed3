"""How a zygote confines itself, layer by layer, before it forks anything.

Order and reasons: namespaces first, while this process may still ask for them; the broker writes the user maps,
because a process that leaves its old root has no /proc; root maps itself and one unused id, builds the tree with root's
rights and then becomes the unused id, since process limits do not bind the host's user 0; capabilities go, then
Landlock, then seccomp, which forbids everything above. Where samples have scratch files, the zygote keeps the right to
mount, and each child gives up capabilities and takes on Landlock itself, because who is under Landlock may not mount.
"""

# ruff: noqa: ANN401 - values of any type pass through here

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from trimtab.sandbox import filters, kernel, tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from trimtab.sandbox.profile import Profile

INSIDE_ID: Final = 1000
# Whom root becomes: an id that nobody has, else nobody, where a container maps only a few.
UNUSED_IDS: Final = (61337, 65534)
_NAMESPACES: Final = (
    kernel.CLONE_NEWUSER
    | kernel.CLONE_NEWNS
    | kernel.CLONE_NEWPID
    | kernel.CLONE_NEWNET
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUTS
    | kernel.CLONE_NEWCGROUP
)


class LayerError(Exception):
    """A layer could not be put on.

    Attributes:
        layer: Its name.
        error: What the kernel said.
    """

    def __init__(self, layer: str, error: OSError) -> None:
        super().__init__(layer, str(error))
        self.layer = layer
        self.error = error


class Layers:
    """What holds, as the attestation prints it."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}

    def put(self, name: str, act: Callable[[], Any], **facts: Any) -> Any:
        """Put a layer on and record it.

        Raises:
            LayerError: The kernel refused.
        """
        try:
            result = act()
        except OSError as error:
            raise LayerError(name, error) from None
        self.found[name] = {"active": True, **facts, **(result if isinstance(result, dict) else {})}
        return result


class Confined(NamedTuple):
    """What confinement came to.

    Attributes:
        layers: The layers that hold.
        ruleset: Landlock's rules for each child to take on, where the zygote itself does not; else None.
    """

    layers: dict[str, Any]
    ruleset: int | None


def confine(tier: str, readable: tree.Readable, profile: Profile, ask: Callable[[str], None]) -> Confined:
    """Confine this process; in tier A the caller goes on as process 1 of a new process namespace.

    Args:
        tier: "A", "B", "C" or "D".
        readable: What may be read, from :func:`tree.survey`.
        profile: What samples may do.
        ask: Sends the broker a word and waits for it to have been done.

    Raises:
        LayerError: The tier is not to be had here.
    """
    layers, ruleset = Layers(), None
    keep = kernel.CAP_SYS_ADMIN if profile.scratch_mib else 0
    root = os.geteuid() == 0
    if tier == "A":
        layers.put("namespaces", lambda: _namespaces(readable, profile, ask, root=root))
    if root and tier != "D":
        kernel.keep_capabilities()
        _drop_user(layers, tier)
    if tier in ("A", "B", "C"):
        layers.put("no_new_privileges", kernel.no_new_privileges)
        layers.put("capabilities", kernel.dropping_capabilities(keep))
        kernel.not_dumpable()
    if tier == "A":
        kernel.die_with_parent(signal.SIGKILL)  # a change of user clears it, so only now
    if tier in ("A", "B"):
        ruleset = layers.put("landlock", lambda: _landlock(readable, profile))["ruleset"]
        del layers.found["landlock"]["ruleset"]
    if tier in ("A", "B", "C"):
        program = filters.zygote(kernel.MACHINE, frozen=tier == "C", profile=profile)
        facts = {"profile": profile.name, "instructions": len(program) // 8}
        layers.put("seccomp", lambda: kernel.Filter(program).load(), **facts)
    return Confined(layers.found, ruleset)


def _landlock(readable: tree.Readable, profile: Profile) -> dict[str, Any]:
    ruleset, facts = kernel.landlock_ruleset(tree.rules(readable, profile))
    if profile.scratch_mib:
        return {**facts, "ruleset": ruleset}
    kernel.landlock_restrict(ruleset)
    return {**facts, "ruleset": None}


def _drop_user(layers: Layers, tier: str) -> None:
    """Stop being root; where a container forbids that, tiers that cannot fork and open nothing do without."""
    try:
        layers.put("uid_dropped", lambda: _become(INSIDE_ID if tier == "A" else None))
    except LayerError as refused:
        if tier == "A":
            raise
        layers.found["uid_dropped"] = {"active": False, "why": str(refused.error)}


def _namespaces(readable: tree.Readable, profile: Profile, ask: Callable[[str], None], *, root: bool) -> None:
    if root:
        with contextlib.suppress(PermissionError):  # not allowed to: there is then no group to lose
            os.setgroups([])
    kernel.unshare(_NAMESPACES)
    ask("map")
    tree.enter(readable, profile)
    _become_first(root=root)


def _become_first(*, root: bool) -> None:
    """Fork: the child is process 1 of the new namespace, the parent only waits to take its place in the host's."""
    child = os.fork()
    if child == 0:
        return
    os.closerange(0, 64)
    if root:
        _become(INSIDE_ID)  # the kernel lets its death end the child only if both are one user's
    kernel.dropping_capabilities()()
    while True:
        try:
            os.waitpid(child, 0)
        except InterruptedError:
            continue
        os._exit(0)


def _become(identity: int | None) -> None:
    """Change from root to an unused user and group."""
    for candidate in UNUSED_IDS if identity is None else (identity,):
        try:
            if identity is None:
                os.setgroups([])
            os.setresgid(candidate, candidate, candidate)
            os.setresuid(candidate, candidate, candidate)
        except OSError:
            if candidate == (identity or UNUSED_IDS[-1]):
                raise
        else:
            return
