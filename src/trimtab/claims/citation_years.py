"""Citation marks in a statement against those of the passage it was taken from: right authors, right year?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trimtab.claims import citation_marks
from trimtab.claims.claim_verdict import Flag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trimtab.claims.claim_model import Citation, Claim
    from trimtab.claims.passages import Passage


def years(claim: Claim, passages: Sequence[Passage]) -> Iterable[Flag]:
    """Yield a flag for each cited year that the passage gives otherwise, and for each author it does not cite there."""
    telling = next((passage for passage in passages if passage.finding in ("verbatim", "supported", "partial")), None)
    if telling is None:
        return
    marks = citation_marks.citations(" ".join(span.text for span in telling.spans))
    there = [mark for mark in marks if mark.authors]
    for cited in (mark for mark in claim.citations if mark.authors):
        same = [mark for mark in there if _first_author(mark) == _first_author(cited)]
        printed = ", ".join(dict.fromkeys(mark.text for mark in same or there))
        if same and cited.year not in {mark.year for mark in same}:
            yield Flag(name="citation year", text=f"cited as {cited.text}; the source says {printed}")
        elif there and not same:
            yield Flag(name="citation", text=f"{cited.text} is not cited there; the source cites {printed}")


def _first_author(citation: Citation) -> str:
    return re.split(r"\s", citation.authors, maxsplit=1)[0].casefold()
