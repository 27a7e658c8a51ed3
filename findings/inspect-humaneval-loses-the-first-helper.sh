#!/usr/bin/env bash
# inspect_evals 0.26.0, HumanEval: a right reply that defines a helper before the answer fails, as the helper is lost.
#
# The scorer takes the first Python block of a reply and, of that, what follows its first ":\n    ", and puts the
# problem's prompt before it. Where the block begins with the asked function, that is its body. Where it begins with
# another function, as replies with a helper do, that function's header is cut off and its body is put under the asked
# function's header; the real answer follows as a second definition, which counts, and calls a helper that has no name
# any more. Decorators defined in the reply, and a class before the function, are lost in the same way. A helper after
# the function does no harm.
# Output seen: the reply's own program gives 0.5 for 3.5 both times; with the helper after the function 0.5 is scored,
# with the same helper before it a NameError.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --no-deps inspect-evals==0.26.0
cat > "$folder/check.py" <<'PY'
import ast
import importlib.metadata
import pathlib

root = pathlib.Path(importlib.metadata.distribution("inspect-evals").locate_file("inspect_evals"))
space = {}
exec(compile((root / "utils/code.py").read_text(), "code.py", "exec"), space)
# The functions alone: the file around them needs the whole framework.
tree = ast.parse((root / "humaneval/humaneval.py").read_text())
wanted = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name in ("find_code", "extract_function_body")]
exec(compile(ast.Module(wanted, []), "humaneval.py", "exec"), space)

prompt = 'def truncate_number(number: float) -> float:\n    """ Return the decimal part of the number. """\n'
helper = "def whole_part(number):\n    result = int(number) * 3.0\n    return result\n\n\n"
answer = "def truncate_number(number: float) -> float:\n    return number - whole_part(number) / 3\n"
found = {}
for name, code in {"before": helper + answer, "after": answer + "\n\n" + helper}.items():
    judged = prompt + space["find_code"](f"Here it is:\n```python\n{code}```\n")
    names = {}
    try:
        exec(judged, names)
        found[name] = names["truncate_number"](3.5)
    except Exception as error:
        found[name] = type(error).__name__
    own = {}
    exec(code, own)
    print(f"helper {name}: the reply's own program gives {own['truncate_number'](3.5)}, what is scored {found[name]}")
    assert own["truncate_number"](3.5) == 0.5
print("inspect_evals", importlib.metadata.version("inspect-evals"), found)
assert found["after"] == 0.5
assert found["before"] == "NameError"
print("as described: the helper before the answer is lost")
PY
"$folder/env/bin/python" "$folder/check.py"
