#!/usr/bin/env bash
# evalplus 0.3.1: the sanitizer drops decorated functions, helpers without `return` and tables filled by a loop; right replies fail.
#
# `evalplus.codegen` scores what `sanitize` leaves of a reply. Of the statements at the top it keeps imports, classes,
# functions that hold a `return`, and assignments to one name. All else goes, also where the tested function needs it:
# a function or class with a decorator (`lru_cache`, `dataclass`), a helper that changes its argument, a generator, a
# loop that fills a table, names assigned by unpacking, an import within `try`. Nothing is said; the reply fails with a
# NameError that the model did not write. A tested function with a decorator is gone itself.
# Output seen: eight right programs for the same function, each gives 89 as it stands. After the sanitizer the plain
# helper gives 89, "NameError: name 'ways' is not defined" and the like five times, IndexError for the table, and for the
# decorated function itself nothing is left but its import.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --no-deps evalplus==0.3.1
"$folder/env/bin/pip" install --quiet tree-sitter==0.26.1 tree-sitter-python==0.25.0 tqdm==4.70.1 numpy==2.4.6 appdirs==1.4.4 \
    wget==3.2 tempdir==0.7.1 multipledispatch==1.0.0 termcolor==3.3.0
cat > "$folder/check.py" <<'PY'
import importlib.metadata
import sys
import types

sys.modules["datasets"] = types.SimpleNamespace(load_dataset=None)  # imported beside, never used by the sanitizer
from evalplus.sanitize import sanitize

PROGRAMS = {
    "a plain helper": """
def ways(n):
    return 1 if n < 2 else ways(n - 1) + ways(n - 2)

def climb(n):
    return ways(n)
""",
    "a helper with a decorator": """
from functools import lru_cache

@lru_cache(maxsize=None)
def ways(n):
    return 1 if n < 2 else ways(n - 1) + ways(n - 2)

def climb(n):
    return ways(n)
""",
    "the function itself with a decorator": """
from functools import lru_cache

@lru_cache(maxsize=None)
def climb(n):
    return 1 if n < 2 else climb(n - 1) + climb(n - 2)
""",
    "a helper that changes its argument": """
def extend(table):
    table.append(table[-1] + table[-2])

def climb(n):
    table = [1, 1]
    while len(table) <= n:
        extend(table)
    return table[n]
""",
    "a generator": """
def numbers():
    a, b = 1, 1
    while True:
        yield a
        a, b = b, a + b

def climb(n):
    return next(value for index, value in enumerate(numbers()) if index == n)
""",
    "a dataclass": """
from dataclasses import dataclass

@dataclass
class Pair:
    here: int
    ahead: int

def climb(n):
    pair = Pair(1, 1)
    for _ in range(n):
        pair = Pair(pair.ahead, pair.here + pair.ahead)
    return pair.here
""",
    "a table filled by a loop": """
table = [1, 1]
for _ in range(50):
    table.append(table[-1] + table[-2])

def climb(n):
    return table[n]
""",
    "names by unpacking": """
FIRST, SECOND = 1, 1

def climb(n):
    a, b = FIRST, SECOND
    for _ in range(n):
        a, b = b, a + b
    return a
""",
}


def run(program):
    space = {}
    try:
        exec(program, space)
        return space["climb"](10) if "climb" in space else f"no climb in {program!r}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


print("evalplus", importlib.metadata.version("evalplus"))
scored = {}
for name, program in PROGRAMS.items():
    assert run(program) == 89, name
    scored[name] = run(sanitize(f"Here it is:\n```python{program}```\n", "climb"))
    print(f"{name}: {scored[name]}")
assert scored.pop("a plain helper") == 89
assert scored.pop("a table filled by a loop").startswith("IndexError")
assert scored.pop("the function itself with a decorator").startswith("no climb")
assert all(str(result).startswith("NameError") for result in scored.values()), scored
print("as described: what the answer needs is dropped")
PY
"$folder/env/bin/python" "$folder/check.py"
