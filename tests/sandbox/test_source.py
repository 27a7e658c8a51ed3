"""Parsing is quiet, from threads too, and leaves the warnings machinery as it was."""

from __future__ import annotations

import concurrent.futures
import warnings

import pytest

from trimtab.sandbox import source


def test_warnings_about_the_text_stay_inside():
    before = list(warnings.filters)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:  # filterwarnings=error would make any warning an error
        trees = list(pool.map(source.parse, ['x = "\\d"\nassert (1, "m")\ny = 1 is 1\n'] * 50))
    assert len({len(tree.body) for tree in trees}) == 1
    assert list(warnings.filters) == before


@pytest.mark.parametrize("text", ["x = (", "\0", "(" * 10_000])
def test_what_is_not_a_module_raises(text):
    with pytest.raises((SyntaxError, ValueError, RecursionError, MemoryError)):
        source.parse(text)
