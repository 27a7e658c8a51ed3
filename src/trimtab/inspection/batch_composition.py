"""Who shares a batch: under a capacity, calls compete with those of batch mates, so a result names its batches."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trimtab.inspection.token_windows import TokenWindow

Composition = Literal["one_domain", "mixed", "shuffled", "ordered"]
COMPOSITIONS: Final[tuple[Composition, ...]] = get_args(Composition)
ABOUT: Final = {
    "one_domain": "each batch of one domain, shuffled within it",
    "mixed": "each batch of all domains, in proportion to their texts",
    "shuffled": "all texts in one random order",
    "ordered": "texts in the order they were given, domain after domain",
}


def compose(
    windows: Sequence[TokenWindow],
    composition: Composition,
    *,
    batch_tokens: int | None = None,
    batch_rows: int | None = None,
    seed: int = 0,
) -> list[list[int]]:
    """Return the places of ``windows`` in batches.

    Args:
        windows: The windows in the order they were read.
        composition: Who shares a batch; see :data:`ABOUT`.
        batch_tokens: Most tokens of a batch (one long window: more).
        batch_rows: Most windows of a batch.
        seed: Of the order.
    """
    drawn = np.random.default_rng([20_260_029, seed]).permutation(len(windows)).tolist()
    order = list(range(len(windows))) if composition == "ordered" else drawn
    if composition == "one_domain":
        order.sort(key=lambda place: windows[place].domain)
    elif composition == "mixed":
        order = _in_proportion(windows, drawn)
    groups: list[list[int]] = []
    tokens = 0
    for place in order:
        window = windows[place]
        full = bool(groups) and (
            (batch_tokens is not None and tokens + len(window.ids) > batch_tokens)
            or (batch_rows is not None and len(groups[-1]) >= batch_rows)
            or (composition == "one_domain" and windows[groups[-1][-1]].domain != window.domain)
        )
        if not groups or full:
            groups.append([])
            tokens = 0
        groups[-1].append(place)
        tokens += len(window.ids)
    return groups


def _in_proportion(windows: Sequence[TokenWindow], drawn: Sequence[int]) -> list[int]:
    """Return an order in which every run holds the domains in the proportion in which there are texts of them."""
    by_domain: dict[str, list[int]] = defaultdict(list)
    for place in drawn:
        by_domain[windows[place].domain].append(place)
    spread = [
        ((rank + 0.5) / len(places), domain, place)
        for domain, places in by_domain.items()
        for rank, place in enumerate(places)
    ]
    return [place for _, _, place in sorted(spread)]
