"""References are held against records that are here; what is not here was not looked up, never invented."""

import pytest

from trimtab.claims import citation_marks
from trimtab.claims import question as asking
from trimtab.claims.name_registry import Registry
from trimtab.documents.reader import read_bytes
from trimtab.documents.work import Author, Identifiers, Retraction, Work
from trimtab.review import reference_check

REGISTRY = Registry.load()
KNOWN = Work(
    id="arxiv:2401.00001",
    title="Kestrels and the balancing of many experts",
    authors=(Author(family="Ångström", given="A."),),
    year=2024,
    ids=Identifiers(arxiv="2401.00001"),
)
RETRACTED = Work(
    id="doi:10.1234/gone",
    title="A result that was taken back by its authors",
    authors=(Author(family="Doe"),),
    year=2020,
    ids=Identifiers(doi="10.1234/gone"),
    retraction=Retraction(kind="retraction", notice="10.1234/notice"),
)
ELSEWHERE = Work(
    id="arxiv:2402.00002",
    title="Estimating the flow of water in pipes",
    authors=(Author(family="Roe"),),
    year=2024,
    ids=Identifiers(arxiv="2402.00002"),
    abstract="We measure pipes.",
)


def words(*entries, works=(KNOWN, RETRACTED, ELSEWHERE), question=""):
    listed = "\n".join(f"[{number}] {entry}\n" for number, entry in enumerate(entries, 1))
    report = read_bytes(f"# A report\n\n{question}\n\n## References\n\n{listed}".encode(), "report.md")
    question = asking.asked_in(report, REGISTRY)
    return reference_check.check(citation_marks.entries(report), works, REGISTRY, question=question)


@pytest.mark.parametrize(
    ("entry", "word", "reason"),
    [
        ("A. Angstrom. Kestrels and the balancing of many experts. arXiv:2401.00001, 2024.", "agrees", ""),
        ("Ångström et al. Kestrels and the Balancing of Many Experts, 2024.", "agrees", ""),
        ("https://arxiv.org/abs/2401.00001v2", "agrees", ""),
        ("Ångström. Kestrels and the balancing of many experts. arXiv:2401.00001, 2021.", "differs", "year: 2021"),
        ("Ångström. Kestrels and the balancing of many experts. Proc. X, arXiv:2401.00001, 2026.", "agrees", ""),
        ("Ångström. Kestrels and the balancing of many experts. Proc. X, arXiv:2401.00001, 2027.", "differs", "2027"),
        ("Ångström. Kestrels and balancing of many experts. arXiv:2401.00001, 2024.", "agrees", ""),
        ("Ångström. Kestrels and the weight of some birds. arXiv:2401.00001, 2024.", "differs", "title: the record"),
        ("Doe. A result that was taken back by its authors. doi:10.1234/gone, 2021.", "withdrawn", "10.1234/notice"),
        ("Roe. Estimating the flow of water in pipes. arXiv:2402.00002, 2023.", "differs", "year: 2023"),
        ("Smith. Kestrels and the balancing of many experts. arXiv:2401.00001, 2024.", "differs", "first is Ångström"),
        ("Ångström. On the flight of large birds. arXiv:2401.00001, 2024.", "differs", "title: the record says"),
        ("Doe. A result that was taken back by its authors. doi:10.1234/gone, 2020.", "withdrawn", "10.1234/notice"),
        ("Nobody. A work that no one here has heard of. arXiv:2405.12345, 2024.", "not looked up", "no database"),
    ],
)
def test_an_entry_is_held_against_the_record(entry, word, reason):
    (one,) = words(entry)
    assert one.word == word
    assert reason in "; ".join(one.reasons)


BANDITS = Work(id="b", title="Bandits with knapsacks", authors=(Author(family="Badanidiyuru", given="A."),), year=2013)
TUNING = Work(id="v", title="Visual Instruction Tuning", authors=(Author(family="Liu", given="H."),), year=2023)
SIGNED = Work(
    id="arxiv:2303.08774",
    title="GPT-4 Technical Report",
    authors=(Author(family="Achiam", given="Josh"), Author(family="Adler", given="Steven")),
    year=2024,
    ids=Identifiers(arxiv="2303.08774"),
)


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        ("Agrawal et al. Linear contextual bandits with knapsacks. 2016.", "not looked up"),  # part of a longer title
        ("Sun et al. Parrot: Multilingual Visual Instruction Tuning. 2025.", "not looked up"),
        ("Sun et al. Parrot: Visual Instruction Tuning. 2023.", "not looked up"),
        ("Roe. Visual instruction tuning via contextual modeling. 2023.", "not looked up"),
        ("Badanidiyuru, A., Roe, R.: Bandits with Knapsacks. In: FOCS (2013)", "agrees"),
        ("A. Badanidiyuru et al. (2013) \u201cBandits with knapsacks,\u201d in FOCS.", "agrees"),
        ("Badanidiyuru A. 2013 Bandits with knapsacks. FOCS.", "agrees"),
        ("Bandits with Knapsacks, Badanidiyuru et al., 2013", "agrees"),
        ("Badanidiyuru. Bandits with knapsacks. 2011.", "agrees"),  # a preprint that the record does not know
        ("Badanidiyuru. Bandits with knapsacks. 2010.", "differs"),
        ("Smithfield. Bandits with knapsacks. 2013.", "differs"),
        ("Smithfield. Bandits with knapsacks. 2003.", "not looked up"),  # another work of the same title
        ("OpenAI. GPT-4 Technical Report. arXiv:2303.08774, 2023.", "agrees"),  # a body, and the year of the number
        ("GPT-4 Team. GPT- 4 technical report. arXiv:2303.08774, 2024.", "agrees"),
        ("Smithfield et al. GPT-4 Technical Report. arXiv:2303.08774, 2024.", "differs"),
        ("GPT. GPT-4 Technical Report. arXiv:2303.08774, 2024.", "agrees"),
        ("P.-. Team, \u201cGPT-4 technical report,\u201d 2024. https://arxiv.org/abs/2303.08774", "agrees"),
        ("S. Adler, J. Achiam et al. GPT-4 Technical Report. arXiv:2303.08774, 2024.", "agrees"),
        (
            "S. Adler et al. GPT-4 Technical Report. arXiv:2303.08774, 2024.",
            "agrees",
        ),  # in the order of another version
        ("GPT-4 Technical Report. Smithfield et al. arXiv:2303.08774, 2024.", "differs"),
        ("\u201cGPT-4 Technical Report,\u201d Smithfield et al. arXiv:2303.08774, 2024.", "differs"),
        ("Achiam et al. GPT-4 Technical Report. arXiv:2303.08774, 2022.", "differs"),
    ],
)
def test_a_part_of_a_title_a_body_and_a_preprint_accuse_nobody(entry, word):
    (one,) = words(entry, works=(BANDITS, TUNING, SIGNED))
    assert one.word == word, one.reasons


def test_of_two_records_with_one_number_the_nearer_one_counts():
    ids = Identifiers(doi="10.1234/two")
    wrong, right = (
        Work(id=title[:4], title=title, ids=ids) for title in ("A theory of their food", "On the flight of kestrels")
    )
    (one,) = words("Roe. On the flight of kestrels. doi:10.1234/two, 2020.", works=(wrong, right))
    assert (one.word, one.work) == ("agrees", right.id)


def test_a_work_on_something_else_is_off_topic():
    question = "How robust is ALF-LB to expert capacity on HumanEval?"
    (one,) = words("Roe. Estimating the flow of water in pipes. arXiv:2402.00002, 2024.", question=question)
    assert one.word == "off topic"
