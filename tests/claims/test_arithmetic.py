"""Equality at the claim's precision, against exact arithmetic."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.claims import report_claims, verdict_rules
from trimtab.claims.arithmetic import attainable, same, scales
from trimtab.claims.claim_model import Quantity
from trimtab.claims.name_registry import Registry
from trimtab.claims.sources import Sources
from trimtab.documents import reader


@pytest.mark.parametrize(
    ("claimed", "found", "word"),
    [
        ("96.2", "96.2", "equal"),
        ("96", "96.2", "equal"),
        ("96.25", "96.2", "finer"),
        ("96.20", "96.2", "equal"),
        ("78.6", "78.66", "truncated"),
        ("78.7", "78.66", "equal"),
        ("0.5", "0.45", "equal"),
        ("0.4", "0.45", "equal"),
        ("96.2", "97.6", "different"),
        ("59.6", "54.9", "different"),
    ],
)
def test_same(claimed, found, word):
    quantity = Quantity(text=claimed)
    assert same(quantity.value, quantity.decimals, Decimal(found)) == word


@pytest.mark.parametrize(
    ("hedge", "found", "word"),
    [("over", "91.2", "equal"), ("over", "90", "different"), ("under", "89", "equal"), ("about", "91", "equal")],
)
def test_hedges(hedge, found, word):
    assert same(Decimal(90), 0, Decimal(found), hedge) == word


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 99999), st.integers(0, 4), st.integers(0, 4))
def test_a_rounded_value_is_always_equal_to_what_it_was_rounded_from(digits, decimals, kept):
    exact = Decimal(digits).scaleb(-decimals)
    claimed = round(exact, min(kept, decimals))
    assert same(claimed, min(kept, decimals), exact) == "equal"


def test_shares_and_per_cent():
    assert Decimal("54.90") in scales(Quantity(text="54.9", unit="%"), Decimal("0.549"), "")
    assert scales(Quantity(text="54.9", unit="%"), Decimal("54.9"), "%") == (Decimal("54.9"),)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.integers(0, 2), st.data())
def test_attainable_accepts_every_k_of_n(count, decimals, data):
    k = data.draw(st.integers(0, count))
    score = Decimal(f"{float(Fraction(100 * k, count)):.{decimals + 6}f}")
    assert attainable(round(score, decimals), decimals, (count,))[count]


def test_attainable_against_brute_force():
    """Of all one-decimal scores, those of 164 problems are exactly the 165 fractions, rounded or cut off."""
    held = {Decimal(tenth).scaleb(-1) for tenth in range(1001) if attainable(Decimal(tenth).scaleb(-1), 1, (164,))[164]}
    tenths = {Fraction(1000 * k, 164) for k in range(165)}
    expected = {Decimal(int(one)).scaleb(-1) for one in tenths} | {Decimal(round(one)).scaleb(-1) for one in tenths}
    assert held == expected


SHARES = """| Fusion | Recall@10 | MRR |
|---|---|---|
| NASF | 0.72 | 0.512 |
| Naive Fusion | 0.65 | 0.433 |
"""


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("supported", "NASF outperforms naive fusion by +7 percentage points on recall@10."),
        ("supported", "NASF outperforms naive fusion by 0.07 on recall@10."),
        ("supported", "NASF outperforms naive fusion by 7.9 points on MRR."),
        ("supported", "NASF reaches 72.0 on recall@10."),
        ("contradicted", "NASF outperforms naive fusion by 9 points on recall@10."),
        ("contradicted", "NASF outperforms naive fusion by 0.09 on recall@10."),
        ("contradicted", "NASF reaches 75.0 on recall@10."),
    ],
)
def test_a_share_may_be_told_in_per_cent(word, sentence):
    registry = Registry.load()
    sources = Sources.build([reader.read_bytes(SHARES.encode(), "paper.md")], [], registry)
    claim = report_claims.claim(sentence, registry, sources.vocabulary)
    assert verdict_rules.check(claim, sources).fidelity == word
