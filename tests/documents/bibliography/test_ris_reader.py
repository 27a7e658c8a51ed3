"""RIS: what records say, what is refused with its place, and agreement with rispy."""

import pytest
import rispy
from hypothesis import given
from hypothesis import strategies as st

from trimtab.documents.bibliography import ris_reader
from trimtab.errors import DocumentError

FILE = """\ufeff1.
TY  - JOUR
ID  - yu2025
AU  - Yu, Zhaojian
A1  - The BigCode Team
TI  - HumanEval Pro and
 MBPP Pro
PY  - 2025/07/01/
T2  - Findings of ACL
UR  - https://doi.org/10.18653/V1/x.1
AB  - We
  measure.
ER  -

Record #2 of 2
TY  - UNPB
T1  - Auxiliary-Loss-Free Load Balancing
UR  - https://arxiv.org/abs/2408.15664v1
ER  - \n"""


def test_works_as_a_person_would_list_them():
    first, second = ris_reader.read(FILE.lstrip("\ufeff"), "refs.ris")
    assert (first.id, first.title, first.year) == ("doi:10.18653/v1/x.1", "HumanEval Pro and MBPP Pro", 2025)
    assert [str(one) for one in first.authors] == ["Yu, Zhaojian", "The BigCode Team"]
    assert (first.abstract, first.versions[0].venue) == ("We measure.", "Findings of ACL")
    assert first.found_by == ("refs.ris#yu2025",)
    assert (second.id, second.versions[0].name, second.year) == ("arxiv:2408.15664", "v1", None)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("TI  - x\nER  -", "line 1: TI stands outside a record"),
        ("\nhello\n", "it holds no record"),
        ("TY  - JOUR\nID  - a\nTI  - x\nTY  - BOOK", "line 4, entry 'a': a record begins before the one of line 1"),
        ("\nTY  - JOUR\nID  - a\nTI  - x", "line 2, entry 'a': the record is not closed"),
        ("TY  - JOUR\nID  - a\nER  -", "line 1, entry 'a': it has no title"),
        ("TY  - JOUR\nTI  - x\nPY  - soon\nER  -", "line 3, entry 'record of line 1': 'soon' is no year"),
        ("TY  - JOUR\nID  - a\nTI  - x\nDO  - 11.1\nER  -", "line 4, entry 'a': '11.1' is no DOI"),
    ],
)
def test_a_malformed_file_is_refused_with_its_place(text, told):
    with pytest.raises(DocumentError) as caught:
        ris_reader.read(text, "refs.ris")
    assert caught.value.message.startswith("refs.ris")
    assert told in caught.value.message


text_ = st.text(st.characters(categories=["Lu", "Ll", "Nd"], max_codepoint=0x17F), min_size=1, max_size=20)


@given(st.lists(st.tuples(text_, st.integers(1900, 2030), st.lists(text_, max_size=3)), max_size=4))
def test_rispy_reads_the_same(records):
    file = "".join(
        f"TY  - JOUR\nID  - k{index}\nTI  - {title}\nPY  - {year}\n"
        + "".join(f"AU  - {name}, A.\n" for name in people)
        + "ER  - \n\n"
        for index, (title, year, people) in enumerate(records)
    )
    ours, theirs = ris_reader.read(file, "x.ris"), rispy.loads(file) if records else []
    assert [work.title for work in ours] == [one["title"] for one in theirs]
    assert [str(work.year) for work in ours] == [one["year"] for one in theirs]
    assert [list(map(str, work.authors)) for work in ours] == [one.get("authors", []) for one in theirs]
