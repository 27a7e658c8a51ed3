"""Memory that a training step frees is kept for the next one.

Each step allocates the same large tensors. By default glibc gives large blocks back to the kernel as soon as they are
freed, and takes them anew, page by page and zeroed, in the next step: up to a quarter of the time of a layer of 64
experts. Here it is told to keep them. The process stays as large as its largest step.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Final

# malloc.h of glibc.
_M_TRIM_THRESHOLD: Final = -1
_M_TOP_PAD: Final = -2
_M_MMAP_MAX: Final = -4
_MOST: Final = 2**31 - 1


@cache
def keep_freed_memory() -> bool:
    """Keep what is freed, in this process from now on; return whether the C library could be told so."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc has it, musl and macOS have not
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, _MOST) and mallopt(_M_TOP_PAD, 64 << 20))
