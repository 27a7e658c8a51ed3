"""Parsing source that others wrote without passing on the parser's warnings about it.

The parser warns of unknown escapes and the like through the process-wide warnings machinery, whose filters are not
safe to change from several threads at once; hence the lock.
"""

from __future__ import annotations

import ast
import threading
import warnings
from typing import Final

_LOCK: Final = threading.Lock()


def parse(text: str) -> ast.Module:
    """Parse a module quietly.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: It is not one, holds a null byte, or is nested too deeply.
    """
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


def parses(text: str) -> bool:
    """Tell whether a text has the syntax of a module.

    Raises:
        ValueError, RecursionError, MemoryError: As :func:`parse`.
    """
    try:
        parse(text)
    except SyntaxError:
        return False
    return True
