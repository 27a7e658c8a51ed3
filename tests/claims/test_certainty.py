"""Certainty in GRADE's words: a downgrade a reason, never below "very low", none without evidence."""

import pytest

from trimtab.claims import certainty
from trimtab.claims.claim_verdict import Agreement, Evidence, EvidenceTarget, Fidelity, Stance
from trimtab.errors import ClaimError


def evidence(work, *, backend="passage", stance=Stance.SUPPORTS, quote="", mismatches=()):
    target = EvidenceTarget(kind="span", document=f"{work}.md", work=work, quote=quote)
    return Evidence(backend=backend, stance=stance, why="", target=target, mismatches=mismatches)


def rated(*found, fidelity=Fidelity.SUPPORTED, agreement=Agreement.NONE):
    return certainty.rate(fidelity, agreement, found)


@pytest.mark.parametrize(
    ("found", "agreement", "word", "downgrades"),
    [
        ((evidence("a"), evidence("b")), Agreement.AGREES, "high", []),
        ((evidence("a"),), Agreement.NONE, "moderate", ["risk of bias"]),
        ((evidence("a"), evidence("b")), Agreement.CONTESTED, "moderate", ["inconsistency"]),
        ((evidence("a"), evidence("b", mismatches=("scale",))), Agreement.NONE, "moderate", ["indirectness"]),
        ((evidence("a", backend="table", quote="1.5"),), Agreement.NONE, "low", ["risk of bias", "imprecision"]),
        ((evidence("a", backend="table", quote="1.5 ± 0.1"),), Agreement.NONE, "moderate", ["risk of bias"]),
        (
            (evidence("a", backend="table", stance=Stance.INCONCLUSIVE, mismatches=("scale",)),),
            Agreement.DISAGREES,
            "very low",
            ["inconsistency", "risk of bias", "indirectness", "imprecision"],
        ),
    ],
)
def test_each_downgrade_is_one_step_and_named(found, agreement, word, downgrades):
    rating = rated(*found, agreement=agreement)
    assert rating.word == word
    assert [one.split(":")[0] for one in rating.downgrades] == downgrades


def test_what_found_nothing_has_no_certainty():
    assert rated().word == ""
    assert rated(evidence("a", stance=Stance.NEUTRAL)).word == ""
    assert rated(evidence("a"), fidelity=Fidelity.NOT_FOUND).word == ""


@pytest.mark.parametrize("text", ["[c01]\nword = 'high'", "c01 = 1", "[c01", "[c01]\nword='sure'\nreason=''\nby=''"])
def test_an_override_needs_a_word_a_reason_and_a_name(tmp_path, text):
    path = tmp_path / "words.toml"
    path.write_text(text)
    with pytest.raises(ClaimError):
        certainty.overrides(path)
