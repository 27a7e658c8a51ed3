"""When a sample runs again: the sandbox failed under it, or something from outside ended its process.

Decisions: a zygote that breaks (the machine's out-of-memory killer, an operator) is no verdict, and neither is one
that is killed while it starts, however often, as long as others of the same sandbox come through. So a failure is
given up only after several tries, and then only when it has lasted, or when nothing has worked here for as long. A
process that was ended by SIGKILL and not for its limits may have been a victim too; only what happens each time is
the program's own doing.
"""

from __future__ import annotations

import math
import signal
import time
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from trimtab.errors import SandboxError
from trimtab.sandbox.verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from trimtab.sandbox.zygote_pair import ZygotePair

_TRIES: Final = 4
_LASTING_S: Final = 60.0
_PAUSE_S: Final = 0.05  # before the third try; each further one waits twice as long
_LONGEST_PAUSE_S: Final = 2.0
_KILLS: Final = 5  # of one program, until its own doing is the likelier explanation
_KILLED: Final = f"signal {signal.SIGKILL.name}"


class Ended(Protocol):
    """What came of a program: a verdict, answers, or what it printed."""

    @property
    def outcome(self) -> Outcome:
        """How it ended."""

    @property
    def detail(self) -> str:
        """More of that."""


_Result = TypeVar("_Result", bound=Ended)


class Retries:
    """Runs samples until they have an outcome of their own. Thread-safe, apart from a count that may lag.

    Attributes:
        count: How often a sample ran again.
    """

    def __init__(self) -> None:
        self.count = 0
        self._worked = -math.inf  # when anything last did

    def run(self, pair: ZygotePair, act: Callable[[ZygotePair], _Result]) -> _Result:
        """Do something with a pair of zygotes, with new ones where these break.

        Raises:
            SandboxError: They break again and again.
        """
        failures = kills = 0
        failing_since = math.inf
        broken = False
        while True:
            try:
                if broken:
                    pair.restart()
                result = act(pair)
            except SandboxError as error:
                broken = True
                failures += 1
                now = time.monotonic()
                failing_since = min(failing_since, now)
                if failures >= _TRIES and now - min(failing_since, self._worked) > _LASTING_S:
                    raise SandboxError(f"{error.message} ({failures} times)", hint=error.hint) from error
                if failures > 1:
                    time.sleep(min(_PAUSE_S * 2 ** (failures - 2), _LONGEST_PAUSE_S))
            else:
                broken = False
                self._worked = time.monotonic()
                kills += result.outcome is Outcome.CRASH and _KILLED in result.detail
                if kills in (0, _KILLS) or result.outcome is not Outcome.CRASH:
                    return result
            self.count += 1
