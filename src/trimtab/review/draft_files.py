"""A draft on disk: claims, verdicts, the answer and the sentences, for programs that read no pages."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from trimtab.claims import claim_model, claim_verdict
from trimtab.disk import write_atomic, write_json
from trimtab.documents import store_rows
from trimtab.review.llm import passage_proposals
from trimtab.review.raters import ratings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from trimtab.review.draft import Draft
    from trimtab.review.llm.passage_proposals import Proposal
    from trimtab.review.raters.ratings import Rating


def write(draft: Draft, folder: Path) -> None:
    """Write ``claims.jsonl``, ``verdicts.jsonl`` and ``review.json``."""
    every = (*draft.checked, *draft.near)
    write_atomic(folder / "claims.jsonl", claim_model.dump(claim for claim, _ in every))
    write_atomic(folder / "verdicts.jsonl", claim_verdict.dump(verdict for _, verdict in every))
    write_json(folder / "review.json", json.loads(json.dumps(plain(draft))))


def write_ratings(given: Sequence[Rating], folder: Path) -> None:
    """Write ``reviews.jsonl``, if there are any."""
    if given:
        write_atomic(folder / "reviews.jsonl", ratings.dump(given))


def write_model(found: Sequence[Proposal], folder: Path) -> None:
    """Write ``proposals.jsonl``."""
    write_atomic(folder / "proposals.jsonl", passage_proposals.dump(found))


def plain(draft: Draft) -> dict[str, Any]:
    """Return a draft as plain values, without its claims."""
    return {
        "question": draft.question,
        "facets": draft.facets,
        "abstract": [asdict(one) for one in draft.abstract],
        "method": [asdict(one) for one in draft.method],
        "answers": [asdict(one) for one in draft.answers],
        "included": [claim.id for claim, _ in draft.checked],
        "near": [claim.id for claim, _ in draft.near],
        "conflicts": [asdict(one) for one in draft.conflicts],
        "limits": [asdict(one) for one in draft.limits],
        "references": [
            {"work": json.loads(store_rows.dump(one.work)), "version": one.version, "claims": one.claims}
            for one in draft.references
        ],
        "flow": draft.flow.record(),
        "hidden": draft.hidden,
        "possible": draft.possible,
        "study": draft.study,
    }
