"""The types of Python's own iterators: what functions return that gives its items once.

Without ``itertools.groupby``, whose items are iterators over the same source.
"""

from __future__ import annotations

import collections
import itertools
import types
from typing import Any, Final

_NESTED: Final = ("groupby", "_grouper", "_tee_dataobject")
_ITERABLES: Final[tuple[Any, ...]] = (
    [],
    (),
    {},
    {}.values(),
    {}.items(),
    set(),
    collections.deque(),
    "",
    b"",
    bytearray(),
    range(0),
    range(1 << 70),
)
_REVERSIBLE: Final[tuple[Any, ...]] = ([], {}, range(0), collections.deque())
ITERATORS: Final = (
    *(map, filter, zip, enumerate, reversed, types.GeneratorType),
    *(type(iter(each)) for each in _ITERABLES),
    *(type(reversed(each)) for each in _REVERSIBLE),
    *(kind for name, kind in vars(itertools).items() if isinstance(kind, type) and name not in _NESTED),
)
