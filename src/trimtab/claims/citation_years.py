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
    telling = next((one for one in passages if one.finding in ("verbatim", "supported", "partial")), None)
    if telling is None:
        return
    text = " ".join(span.text for span in telling.spans)
    there = [one for one in citation_marks.citations(text) if one.authors]
    for cited in (one for one in claim.citations if one.authors):
        same = [one for one in there if _first_author(one) == _first_author(cited)]
        if same and cited.year not in {one.year for one in same}:
            right = ", ".join(dict.fromkeys(one.text for one in same))
            yield Flag(name="citation year", text=f"cited as {cited.text}; the source says {right}")
        elif not same and there:
            others = ", ".join(dict.fromkeys(one.text for one in there))
            yield Flag(name="citation", text=f"{cited.text} is not cited there; the source cites {others}")


def _first_author(citation: Citation) -> str:
    return re.split(r"\s", citation.authors, maxsplit=1)[0].casefold()
