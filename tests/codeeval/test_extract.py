"""Cutting a tail finds the end of the function being continued, whatever follows it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.codeeval import problems
from trimtab.codeeval.extract import cut

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
    "nothing_to_save": ("def g(", None),
}


@pytest.mark.parametrize("name", UNFINISHED)
def test_the_tail_is_cut_where_the_function_ends(name):
    text, kept = UNFINISHED[name]
    assert cut(PROMPT, text) == kept


@given(st.text(alphabet=" \n\tabreturn():='\"#[]\\0", max_size=80))
def test_it_never_fails_and_only_shortens(text):
    kept = cut(PROMPT, text)
    assert kept is None or (text.startswith(kept) and 0 < len(kept) < len(text))


def test_a_function_alone_has_nothing_to_cut():
    tasks = problems.load("humaneval").problems
    alone = [p for p in tasks if not any(line[:1].strip() for line in p.canonical_solution.splitlines())]
    assert len(alone) > 150
    assert [p.task_id for p in alone if cut(p.prompt, p.canonical_solution) is not None] == []


def test_what_would_overwhelm_a_parser_is_only_split_into_tokens():
    for text in ("-" * 5_000 + "1", "x" + "[0]" * 5_000, "lambda:" * 5_000 + "1", "(" * 5_000):
        assert cut(PROMPT, f"    return {text}\n") in (None, "")


def test_time_grows_with_length_not_with_its_square():
    def seconds(lines):
        text = "    x = [1, 2, 3]\n" * lines + "    return (\n"
        start = time.process_time()
        cut(PROMPT, text)
        return time.process_time() - start

    seconds(100)
    assert seconds(8000) < 40 * max(seconds(800), 0.005)
