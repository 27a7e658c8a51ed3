"""Confidence that means something: of the claims this rule path was right about on a named set, how many there were.

One histogram, a bin a rule path. Its expected calibration error and Brier score are of each item predicted without
itself, since on its own items a histogram is always calibrated. Under 50 items there is no number, only the rule path.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from trimtab import stats
from trimtab.claims import claim_verdict
from trimtab.claims.claim_verdict import Confidence
from trimtab.disk import write_atomic
from trimtab.errors import ClaimError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from trimtab.claims.claim_verdict import ClaimVerdict

MIN_ITEMS: Final = 50
"""Fewer items give no number."""

VERIFIED: Final = 0.90
"""A claim is called verified when the lower end of the interval is at least this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A labelled set, counted by rule path.

    Attributes:
        name: Of the file.
        sha256: Of its bytes.
        bins: Rule path → (items, of those the claim was true).
        ece: Expected calibration error, leave-one-out.
        brier: Brier score, leave-one-out.
    """

    name: str
    sha256: str
    bins: dict[str, tuple[int, int]]
    ece: float
    brier: float

    @property
    def items(self) -> int:
        """Return the size of the set."""
        return sum(count for count, _ in self.bins.values())

    def confidence(self, verdict: ClaimVerdict) -> Confidence | None:
        """Return how often this rule path was right; None where the set or the bin cannot tell."""
        count, right = self.bins.get(path_of(verdict), (0, 0))
        if self.items < MIN_ITEMS or not count:
            return None
        interval = stats.wilson(right, count)
        return Confidence(
            calibration=f"{self.name} ({self.sha256[:12]})",
            items=self.items,
            bin=count,
            right=right,
            estimate=right / count,
            low=interval.low,
            high=interval.high,
            ece=self.ece,
        )

    def record(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "items": self.items,
            "enough": self.items >= MIN_ITEMS,
            "ece": self.ece,
            "brier": self.brier,
            "bins": [self._bin(path) for path in self.bins],
        }

    def _bin(self, path: str) -> dict[str, Any]:
        count, right = self.bins[path]
        interval = stats.wilson(right, count)
        return {"path": path, "items": count, "true": right, "low": interval.low, "high": interval.high}

    def told(self) -> str:
        """Return the same for a reader."""
        lines = [f"{self.items} items, ECE {self.ece:.3f}, Brier {self.brier:.3f} (each item predicted without itself)"]
        if self.items < MIN_ITEMS:
            lines = [f"{self.items} items: under {MIN_ITEMS}, so no confidence is printed, only rule paths"]
        for one in map(self._bin, self.bins):
            lines.append(f"{one['true']:4} of {one['items']:4}  [{one['low']:.2f}, {one['high']:.2f}]  {one['path']}")
        return "\n".join(lines)

    def mark(self, verdict: ClaimVerdict) -> ClaimVerdict:
        """Return a verdict with its confidence."""
        return replace(verdict, confidence=self.confidence(verdict))


def path_of(verdict: ClaimVerdict) -> str:
    """Return the bin of a verdict: its fidelity and the rules that decided it."""
    return " > ".join((verdict.fidelity.value, *verdict.rule_path))


def fit(items: Sequence[tuple[str, bool]], name: str, sha256: str) -> Calibration:
    """Count labelled items: (rule path, whether the claim was true)."""
    counts, rights = Counter(path for path, _ in items), Counter(path for path, true in items if true)
    predicted = [(_without(counts[path], rights[path], true=true), true) for path, true in items]
    brier = sum((p - true) ** 2 for p, true in predicted) / max(1, len(predicted))
    return Calibration(
        name=name,
        sha256=sha256,
        bins={path: (counts[path], rights[path]) for path in sorted(counts)},
        ece=_ece(predicted),
        brier=brier,
    )


def _without(count: int, right: int, *, true: bool) -> float:
    """Return the prediction for an item from the others of its bin; a bin of one predicts one half."""
    return (right - true) / (count - 1) if count > 1 else 0.5


def _ece(predicted: Sequence[tuple[float, bool]], bins: int = 10) -> float:
    """Return the mean distance of prediction and share, over ten bins of equal width (arXiv 1706.04599, Eq. 3)."""
    groups: dict[int, list[tuple[float, bool]]] = {}
    for p, true in predicted:
        groups.setdefault(min(bins - 1, int(p * bins)), []).append((p, true))
    gaps = (abs(sum(p for p, _ in group) - sum(true for _, true in group)) for group in groups.values())
    return sum(gaps) / max(1, len(predicted))


def label(verdicts_path: Path, labels_path: Path) -> list[tuple[str, bool]]:
    """Join ``verdicts.jsonl`` with labels, ``{"id": "c01", "true": true}`` a line; claims without a label are left out.

    Raises:
        ClaimError: A line is something else, an id is labelled twice or is of no verdict.
    """
    paths: dict[str, str] = {}
    for number, line in enumerate(_lines(verdicts_path), 1):
        try:
            verdict = claim_verdict.parse(line)
        except ValueError as error:
            raise ClaimError(f"{verdicts_path}, item {number} is no verdict: {error}") from error
        paths[verdict.claim] = path_of(verdict)
    labels: dict[str, bool] = {}
    for number, line in enumerate(_lines(labels_path), 1):
        found = _json(line, labels_path, number)
        if not isinstance(found, dict) or not isinstance(found.get("true"), bool) or found.get("id") in labels:
            raise ClaimError(
                f'{labels_path}, item {number}: expected {{"id": "...", "true": true or false}}, once an id'
            )
        if found.get("id") not in paths:
            raise ClaimError(f"{labels_path}, item {number}: {verdicts_path} has no claim {found.get('id')!r}")
        labels[found["id"]] = found["true"]
    return [(paths[name], true) for name, true in labels.items()]


def extend(path: Path, items: Sequence[tuple[str, bool]]) -> None:
    """Write a labelled set, after what is there."""
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = "".join(json.dumps({"path": name, "true": true}, ensure_ascii=False) + "\n" for name, true in items)
    write_atomic(path, before + lines)


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ClaimError(f"{path} cannot be read: {error}") from error


def _json(line: str, path: Path, number: int) -> Any:  # noqa: ANN401 - from JSON
    try:
        return json.loads(line)
    except ValueError as error:
        raise ClaimError(f"{path}, item {number} is no JSON: {error}") from error


def load(path: Path) -> Calibration:
    """Read a labelled set: a line an item, ``{"path": "...", "true": true}``.

    Raises:
        ClaimError: A line is something else.
    """
    try:
        raw = path.read_bytes()
        records = [json.loads(line) for line in raw.decode("utf-8").split("\n") if line.strip()]
    except (OSError, ValueError) as error:
        raise ClaimError(f"the calibration set {path} cannot be read: {error}") from error
    return fit(
        [_item(record, path, index) for index, record in enumerate(records, 1)],
        path.name,
        hashlib.sha256(raw).hexdigest(),
    )


def _item(record: Any, path: Path, line: int) -> tuple[str, bool]:  # noqa: ANN401 - from JSON
    if (
        not isinstance(record, dict)
        or not isinstance(record.get("path"), str)
        or not isinstance(record.get("true"), bool)
    ):
        raise ClaimError(f'{path}, item {line}: expected {{"path": "...", "true": true or false}}, got {record!r}')
    return record["path"], record["true"]
