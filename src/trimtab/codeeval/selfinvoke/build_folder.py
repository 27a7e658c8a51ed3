"""What a build leaves on disk, and a person's decisions on it.

``attempts.jsonl`` (a line each, the settings first) is the truth, and reviews are in ``reviews.jsonl``; both are only
ever appended to, so a build can be killed at any moment and goes on from what is there. ``problems.json``, HumanEval
Pro's schema, and ``provenance.jsonl`` are written anew from them.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from trimtab.disk import append_line, read_lines, write_atomic
from trimtab.errors import RunFolderError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from trimtab.codeeval.selfinvoke.attempt import Attempt


class BuildFolder:
    """A build on disk.

    Args:
        path: The folder; made when it is not there.
        settings: What was built on, by whom, under which limits; None to read what is there.

    Raises:
        RunFolderError: It was begun with other settings, holds no build, or a line of it cannot be read.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any] | None = None) -> None:
        self.path = path
        self._attempts = path / "attempts.jsonl"
        self._reviews = path / "reviews.jsonl"
        rows = read_lines(self._attempts)
        if settings is None and not rows:
            raise RunFolderError(f"{path} holds no build", hint="trimtab selfinvoke BASE -o FOLDER begins one")
        if settings is not None and not rows:
            path.mkdir(parents=True, exist_ok=True)
            append_line(self._attempts, {"settings": dict(settings)})
            rows = [{"settings": dict(settings)}]
        self.settings: dict[str, Any] = rows[0].get("settings", {})
        if settings is not None and self.settings != json.loads(json.dumps(dict(settings))):
            changed = sorted(key for key in settings if self.settings.get(key) != settings[key])
            raise RunFolderError(
                f"{path} was begun with other settings: {', '.join(changed)}", hint="give another folder with -o"
            )
        self._rows: list[dict[str, Any]] = rows[1:]
        self._last = {row["base"]: row for row in self._rows}

    def add(self, attempt: Attempt) -> None:
        """Keep an attempt."""
        row = json.loads(json.dumps(dataclasses.asdict(attempt)))
        append_line(self._attempts, row)
        self._rows.append(row)
        self._last[attempt.base] = row

    def attempts(self) -> Iterator[dict[str, Any]]:
        """Yield all attempts, in the order in which they were recorded."""
        yield from self._rows

    def accepted(self) -> list[dict[str, Any]]:
        """Return the attempts that went through every gate, in the order of their bases."""
        rows = [row for row in self._rows if row["stage"] == "accepted"]
        return sorted(rows, key=lambda row: row["fields"]["id"])

    def awaits(self, base: str, attempt: int) -> bool:
        """Tell whether this attempt at a base is still to be made."""
        last = self._last.get(base)
        return attempt == 0 if last is None else last["stage"] != "accepted" and last["attempt"] + 1 == attempt

    def reason(self, base: str) -> str:
        """Return why the last attempt at a base failed; empty if there was none."""
        return str(self._last.get(base, {}).get("reason", ""))

    def review(self, base: str, decision: str, reviewer: str, note: str = "") -> None:
        """Keep a person's decision on the problem built on ``base``; the last one counts.

        Raises:
            RunFolderError: No problem on that base went through the gates, or the decision is not one.
        """
        known = {row["base"] for row in self.accepted()}
        if base not in known:
            raise RunFolderError(f"{self.path}: no problem built on {base!r} went through the gates")
        if decision not in ("accept", "reject"):
            raise RunFolderError(f"a decision is accept or reject, not {decision!r}")
        append_line(self._reviews, {"base": base, "decision": decision, "reviewer": reviewer, "note": note})

    def reviews(self) -> dict[str, dict[str, Any]]:
        """Return the last decision on each base."""
        return {row["base"]: row for row in read_lines(self._reviews)}

    def queue(self) -> list[dict[str, Any]]:
        """Return what no person has decided on."""
        decided = self.reviews()
        return [row for row in self.accepted() if row["base"] not in decided]

    def publish(self) -> int:
        """Write ``problems.json``, without what was rejected, and ``provenance.jsonl``; return how many problems."""
        decided = self.reviews()
        published = [row for row in self.accepted() if decided.get(row["base"], {}).get("decision") != "reject"]
        write_atomic(self.path / "problems.json", json.dumps([row["fields"] for row in published], indent=1) + "\n")
        lines = [json.dumps(self._provenance(row, decided.get(row["base"]))) for row in published]
        write_atomic(self.path / "provenance.jsonl", "".join(f"{line}\n" for line in lines))
        return len(published)

    def _provenance(self, row: dict[str, Any], review: dict[str, Any] | None) -> dict[str, Any]:
        names = ("base", "attempt", "prompt_sha256", "inputs", "found")
        return {
            "id": row["fields"]["id"],
            **{name: row[name] for name in names},
            "review": review or {"decision": "awaited"},
            "settings": self.settings,
        }
