"""Among the code blocks of a reply the answer is the one that a reader takes."""

from __future__ import annotations

import pytest

from trimtab.codeeval import code_blocks

RIGHT = "def f(x):\n    return x + 1\n"
WRONG = "def f(x):\n    return x\n"
CALL = "print(f(1))\n"
HELPER = "def g(x):\n    return x + 1\n"
CONSTANT = "K = 1\ndef g(x):\n    return x + K\n"
IMPORT = "from math import ceil as h\nprint(h)\n"
BY_IMPORT = "def f(x):\n    return h(x) + 1\n"
OLD_HELPER = "def g(x):\n    return x\n"
BY_HELPER = "def f(x):\n    return g(x)\n"
FUTURE = "from __future__ import annotations\n"
STUB = "def f(x):\n    pass\n"
DOCUMENTED = 'def f(x):\n    """Add."""\n'
RAISING = "def f(x: int = (1)) -> int:\n    raise NotImplementedError()\n"
NOT_YET = "def f(x):\n    raise Exception('not yet')\n"
PRINTING = "def f(x):\n    print('to do')\n"
REFUSING = "def f(x):\n    return NotImplemented\n"


def fence(code, info="python", marks="```"):
    return f"{marks}{info}\n{code}{marks}\n"


def value(reply, **how):
    found = code_blocks.read(reply, "f", continues=False, **how)
    names = {}
    exec(found.code, names)  # noqa: S102 - the texts here
    return names["f"](1)


REPLIES = {
    "a stub that passes": f"To write:\n{fence(STUB)}\nMine:\n{fence(RIGHT)}",
    "a stub of a docstring": f"{fence(DOCUMENTED)}\n{fence(RIGHT)}",
    "a stub that raises": f"{fence(RAISING)}\n{fence(RIGHT)}",
    "a stub in dots": f"{fence(RIGHT)}\nIts shape is\n{fence('def f(x): ...' + chr(10))}",
    "a stub that raises anything": f"{fence(RIGHT)}\nIts header is\n{fence(NOT_YET)}",
    "a stub that prints": f"{fence(RIGHT)}\nYou were given\n{fence(PRINTING)}",
    "a stub that returns what says so": f"{fence(RIGHT)}\nYou were given\n{fence(REFUSING)}",
    "a stub in a block and the answer in none": f"{fence(STUB)}\n{RIGHT}",
    "a header in prose and the body in a block": f"Complete\n{DOCUMENTED}\nlike this:\n{fence(RIGHT)}",
    "a correction": f"{fence(WRONG)}\nWait, this is wrong. Let me fix it:\n{fence(RIGHT)}",
    "a second thought without a word": f"{fence(WRONG)}\n{fence(RIGHT)}",
    "a correction of what was bad": f"A naive try:\n{fence(WRONG)}\nThat fails for 0. So:\n{fence(RIGHT)}",
    "an alternative": f"{fence(RIGHT)}\nAlternatively, if you prefer less:\n{fence(WRONG)}",
    "a warning": f"{fence(RIGHT)}\nDo not write it so:\n{fence(WRONG)}",
    "a naive version after": f"{fence(RIGHT)}\nFor comparison, a naive version:\n{fence(WRONG)}",
    "a correction that is cut": f"{fence(RIGHT)}\nBetter:\n```python\ndef f(x):\n    return [",
    "an unclosed correction": f"{fence(WRONG)}\nFixed:\n```python\n{RIGHT}",
    "an example after": f"{fence(RIGHT)}\nUse:\n{fence('print(f(1))' + chr(10))}",
    "an example before": f"You call\n{fence('f(1)' + chr(10))}\nso\n{fence(RIGHT)}",
    "four marks around three": f"````markdown\n# Answer\n```\nno\n```\n````\n{fence(RIGHT)}",
    "four marks": fence('def f(x):\n    """\n    ```\n    """\n    return x + 1\n', marks="````"),
    "tildes": fence(RIGHT, marks="~~~"),
    "a language in capitals": fence(RIGHT, "Python"),
    "a file name": fence(RIGHT, "python:solution.py"),
    "a title": fence(RIGHT, 'py title="a.py"'),
    "attributes": fence(RIGHT, "{.python .numberLines}"),
    "a file name alone": fence(RIGHT, "solution.py"),
    "plain text": f"{fence('ls', 'bash')}\n{fence(RIGHT, 'plaintext')}",
    "another language first": f"{fence('def f(x) x end' + chr(10), 'ruby')}\n{fence(RIGHT)}",
    "code on the fence's line": "```python def f(x):\n    return x + 1\n```",
    "one line": "```def f(x): return x + 1```",
    "a fence glued to its last line": "Here:\n```python\ndef f(x):\n    return x + 1```\nDone.",
    "a fence glued to prose": f"Here it is: ```python\n{RIGHT}```",
    "a list": "1. So:\n\n   ```python\n   def f(x):\n       return x + 1\n   ```\n",
    "a quotation": "> ```python\n> def f(x):\n>     return x + 1\n> ```\n",
    "a session": "```python\n>>> def f(x):\n...     return x + 1\n...\n>>> f(1)\n2\n```\n",
    "a docstring that is never closed, first": f'```python\ndef g():\n    """Not closed.\n```\n{fence(RIGHT)}',
    "a closing fence alone": f"{RIGHT}```\nThat is all.",
    "a bound name": fence("f = lambda x: x + 1\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", REPLIES)
def test_the_block_that_answers_is_read(name):
    assert value(REPLIES[name]) == 2


HELPERS = {
    "before": f"{fence(CONSTANT)}then\n{fence(BY_HELPER)}",
    "after": f"{fence(BY_HELPER)}\nwith\n{fence(HELPER)}",
    "the last draft of it": f"{fence(OLD_HELPER)}{fence(HELPER)}{fence(BY_HELPER)}",
    "before an import of the future": f"{fence(CONSTANT)}then\n{fence(FUTURE + BY_HELPER)}",
    "imports apart": f"{fence(IMPORT)}\n{fence(BY_IMPORT)}",
}  # fmt: skip


@pytest.mark.parametrize("name", HELPERS)
def test_what_another_block_defines_and_the_answer_needs_goes_with_it(name):
    assert value(HELPERS[name]) == 2
    assert code_blocks.read(HELPERS[name], "f", continues=False).helpers


def test_nothing_that_is_not_needed_comes_from_other_blocks():
    found = code_blocks.read(f"{fence('x = 1' + chr(10) + 'raise SystemExit')}{fence(RIGHT)}", "f", continues=False)
    assert found == (RIGHT, True, False)


def test_a_body_alone_is_read_where_the_question_is_only_restated():
    stub = 'def f(x):\n    """Add one."""\n'
    found = code_blocks.read(f"{fence(stub)}\nIts body:\n{fence('    return x + 1' + chr(10))}", "f", continues=False)
    assert found.code == "    return x + 1\n"


def test_a_whole_program_is_the_longest_block():
    program = "n = int(input())\nprint(n + 1)\n"
    reply = f"{fence('n = 1' + chr(10))}\n{fence(program)}\n{fence('3' + chr(10), 'text')}"
    assert code_blocks.read(reply, "", continues=False).code == program


def test_text_that_continues_code_ends_at_its_fence():
    assert code_blocks.read("    return x\n```\nThis `adds`.", "f", continues=True).code == "    return x\n"
    assert code_blocks.read("```\nThere is no code.", "f", continues=True).code == ""
    assert code_blocks.read("no fence", "f", continues=True) is None
