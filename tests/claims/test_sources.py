"""What a report is checked against: never itself, and each text under every name it is cited by."""

import pytest

from trimtab.claims.name_registry import Registry
from trimtab.claims.sources import Sources, copy_of, long_sentences
from trimtab.documents import reader
from trimtab.documents.document_store import DocumentStore
from trimtab.documents.work import Identifiers, Work

REGISTRY = Registry.load()
SENTENCES = [
    f"Sentence number {word} says something of its own here." for word in ("one", "two", "three", "four", "five")
]
REPORT = "# Report\n\n" + "\n\n".join(SENTENCES)


def read(text, name):
    return reader.read_bytes(text.encode(), name)


@pytest.mark.parametrize(
    ("text", "name", "reason"),
    [
        (REPORT, "copy.md", "it is the report under check"),
        ("# Else\n\nAnother text.\n", "report.md", "it has the path of the report under check"),
        ("# Moved\n\n" + " ".join(SENTENCES), "moved.txt", "it repeats 5 of the report's 5 sentences"),
        ("\n\n".join(SENTENCES[:4]), "most.md", "it repeats 4 of the report's 5 sentences"),
        ("\n\n".join(SENTENCES[:3]), "some.md", ""),
        ("# Paper\n\n" + SENTENCES[0], "paper.md", ""),
    ],
)
def test_a_copy_of_the_report_is_no_source(text, name, reason):
    report = read(REPORT, "report.md")
    document = read(text, name)
    assert copy_of(document, report, long_sentences(report)) == reason
    sources = Sources.build([document], [], REGISTRY, report)
    assert [(file.path, file.reason) for file in sources.left_out] == ([(name, reason)] if reason else [])
    assert len(sources.documents) == (not reason)


@pytest.mark.parametrize(
    ("cite", "found"),
    [
        ("arxiv:2408.15664", True),
        ("ARXIV:2408.15664 ", True),
        ("2408.15664v2.md", True),
        ("doi:10.1000/abc", True),
        ("auxiliary-loss-free load balancing", True),
        ("Wang, L. (2024). Auxiliary-Loss-Free Load Balancing. Preprint.", True),
        ("Wang, L. (2024). Load Balancing. Preprint.", False),
        ("arxiv:2408.15665", False),
        ("", False),
    ],
)
def test_names_a_text_is_cited_by(cite, found):
    paper = read("# Auxiliary-Loss-Free Load Balancing\n\nText.\n", "2408.15664v2.md")
    work = Work(id="doi:10.1000/abc", title=paper.title, ids=Identifiers(doi="10.1000/abc", arxiv="2408.15664"))
    sources = Sources.build([paper, read("# Other\n\nText.\n", "other.md")], [work], REGISTRY)
    assert sources.texts_of(cite) == (frozenset({paper.sha256}) if found else frozenset())
    assert sources.documents[0].work == work.id


def test_a_corpus_and_its_documents_give_the_same_sources():
    paper = read("| Model | HumanEval |\n|---|---|\n| GPT-4o | 90.2 |\n", "paper.md")
    with DocumentStore(":memory:") as corpus:
        corpus.add(paper)
        stored = Sources.of(corpus, REGISTRY)
    built = Sources.build([paper], [], REGISTRY)
    assert stored.documents == built.documents
    assert stored.vocabulary == built.vocabulary
    assert "gpt4o" in "".join(stored.vocabulary)
