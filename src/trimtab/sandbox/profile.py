"""What a sample may do beside computing: nothing, threads and scratch files, or whole processes.

Decisions: a profile says what a program may ask for, a tier how that is enforced; the default profile is what every
tier can enforce, so that a verdict does not depend on the machine; whatever needs a file system or more than one task
needs tier A, because only there is what a sample leaves behind private, bounded and gone with it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from trimtab.errors import SandboxError, nearest


class Profile(NamedTuple):
    """What samples may do.

    Attributes:
        name: Its name in attestations.
        tasks: Threads and processes beside the first.
        processes: Whether tasks may be processes, which may execute the programs of the machine's ``/usr``.
        scratch_mib: Size of a private, empty ``/tmp`` that is also the working directory; 0 is none.
        tiers: Those that can enforce it.
    """

    name: str
    tasks: int = 0
    processes: bool = False
    scratch_mib: int = 0
    tiers: str = "ABCD"


PURE: Final = Profile(name="pure")
THREADS: Final = Profile(name="threads", tasks=16, scratch_mib=16, tiers="A")
LIB: Final = Profile(name="lib", tasks=16, processes=True, scratch_mib=64, tiers="A")
PROFILES: Final = {profile.name: profile for profile in (PURE, THREADS, LIB)}
AUTO: Final = "auto"


def named(name: str, tier: str) -> Profile:
    """Return a profile; "auto" is "threads" where ``tier`` can enforce that, else "pure".

    Raises:
        SandboxError: There is none of this name.
    """
    if name == AUTO:
        return THREADS if tier in THREADS.tiers else PURE
    if name not in PROFILES:
        raise SandboxError(f"no sandbox profile is called {name!r}", hint=nearest(name, (AUTO, *PROFILES)))
    return PROFILES[name]
