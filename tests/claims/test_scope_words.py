"""What a heading, a caption, a header or an earlier sentence says of all numbers below it keeps them apart."""

import pytest

from trimtab.claims import report_claims, verdict_rules
from trimtab.claims.name_registry import Registry
from trimtab.claims.sources import Sources
from trimtab.documents import reader

REGISTRY = Registry.load()
SOURCE = """# Results

| Model | MMLU | GSM8K |
|---|---|---|
| Heron-7B | 74.2 | 85.4 |
| Plover-8B | 66.6 | 57.6 |
"""
ROWS = "\n\n| Model | MMLU | GSM8K |\n|---|---|---|\n| Heron-7B | 72.1 | 83.9 |\n| Plover-8B | 63.4 | 52.0 |\n"
OTHER_NUMBERS = [
    "# Dev split\n\nHeron-7B scores 75.9 on MMLU.",
    "# Notes\n\n## With 4-bit weights\n\nHeron-7B scores 71.9 on MMLU. Plover-8B beats Heron-7B on MMLU.",
    "# Our replication\n\nAll numbers below come from our own harness on a subset.\n\nPlover-8B scores 64.0 on MMLU.",
    "# Hypotheses\n\nWe wanted to test these:\n\n- Plover-8B beats Heron-7B on MMLU.",
    "# Notes\n\nThe following statements of the draft were wrong.\n\n- Heron-7B scores 71.9 on MMLU.",
    "# Notes\n\n*All numbers in this section are zero-shot.*\n\nHeron-7B scores 71.9 on MMLU.",
    "# Queries in German\n\nHeron-7B scores 71.9 on MMLU.",
    "# README\n\nTable A: our models quantized to 4 bits, MMLU 0-shot." + ROWS,
    "# README\n\nEnergy in kWh for one pass over each benchmark." + ROWS,
    "# README\n\nMinutes needed per benchmark:" + ROWS,
    "# Error rates\n\nBelow we give error rates, not accuracies." + ROWS,
    "# README" + ROWS.replace("MMLU", "MMLU (subset)").replace("GSM8K", "GSM8K error"),
    "# README" + ROWS.replace("MMLU", "MMLU rank").replace("GSM8K", "\u0394 GSM8K"),
    "# README" + ROWS.replace("Model", "Model (4-bit)"),
    "# README" + ROWS.replace("72.1", "+7.6").replace("83.9", "+1.5").replace("63.4", "+2.0").replace("52.0", "+9.9"),
]
SAME_NUMBERS = [
    "# README" + ROWS,
    "# README\n\n## Main results" + ROWS,
    "# A paper\n\n## 4.2 Evaluation results\n\nHeron-7B scores 71.9 on MMLU.",
    "# A paper\n\nTable 3: Accuracy of all models." + ROWS,
]


def verdicts(report):
    document = reader.read_bytes(report.encode(), "report.md")
    sources = Sources.build([reader.read_bytes(SOURCE.encode(), "paper.md")], [], REGISTRY)
    claims = report_claims.claims(document, REGISTRY, sources.vocabulary)
    assert claims
    return [verdict_rules.check(claim, sources).fidelity for claim in claims]


@pytest.mark.parametrize("report", OTHER_NUMBERS)
def test_numbers_that_something_above_sets_apart_are_held_against_nothing(report):
    assert not any(fidelity.fails for fidelity in verdicts(report))


@pytest.mark.parametrize("report", SAME_NUMBERS)
def test_numbers_that_nothing_sets_apart_are(report):
    assert any(fidelity.fails for fidelity in verdicts(report))


@pytest.mark.parametrize("heading", ["Dev split", "With 4-bit weights", "MMLU error", "On Wren-13B"])
def test_a_setting_above_a_sentence_keeps_it_from_being_supported(heading):
    assert not any(fidelity.holds for fidelity in verdicts(f"# {heading}\n\nHeron-7B scores 74.2 on MMLU."))
    assert all(fidelity.holds for fidelity in verdicts("# Results\n\nHeron-7B scores 74.2 on MMLU."))


def test_a_header_of_another_quantity_keeps_a_cell_from_being_supported():
    table = "# README\n\n| Model | MMLU error | MMLU (SD) |\n|---|---|---|\n| Heron-7B | 74.2 | 74.2 |\n"
    assert not any(fidelity.holds for fidelity in verdicts(table))


def test_a_number_in_a_heading_is_not_the_sources_because_a_name_there_has_it():
    source = "# Results\n\nTable 1: Llama-2 at different widths.\n\n| Method | Bits | PPL |\n|---|---|---|\n"
    source += "| GPTQ | 3 | 8.06 |\n| AWQ | 3 | 6.24 |\n"
    sources = Sources.build([reader.read_bytes(source.encode(), "paper.md")], [], REGISTRY)
    for heading, set_apart in (("At 2 bits", True), ("Results", False)):
        report = reader.read_bytes(f"# {heading}\n\nGPTQ beats AWQ in perplexity.\n".encode(), "r.md")
        (claim,) = report_claims.claims(report, REGISTRY, sources.vocabulary)
        assert verdict_rules.check(claim, sources).fidelity.fails is not set_apart
