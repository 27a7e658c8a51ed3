"""What stands around a claim says how its number came about: before it, in its paragraph, behind it, in its table."""

import pytest

from trimtab.claims import report_claims, verdict_rules
from trimtab.claims.name_registry import Registry
from trimtab.claims.sources import Sources
from trimtab.documents import reader

REGISTRY = Registry.load()
SOURCE = """# Results

Table 1: Accuracy on the development sets, mean of three runs.

| Model | MMLU | GSM8K |
|---|---|---|
| Heron-7B | 74.2 | 85.4 |
| Plover-8B | 66.6 | 57.6 |
| Egret-9B | 70.1 | 61.3 |
"""
ROWS = "\n\n| Model | MMLU | GSM8K |\n|---|---|---|\n| Heron-7B | 72.1 | 83.9 |\n| Plover-8B | 63.4 | 52.0 |\n"
TRUE = "Heron-7B scores 71.9 on MMLU."
OTHER_NUMBERS = {
    "a set-up sentence": "# Results\n\nThe adapters are merged into the weights. " + TRUE,
    "a set-up sentence, a paragraph before": "# Results\n\nAnswers were graded by hand.\n\nThe rest is here.\n\n"
    + TRUE,
    "a number of examples": "# Results\n\nWe show 16 examples in the prompt. " + TRUE,
    "a question": "# Results\n\nWhat happens with noisy prompts? " + TRUE,
    "a general remark": "# Results\n\nAt half of the context everything drops. " + TRUE,
    "somebody else": "# Results\n\nA reader wrote to us. " + TRUE,
    "text of the section above": "# Report\n\nAll models were pruned by hand.\n\n## Results\n\n" + TRUE,
    "a section of its own": "# Report\n\n## Experimental setup\n\nWe halve the learning rate.\n\n## Results\n\n" + TRUE,
    "a condition of the sentence before": "# R\n\nOn the private server, Plover-8B scores 60.2 on MMLU. " + TRUE,
    "a data set of the sentence before": "# R\n\nOn WrenBench, Heron-7B scores 61.9. Plover-8B scores 52.2 on MMLU.",
    "a pronoun": "# R\n\nWe also distil a Danish Heron-7B. It scores 60.0 on MMLU.",
    "a changed system": "# R\n\nHeron-7B was cut to half of its layers. The model scores 60.0 on MMLU.",
    "a title": "# Language models after 2M steps\n\n## Results\n\n" + TRUE,
    "a title that says which language": "# Question answering in Danish\n\n## Results\n\n" + TRUE,
    "a title of another benchmark": "# Adversarial MMLU\n\n## Numbers\n\n" + TRUE,
    "a heading right above a table": "# Report\n\nWe compare models.\n\n## After alignment" + ROWS,
    "a caption of one word": "# Report\n\nTable 2. Ranks." + ROWS,
    "the next sentence": f"# Results\n\n{TRUE} These values are for the small checkpoints.",
    "the next paragraph": f"# Results\n\n{TRUE}\n\nAll of these come from a run that crashed.",
    "a refuted quote": "# Results\n\n> Plover-8B is better than Heron-7B on MMLU.\n\nThis is a mistake.",
    "a note behind it": f"# Results\n\n{TRUE} Note the small number of epochs.",
    "words beside a value": "# S\n\n| Model | MMLU |\n|---|---|\n| Heron-7B | 71.0 (one epoch) |\n",
    "what is still to be done": "# Results\n\n- [ ] Plover-8B beats Heron-7B on MMLU.",
    "a note with a mark": "# Survey"
    + ROWS.replace("Heron-7B", "Heron-7B\u2020").replace("63.4", "66.6").replace("52.0", "57.6")
    + "\n\u2020 our rerun\n",
    "a remark in the row": "# S\n\n| Model | MMLU | Remark |\n|---|---|---|\n| Heron-7B | 71.0 | stopped early |\n",
    "another work in the row": "# S\n\n| Model | Taken from | MMLU |\n|---|---|---|\n| Heron-7B | [4] | 71.0 |\n",
    "ours beside theirs": "# S\n\n| Model | MMLU (paper) | MMLU (ours) |\n|---|---|---|\n| Heron-7B | 74.2 | 73.0 |\n",
    "for us": "# Results\n\nFor us, Heron-7B scores 73.1 on MMLU.",
    "a label above a list": "# Notes\n\nGoal:\n\n- Heron-7B scores 80.0 on MMLU.\n- Plover-8B scores 70.0 on MMLU.",
    "a label before a sentence": "# Notes\n\nGoal: Heron-7B reaches 80.0 on MMLU.",
    "a bold label": "# Notes\n\n**Guess.** Heron-7B scores 80.0 on MMLU.",
    "another split": "# Scores\n\n## Test set\n\n" + TRUE,
    "another cut-off": "# Scores\n\n## pass@10\n\n" + TRUE,
}
PLAIN = [
    "# A study of language models\n\n## Introduction\n\nLanguage models have become popular.\n\n## Results\n\n" + TRUE,
    "# Language models\n\nThis report summarizes the results of the paper.\n\n## Main results\n\n" + TRUE,
    "# Report\n\n## Results\n\nWe compare Heron-7B, Plover-8B and Egret-9B. " + TRUE,
    "# Report\n\n## Results\n\nHeron-7B is a dense model. " + TRUE,
    "# Report\n\n## Results\n\nTable 1 gives the results of all models. " + TRUE,
    "# Report\n\n## Results\n\nWe evaluate all models on MMLU. " + TRUE,
    "# Release notes\n\n## Key findings\n\n- Plover-8B scores 66.6 on MMLU.\n- " + TRUE,
    "# Results\n\nOur findings are as follows:\n\n- " + TRUE,
    f"# Results\n\n{TRUE} This shows that Heron-7B is a strong model.",
    "# Results\n\nAll models are strong. " + TRUE,
    "# Results\n\nThe results are in the table. The best are in bold." + ROWS,
    "# Report\n\n## Comparison with other models\n\nPlover-8B beats Heron-7B on MMLU.",
    "# Report\n\n## Results on MMLU\n\nEgret-9B is the best model on MMLU.",
    "# Development set\n\n" + TRUE,
    "# Report\n\n## Results\n\nPlover-8B scores 66.6 on MMLU. Egret-9B scores 70.1 on MMLU. " + TRUE,
]


def verdicts(report):
    document = reader.read_bytes(report.encode(), "report.md")
    sources = Sources.build([reader.read_bytes(SOURCE.encode(), "paper.md")], [], REGISTRY)
    claims = report_claims.claims(document, REGISTRY, sources.vocabulary)
    assert claims
    return [verdict_rules.check(claim, sources).fidelity for claim in claims]


@pytest.mark.parametrize("what", OTHER_NUMBERS)
def test_a_number_that_came_about_otherwise_is_not_accused(what):
    assert not any(fidelity.fails for fidelity in verdicts(OTHER_NUMBERS[what]))


@pytest.mark.parametrize("report", PLAIN)
def test_a_false_number_in_a_plain_report_is_contradicted(report):
    assert any(fidelity.fails for fidelity in verdicts(report))


def test_what_holds_in_one_section_does_not_hold_in_the_next():
    report = "# Report\n\n## Ablation\n\nThe encoder is frozen.\n\n## Results\n\n" + TRUE
    assert [fidelity.fails for fidelity in verdicts(report)] == [True]


def test_what_the_source_says_of_its_table_sets_nothing_apart():
    assert verdicts(f"# Report\n\n## Results\n\nWe report the mean of three runs. {TRUE}")[-1].fails


def test_what_is_said_of_one_system_holds_for_it_alone():
    said = "# Results\n\nPlover-8B was trained twice by its authors. "
    assert verdicts(said + TRUE)[-1].fails
    assert not verdicts(said + TRUE.replace("Heron-7B", "Plover-8B"))[-1].fails
    assert [fidelity.fails for fidelity in verdicts(said + ROWS)][-4:] == [True, True, False, False]


def test_a_note_is_of_the_lines_with_its_mark_alone():
    table = ROWS.replace("Heron-7B", "Heron-7B\u2020")
    assert [fidelity.fails for fidelity in verdicts(f"# Survey{table}\n\u2020 our rerun\n")] == [
        False,
        False,
        True,
        True,
    ]


def test_the_conditions_of_a_sentence_whose_values_a_table_has_are_the_tables():
    said = "In a careful comparison, Plover-8B scores 66.6 on MMLU and 57.6 on GSM8K. "
    assert verdicts("# Report\n\n" + said + TRUE)[-1].fails
    assert not verdicts("# Report\n\n" + said.replace("66.6", "61.0") + TRUE)[-1].fails
