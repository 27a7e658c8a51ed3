"""Sentences end where readers see them end, and lose no letter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.documents.sentences import split


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? four.", ["One.", "Two!", "Three? four."]),
        (
            "We follow Zheng et al. (2023) and Fig. 3. It holds.",
            ["We follow Zheng et al. (2023) and Fig. 3.", "It holds."],
        ),
        ("Python 3. 11 is v2.5 of J. Doe.", ["Python 3.", "11 is v2.5 of J. Doe."]),
        ('He said "no." (See above.) Yes', ['He said "no."', "(See above.)", "Yes"]),
        ("", []),
    ],
)
def test_split(text, sentences):
    assert [text[start:end] for start, end in split(text)] == sentences


@given(st.text())
def test_nothing_but_white_space_is_lost(text):
    kept = "".join(text[start:end] for start, end in split(text))
    assert "".join(kept.split()) == "".join(text.split())
