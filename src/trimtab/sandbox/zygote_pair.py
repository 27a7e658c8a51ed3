"""The zygotes of one worker: for programs a lean one and a well-furnished one, and one for test code.

Decisions: each program may import the same modules in both; what differs is which are loaded already when it starts. A
fork costs as much as the zygote is large, and an import more than that, so a program whose text imports what few do
goes to the zygote that has it. One that imports by another way than a statement loads what it needs itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from trimtab.sandbox.lane import Lane
from trimtab.sandbox.zygote_modules import LEAN

if TYPE_CHECKING:
    from trimtab.sandbox.lane import Settings

_IMPORTS: Final = re.compile(r"^[ \t]*(?:from[ \t]+(\w+)|import[ \t]+([^\n#;]+))", re.MULTILINE)


class ZygotePair:
    """Zygotes for programs and, once a test needs it, a driver zygote; all but the first start at first use."""

    def __init__(self, tier: str, settings: Settings) -> None:
        self._tier, self._settings = tier, settings
        self._has_lean = tier != "C"  # nothing can be loaded there later on
        self.solution = self._start(lean=self._has_lean)
        self._furnished: Lane | None = None
        self._driver: Lane | None = None

    def _start(self, *, lean: bool) -> Lane:
        return Lane(role="solution", tier=self._tier, settings=self._settings, lean=lean)

    def solution_for(self, program: str) -> Lane:
        """Return the zygote that has loaded what ``program`` imports, as far as its text says."""
        if not self._has_lean or imported(program) <= LEAN:
            return self.solution
        if self._furnished is None:
            self._furnished = self._start(lean=False)
        return self._furnished

    @property
    def driver(self) -> Lane:
        """The driver zygote, started at first use."""
        if self._driver is None:
            self._driver = Lane(role="driver", tier=self._tier)
        return self._driver

    def restart(self) -> None:
        """Replace zygotes that broke."""
        self.close()
        self.solution = self._start(lean=self._has_lean)

    def close(self) -> None:
        """End all of them."""
        for lane in (self.solution, self._furnished, self._driver):
            if lane is not None:
                lane.close()
        self._furnished = self._driver = None

    def abandon(self) -> None:
        """Let go of all of them in a forked process."""
        for lane in (self.solution, self._furnished, self._driver):
            if lane is not None:
                lane.abandon()


def imported(program: str) -> set[str]:
    r"""Return the names of modules that lines of a text seem to import; a line of prose may look like one.

    >>> sorted(imported("import os.path as p, sys\nfrom math import pi\n"))
    ['math', 'os', 'sys']
    """
    names: set[str] = set()
    for module, modules in _IMPORTS.findall(program):
        parts = [module] if module else modules.split(",")
        names.update(part.strip().partition(" ")[0].partition(".")[0] for part in parts)
    return names
