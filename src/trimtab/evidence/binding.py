"""Binding: which dataset a cell is about, when headers name it in part, elsewhere, or beside others.

A dataset's name is split into words, rare ones weighing more. The headers of a cell speak first; only when they name no
dataset well enough does the caption speak, and only then the paper's other tables. At each of these levels the claimed
dataset has to be the best-named of all that are known: a rival named better means the value belongs to the rival.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from decimal import Decimal

    from trimtab.evidence.document import Cell

FILLERS = {"the", "of", "and", "dataset", "corpus", "task", "version", "shared", "benchmark", "test", "set", "english"}
HEADER_SHARE, CAPTION_SHARE, PAPER_SHARE = 0.75, 0.5, 0.5
METRICS = ("rouge 1", "rouge 2", "rouge l", "uas", "las", "mrr", "map", "meteor", "bleu")

Shares = dict[str, float]


def words(text: str) -> list[str]:
    """Return the words and numbers of a name, lower case: ``WikiText-103`` gives wikitext, 103."""
    return re.findall(r"[a-z]+|\d+", text.lower())


def heard(text: str) -> set[str]:
    """Return the words of a text, and its acronyms marked, so that the corpus "AS" is not heard in every "as"."""
    return {*words(text), *(f"={word}" for word in re.findall(r"\b[A-Z]{2,}\b", text))}


class Binder:
    """Decides which of many datasets a value belongs to.

    Args:
        datasets: Every dataset known, with the other names it goes by.
        ties: Whether a value counts for a dataset that is named as well as another one; if not, nothing is decided.
    """

    def __init__(self, datasets: Mapping[str, Sequence[str]], *, ties: bool = False) -> None:
        self.ties = ties
        self._names = {name: _variants(name, others) for name, others in datasets.items()}
        counts = Counter(word for variants in self._names.values() for word in {*variants[0]})
        self._weights = {
            word: (0.2 if word in FILLERS else 0.7 if word.isdigit() else 1.0) / (1 + math.log(count))
            for word, count in counts.items()
        }

    def shares(self, texts: Iterable[str]) -> Shares:
        """Return how much of each dataset's name the texts hold, from 0 to 1."""
        have = heard(" ".join(dict.fromkeys(texts)))
        return {name: max(self._share(variant, have) for variant in variants) for name, variants in self._names.items()}

    def find(self, cells: Sequence[Cell], dataset: str, value: Decimal, metric: str = "") -> Cell | None:
        """Return the first cell that holds ``value`` for ``dataset`` and does not name another metric, or None.

        Args:
            cells: All cells of one paper.
            dataset: One of the datasets known.
            value: As claimed; a cell with a hundred times or a hundredth of it counts too (shares and percent).
            metric: As claimed; empty for any.
        """
        wanted = {value, value * 100, value / 100}
        paper: Shares | None = None
        for cell in cells:
            if not wanted & {*cell.numbers} or _other_metric(metric, cell.column_path):
                continue
            headers = (*cell.row_path, *cell.column_path)
            levels = [(self.shares(headers), HEADER_SHARE), (self.shares((*headers, cell.caption)), CAPTION_SHARE)]
            paper = paper or self.shares(
                text for each in cells for text in (*each.row_path, *each.column_path, each.caption)
            )
            if self._decides([*levels, (paper, PAPER_SHARE)], dataset):
                return cell
        return None

    def _decides(self, levels: Sequence[tuple[Shares, float]], dataset: str) -> bool:
        for shares, least in levels:
            best = max(shares.values())
            if best < least:
                continue
            equals = sum(share >= best for share in shares.values())
            if shares[dataset] < best:
                return False
            if equals == 1 or self.ties:
                return True
        return False

    def _share(self, variant: Sequence[str], have: set[str]) -> float:
        weights = [self._weights.get(word, 1.0) for word in variant]
        return sum(weight for word, weight in zip(variant, weights, strict=True) if word in have) / sum(weights)


def _variants(name: str, others: Sequence[str]) -> list[tuple[str, ...]]:
    acronyms = re.findall(r"\(([A-Z][A-Za-z0-9-]{2,}[A-Z]\w*)\)", name)
    if re.fullmatch(r"[A-Z]{2,4}", name):
        return [(f"={name}",)]
    return [tuple(dict.fromkeys(words(each))) for each in (name, *others, *acronyms)]


def _other_metric(metric: str, headers: Sequence[str]) -> bool:
    """Whether headers name a metric, and not the one claimed."""
    claimed, printed = " ".join(words(metric)), " ".join(words(" ".join(headers)))
    mine = {name for name in METRICS if name in claimed}
    theirs = {name for name in METRICS if name in printed}
    return bool(mine and theirs) and not mine & theirs
