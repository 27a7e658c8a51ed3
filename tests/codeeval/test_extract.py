"""Cutting a tail finds the end of the function being continued, whatever follows it."""

from __future__ import annotations

import dataclasses
import json
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.codeeval import extract, problems
from trimtab.codeeval.extract import cut
from trimtab.codeeval.problem import Problem

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


PROBLEM = Problem(
    task_id="x/0",
    prompt="from typing import List\n\ndef helper(x):\n    return x + 1\n\n"
    'def f(xs: List[int]) -> int:\n    """Add."""\n',
    entry_point="f",
    canonical_solution="    return sum(xs)\n",
    test="def check(candidate):\n    assert candidate([1, 2]) == 3\n",
    benchmark="x",
)
BODY = "def f(xs):\n    return sum(xs)\n"


@pytest.mark.parametrize(
    ("text", "continues", "steps"),
    [
        ("    return sum(xs)\n", True, ()),
        ("    return sum(xs)\n```\nThis adds.\n", True, ("fence",)),
        (f"Sure, here's it:\n```python\n{BODY}```\nIt's simple.", False, ("fence",)),
        (f"<think>```python\ndef f(): no\n```</think>\n```py\n{BODY}```", False, ("reasoning", "fence")),
        (f"```python\nprint(1)\n```\nand\n```python\n{BODY}", False, ("fence",)),
        ("    return sum(xs)\nassert f([1]) == 7\nprint(f(\n  [1]))\n", True, ("demo",)),
        ("```python\n    return sum(xs)\n```", False, ("fence", "prompt")),
        ("def f(xs: List[int]):\n    return math.floor(helper(sum(xs)) - 1)\n", False, ("imports",)),
        ("  ```python\n  def f(xs):\n      return sum(xs)\n  ```\n", False, ("fence",)),
        (f"{BODY}```\nNotes", False, ("fence",)),
        ('def f(xs):\n    """\n```\n    """\n    return sum(xs)\n', False, ()),
        (f"\n```python\n{BODY}```", True, ("fence",)),
        (f"```bash\npip install x\n```\nthen `f`\n```python\n{BODY}```", False, ("fence",)),
        (f"```\nf([1])\n```\nwith\n```python\n{BODY}```", False, ("fence",)),
        (
            f"1. So:\n\n    ```python\n    LIMIT = 9\n\n    {BODY.replace(chr(10), chr(10) + '    ')}\n    ```\n",
            False,
            ("fence",),
        ),
        (f"{BODY}\ndef main():\n    print(f())\n\nmain()\n", False, ("demo",)),
        (f"{BODY}\nn = int(input('n: '))\nprint(f([n]))\n", False, ("demo",)),
        (f"{BODY}\nThis function adds its items.\n", False, ("demo",)),
        (f"{BODY}\nExample:\n```python\nprint(f([1]))\n```\n", False, ("fence", "demo")),
        (f"\ufeff{BODY}", False, ("mark",)),
        (f"\n\ufeff{BODY}", False, ("mark",)),
        (f" \ufeff{BODY}", False, ("mark", "dedent")),
        (f"\u00ef\u00bb\u00bf{BODY}", False, ("mark",)),  # the mark's bytes read as Latin-1
        ("\n\ufeff    return sum(xs)\n", True, ("mark",)),
        (f"[BEGIN]\n{BODY}[DONE]", False, ("delimiters",)),
        ("    return sum(xs)<|im_end|>", True, ("end",)),
        (f"Here it is:\n\n{BODY}\nprint(f([1]))\n", True, ("demo",)),
        (f"<s><think>no</think>```py\n{BODY}```</s>", False, ("reasoning", "end", "fence")),
        ("    def f(xs):\n        return sum(xs)\n", False, ("dedent",)),
        (f"```json\n{json.dumps({'why': 'it adds', 'code': BODY})}\n```", False, ("json",)),
        ("total = sum(xs)\nreturn total\n", False, ("prompt", "indent")),
        ("def g(y):\n    return sum(y)\nreturn g(xs)\n", True, ("indent",)),
        ("```python\ntotal = sum(xs)\nreturn total\n```", False, ("fence", "prompt", "indent")),
        (
            f"```python\ndef g(y):\n    return sum(y)\n```\n```python\n{BODY.replace('sum', 'g')}```",
            False,
            ("fence", "helpers"),
        ),
        ("total = sum(xs)\n    return total\n", True, ("indent",)),
        ("total = sum(xs)\nreturn total\n", True, ("indent",)),
    ],
)
def test_each_step_gives_the_right_program_and_is_named(text, continues, steps):
    found = extract.clean(PROBLEM, text, continues=continues)
    names = {}
    exec(found.program, names)  # noqa: S102 - the texts above
    assert names["f"]([1, 2]) == 3
    assert found.steps == steps


@pytest.mark.parametrize(
    ("text", "continues", "step"),
    [
        ("    return sum(xs)\n\ndef g(:\n", True, "cut"),
        (f"Here is a function that adds\n{BODY}", False, "prose"),
        (f"{BODY}\ndef g(x):\n    return [x for", False, "cut"),
        (f"    {BODY.replace(chr(10), chr(10) + '    ')}", False, "dedent"),
        (f"!pip install numpy\n%time\n{BODY}", False, "magic"),
        (BODY.replace("\n", "\\n"), False, "escapes"),
        (BODY.replace("sum(", "math.fsum(").replace("\n", "\\n"), False, "escapes"),
        (f"```python\n\ufeff{BODY}```", False, "signs"),
        (BODY.replace("    ", "\u00a0   "), False, "signs"),
        (f">>> {BODY.replace(chr(10) + '    ', chr(10) + '...     ')}...\n>>> f([1])\n1\n", False, "session"),
        ("\tif xs:\n\t\treturn sum(xs)\n\treturn 0\n", True, "level"),
        ("  if xs:\n    return sum(xs)\n  return 0\n", True, "level"),
        ("   total = sum(xs)\n    return total\n", True, "level"),
        ("     if xs:\n        return sum(xs)\n    return 0\n", True, "level"),
        ("  a = '''x\n  y'''\n  return sum(xs) if a == 'x\\n  y' else 0\n", True, "level"),
    ],
)
def test_a_text_that_is_no_program_is_repaired(text, continues, step):
    cleaned = extract.clean(PROBLEM, text, continues=continues)
    before = extract.Extracted(text, ()) if step == "dedent" else cleaned
    with pytest.raises(SyntaxError):
        compile(before.program, "x", "exec")
    found = next(
        guess
        for guess in extract.repairs(PROBLEM, before)
        if step in guess.steps  # the sandbox says which guess is a program
    )
    names = {}
    exec(found.program, names)  # noqa: S102 - the texts above
    assert names["f"]([1, 2]) == 3
    assert step in found.steps


REPAIRS = {
    "broken_function_after": (f"{BODY}\ndef g(x)\n    return x\n\ng(1)\n", ["cut"]),
    "two_broken_ones_after": (f"{BODY}\ndef g(x)\n    return x\n\nclass H\n    pass\n", ["cut", "tail"]),
    "a_second_draft_that_is_cut": (f"{BODY}\ndef f(xs):\n    return [x for", ["cut"]),
    "prose_first": (f"Here is one:\n{BODY}\ndef g(x)\n    return x\n\ng(1)\n", ["cut"]),
}


@pytest.mark.parametrize("name", REPAIRS)
def test_what_follows_the_function_does_not_cost_it(name):
    text, steps = REPAIRS[name]
    guesses = list(extract.repairs(PROBLEM, extract.clean(PROBLEM, text, continues=False)))
    assert guesses
    for guess in guesses:
        try:
            code = compile(guess.program, "x", "exec")
        except SyntaxError:
            continue
        names = {}
        exec(code, names)  # noqa: S102 - the texts above
        assert names["f"]([1, 2]) == 3
        assert guess.steps[-1] in steps
        return
    pytest.fail("no guess is a program")


def test_only_a_body_s_first_line_that_lost_its_place_gets_it_back():
    task = dataclasses.replace(PROBLEM, canonical_solution="    for x in xs:\n        y = x\n    return y\n")
    for text in (task.canonical_solution.lstrip(), "for x in xs:\n    y = x\nreturn y\n"):
        found = extract.clean(task, text, continues=True)
        assert found.program.endswith(task.canonical_solution)


@given(st.text(alphabet="ab \n\t`'\"\\#:()=def printassert@~</think>", max_size=200), st.booleans())
@settings(max_examples=200, deadline=None)
def test_any_text_goes_through(text, continues):
    cleaned = extract.clean(PROBLEM, text, continues=continues)
    assert len(list(extract.repairs(PROBLEM, cleaned))) < 6


@given(st.sampled_from([p.canonical_solution for p in problems.load("humaneval").problems]))
@settings(max_examples=40, deadline=None)
def test_a_published_solution_is_not_touched(solution):
    task = next(p for p in problems.load("humaneval").problems if p.canonical_solution == solution)
    found = extract.clean(task, solution, continues=True)
    assert found.program.endswith(task.prompt + solution)
    assert set(found.steps) <= {"imports"}


def steps_counted(text):
    count = 0

    def tick(*_):
        nonlocal count
        count += 1
        return tick

    before = sys.gettrace()
    sys.settrace(tick)
    try:
        list(extract.repairs(PROBLEM, extract.clean(PROBLEM, text, continues=False)))
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    "line",
    [
        "x = 1\n",
        "```\n",
        '"""\n',
        "def g(): pass\n",
        "def f(): pass\n",
        "n = input()\n",
        "It's prose here\n",
        "assert x\n",
    ],
)
def test_work_grows_with_the_length(line):
    assert steps_counted(line * 800) < 2.6 * steps_counted(line * 400) + 200


@pytest.mark.parametrize("separator", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
def test_what_python_does_not_count_as_a_line_is_none(separator):
    """Form feeds between functions, or a separator in a string, once shifted the lines of strings of three quotes."""
    prompt = "def solve(x):\n"
    task = Problem(task_id="x", prompt=prompt, entry_point="solve", canonical_solution="", test="", benchmark="x")
    text = f"# {separator} page\n{separator}\ndef solve(x):\n    return len(s)\ns = '''\nprint(1)\nassert x\n'''\n"
    assert extract.clean(task, text, continues=False).program == text


@pytest.mark.parametrize("reply", ["", " \n", "<think>never done\ndef f(xs): return 3", "```python\n```", "<|im_end|>"])
@pytest.mark.parametrize("continues", [True, False])
def test_a_reply_without_an_answer_is_no_program(reply, continues):
    found = extract.clean(PROBLEM, reply, continues=continues)
    assert found.program.strip() == "" or (not continues and "```" in found.program)


def test_a_whole_program_keeps_what_it_does():
    program = "n = int(input())\nassert n\nprint(n + 1)\nexit()\n"
    reply = f"<think>x</think>So:\n```python\n{program}```<|im_end|>"
    assert extract.clean(extract.Function(), reply) == (program, ("reasoning", "end", "fence"))


def test_a_function_without_a_problem_is_asked_for_by_name():
    assert extract.clean(extract.Function("g"), "def g(x):\n    return math.pi\nprint(g())\n").steps == (
        "demo",
        "imports",
    )


@pytest.mark.parametrize("comment", ["", "# Problem 2\n", "\n# One more\n# and its second line\n\n"])
def test_a_comment_before_what_follows_a_body_does_not_keep_it(comment):
    after = f'{comment}def g(x):\n    """Never closed.\n'
    assert extract.cut(PROMPT, f"    return sum(xs)\n{after}") == f"    return sum(xs)\n{comment}"
    assert extract.cut(PROMPT, f"    # why\n    return sum(xs)  # so\n{comment}") is None
