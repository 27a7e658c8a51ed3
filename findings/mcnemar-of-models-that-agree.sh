#!/usr/bin/env bash
# mlxtend 0.25.0 and statsmodels 0.15.0: McNemar's test calls two models that agree on every problem certainly different.
#
# Where neither of two models solves a problem that the other does not, the table's discordant cells are both 0. The
# test with continuity correction then is (|0 - 0| - 1)^2 / 0, which is infinite, and its p is 0: the strongest evidence
# there is, for a difference of nothing. mlxtend does so by default, statsmodels with exact=False, which is what one asks
# for from 25 discordant pairs on. Without the correction the statistic is 0 / 0 and p is not a number. The exact test
# gives 1. One discordant problem is enough to get a sensible p from all of them.
# Output seen: mlxtend by default p = 0.0; statsmodels exact=False p = 0.0, without correction nan; exact 1.0 in both.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet numpy==2.4.6 scipy==1.17.1 pandas==2.3.3 patsy==1.0.2 statsmodels==0.15.0
"$folder/env/bin/pip" install --quiet --no-deps mlxtend==0.25.0
cat > "$folder/check.py" <<'PY'
import importlib.metadata
import importlib.util
import math
import pathlib
import warnings

import numpy as np
from statsmodels.stats.contingency_tables import mcnemar

warnings.simplefilter("ignore")
# The one file is loaded by itself: the package around it also imports learners and plots.
root = pathlib.Path(importlib.metadata.distribution("mlxtend").locate_file("mlxtend/evaluate/mcnemar.py"))
location = importlib.util.spec_from_file_location("mlxtend_mcnemar", root)
mlxtend = importlib.util.module_from_spec(location)
location.loader.exec_module(mlxtend)

table = np.array([[100, 0], [0, 64]])  # 100 problems solved by both models, 64 by none, 0 by one alone
default = float(mlxtend.mcnemar(table)[1])
exact = float(mlxtend.mcnemar(table, exact=True)[1])
print("mlxtend", importlib.metadata.version("mlxtend"), "default p =", default, "exact p =", exact)
found = {
    (kind, corrected): float(mcnemar(table, exact=kind == "exact", correction=corrected).pvalue)
    for kind in ("exact", "chi-squared")
    for corrected in (True, False)
}
print("statsmodels", importlib.metadata.version("statsmodels"), found)
assert default == 0.0
assert exact == 1.0
assert found["chi-squared", True] == 0.0
assert math.isnan(found["chi-squared", False])
assert found["exact", True] == 1.0
one = np.array([[100, 1], [0, 63]])
assert float(mlxtend.mcnemar(one)[1]) == 1.0
print("as described: no disagreement at all is called a certain difference")
PY
"$folder/env/bin/python" "$folder/check.py"
