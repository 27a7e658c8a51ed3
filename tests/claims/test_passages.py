"""What a passage says about a statement: word for word, nearly, in part, or turned around."""

import pytest

from trimtab.claims.name_registry import Registry
from trimtab.claims.passages import Passages, Statement
from trimtab.documents.reader import read_bytes

REGISTRY = Registry.load()
SAID = "Instruction-tuned models gain 3.2 points over base models on HumanEval when prompts are long."


def find(statement, *texts):
    documents = [read_bytes(f"# Paper\n\n{text}\n".encode(), f"{index}.md") for index, text in enumerate(texts)]
    passages = Passages(documents, REGISTRY)
    names = tuple(one.id for one in REGISTRY.find(statement, ("models", "benchmarks")))
    found = passages.find(
        Statement(text=statement, whole=statement, names=names), frozenset(one.sha256 for one in documents)
    )
    return (found[0].finding if found else "none"), found


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        (SAID, "verbatim"),
        (SAID.replace("when prompts are long", "when the prompts are quite long"), "supported"),
        (SAID.replace("3.2", "4.2"), "contradicted"),
        (SAID.replace("gain", "do not gain"), "contradicted"),
        (SAID.replace("HumanEval", "MBPP"), "misattributed"),
        ("Bananas are yellow and grow in warm countries near the sea.", "none"),
    ],
)
def test_findings(statement, finding):
    assert find(statement, SAID)[0] == finding


def test_the_place_is_exact():
    _, found = find(SAID, f"Before it. {SAID} After it.")
    document = found[0].document
    assert document.text[found[0].start : found[0].end] in SAID
    assert len(document.text[found[0].start : found[0].end]) > len(SAID) - 5


def test_a_document_that_is_not_asked_says_nothing():
    document = read_bytes(f"# P\n\n{SAID}\n".encode(), "a.md")
    assert Passages([document], REGISTRY).find(Statement(text=SAID, whole=SAID, names=()), frozenset()) == []


@pytest.mark.parametrize(
    ("statement", "marked"),
    [
        (SAID, [SAID[:-1]]),
        (
            "Instruction-tuned models gain 3.2 points on HumanEval.",
            ["Instruction-tuned models gain 3.2 points", "HumanEval"],
        ),
        (SAID.replace("3.2", "4.2"), ["Instruction-tuned models gain", SAID[SAID.index("points") : -1]]),
    ],
)
def test_only_the_words_they_share_are_matched(statement, marked):
    _, found = find(statement, f"Before it. {SAID} After it.")
    text = found[0].document.text
    assert [text[start:end] for start, end in found[0].matched] == marked
