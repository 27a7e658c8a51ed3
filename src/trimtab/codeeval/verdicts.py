"""``verdicts.jsonl``: verdicts, each naming the sandbox that made it, and what those sandboxes observed of themselves.

Decisions: an attestation is a line of the same file, so that verdicts cannot be passed on without it; every session of
a run adds its own where it is another one, since a run may go on on another machine; a verdict names it by a digest.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from trimtab.codeeval.judge import SampleVerdict
from trimtab.disk import LineLog, read_lines
from trimtab.errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class VerdictLog:
    """The file while a run goes on; a context manager.

    Args:
        path: The file; made if need be.

    Attributes:
        records: The verdicts it held when it was opened.

    Raises:
        BenchmarkError: A line is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._log = LineLog(path, error=BenchmarkError)
        self.records, known = _split(path, self._log.records)
        self._boxes = set(known)
        self._fields = [field.name for field in dataclasses.fields(SampleVerdict)]

    def append(self, benchmark: str, verdict: SampleVerdict, attestation: Mapping[str, Any]) -> None:
        """Write one verdict, after what the sandbox that made it attests, where that is new to the file."""
        box = hashlib.sha256(json.dumps(attestation, sort_keys=True).encode()).hexdigest()[:8]
        if box not in self._boxes:
            self._boxes.add(box)
            self._log.append({"box": box, "attestation": dict(attestation)})
        fields = {name: getattr(verdict, name) for name in self._fields}
        where = {name: attestation.get(name) for name in ("tier", "profile")}
        self._log.append({"benchmark": benchmark, **fields, **where, "box": box})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._log.__exit__(*exception)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a file of verdicts holds.

    Attributes:
        verdicts: Records, one a verdict.
        attestations: What each sandbox observed of itself, by the ``box`` that verdicts name.
    """

    verdicts: list[dict[str, Any]]
    attestations: dict[str, dict[str, Any]]

    @property
    def tiers(self) -> str:
        """The tiers at which verdicts were made, best first, for example "A" or "AD"."""
        return "".join(sorted({self.attestations[record["box"]]["tier"] for record in self.verdicts}))


def read(path: Path) -> Judged:
    """Read a file of verdicts.

    Raises:
        BenchmarkError: A line is damaged, or a verdict names a sandbox that the file does not attest.
    """
    verdicts, attestations = _split(path, read_lines(path, error=BenchmarkError))
    return Judged(verdicts=verdicts, attestations=attestations)


def _split(path: Path, records: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    attestations = {record["box"]: record["attestation"] for record in records if "attestation" in record}
    verdicts = [record for record in records if "attestation" not in record]
    stray = next((record for record in verdicts if record.get("box") not in attestations), None)
    if stray is not None:
        raise BenchmarkError(
            f"{path}: the verdict on {stray.get('task_id')!r} names no sandbox that this file attests",
            hint="judge the samples again into an empty folder",
        )
    return verdicts, attestations
