"""Confidence that means something: of the claims this rule path was right about on a named set, how many there were.

One histogram, a bin a rule path. Its expected calibration error and Brier score are of each item predicted without
itself, since on its own items a histogram is always calibrated. Under 50 items there is no number, only the rule path.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from trimtab import stats
from trimtab.claims import claim_verdict
from trimtab.claims.claim_verdict import Confidence, path_of
from trimtab.disk import read_given_lines, write_lines
from trimtab.errors import ClaimError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MIN_ITEMS: Final = 50
"""Fewer items give no number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPath:
    """The rule path of one verdict, and whether its claim was true."""

    path: str
    true: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PathCount:
    """How many items took one rule path, and of how many the claim was true."""

    items: int
    right: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A labelled set, counted by rule path.

    Attributes:
        name: Of the file.
        sha256: Of its bytes.
        bins: By rule path.
        ece: Expected calibration error, leave-one-out.
        brier: Brier score, leave-one-out.
    """

    name: str
    sha256: str
    bins: dict[str, PathCount]
    ece: float
    brier: float

    @property
    def items(self) -> int:
        """Return the size of the set."""
        return sum(count.items for count in self.bins.values())

    def confidence(self, path: str) -> Confidence | None:
        """Return how often a rule path was right; None where the set or the bin cannot tell."""
        count = self.bins.get(path)
        if self.items < MIN_ITEMS or count is None:
            return None
        interval = stats.wilson(count.right, count.items)
        return Confidence(
            calibration=f"{self.name} ({self.sha256[:12]})",
            items=self.items,
            bin=count.items,
            right=count.right,
            estimate=count.right / count.items,
            low=interval.low,
            high=interval.high,
            ece=self.ece,
        )

    def record(self) -> dict[str, Any]:
        """Return everything as plain values."""
        bins = []
        for path, count in self.bins.items():
            interval = stats.wilson(count.right, count.items)
            row = {"path": path, "items": count.items, "true": count.right, "low": interval.low, "high": interval.high}
            bins.append(row)
        return {
            "name": self.name,
            "sha256": self.sha256,
            "items": self.items,
            "enough": self.items >= MIN_ITEMS,
            "ece": self.ece,
            "brier": self.brier,
            "bins": bins,
        }

    def told(self) -> str:
        """Return the same for a reader."""
        lines = [f"{self.items} items, ECE {self.ece:.3f}, Brier {self.brier:.3f} (each item predicted without itself)"]
        if self.items < MIN_ITEMS:
            lines = [f"{self.items} items: under {MIN_ITEMS}, so no confidence is printed, only rule paths"]
        for row in self.record()["bins"]:
            lines.append(f"{row['true']:4} of {row['items']:4}  [{row['low']:.2f}, {row['high']:.2f}]  {row['path']}")
        return "\n".join(lines)


def fit(items: Sequence[LabelledPath], name: str, sha256: str) -> Calibration:
    """Count labelled items."""
    counts, rights = Counter(item.path for item in items), Counter(item.path for item in items if item.true)
    bins = {path: PathCount(items=counts[path], right=rights[path]) for path in sorted(counts)}
    predicted = []
    for item in items:
        others = bins[item.path].items - 1  # without itself; a bin of one predicts one half
        predicted.append((bins[item.path].right - item.true) / others if others else 0.5)
    errors = [(p - item.true) ** 2 for p, item in zip(predicted, items, strict=True)]
    ece, brier = _ece(predicted, items), sum(errors) / max(1, len(items))
    return Calibration(name=name, sha256=sha256, bins=bins, ece=ece, brier=brier)


def _ece(predicted: Sequence[float], items: Sequence[LabelledPath], bins: int = 10) -> float:
    """Return the mean distance of prediction and share, over ten bins of equal width (arXiv 1706.04599, Eq. 3)."""
    gaps: dict[int, float] = defaultdict(float)
    for p, item in zip(predicted, items, strict=True):
        gaps[min(bins - 1, int(p * bins))] += p - item.true
    return sum(map(abs, gaps.values())) / max(1, len(items))


def label(verdicts_path: Path, labels_path: Path) -> list[LabelledPath]:
    """Join ``verdicts.jsonl`` with labels, ``{"id": "c01", "true": true}`` a line; claims without a label are left out.

    Raises:
        ClaimError: A line is something else, an id is labelled twice or is of no verdict.
    """
    paths: dict[str, str] = {}
    for line in read_given_lines(verdicts_path, error=ClaimError):
        try:
            verdict = claim_verdict.parse(json.dumps(line.record))
        except ValueError as error:
            raise ClaimError(f"{verdicts_path}, line {line.number} is no verdict: {error}") from error
        paths[verdict.claim] = path_of(verdict.fidelity, verdict.rule_path)
    labels: dict[str, LabelledPath] = {}
    for line in read_given_lines(labels_path, error=ClaimError):
        place, name, true = f"{labels_path}, line {line.number}", line.record.get("id"), line.record.get("true")
        if not isinstance(name, str) or not isinstance(true, bool) or name in labels:
            raise ClaimError(f'{place}: expected {{"id": "...", "true": true or false}}, once an id')
        if name not in paths:
            raise ClaimError(f"{place}: {verdicts_path} has no claim {name!r}")
        labels[name] = LabelledPath(path=paths[name], true=true)
    return list(labels.values())


def extend(path: Path, items: Sequence[LabelledPath]) -> None:
    """Write a labelled set, after what is there.

    Raises:
        ClaimError: What is there is no labelled set.
    """
    before = _items(path) if path.exists() else []
    write_lines(path, map(asdict, [*before, *items]), sort_keys=False, ensure_ascii=False)


def load(path: Path) -> Calibration:
    """Read a labelled set: a line an item, ``{"path": "...", "true": true}``.

    Raises:
        ClaimError: The file cannot be read, or a line is something else.
    """
    return fit(_items(path), path.name, hashlib.sha256(path.read_bytes()).hexdigest())


def _items(path: Path) -> list[LabelledPath]:
    items = []
    for line in read_given_lines(path, error=ClaimError):
        name, true = line.record.get("path"), line.record.get("true")
        if not isinstance(name, str) or not isinstance(true, bool):
            expected = '{"path": "...", "true": true or false}'
            raise ClaimError(f"{path}, line {line.number}: expected {expected}, got {line.record!r}")
        items.append(LabelledPath(path=name, true=true))
    return items
