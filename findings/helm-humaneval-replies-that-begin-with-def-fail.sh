#!/usr/bin/env bash
# crfm-helm 0.5.16, HumanEval: a right reply that begins with the function's own header, as chat models do, never passes.
#
# The metric strips the reply (benchmark/metrics/evaluate_reference_metrics.py, `completion.text.strip()`) and
# check_correctness puts the prompt and four blanks before it. That repairs the first line of a reply that goes on with
# the function's body. A reply that begins with `def` becomes a nested header whose own body is not deeper: a syntax
# error, whatever follows. The same function behind an import passes, since the blanks go to the import. So two models
# that write the same right functions can score 0 and 1.
# Output seen: "body: passed", "whole function: failed: expected an indented block after function definition on line 3",
# "import and function: passed".
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --no-deps crfm-helm==0.5.16
"$folder/env/bin/pip" install --quiet numpy==2.3.5 colorlog==6.10.1 pyyaml==6.0.3
cat > "$folder/check.py" <<'PY'
import sys

from helm.benchmark.metrics.code_metrics_helper import check_correctness

problem = {
    "task_id": "own/add",
    "prompt": 'def add(x: int, y: int):\n    """Add two numbers."""\n',
    "test": "def check(candidate):\n    assert candidate(2, 3) == 5\n",
    "entry_point": "add",
}
replies = {
    "body": "    return x + y\n",
    "whole function": "def add(x: int, y: int):\n    return x + y\n",
    "import and function": "import math\n\ndef add(x: int, y: int):\n    return x + y\n",
}
if __name__ == "__main__":
    seen = {}
    for name, reply in replies.items():
        result = check_correctness(problem, reply.strip(), 10.0)
        seen[name] = result["passed"]
        print(f"{name}: {result['result']}")
    sys.exit(seen != {"body": True, "whole function": False, "import and function": True})
PY
"$folder/env/bin/python" "$folder/check.py"
