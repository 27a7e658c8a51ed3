"""Takes out of a training text what it shares with the benchmarks: functions of the same name, and shared n-grams.

Texts are compared as sequences of words and signs, so layout does not hide a copy. n = 13 is the length GPT-3 used
(arXiv 2005.14165, appendix C); code needs it no shorter, because loop headers alone run to a dozen signs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

N: Final = 13
_WORD: Final = re.compile(r"[^\W\d]+|\d+|[^\w\s]")
_DEFINITION: Final = re.compile(r"^([ \t]*)(?:async )?def (\w+)\(", re.MULTILINE)
_FACTOR: Final = np.uint64(0x9E3779B97F4A7C15)


class Decontaminator:
    """Cleans texts of what they share with ``exclude``; counts what it removed."""

    def __init__(self, exclude: Sequence[str], *, n: int = N) -> None:
        self.names = frozenset(match[2] for text in exclude for match in _DEFINITION.finditer(text))
        self._n = n
        self._numbers: dict[str, int] = {}
        hashes = [self._hashes(_WORD.findall(text)) for text in exclude]
        self._ngrams = np.unique(np.concatenate([*hashes, np.empty(0, dtype=np.uint64)]))
        self.functions = 0
        self.paragraphs = 0

    def clean(self, text: str) -> str:
        """Return ``text`` without functions named as in a benchmark, nor paragraphs that share an n-gram with one."""
        return self._without_ngrams(self._without_names(text))

    def _without_names(self, text: str) -> str:
        if self.names.isdisjoint(match[2] for match in _DEFINITION.finditer(text)):
            return text
        lines, shortened, at = text.split("\n"), list[str](), 0
        while at < len(lines):
            definition = _DEFINITION.match(lines[at])
            if not definition or definition[2] not in self.names:
                shortened.append(lines[at])
                at += 1
                continue
            self.functions += 1
            while shortened and shortened[-1].startswith(definition[1] + "@"):  # its decorators
                shortened.pop()
            at = _end_of_body(lines, at, len(definition[1]))
        return "\n".join(shortened)

    def _without_ngrams(self, text: str) -> str:
        shared = np.flatnonzero(self._banned(self._hashes(_WORD.findall(text))))
        if not shared.size:
            return text
        words = list(_WORD.finditer(text))
        marked = {n for first in shared for n in range(int(first), int(first) + self._n)}
        places = sorted(words[n].start() for n in marked)
        parts, start = [], 0
        for paragraph in re.split(r"(?<=\n)(?=\n)", text):
            end = start + len(paragraph)
            if any(start <= place < end for place in places):
                self.paragraphs += 1
            else:
                parts.append(paragraph)
            start = end
        return "".join(parts)

    def _banned(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Tell which hashes are a benchmark's; ``isin`` would sort the benchmark's again for each text."""
        if not self._ngrams.size:
            return np.zeros(len(hashes), dtype=np.bool_)
        places = np.searchsorted(self._ngrams, hashes)
        banned: NDArray[np.bool_] = self._ngrams[np.minimum(places, len(self._ngrams) - 1)] == hashes
        return banned

    def _hashes(self, words: list[str]) -> NDArray[np.uint64]:
        """Return a hash of each run of n words: a polynomial modulo 2⁶⁴ over numbers given to words as they come."""
        numbers = self._numbers
        ids = np.array([numbers.setdefault(word, len(numbers) + 1) for word in words], dtype=np.uint64)
        if len(ids) < self._n:
            return np.empty(0, dtype=np.uint64)
        result = np.zeros(len(ids) - self._n + 1, dtype=np.uint64)
        for offset in range(self._n):
            part = ids[offset : len(ids) - self._n + 1 + offset]
            result = result * _FACTOR + (part ^ (part >> np.uint64(7)))
        return result


def _end_of_body(lines: Sequence[str], definition: int, indent: int) -> int:
    """Return the index of the first line after a function; a signature may span lines that close at its indent."""
    at = definition + 1
    while at < len(lines):
        line = lines[at]
        inside = not line.strip() or len(line) - len(line.lstrip()) > indent or line.lstrip().startswith(")")
        if not inside:
            break
        at += 1
    return at
