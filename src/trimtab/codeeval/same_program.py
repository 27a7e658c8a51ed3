"""Programs that differ in lines of comment alone are one program, and one run is enough for them.

Models asked several times often write the same code under other remarks. Decisions: only a line that is nothing but a
comment is taken out of what is compared, and only where no string can be meant: not within three quotes, not after a
line that goes on, and not where f-strings and three quotes meet, which may be nested from Python 3.12 on. Whatever is
left to doubt counts as another program.
"""

from __future__ import annotations

import hashlib
import re
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final

from trimtab.codeeval import python_scan

if TYPE_CHECKING:
    from collections.abc import Callable

    from trimtab.codeeval.problem import Problem
    from trimtab.sandbox.verdict import RunVerdict

_COMMENT_LINE: Final = re.compile(r"^[ \t]*#", re.MULTILINE)
_FORMATTED: Final = re.compile(r"\b(?:[fFtT][rR]?|[rR][fFtT])['\"]")


def without_comment_lines(program: str) -> str:
    """Return a program with its lines of comment emptied, where it is certain that they are such."""
    if not _COMMENT_LINE.search(program):
        return program
    if _FORMATTED.search(program) and ("'''" in program or '"""' in program):
        return program
    inside, lines = python_scan.inside_strings(program), python_scan.lines(program)
    for at, line in enumerate(lines):
        goes_on = at > 0 and lines[at - 1].rstrip("\r\n").endswith("\\")
        if line.lstrip(" \t").startswith("#") and at not in inside and not goes_on:
            lines[at] = "#\n" if line.endswith("\n") else "#"
    return "".join(lines)


class OneRunEach:
    """Runs a program unless the same one was run before on the same problem; for several threads.

    Args:
        run: Judges a program on a problem.
    """

    def __init__(self, run: Callable[[Problem, str], RunVerdict]) -> None:
        self._run = run
        self._known: dict[bytes, Future[RunVerdict]] = {}
        self._lock = threading.Lock()

    def __call__(self, problem: Problem, program: str) -> RunVerdict:
        """Return the verdict on a program.

        Raises:
            SandboxError: The sandbox itself failed; the next call with this program runs it again.
        """
        same = f"{problem.task_id}\0{without_comment_lines(program)}"
        key = hashlib.sha256(same.encode("utf-8", "surrogatepass")).digest()
        with self._lock:
            known = self._known.get(key)
            mine = self._known[key] = known or Future()
        if known is None:
            try:
                mine.set_result(self._run(problem, program))
            except BaseException as error:  # noqa: BLE001 - whoever waits for it gets it too
                with self._lock:
                    del self._known[key]
                mine.set_exception(error)
        return mine.result()
