"""How many processes want each processor, and what that changes in telling a slow program from a sleeping one."""

from __future__ import annotations

import os
from typing import Final

MOST: Final = 10.0  # times a limit by the clock is stretched at most
_BUSY: Final = 0.02  # the share of an idle processor below which a process is taken to sleep
_PROCESSORS: Final = os.cpu_count() or 1  # reading it takes as long as a tenth of a sample's messages
_UNFAIR: Final = 4  # times a fair share that others may take, by their priority


def processes_per_processor() -> float:
    """Return how many processes want each processor, as far as they are of our priority; 1 where fewer do."""
    try:
        waiting = os.getloadavg()[0] / _PROCESSORS
        return max(1.0, waiting * 1.25 ** max(0, os.getpriority(os.PRIO_PROCESS, 0)))
    except OSError:
        return 1.0


def busy_share(crowd: float) -> float:
    """Return the share of a processor, 0 to 1, below which a process is taken to sleep where ``crowd`` want each."""
    return _BUSY / (_UNFAIR * crowd) if crowd > 1 else _BUSY
