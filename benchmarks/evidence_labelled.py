"""Labelled sentences of real documents against the tables of their own document.

Usage: python benchmarks/evidence_labelled.py LABELS.jsonl [--show]
       python benchmarks/evidence_labelled.py --all FOLDER [--show]

Each line of LABELS.jsonl is {"id", "document", "sentence", "altered", "kind", "plain", "decided_by"}: a sentence as it
stands in the document, which its tables bear out, and a version with one thing changed that they refute. Both are put
in the sentence's place, read there, and checked against the tables of the document alone. `--all` checks every claim
of every document of FOLDER against the document's own tables. Sentences and documents stay out of the repository.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from evidence_altered import REGISTRY, read_again
from trimtab.claims import report_claims, verdict_rules
from trimtab.claims.claim_verdict import Fidelity
from trimtab.claims.passages import Passages
from trimtab.claims.sources import Sources
from trimtab.documents import reader
from trimtab.errors import TrimtabError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trimtab.claims.claim_verdict import ClaimVerdict
    from trimtab.documents.parts import Document

FLAGGED = "worth a look"
ORIGINAL = ("supported", "partly read", "open", "accused", "no claim", FLAGGED)
ALTERED = ("caught", "accepted", "open", "no claim", FLAGGED)


class Read(NamedTuple):
    """A document, its tables as sources, and where each sentence stands among its spans."""

    document: Document
    sources: Sources
    places: dict[str, int]


@cache
def read(path: Path) -> Read:
    document = reader.read(path)
    # Its tables with what stands above them; its sentences would find themselves.
    sources = replace(Sources.build([document], [], REGISTRY), passages=Passages([], REGISTRY))
    places: dict[str, int] = {}
    for place, span in enumerate(document.spans):
        if span.kind == "sentence":
            places.setdefault(span.text, place)
    return Read(document, sources, places)


def verdict_of(path: Path, sentence: str, text: str) -> ClaimVerdict | None:
    """Return the verdict on a text put in the place of a sentence, None if it is not read as a claim."""
    document, sources, places = read(path)
    if sentence not in places:
        sys.exit(f"{path}: no such sentence: {sentence[:120]}\nThe labels and the document do not belong together.")
    claim = read_again(document, places[sentence], text, sources)
    return verdict_rules.check(claim, sources) if claim else None


def flagged(verdict: ClaimVerdict | None) -> bool:
    return verdict is not None and bool(verdict.worth_a_look)


def word(verdict: ClaimVerdict | None, *, altered: bool) -> str:
    if verdict is None:
        return "no claim"
    if verdict.fidelity.fails:
        return "caught" if altered else "accused"
    if verdict.fidelity.holds:
        return "accepted" if altered else "supported"
    return "partly read" if verdict.fidelity is Fidelity.PARTIAL and not altered else "open"


def printed(name: str, counts: Counter[str], columns: Iterable[str]) -> None:
    total = sum(count for column, count in counts.items() if column != FLAGGED)
    print(f"{name:24} {total:4}  " + ", ".join(f"{column} {counts[column]}" for column in columns))


def labelled(labels: Path, *, show: bool) -> None:
    originals: dict[str, Counter[str]] = defaultdict(Counter)
    altered: dict[str, Counter[str]] = defaultdict(Counter)
    for line in labels.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        path = Path(row["document"])
        for text, tallies, names in (
            (row["sentence"], originals, ["originals", *["originals, plain"] * row["plain"]]),
            (row["altered"], altered, ["altered", *["altered, plain"] * row["plain"], f"altered: {row['kind']}"]),
        ):
            verdict = verdict_of(path, row["sentence"], text)
            found = word(verdict, altered=tallies is altered)
            for name in names:
                tallies[name].update([found, *[FLAGGED] * flagged(verdict)])
            if show:
                reasons = verdict.reasons[:2] if verdict else ()
                print(f"{found}: {row['id']} {names[-1]}: {text[:300]}  [{row['decided_by']}]  {reasons}")
    for tallies, columns in ((originals, ORIGINAL), (altered, ALTERED)):
        for name, counts in sorted(tallies.items()):
            printed(name, counts, columns)


def every_claim(folder: Path, *, show: bool) -> None:
    counts: Counter[str] = Counter()
    for path in sorted(entry for entry in folder.rglob("*") if entry.is_file()):
        try:
            document, sources, _ = read(path)
        except TrimtabError as error:
            print(f"not read: {path.name}: {error}")
            continue
        counts["documents"] += 1
        for claim in report_claims.claims(replace(document, cells=()), REGISTRY, sources.vocabulary):
            verdict = verdict_rules.check(claim, sources)
            names = [*["accused"] * verdict.fidelity.fails, *[FLAGGED] * flagged(verdict)]
            counts.update(["claims", *names])
            if show and names:
                print(f"{', '.join(names)}: {path}: {claim.statement[:300]}  {verdict.reasons[:2]}")
    print(", ".join(f"{name} {counts[name]}" for name in ("documents", "claims", "accused", FLAGGED)))


if __name__ == "__main__":
    place = Path(next(word for word in sys.argv[1:] if not word.startswith("--")))
    (every_claim if "--all" in sys.argv else labelled)(place, show="--show" in sys.argv)
