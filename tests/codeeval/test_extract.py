"""Cutting a tail never touches what already parses, and finds the end of the function being continued."""

from __future__ import annotations

import ast
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.codeeval import problems
from trimtab.codeeval.extract import Extracted, extract

PROMPT = 'def f(xs):\n    """Sum."""\n'

UNFINISHED = {
    "next_function": ("    return 1\n\ndef g(", "    return 1\n\n"),
    "prose": ("    return 1\nThis function returns one.\n", "    return 1\n"),
    "fence": ("    return 1\n```\n", "    return 1\n"),
    "open_string": ("    return 1\n\nx = '''abc\n", "    return 1\n\n"),
    "open_bracket": ("    return 1\nprint((1,\n", "    return 1\n"),
    "bracket_at_column_0": ("    return [\n1,\n]\nif x", "    return [\n1,\n]\n"),
    "string_at_column_0": ('    s = """\ntext\n"""\n    return s\nfoo bar', '    s = """\ntext\n"""\n    return s\n'),
    "comment_at_column_0": ("    x = 1\n# why\n    return x\ndef h(", "    x = 1\n# why\n    return x\n"),
    "bad_dedent": ("    if xs:\n        return 1\n  return 2\n", None),
    "nothing_to_save": ("    return (((\n", None),
}


@pytest.mark.parametrize("name", UNFINISHED)
def test_a_tail_that_does_not_parse_is_cut(name):
    text, kept = UNFINISHED[name]
    found = extract(PROMPT, text)
    if kept is None:
        assert found == Extracted(text)
    else:
        assert found == Extracted(kept, ("cut",))


@given(st.text(alphabet=" \n\tabreturn():='\"#[]\\0", max_size=80))
def test_it_never_fails_and_only_shortens(text):
    found = extract(PROMPT, text)
    assert text.startswith(found.completion)
    if found.steps:
        ast.parse(PROMPT + found.completion)
    else:
        assert found.completion == text


def test_programs_that_parse_are_untouched():
    for problem in problems.load("humaneval").problems:
        assert extract(problem.prompt, problem.canonical_solution) == Extracted(problem.canonical_solution)


def test_time_grows_with_length_not_with_its_square():
    def seconds(lines):
        text = "    x = [1, 2, 3]\n" * lines + "    return (\n"
        start = time.process_time()
        extract(PROMPT, text)
        return time.process_time() - start

    seconds(100)
    assert seconds(8000) < 40 * max(seconds(800), 0.005)
