#!/usr/bin/env bash
# statsmodels 0.15.0: the one-sided interval of a pass rate bounds it on the other side than the test of the same name.
#
# A test with alternative="larger" rejects small rates, and the interval that belongs to it is a lower bound: [low, 1].
# So it is for means in statsmodels (tconfint_mean, zconfint) and for rates in scipy (alternative="greater").
# proportion_confint(alternative="larger") gives [0, upper], by each of its methods, and confint_poisson likewise; the
# lower bound is under "smaller". The docstring says that one bound is 0 or 1, not which. For 16 of 20 problems solved a
# rate of 0.5 lies in the interval whose test rejects it (p = 0.006), and 0.95, which that test does not doubt (p = 0.997),
# lies outside.
# Output seen: means: larger [mean's lower bound, inf]; rates: scipy greater [0.599, 1], statsmodels larger [0, 0.929] and
# smaller [0.599, 1]; Poisson: larger [0, 1.215].
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet numpy==2.4.6 scipy==1.17.1 pandas==2.3.3 patsy==1.0.2 statsmodels==0.15.0
cat > "$folder/check.py" <<'PY'
import importlib.metadata

import numpy as np
from scipy.stats import binomtest
from statsmodels.stats.proportion import binom_test, proportion_confint
from statsmodels.stats.rates import confint_poisson
from statsmodels.stats.weightstats import DescrStatsW, zconfint

print("statsmodels", importlib.metadata.version("statsmodels"))
SOLVED, PROBLEMS = 16, 20
outcomes = np.repeat([1.0, 0.0], [SOLVED, PROBLEMS - SOLVED])
for name, (low, upper) in {
    "tconfint_mean": DescrStatsW(outcomes).tconfint_mean(alternative="larger"),
    "zconfint": zconfint(outcomes, alternative="larger"),
}.items():
    print(f"{name}, larger: [{low:.3f}, {upper:.3f}]")
    assert 0 < low < SOLVED / PROBLEMS and upper == np.inf

expected = binomtest(SOLVED, PROBLEMS, alternative="greater").proportion_ci()
print(f"scipy, greater: [{expected.low:.3f}, {expected.high:.3f}]")
for method in ("beta", "wilson", "agresti_coull", "jeffreys", "normal", "binom_test"):
    larger, smaller = (
        [float(bound) for bound in proportion_confint(SOLVED, PROBLEMS, method=method, alternative=side)]
        for side in ("larger", "smaller")
    )
    print(f"{method}: larger [{larger[0]:.3f}, {larger[1]:.3f}], smaller [{smaller[0]:.3f}, {smaller[1]:.3f}]")
    assert larger[0] == 0 and SOLVED / PROBLEMS < larger[1] < 1, "larger is no upper bound any more"
    assert 0 < smaller[0] < SOLVED / PROBLEMS and smaller[1] == 1, "smaller is no lower bound any more"
    if method == "beta":
        assert np.allclose(smaller, expected), "the lower bound is another one"
        inside, outside = (float(binom_test(SOLVED, PROBLEMS, rate, alternative="larger")) for rate in (0.5, 0.95))
        print(f"the test, larger: p = {inside:.3f} for 0.5, which the interval holds, {outside:.3f} for 0.95, outside it")
        assert inside < 0.01 and larger[0] < 0.5 < larger[1] and outside > 0.9 and larger[1] < 0.95
low, upper = confint_poisson(SOLVED, PROBLEMS, method="exact-c", alternative="larger")
print(f"confint_poisson, larger: [{low:.3f}, {upper:.3f}]")
assert low == 0 and upper > SOLVED / PROBLEMS
print("as described: for rates the names of the sides are exchanged")
PY
"$folder/env/bin/python" "$folder/check.py"
