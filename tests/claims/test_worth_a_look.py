"""What of an open sentence is worth a look, and what is not: true sentences, and the same with one thing changed."""

import pytest

from trimtab.claims import report_claims, verdict_rules
from trimtab.claims.claim_verdict import Fidelity
from trimtab.claims.name_registry import Registry
from trimtab.claims.sources import Sources
from trimtab.documents import reader

REGISTRY = Registry.load()
PAPER = """# Results

| Method | Retrieval rate | Latency | KS p-value |
|---|---|---|---|
| Flat store | 58.3 | 412 | 0.024 |
| Sorted store | 61.7 | 398 | 0.650 |
| Ours (tree) | 72.9 | 371 | 0.311 |

| Language | Recall | Macro-averaged precision |
|---|---|---|
| Basque | 78.4 | 79.1 |
| Welsh | 65.2 | 88.6 |
"""
SOURCES = Sources.build([reader.read_bytes(PAPER.encode(), "paper.md")], [], REGISTRY)


def verdict(text):
    """Return the verdict on the last sentence of a report."""
    report = reader.read_bytes(f"# Report\n\n{text}\n".encode(), "report.md")
    return verdict_rules.check(report_claims.claims(report, REGISTRY, SOURCES.vocabulary)[-1], SOURCES)


# What differs is named in the flag, with the cell beside it.
CHANGED = [
    ("Quantized as its authors had it, the flat store, they say, had a retrieval rate of {}.", "58.3", "56.1"),
    ("With caching off, the sorted store answers at a retrieval rate of {}.", "61.7", "60.2"),
    ("The flat store is borderline (KS p = {}), a mild deviation.", "0.024", "0.042"),
    ("On the whole, the mean precision of Basque was at {}, oddly.", "79.1", "71.9"),
    ("Latency is 412 for the flat store, and our tree brought it to {}.", "371", "317"),
    ("We tried the flat store. In the end its retrieval rate was {}, oddly.", "58.3", "55.0"),
]


@pytest.mark.parametrize(("sentence", "right", "wrong"), CHANGED)
def test_a_number_that_fits_nothing_it_leads_to_is_shown_with_the_nearest_cell(sentence, right, wrong):
    assert not verdict(sentence.format(right)).worth_a_look
    found = verdict(sentence.format(wrong))
    assert found.fidelity in (Fidelity.NOT_FOUND, Fidelity.PARTIAL)
    (flag,) = found.worth_a_look
    assert flag.name == "worth a look"
    assert flag.text.startswith(wrong)
    assert right in flag.text
    assert "paper.md: table" in flag.text


@pytest.mark.parametrize(
    "sentence",
    [
        "As for the flat store and the sorted store, the retrieval rate was, all told, {} against {}.",
        "Retrieval rates, by our count, were {} for the flat store and {} for the sorted store.",
        "By our count the flat store ({}) and the sorted store ({}) had these retrieval rates.",
    ],
)
def test_values_at_each_others_names_are_shown(sentence):
    assert not verdict(sentence.format("58.3", "61.7")).worth_a_look
    (flag,) = verdict(sentence.format("61.7", "58.3")).worth_a_look
    assert "at each other's names" in flag.text


@pytest.mark.parametrize(
    "sentence",
    [
        "The flat store gained 3.4 points in retrieval rate over the years.",
        "The flat store kept its retrieval rate in the interval [57.1, 59.2] all along.",
        "The flat store is covered by Assumption 58.1.2 on its retrieval rate.",
        "We gave 57.9 % of the budget to all stores, whatever the method.",
        "The retrieval rate of the flat store was above 55.0 for all of us.",
        "Its retrieval rate was 12.9 in a store that nobody has seen.",
    ],
)
def test_other_numbers_are_not_shown(sentence):
    assert not verdict(sentence).worth_a_look


def test_what_does_not_add_up_is_shown_without_any_table():
    (flag,) = verdict("Kestrel-8B rises from 62.2 to 71.3, a 7.1-point gain.").worth_a_look
    assert flag.name == "numbers do not add up"


def test_a_decided_claim_has_no_flag():
    right = verdict("The Latency of Flat store is 412.")
    assert right.fidelity.holds
    assert not right.worth_a_look
    accused = verdict("The Latency of Flat store is 432.")
    assert accused.fidelity.fails
    assert not accused.worth_a_look
