import re

from hypothesis import given
from hypothesis import strategies as st

from trimtab.lm.decontaminate import Decontaminator

SOLUTION = '''def sum_squares(lst):
    """Return the sum of squares of the entries whose index is a multiple of 3, and of the others unchanged."""
    result = []
    for i in range(len(lst)):
        if i % 3 == 0:
            result.append(lst[i] ** 2)
        else:
            result.append(lst[i])
    return sum(result)
'''
OTHER = """import os

def walk(folder):
    for name in sorted(os.listdir(folder)):
        yield name

def size(folder):
    return sum(os.path.getsize(name) for name in walk(folder))
"""


def test_unrelated_text_is_untouched():
    cleaner = Decontaminator([SOLUTION])
    assert cleaner.clean(OTHER) == OTHER
    assert (cleaner.functions, cleaner.paragraphs) == (0, 0)


def test_a_planted_copy_is_removed_under_another_name_and_layout():
    copy = SOLUTION.replace("sum_squares", "helper").replace("    ", "\t").replace("i % 3", "i%3")
    cleaner = Decontaminator([SOLUTION])
    cleaned = cleaner.clean(OTHER + "\n" + copy + "\n" + OTHER)
    assert "helper" not in cleaned
    assert cleaned.count("def walk") == 2
    assert cleaner.paragraphs == 1


def test_a_part_of_a_copy_is_removed():
    part = (
        "class A:\n    x = 1\n\n    for i in range(len(lst)):\n        if i % 3 == 0:\n            pass\n\n    y = 2\n"
    )
    cleaned = Decontaminator([SOLUTION]).clean(part)
    assert "range" not in cleaned
    assert "x = 1" in cleaned
    assert "y = 2" in cleaned


def test_a_function_of_the_same_name_is_removed_whole():
    text = '''class Box:
    a = 1

    @property
    def sum_squares(
        self,
        power: int = 2,
    ) -> int:
        """Something else entirely."""

        return 4 ** power

    def keep(self):
        return 5
'''
    cleaner = Decontaminator([SOLUTION])
    cleaned = cleaner.clean(text)
    assert "sum_squares" not in cleaned
    assert "@property" not in cleaned
    assert "4 ** power" not in cleaned
    assert cleaned.startswith("class Box:\n    a = 1\n")
    assert cleaned.endswith("    def keep(self):\n        return 5\n")
    assert cleaner.functions == 1


def test_names_are_whole_words_and_async_counts():
    cleaner = Decontaminator(["async def go(x):\n    return 1\n"])
    assert cleaner.names == {"go"}
    assert cleaner.clean("def gone(x):\n    return 2\n") == "def gone(x):\n    return 2\n"
    assert cleaner.clean("async def go(y):\n    return 3\n") == ""


def test_nothing_to_exclude_removes_nothing():
    assert Decontaminator([]).clean(OTHER) == OTHER


WORDS = st.lists(st.sampled_from(["a", "b", "c", "+", "(", ")", "1"]), max_size=60)


@given(WORDS, st.lists(WORDS, max_size=3), st.integers(2, 5))
def test_agrees_with_brute_force(words, excluded, n):
    """One paragraph a text: it goes exactly when it shares a run of n words with an excluded text."""

    def runs(text):
        found = re.findall(r"[^\W\d]+|\d+|[^\w\s]", text)
        return {tuple(found[start : start + n]) for start in range(len(found) - n + 1)}

    text, others = " ".join(words), [" ".join(one) for one in excluded]
    shared = any(runs(text) & runs(other) for other in others)
    assert (Decontaminator(others, n=n).clean(text) == "") is (shared or not text)
