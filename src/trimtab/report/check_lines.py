"""What `trimtab evidence check` prints: each decided claim with what was found and where, then what was not decided."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from trimtab.claims.claim_model import Kind
from trimtab.claims.claim_verdict import Fidelity, Stance
from trimtab.errors import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trimtab.claims.claim_model import Claim
    from trimtab.claims.claim_verdict import ClaimVerdict
    from trimtab.review.report_check import ReportCheck

_WIDTH: Final = 160


def lines(check: ReportCheck, *, every: bool = False) -> Iterator[str]:
    """Yield the lines of a check.

    Args:
        check: What was found.
        every: Show every claim, not only numbers and comparisons that were decided or read in part.
    """
    if not check.checked:
        yield "nothing to check: no sentence or table of the report says anything about a system or a benchmark"
    yield from _claims(check, every=every)
    yield from (f"not read: {file.path}: {file.reason}" for file in check.unread)
    yield from (f"left out: {file.path}: {file.reason}" for file in check.sources.left_out)
    if check.findings:
        yield ""
    for finding in check.findings:
        yield f"{finding.rule}: {finding.text}"


def _claims(check: ReportCheck, *, every: bool) -> Iterator[str]:
    """Yield the accused claims, then those that are worth a look, then the others, then the counts."""
    left: Counter[str] = Counter()
    for claim, verdict in check.checked:
        if verdict.fidelity.fails:
            yield from _claim(claim, verdict)
    looks = [(claim, verdict) for claim, verdict in check.checked if verdict.worth_a_look]
    yield from _looks(looks)
    for claim, verdict in check.checked:
        if verdict.fidelity.fails or verdict.worth_a_look:
            continue
        numeric = claim.kind in (Kind.NUMERIC, Kind.COMPARISON)
        if every or (numeric and (verdict.fidelity.holds or verdict.fidelity is Fidelity.PARTIAL)):
            yield from _claim(claim, verdict)
        else:
            left[verdict.fidelity.value] += 1
    if left:
        names = ", ".join(f"{name} {count}" for name, count in left.most_common())
        yield f"not shown: {counted(sum(left.values()), 'claim')} ({names}); --all shows them"
    if check.checked:
        counts = Counter(verdict.fidelity.value for _, verdict in check.checked)
        names = ", ".join(f"{count} {name}" for name, count in counts.most_common())
        yield f"{counted(len(check.checked), 'claim')}: {names}{f'; {len(looks)} worth a look' if looks else ''}"


def _looks(checked: Sequence[tuple[Claim, ClaimVerdict]]) -> Iterator[str]:
    """Yield the claims that are worth a look, each with what does not fit."""
    if checked:
        yield "worth a look (nothing is decided):"
    for claim, verdict in checked:
        yield f"{claim.id}  {_short(claim.statement)}"
        yield from (f"     {flag.text}" for flag in verdict.worth_a_look)
    if checked:
        yield ""


def _claim(claim: Claim, verdict: ClaimVerdict) -> Iterator[str]:
    partly = verdict.fidelity is Fidelity.PARTIAL and claim.unread
    words = verdict.words.replace("partial", "partly read", 1) if partly else verdict.words
    yield f"{claim.id}  {words:34} {_short(claim.statement)}"
    if claim.unread:
        yield f"     not understood: {', '.join(map(repr, claim.unread))}"
    wanted = set(Stance) - {Stance.NEUTRAL}
    if verdict.fidelity.holds or verdict.fidelity.fails:
        wanted = {Stance.SUPPORTS if verdict.fidelity.holds else Stance.REFUTES}
    deciding = [piece for piece in verdict.evidence if piece.stance in wanted]
    for piece in deciding[:1] if verdict.fidelity.holds else deciding[:3]:
        if piece.target is not None:
            place = f"{piece.target.document}: {piece.target.location}"
            yield f"     {_short(piece.why if piece.backend != 'passage' else piece.target.quote)}  [{place}]"
    yield from (f"     home: {home.document}: {home.location}" for home in verdict.homes)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}\u2026"
