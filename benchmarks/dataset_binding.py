"""Binding: which dataset a cell is about, when headers name it in part, elsewhere, or beside others.

The rule that `nlp_tdms.py` holds `trimtab evidence check` against, for a claim that names no system ("95.6 on PKU, says
this paper"). A cell with the value is looked at in this order:

1. Its headers must not name another metric, and it must be the paper's own test result: a row that cites another work,
   or a cell of a development set, is not, unless it is set in bold.
2. A part of the dataset that the claim names ("Laptop", "Accuracy on CNN") has to be the part that the headers name.
3. The headers speak first; only when they name no dataset well enough does the caption speak, and only then, where
   headers or caption name the claimed metric, the paper's other tables. At each level the claimed dataset has to be the
   best-named of all that are known, and alone: a rival named better has the value, and a tie decides nothing. Versions
   of one dataset ("anonymized", "restricted") are rivals only where the headers say which version they mean.

A dataset's name is split into words, rare ones weighing more. A number counts only with the word before it, so that
the 7 of "Table 7" is not heard in "Chinese Treebank 7".
"""

from __future__ import annotations

import math
import re
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from trimtab.claims.arithmetic import places, rounded
from trimtab.claims.cell_rules import own_result

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from trimtab.documents.parts import TableCell

VERSIONS: Final = {"anonymized", "non", "restricted", "unrestricted"}
FILLERS: Final = {"the", "of", "and", "dataset", "corpus", "task", "shared", "benchmark", "test", "set", "english"}
HEADER_SHARE, CAPTION_SHARE, PAPER_SHARE = 0.75, 0.5, 0.5
METRICS: Final = ("rouge 1", "rouge 2", "rouge l", "uas", "las", "mrr", "map", "meteor", "bleu")
# How tables print metrics whose names are said in other ways, too.
PRINTED: Final = {
    "accuracy": {"acc", "accuracy"},
    "f1": {"f", "f1"},
    "f": {"f", "f1"},
    "error": {"error", "err"},
    "perplexity": {"perplexity", "ppl", "perplexities"},
    "smatch": {"smatch", "f", "f1"},
    "em": {"em", "exact"},
    "bit": {"bpc", "bits", "bit"},
    "bits": {"bpc", "bits", "bit"},
}
METRIC_WORDS: Final = frozenset(
    {
        *("accuracy", "acc", "f", "f1", "score", "avg", "average", "macro", "micro", "rouge", "bleu", "meteor", "em"),
        *("on", "the", "map", "mrr", "uas", "las", "pos", "error", "perplexity", "bits", "per", "byte", "number", "of"),
        *("params", "test", "validation", "h", "hits", "at", "p", "r", "precision", "recall", "l", "bit", "character"),
        *("bpc", "smatch", "span", "overall", "dev", "b"),
    }
)
LABEL: Final = re.compile(r"\bTable\s+\d+\s*[:.]?", re.IGNORECASE)

Shares = dict[str, float]


def words(text: str) -> list[str]:
    """Return the words and numbers of a name, lower case.

    >>> words("WikiText-103")
    ['wikitext', '103']
    """
    return re.findall(r"[a-z]+|\d+", text.lower())


def pieces(text: str) -> list[str]:
    """Return its words, each number together with the word before it.

    >>> pieces("Chinese Treebank 7")
    ['chinese', 'treebank', 'treebank 7']
    """
    found = words(text)
    pairs = zip(["", *found], found, strict=False)
    return [f"{before} {word}" if word.isdigit() and before.isalpha() else word for before, word in pairs]


def heard(text: str) -> set[str]:
    """Return the pieces of a text, and its acronyms marked, so that the corpus "AS" is not heard in every "as"."""
    text = LABEL.sub(" ", text)
    return {*words(text), *pieces(text), *(f"={word}" for word in re.findall(r"\b[A-Z]{2,}\b", text))}


def holds(printed: Decimal, value: Decimal) -> bool:
    """Whether a printed number is the claimed one at the claim's precision; a share counts as its percentage too.

    >>> from decimal import Decimal as D
    >>> holds(D("95.55"), D("95.6")), holds(D("95.6"), D("95.55")), holds(D("95.6"), D("0.956"))
    (True, False, True)
    """
    if printed == value:
        return True
    scale = 100 if abs(value) <= 1 < abs(printed) else Decimal("0.01") if abs(printed) <= 1 < abs(value) else 1
    same = printed / scale
    return abs(same - value) <= Decimal("0.5").scaleb(-places(value)) and value in rounded(same, places(value))


def part_of(metric: str) -> frozenset[str]:
    """Return the words of a metric that name a part of the dataset.

    >>> sorted(part_of("Accuracy on Daily Mail")), sorted(part_of("F1"))
    (['daily', 'mail'], [])
    """
    plain = re.sub(r"\(.*?\)|@\S+", "", metric)
    return frozenset(word for word in words(plain) if not word.isdigit()) - METRIC_WORDS


class Binder:
    """Decides which of many datasets a value belongs to.

    Args:
        datasets: Every dataset known, with the other names it goes by.
        metrics: The metrics each dataset is reported in, where their names hold parts of it ("Accuracy on CNN").
        rounding: Take a cell with more digits for the value it rounds to; else all digits have to be there.
    """

    def __init__(
        self,
        datasets: Mapping[str, Sequence[str]],
        metrics: Mapping[str, Iterable[str]] | None = None,
        *,
        rounding: bool = False,
    ) -> None:
        self._names = {name: _variants(name, others) for name, others in datasets.items()}
        counts = Counter(word for variants in self._names.values() for word in {*variants[0]})
        self._weights = {
            word: (0.2 if word in FILLERS else 0.7 if word[-1].isdigit() else 1.0) / (1 + math.log(count))
            for word, count in counts.items()
        }
        self._families = {name: _family(name) for name in datasets}
        self._parts = {name: {*map(part_of, (metrics or {}).get(name, ()))} - {frozenset()} for name in datasets}
        self._known: dict[str, Shares] = {}
        self._rounding = rounding

    def shares(self, texts: Iterable[str]) -> Shares:
        """Return how much of each dataset's name the texts hold, from 0 to 1."""
        text = " ".join(dict.fromkeys(texts))
        found = self._known.get(text)
        if found is None:
            have = heard(text)
            found = {name: max(self._share(one, have) for one in variants) for name, variants in self._names.items()}
            self._known[text] = found
        return found

    def find(self, cells: Sequence[TableCell], dataset: str, value: Decimal, metric: str = "") -> TableCell | None:
        """Return the first cell that holds ``value`` for ``dataset`` and does not name another metric, or None.

        Args:
            cells: All cells of one paper.
            dataset: One of the datasets known.
            value: As claimed; a share counts as its percentage too.
            metric: As claimed; empty for any.
        """
        wanted = {value, value * 100 if abs(value) <= 1 else value / 100}
        holding = [cell for cell in cells if wanted & {*cell.numbers} or (self._rounding and _rounds(cell, value))]
        fitting = [cell for cell in holding if own_result(cell) and not _other_metric(metric, cell.column_path)]
        if not fitting:
            return None
        paper = self.shares(text for cell in cells for text in _around(cell))
        return next((cell for cell in fitting if self._binds(cell, dataset, metric, paper)), None)

    def _binds(self, cell: TableCell, dataset: str, metric: str, paper: Shares) -> bool:
        headers = (*cell.row_path, *cell.column_path)
        have = heard(" ".join(headers))
        if not self._version_fits(dataset, have):
            return False
        part = self._part(dataset, metric)
        named = self._longest_part(dataset, have)
        if part and named and part not in named:
            return False
        if part in named and (paper[dataset] >= PAPER_SHARE or self._only_here(dataset, part)):
            return True
        levels = [(self.shares(headers), HEADER_SHARE), (self.shares(_around(cell)), CAPTION_SHARE)]
        if _names_metric(metric, _around(cell)):
            levels.append((paper, PAPER_SHARE))
        return self._decides(levels, dataset)

    def _decides(self, levels: Sequence[tuple[Shares, float]], dataset: str) -> bool:
        for shares, least in levels:
            best = max(shares.values())
            if best < least:
                continue
            if shares[dataset] < best:
                return False
            if len({self._families[name] for name, share in shares.items() if share >= best}) == 1:
                return True
        return False

    def _part(self, dataset: str, metric: str) -> frozenset[str]:
        part = part_of(metric)
        return part if part in self._parts[dataset] else frozenset()

    def _longest_part(self, dataset: str, have: set[str]) -> list[frozenset[str]]:
        said = [part for part in self._parts[dataset] if part <= have]
        return [part for part in said if len(part) == max(map(len, said))]

    def _only_here(self, dataset: str, part: frozenset[str]) -> bool:
        """Whether no dataset of another family has a part of this name, so that it names the dataset by itself."""
        family = self._families[dataset]
        return all(part not in parts or self._families[name] == family for name, parts in self._parts.items())

    def _version_fits(self, dataset: str, have: set[str]) -> bool:
        versions = have & VERSIONS | ({"non", "anonymized"} if {"full", "text"} <= have else set())
        family = [name for name, one in self._families.items() if one == self._families[dataset]]
        if not versions or len(family) == 1:
            return True
        fit = {name: len(versions & {*words(name)}) - len(versions ^ ({*words(name)} & VERSIONS)) for name in family}
        return fit[dataset] == max(fit.values())

    def _share(self, variant: Sequence[str], have: set[str]) -> float:
        weights = [self._weights.get(word, 1.0) for word in variant]
        return sum(weight for word, weight in zip(variant, weights, strict=True) if word in have) / sum(weights)


def _rounds(cell: TableCell, value: Decimal) -> bool:
    return any(holds(number, value) for number in cell.numbers)


def _around(cell: TableCell) -> tuple[str, ...]:
    return (*cell.row_path, *cell.column_path, cell.caption)


def _family(name: str) -> frozenset[str]:
    """Return the words that versions of one dataset share."""
    return frozenset(words(name)) - VERSIONS - {"version"}


def _variants(name: str, others: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the pieces of each name; a short acronym has to be heard as one."""
    acronyms = re.findall(r"\(([A-Z][A-Za-z0-9-]{2,}[A-Z]\w*)\)", name)
    if re.fullmatch(r"[A-Z]{2,4}", name):
        return [(f"={name}",)]
    plain = [each for each in (name, *others, *acronyms) if not re.fullmatch(r"[A-Z]{2}", each)]
    said = [tuple(one for one in dict.fromkeys(pieces(each)) if one not in VERSIONS | {"version"}) for each in plain]
    return [*said, *((f"={each}",) for each in others if each not in plain)]


def _other_metric(metric: str, headers: Sequence[str]) -> bool:
    """Whether headers name a metric, and not the one claimed."""
    claimed, printed = " ".join(words(metric)), " ".join(words(" ".join(headers)))
    mine = {name for name in METRICS if name in claimed}
    theirs = {name for name in METRICS if name in printed}
    return bool(mine and theirs) and not mine & theirs


def _names_metric(metric: str, texts: Sequence[str]) -> bool:
    """Whether texts name the claimed metric, in one of the ways it is printed; True where none is claimed."""
    have = {*words(" ".join(texts))}
    said = [
        word for word in words(metric) if not word.isdigit() and word not in {"on", "the", "of", "at", "average", "avg"}
    ]
    return not said or any(PRINTED.get(word, {word}) & have for word in said)
