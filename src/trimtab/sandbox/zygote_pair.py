"""The zygotes of one worker: one for programs and, once a test needs it, one for test code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trimtab.sandbox.lane import Lane

if TYPE_CHECKING:
    from trimtab.sandbox.lane import Settings


class ZygotePair:
    """A solution zygote and, once a test needs it, a driver zygote."""

    def __init__(self, tier: str, settings: Settings) -> None:
        self._tier, self._settings = tier, settings
        self.solution = self._start()
        self._driver: Lane | None = None

    def _start(self) -> Lane:
        return Lane(role="solution", tier=self._tier, settings=self._settings)

    @property
    def driver(self) -> Lane:
        """The driver zygote, started at first use."""
        if self._driver is None:
            self._driver = Lane(role="driver", tier=self._tier)
        return self._driver

    def restart(self) -> None:
        """Replace zygotes that broke."""
        self.close()
        self.solution = self._start()

    def close(self) -> None:
        """End both."""
        self.solution.close()
        if self._driver is not None:
            self._driver.close()
            self._driver = None

    def abandon(self) -> None:
        """Let go of both in a forked process."""
        self.solution.abandon()
        if self._driver is not None:
            self._driver.abandon()
