"""Numbers of one sentence that do not add up are found without any table; those that may be rounded are not."""

import pytest

from trimtab.claims.arithmetic import contradictions

# Each with a right and a wrong number.
SIZES = [
    ("It rises from 62.2 to 71.3, a {}-point gain.", "9.1", "8.1"),
    ("Kestrel outperforms Merlin by {} points (71.3 vs. 62.2).", "9.1", "7.4"),
    ("Accuracy went 62.2 % \u2192 71.3 % (+{} pp).", "9.1", "9.9"),
    ("Error drops from 31.4 % (Base) to 29.9 % (Full), a relative {} % decrease.", "4.8", "8.4"),
    ("It solves 45 of 60 problems ({} %).", "75", "57"),
    ("Latency falls from 120 ms to 60 ms, a {}x speed-up.", "2.0", "3.0"),
]


@pytest.mark.parametrize(("sentence", "right", "wrong"), SIZES)
def test_a_stated_size_has_to_follow_from_its_operands(sentence, right, wrong):
    assert list(contradictions(sentence.format(right))) == []
    (words,) = contradictions(sentence.format(wrong))
    assert wrong in words


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("The loss falls from 2.4 to 1.9.", "The loss rises from 2.4 to 1.9."),
        ("The rate drops from 21.6 % at 25 requests to 4.4 %.", "The rate drops from 4.4 % at 25 requests to 21.6 %."),
        ("Foo is higher than Bar (71.3 vs. 62.2).", "Foo is lower than Bar (71.3 vs. 62.2)."),
    ],
)
def test_a_direction_has_to_be_that_of_its_numbers(right, wrong):
    assert list(contradictions(right)) == []
    assert len(list(contradictions(wrong))) == 1


@pytest.mark.parametrize(
    "sentence",
    [
        "It rises from 62.2 to 71.3, a 9-point gain.",  # rounded
        "The gap closes from 6.02 to 5.98, a 0.1-point change.",
        "Accuracy collapses across all dimensions from 512 to 1024.",  # a range
        "Throughput will decrease from 4 to 8 threads.",
        "Goodput decreases by 37% as load increases from 0.1 to 8.",  # of something else
        "The rate does not fall from 2.4 to 3.1.",
        "The reduction ranges from 1.28% to 18.18%.",
    ],
)
def test_what_may_be_right_is_left_alone(sentence):
    assert list(contradictions(sentence)) == []
