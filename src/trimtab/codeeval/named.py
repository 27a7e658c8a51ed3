"""Constants that have names: what a solver must know by heart.

The rest of the micro-benchmark can be copied or translated word by word, which attention alone does as well as a model
with feed-forward blocks (LOG.md). A named constant cannot: "add blue fox to each number" means ``x + 4`` because the
training text says so again and again, and neither *blue* nor *fox* means anything alone. The table is drawn by hash.
Sixteen names are what a minute or two of training learns; of thirty-six it learned none.
"""

from __future__ import annotations

import hashlib
import itertools
from functools import cache
from typing import Final

ADJECTIVES: Final = ("red", "blue", "green", "old")
NOUNS: Final = ("fox", "tree", "stone", "lamp")
_VALUES: Final = 10


@cache
def names_of(constant: int) -> tuple[str, ...]:
    """Return the names of a constant from 0 to 9: one or two, so that sixteen names serve all ten."""
    pairs = [f"{one} {other}" for one, other in itertools.product(ADJECTIVES, NOUNS)]
    drawn = sorted(pairs, key=lambda name: hashlib.sha256(name.encode()).digest())
    return tuple(drawn[constant::_VALUES])
