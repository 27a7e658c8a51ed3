"""Does any other extraction read a reply right that ours reads wrong?

    python benchmarks/extraction_peers.py [--problems 6] [--out DIR]

Replies are made from HumanEval's own solutions in every form that replies have, each with what a reader would say of
it: right or wrong. Ours, EvalPlus' sanitizer, lm-eval's filters (of its instruct tasks for whole replies and of its
plain task for continued ones) and inspect's ``find_code`` take a program out of each; every program runs in the same
sandbox. The peers come from pinned wheels in an environment that is made for this run; their functions run there, in a
process that imports nothing else of them. Printed is how many replies each reads right by form, and every reply that a
peer reads right and ours does not.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import subprocess
import sys
import tempfile
import textwrap
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import extraction
from trimtab.codeeval import judge, problems
from trimtab.sandbox.broker import Sandbox
from trimtab.sandbox.verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from trimtab.codeeval.problem import Problem

PINNED = (
    "evalplus==0.3.1", "lm-eval==0.4.13", "inspect-evals==0.26.0", "tree-sitter==0.26.1", "tree-sitter-python==0.25.0",
    "tqdm==4.70.1", "numpy==2.4.6", "appdirs==1.4.4", "wget==3.2", "tempdir==0.7.1", "multipledispatch==1.0.0",
    "termcolor==3.3.0",
)  # fmt: skip
# What runs in the other environment: reads replies as JSON Lines, writes what each peer takes out of them.
PEERS = """
import ast, importlib.util, json, re, sys, types
from typing import Any, Callable

def functions(package, path, names):
    root = importlib.util.find_spec(package).submodule_search_locations[0]
    tree = ast.parse(open(root + "/" + path).read())
    wanted = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in names]
    if not names:
        wanted = tree.body
    space = {"re": re, "Any": Any, "Callable": Callable}
    exec(compile(ast.Module(wanted, []), path, "exec"), space)
    return space

sys.modules["datasets"] = types.SimpleNamespace(load_dataset=None)  # imported, never used by the sanitizer
from evalplus.sanitize import sanitize
plain = functions("lm_eval", "tasks/humaneval/utils.py", {"build_predictions", "build_predictions_instruct"})
mbpp = functions("lm_eval", "tasks/mbpp/utils.py", {"extract_code_blocks"})
code = functions("inspect_evals", "utils/code.py", set())
found = functions("inspect_evals", "humaneval/humaneval.py", {"find_code", "extract_function_body"})
found["extract_code_block"] = code["extract_code_block"]

def attempt(call):
    try:
        return call()
    except Exception as error:
        return f"# {type(error).__name__}: {error}"

for line in open(sys.argv[1]):
    reply = json.loads(line)
    text, doc = reply["text"], {"prompt": reply["prompt"]}
    whole = doc["prompt"] + text if reply["continues"] else text
    if reply["continues"]:
        kinds = {
            "lm-eval": attempt(lambda: plain["build_predictions"]([[text]], [doc])[0][0]),
            "lm-eval instruct": attempt(lambda: plain["build_predictions_instruct"]([[text]], [doc])[0][0]),
        }
    else:
        kinds = {
            "lm-eval": attempt(lambda: mbpp["extract_code_blocks"](text)),
            "lm-eval instruct": attempt(lambda: mbpp["extract_code_blocks"](text.partition("```python")[2] or text)),
        }
    kinds["EvalPlus"] = attempt(lambda: sanitize(whole, reply["entry_point"]))
    kinds["inspect"] = attempt(lambda: doc["prompt"] + found["find_code"](text))
    block = attempt(lambda: code["extract_code_block"](text) or text)
    kinds["inspect MBPP"] = doc["prompt"] + block if reply["continues"] else block
    print(json.dumps(kinds))
"""


class Form(NamedTuple):
    """How a reply is made of a right program, its right body and a wrong program; what a reader says of it."""

    make: Callable[[Problem, str, str, str], str]
    right: bool = True
    continues: bool = False


def _fence(code: str, tag: str = "python") -> str:
    return f"```{tag}\n{code.strip(chr(10))}\n```\n"


def _stub(problem: Problem) -> str:
    return f"{problem.prompt.rstrip()}\n    pass\n"


def _forms() -> dict[str, Form]:
    forms: dict[str, Form] = {}
    for token in (
        "<|im_end|>",
        "</s>",
        "<|endoftext|>",
        "<|eot_id|>",
        "<end_of_turn>",
        "<\uff5cend\u2581of\u2581sentence\uff5c>",
    ):
        forms[f"{token} glued to a body"] = Form(lambda _p, _r, b, _w, t=token: b.rstrip() + t, continues=True)
        forms[f"{token} glued to a program"] = Form(lambda _p, r, _b, _w, t=token: r.rstrip() + t)
    forms["<|im_end|>, then a turn of a user"] = Form(
        lambda _p, r, _b, w: f"{_fence(r)}<|im_end|>\n<|im_start|>user\nAgain\n<|im_start|>assistant\n{_fence(w)}"
    )
    pairs = {
        "<think>": "</think>", "<thinking>": "</thinking>", "[THINK]": "[/THINK]",
        "\u25c1think\u25b7": "\u25c1/think\u25b7", "<seed:think>": "</seed:think>",
        "<|begin_of_thought|>": "<|end_of_thought|>",
        "<|channel|>analysis<|message|>": "<|end|><|start|>assistant<|channel|>final<|message|>",
    }  # fmt: skip
    for opens, closes in pairs.items():
        name = f"{opens} ..."
        forms[f"{name} with a wrong draft, the right answer"] = Form(
            lambda _p, r, _b, w, o=opens, c=closes: f"{o}\n{_fence(w)}no\n{c}\n{_fence(r)}"
        )
        forms[f"{name} with a right draft, a wrong answer"] = Form(
            lambda _p, r, _b, w, o=opens, c=closes: f"{o}\n{_fence(r)}hm\n{c}\n{_fence(w)}", right=False
        )
    forms["<think> that is not finished"] = Form(lambda _p, r, _b, _w: f"<think>\n{_fence(r)}or should I", right=False)
    forms["</think> alone"] = Form(lambda _p, r, _b, w: f"{_fence(w)}no\n</think>\n{_fence(r)}")
    forms["[BEGIN] and [DONE]"] = Form(lambda _p, r, _b, _w: f"[BEGIN]\n{r}[DONE]\n")
    forms["[DONE] alone, then another task"] = Form(
        lambda _p, r, _b, w: f"{r}[DONE]\n\nNext task:\n[BEGIN]\n{w}[DONE]\n"
    )
    forms["[PYTHON] and [/PYTHON]"] = Form(lambda _p, r, _b, _w: f"[PYTHON]\n{r}[/PYTHON]\n[TESTS]\nnone\n[/TESTS]")
    forms["<answer>"] = Form(lambda _p, r, _b, _w: f"<answer>\n{r}</answer>")
    forms["a stub, then the answer"] = Form(lambda p, r, _b, _w: f"To write:\n{_fence(_stub(p))}Mine:\n{_fence(r)}")
    forms["a draft, then its correction"] = Form(
        lambda _p, r, _b, w: f"{_fence(w)}Wait, this is wrong for some inputs. Corrected:\n{_fence(r)}"
    )
    forms["the answer, then an alternative that is wrong"] = Form(
        lambda _p, r, _b, w: f"{_fence(r)}Alternatively, a shorter one:\n{_fence(w)}"
    )
    forms["the answer, then what not to do"] = Form(
        lambda _p, r, _b, w: f"{_fence(r)}A common mistake would be, please avoid it:\n{_fence(w)}"
    )
    forms["a helper in its own fence"] = Form(
        lambda p, r, _b, _w: (
            f"{_fence(r.replace(f'def {p.entry_point}(', 'def _inner('))}Then:\n"
            + _fence(f"def {p.entry_point}(*args):\n    return _inner(*args)")
        )
    )
    forms["imports in their own fence"] = Form(lambda _p, r, _b, _w: f"{_fence('import math')}and\n{_fence(r)}")
    forms["a byte order mark"] = Form(lambda _p, r, _b, _w: f"\ufeff{r}")
    for name, tail in {
        "a loop that raises": "for bad in [object()]:\n    print({name}(bad))\n",
        "exit()": "print('done')\nexit()\n",
        "sys.exit(1)": "import sys\nsys.exit(1)\n",
        "input()": "n = int(input('n: '))\nprint({name}(n))\n",
        "a try that raises": "try:\n    {name}(object())\nexcept KeyError:\n    pass\n",
        "a file that is not there": "with open('data.txt') as file:\n    print({name}(file.read()))\n",
        "a check that fails": "def test():\n    assert {name} is None\n\n\ntest()\n",
        "a result that raises": "result = {name}(object())\n",
    }.items():
        forms[f"{name} after"] = Form(lambda p, r, _b, _w, t=tail: _fence(f"{r}\n\n{t.format(name=p.entry_point)}"))
        forms[f"{name} after, no fence"] = Form(lambda p, r, _b, _w, t=tail: f"{r}\n\n{t.format(name=p.entry_point)}")
    forms["a body without indentation"] = Form(lambda _p, _r, b, _w: textwrap.dedent(b), continues=True)
    forms["a body without indentation, in a fence"] = Form(lambda _p, _r, b, _w: _fence(textwrap.dedent(b)))
    forms["a body in a fence"] = Form(lambda _p, _r, b, _w: f"```python\n{b}```\n")
    forms["four marks"] = Form(lambda _p, r, _b, _w: f"````python\n{r}\n````\n")
    forms["a fence with a file name"] = Form(lambda _p, r, _b, _w: _fence(r, "python:solution.py"))
    forms["a fence in capitals"] = Form(lambda _p, r, _b, _w: _fence(r, "Python"))
    forms["a fence that says text"] = Form(lambda _p, r, _b, _w: _fence(r, "text"))
    forms["a closing fence glued to the code"] = Form(lambda _p, r, _b, _w: f"```python\n{r.rstrip()}```\nDone.")
    forms["a quotation"] = Form(lambda _p, r, _b, _w: textwrap.indent(_fence(r), "> ", lambda _line: True))
    forms["code, then an example in a fence"] = Form(
        lambda p, r, _b, _w: f"{r}\n\nFor example:\n{_fence(f'print({p.entry_point})')}"
    )
    forms["a decorated function"] = Form(
        lambda p, r, _b, _w: _fence(
            r.replace(f"def {p.entry_point}(", f"def _same(f):\n    return f\n\n\n@_same\ndef {p.entry_point}(")
        )
    )
    forms["an import in a try"] = Form(
        lambda _p, r, _b, _w: _fence(f"try:\n    import numpy as np\nexcept ImportError:\n    np = None\n\n\n{r}")
    )
    forms["a table after the function"] = Form(
        lambda p, r, _b, _w: _fence(f"{r}\n\n_TABLE = {{}}\n_first = {p.entry_point}\n\n\n"
                                    f"def {p.entry_point}(*args):\n    _TABLE[0] = 1\n    return _first(*args)\n")
    )  # fmt: skip
    forms |= _harder()
    forms["a notebook's lines"] = Form(lambda _p, r, _b, _w: _fence(f"!pip install numpy\n%matplotlib inline\n{r}"))
    forms["blanks that are not spaces"] = Form(
        lambda _p, r, _b, _w: _fence(r.replace("    ", "\u00a0\u00a0\u00a0\u00a0"))
    )
    return forms


def _harder() -> dict[str, Form]:
    """Return forms that look like something else than they are."""
    quotes = '"""'
    return {
        "fences within a docstring": Form(
            lambda _p, r, _b, _w: _fence(f"def _other():\n    {quotes}\n    ```\n    x\n    ```\n    {quotes}\n\n\n{r}")
        ),
        "marks within strings": Form(
            lambda _p, r, _b, _w: _fence(f"_MARKS = ('</think>', '</s>', '<|im_end|>', '[DONE]')\n\n\n{r}")
        ),
        "a recursion limit and a table that a loop fills": Form(
            lambda p, r, _b, _w: _fence(
                "import sys\nsys.setrecursionlimit(9000)\n_T = []\nfor _i in range(3):\n    _T.append(_i)\n\n\n"
                f"{r}\n\n_inner = {p.entry_point}\n\n\ndef {p.entry_point}(*a):\n    assert _T[2] == 2\n"
                "    return _inner(*a)\n"
            )
        ),
        "a table that a call fills after": Form(
            lambda p, r, _b, _w: _fence(
                f"{r}\n\n_T = {{}}\n_inner = {p.entry_point}\n\n\ndef {p.entry_point}(*a):\n    assert _T[1] == 2\n"
                "    return _inner(*a)\n\n\ndef _fill():\n    _T[1] = 2\n\n\n_fill()\n"
            )
        ),
        "a main() that asks, under a guard": Form(
            lambda p, r, _b, _w: _fence(
                f"{r}\n\ndef main():\n    print({p.entry_point}(input()))\n\nif __name__ == '__main__':\n    main()\n"
            )
        ),
        "a question before the function": Form(lambda _p, r, _b, _w: _fence(f"number = input('n: ')\n{r}")),
        "prose with apostrophes and quotes": Form(
            lambda _p, r, _b, _w: (
                f"Here's what I'd do; don't use {quotes} or '' (it's odd:\n\n{_fence(r)}That's \"it\"."
            )
        ),
        "prose with a bracket after code without a fence": Form(
            lambda _p, r, _b, _w: f"{r}\n\nIt's simple (O(n) at worst\n- no copies\n1. First\n**Note**: that's all\n"
        ),
        "headings": Form(lambda _p, r, _b, _w: f"## Approach\n\nLoop.\n\n## Code\n\n{_fence(r)}\n## Cost\n\nO(n)\n"),
        "fragments explained after": Form(
            lambda _p, r, _b, _w: f"{_fence(r)}The line\n{_fence('return result')}gives it back, and\n{_fence('x = 1')}"
        ),
        "the word python left over": Form(lambda _p, r, _b, _w: f"python\n{r}"),
        "a fence twice": Form(lambda _p, r, _b, _w: f"```python\n{_fence(r)}"),
        "two end tokens": Form(lambda _p, r, _b, _w: f"{_fence(r)}</s></s><pad><pad>"),
        "carriage returns and an end token": Form(lambda _p, r, _b, _w: f"{_fence(r)}<|eot_id|>".replace("\n", "\r\n")),
        "a beginning of a turn": Form(lambda _p, r, _b, _w: f"<|im_start|>assistant\n{_fence(r)}<|im_end|>"),
        "a thought and [BEGIN]": Form(
            lambda _p, r, _b, w: f"<think>\n[BEGIN]\n{w}[DONE]\n</think>\n[BEGIN]\n{r}[DONE]"
        ),
        "a recursive version after": Form(lambda _p, r, _b, w: f"{_fence(r)}\n### Another approach\n\n{_fence(w)}"),
        "a naive version first": Form(
            lambda _p, r, _b, w: f"A naive version:\n{_fence(w)}It fails. Here is a better one:\n{_fence(r)}"
        ),
        "a name bound to a lambda": Form(
            lambda p, r, _b, _w: _fence(
                f"{r.replace(f'def {p.entry_point}(', 'def _inner(')}\n\n{p.entry_point} = lambda *a: _inner(*a)\n"
            )
        ),
        "a class beside it": Form(
            lambda p, r, _b, _w: _fence(
                "import dataclasses\n\n\n@dataclasses.dataclass\nclass _Box:\n    value: int = 0\n\n\n"
                f"{r}\n\nbox = _Box()\nprint(box, {p.entry_point})\nbox.no\n"
            )
        ),
        "escaped line ends": Form(
            lambda _p, r, _b, _w: f"def _a(): pass\n{r}".replace("\n", "\\n").replace('"', '\\"')
        ),
    }


def made(number: int) -> Iterator[dict[str, Any]]:
    known = [
        p for p in problems.load("humaneval").problems if p.prompt.count("\ndef ") + p.prompt.startswith("def ") == 1
    ]
    forms = _forms()
    for problem in random.Random(1).sample(known, number):
        body, head = problem.canonical_solution, problem.prompt
        right, wrong = head + body, f"{head.rstrip()}\n    return 'not this'\n"
        usual: dict[str, Form] = {
            name: Form(lambda p, r, _b, _w, make=make: make(p, r)) for name, make in extraction.WHOLE.items()
        } | {
            name: Form(lambda p, _r, b, _w, make=make: make(p, b), continues=True)
            for name, make in extraction.BODY.items()
        }
        for name, form in (usual | forms).items():
            yield {
                "form": name,
                "task_id": problem.task_id,
                "prompt": head,
                "entry_point": problem.entry_point,
                "text": form.make(problem, right, body, wrong),
                "continues": form.continues,
                "right": form.right,
            }


def peers(replies: Sequence[dict[str, Any]], folder: Path) -> list[dict[str, str]]:
    """Return what each peer takes out of each reply."""
    place = folder / "peers"
    python = place / "bin" / "python"
    if not python.exists():
        venv.create(place, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", *PINNED], check=True)
    (folder / "replies.jsonl").write_text("".join(json.dumps(reply) + "\n" for reply in replies))
    (folder / "peers.py").write_text(PEERS)
    done = subprocess.run(
        [python, folder / "peers.py", folder / "replies.jsonl"], check=True, capture_output=True, text=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--problems", type=int, default=6)
    arguments.add_argument("--out", type=Path)
    options = arguments.parse_args()
    folder = options.out or Path(tempfile.mkdtemp(prefix="extraction-"))
    folder.mkdir(parents=True, exist_ok=True)
    replies = list(made(options.problems))
    theirs = peers(replies, folder)
    known = {problem.task_id: problem for problem in problems.load("humaneval").problems}
    right: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    losses: list[str] = []
    with Sandbox(workers=2) as box:
        for reply, programs in zip(replies, theirs, strict=True):
            problem = known[reply["task_id"]]
            sample = judge.Sample(
                task_id=problem.task_id, sample_index=0, completion=reply["text"], continues=reply["continues"]
            )
            verdict = judge.judge_sample(sample, problem, box)
            told = {"ours": verdict.outcome, "as it stands": verdict.raw}
            told |= {name: judge.run_program(box, problem, program).outcome for name, program in programs.items()}
            good = [name for name, outcome in told.items() if (outcome is Outcome.PASSED) == reply["right"]]
            right[reply["form"]].update({"replies": 1, **dict.fromkeys(good, 1)})
            if "ours" not in good:
                losses.append(f"{reply['form']}, {problem.task_id}: {verdict.outcome} {verdict.steps}; right: {good}")
    columns = ["ours", "as it stands", "EvalPlus", "lm-eval", "lm-eval instruct", "inspect", "inspect MBPP"]
    print(f"{len(replies)} replies, {len(right)} forms, {options.problems} problems; read right:")
    print("\t".join(["form", *columns]))
    for form, counts in right.items():
        print("\t".join([form, *(str(counts[name]) for name in columns)]))
    total: collections.Counter[str] = sum(right.values(), collections.Counter())
    print("\t".join(["in all", *(str(total[name]) for name in columns)]))
    by_peer = [loss for loss in losses if not loss.endswith("right: []")]
    print(f"ours read wrong: {len(losses)}; of these a peer reads right: {len(by_peer)}")
    print("\n".join(losses))


if __name__ == "__main__":
    sys.exit(main())
