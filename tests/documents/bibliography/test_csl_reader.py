"""CSL-JSON: what items say, and what is refused with its place."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.documents.bibliography import csl_reader
from trimtab.errors import DocumentError

FILE = """[
  {"id": "yu", "type": "paper-conference", "title": "HumanEval Pro", "DOI": "10.18653/V1/X",
   "author": [{"family": "Beethoven", "given": "L.", "non-dropping-particle": "van"}, {"literal": "The Team"}],
   "issued": {"date-parts": [["2025", 7]]}, "container-title": ["Findings"],
   "abstract": "<jats:p>We measure.</jats:p>"},
  {"id": 7, "title": "Preprint", "URL": "https://arxiv.org/abs/2408.15664v3", "issued": {"raw": "2024-08"}}
]
"""


def test_works_as_a_person_would_list_them():
    first, second = csl_reader.read(FILE, "refs.json")
    assert (first.id, first.year, first.abstract) == ("doi:10.18653/v1/x", 2025, "We measure.")
    assert [str(one) for one in first.authors] == ["van Beethoven, L.", "The Team"]
    assert (first.versions[0].venue, first.found_by) == ("Findings", ("refs.json#yu",))
    assert (second.id, second.year, second.versions[0].name) == ("arxiv:2408.15664", 2024, "v3")
    assert second.found_by == ("refs.json#7",)


def test_one_item_alone_is_a_list_of_one():
    (work,) = csl_reader.read('{"id": "a", "title": "x", "issued": {"date-parts": [[null]]}}', "x.json")
    assert (work.id, work.year) == ("a", None)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "line 1: it is no JSON"),
        ('[\n{"id": "a", "title": "x"},\n{"id": "a"]', "line 3: it is no JSON"),
        ('[{"id": "a", "title": "x"}\n{"id": "b"}]', "line 2: it is no JSON: Expecting ',' delimiter"),
        (
            '[{"id": "a", "title": "x"},\n{"id": "a", "title": "y"}]',
            "entry 'item 2': the id 'a' is used twice",
        ),
        ('[{"id": "a"}]', "entry 'a': it has no title"),
        ('[\n"a"]', "entry 'item 1': an item is an object"),
        ('[{"title": "x"}]', "entry 'item 1': the item has no id"),
        ('[{"id": "a", "title": {"x": 1}}]', "entry 'a': title is no text"),
        ('[{"id": "a", "title": "x", "issued": {"date-parts": [2020]}}]', "entry 'a': date-parts is no date"),
        ('[{"id": "a", "title": "x", "issued": "2020"}]', "entry 'a': issued is no date"),
        ('[{"id": "a", "title": "x", "author": [{"suffix": "Jr"}]}]', "entry 'a': an author has neither"),
        ('[{"id": "a", "title": "x", "author": "Me"}]', "entry 'a': author is no list"),
        ('[{"id": "a", "title": "x", "title": "y"}]', "refs.json: an object holds 'title' twice"),
        ('[{"id": "a", "title": NaN}]', "refs.json: NaN is no JSON"),
        ("[]\n[]", "line 2: it is no JSON: Extra data"),
    ],
)
def test_a_malformed_file_is_refused_with_its_place(text, told):
    with pytest.raises(DocumentError) as caught:
        csl_reader.read(text, "refs.json")
    assert caught.value.message.startswith("refs.json")
    assert told in caught.value.message


@given(st.lists(st.tuples(st.text(min_size=1), st.integers(1500, 2099)), max_size=5), st.sampled_from([None, 1]))
def test_any_title_and_year_comes_back(items, indent):
    items = [(title, year) for title, year in items if title.split()]
    text = json.dumps(
        [
            {"id": f"k{index}", "title": title, "issued": {"date-parts": [[year]]}}
            for index, (title, year) in enumerate(items)
        ],
        indent=indent,
    )
    works = csl_reader.read(text, "x.json")
    assert [(work.title, work.year) for work in works] == [(" ".join(title.split()), year) for title, year in items]
