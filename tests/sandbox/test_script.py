"""Programs that read standard input: every usual way of reading and printing, and how they end."""

import os

import pytest

from trimtab.sandbox.broker import Sandbox
from trimtab.sandbox.verdict import Limits, Outcome

ADD = "1 2\n"
WAYS = {
    "input": "a, b = map(int, input().split())\nprint(a + b)\n",
    "stdin": "import sys\nprint(sum(map(int, sys.stdin.read().split())))\n",
    "buffer": "import sys\nsys.stdout.buffer.write(b'%d' % sum(map(int, sys.stdin.buffer.readline().split())))\n",
    "open": "print(sum(map(int, open(0).read().split())))\n",
    "descriptors": "import os\nos.write(1, str(sum(map(int, os.read(0, os.fstat(0).st_size).split()))).encode())\n",
    "main": "def main():\n    print(sum(map(int, input().split())))\nif __name__ == '__main__':\n    main()\n",
    "exit": "import sys\nprint(sum(map(int, input().split())))\nexit()\n",
    "status 0": "import sys\nprint(3)\nsys.exit(0)\n",
    "at exit": "import atexit\natexit.register(lambda: print(3))\n",
    "errors": "import sys\nprint('debug', file=sys.stderr)\nsys.stderr.flush()\nprint(3)\n",
    "end at once": "import os\nprint(3, flush=True)\nos._exit(0)\n",
    "class of its own": (
        "import io, os, sys\nclass Out(io.IOBase):\n    def __init__(self): self.text = io.StringIO()\n"
        "    def write(self, text): return self.text.write(text)\n    def writable(self): return True\n"
        "    def flush(self): os.write(1, self.text.getvalue().encode()); self.text = io.StringIO()\n"
        "sys.stdout = Out()\nprint(sum(map(int, input().split())))\n"
    ),
    "dataclass": "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\nprint(P(3).x)\n",
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_read_and_print_works_at_every_tier(box, way):
    found = box.script(WAYS[way], ADD)
    assert (found.outcome, found.detail, found.output.strip(), found.whole) == (Outcome.PASSED, "", "3", True)


ENDS = {
    "print(3)\nimport sys\nsys.exit(2)": (Outcome.EXIT, "exit status 2"),
    "print(3)\nimport sys\nsys.exit('no')": (Outcome.EXIT, "exit status 1"),
    "print(3)\nimport os\nos._exit(3)": (Outcome.EXIT, "the program ended itself with status 3"),
    "print(3)\n1 / 0": (Outcome.ERROR, "ZeroDivisionError: division by zero"),
    "print(3)\ninput()\ninput()": (Outcome.ERROR, "EOFError: EOF when reading a line"),
    "print(3": (Outcome.SYNTAX, "SyntaxError: '(' was never closed (solution.py, line 1)"),
    "eval('1 +')": (Outcome.ERROR, "SyntaxError: invalid syntax (<string>, line 1)"),
    "while True: pass": (Outcome.TIMEOUT_CPU, "0.5 s of CPU time"),
}


@pytest.mark.parametrize("text", ENDS)
def test_how_a_script_ended_is_told_apart(best, text):
    found = best.script(text, ADD, Limits(cpu_s=0.5, wall_s=30.0))
    assert (found.outcome, found.detail) == ENDS[text]


def test_a_long_input_is_whole_and_a_long_output_is_kept_to_its_limit(best):
    text = "x" * 5_000_000
    assert best.script("print(len(input()))", text).output == "5000000\n"
    found = best.script("print(input())", text, Limits(output_mib=8), 1000)
    assert (found.outcome, found.output, found.whole) == (Outcome.PASSED, "x" * 1000, False)


def test_a_script_cannot_change_its_input_and_random_numbers_are_the_same_each_time(best):
    program = "import os\ntry:\n    os.write(0, b'no')\nexcept OSError:\n    print('refused')\nprint(input())"
    assert best.script(program, ADD).output == "refused\n1 2\n"
    outputs = {best.script("import random\nprint(random.random())", "").output for _ in range(2)}
    assert len(outputs) == 1


def test_a_forked_process_lets_go_and_the_one_that_forked_goes_on():
    with Sandbox() as box:
        child = os.fork()
        if child == 0:
            box.abandon()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert box.script("print(3)", "").output == "3\n"
