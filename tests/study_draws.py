"""Tables of synthetic studies with a known effect, and the exact probability of every word said about them.

Given the standard deviation of the seeds their mean is normal, so one integral over the chi distribution gives t test
and TOST together; the noncentral t gives the t test's part a second time.
"""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.integrate import quad
from scipy.special import ndtr
from scipy.stats import chi, nct, t

import synthetic
from trimtab.study import contrasts
from trimtab.study.store import CellResult
from trimtab.study.table import StudyTable

SEEDS, MARGIN = 5, 0.02
STATEMENT = "ALF-LB degrades more than the auxiliary loss under tight capacity."


class Studies:
    """Tables of one study whose cells scatter by ``spread`` around a known effect."""

    def __init__(self) -> None:
        made = synthetic.Synthetic(seeds=SEEDS, units=2, seed_sd=0.05, cell_sd=0.0)
        self.study = made.study()
        self.cells = {cell.id: cell for cell in self.study.cells() if cell.factors["expert_init"] == "random"}
        self.losses = {
            name: made._losses("python_loss", made._key(cell), ["a", "b"])["dropless"]
            for name, cell in self.cells.items()
        }
        (self.stressor,) = [one for one in contrasts.stressors(self.study) if one.factors == ("capacity",)]

    def draw(self, effect: float, spread: float, number: int) -> StudyTable:
        """Return one table; ``number`` fixes its noise."""
        rng = np.random.default_rng([number, round(1000 * (effect + 1)), round(1e5 * spread)])
        results = {name: self._result(name, effect, rng.normal() * spread) for name in self.cells}
        table = StudyTable(
            study=self.study,
            folder=Path("synthetic"),
            cells=self.cells,
            results=results,
            missing={},
            controls=(),
            environment={},
        )
        endpoint = contrasts.ENDPOINTS["python_loss"]
        row = contrasts._draft(table, "tiny", "loss_free", self.stressor, endpoint, {})
        table.__dict__["answers"] = (row,)
        return table

    def _result(self, name: str, effect: float, noise: float) -> CellResult:
        factors = dict(self.cells[name].factors)
        shift = noise + effect * (factors["balancer"] == "loss_free" and factors["capacity"] == "tight")
        units = {
            unit: [nats + shift * tokens, tokens, size] for unit, (nats, tokens, size) in self.losses[name].items()
        }
        return CellResult(
            cell_id=name,
            factors=factors,
            outcome="completed",
            training={"steps": 1, "tokens": 30_720, "parameters": 1_900_000},
            losses={"python": dict.fromkeys(("dropless", "1.25", "1.0"), units)},
        )


def exact(effect: float, spread: float) -> dict[str, float]:
    """Return the probability of each word for five seeds, 95 % and the margin; four cells scatter independently."""
    degrees, sigma = SEEDS - 1, 2 * spread / math.sqrt(SEEDS)
    wide, narrow = t.ppf(0.975, degrees), t.ppf(0.95, degrees)

    def given(share: float) -> tuple[float, float, float]:
        """Return equivalent, supports, refutes where the standard error is ``share`` of its true value."""
        error = share * sigma
        inside, edge = max(0.0, MARGIN - narrow * error), wide * error
        last = max(inside, edge)
        below, above = (effect + inside) / sigma, (inside - effect) / sigma
        return ndtr(above) - ndtr(-below), ndtr((effect - last) / sigma), ndtr((-last - effect) / sigma)

    density = chi(degrees, scale=1 / math.sqrt(degrees))
    edges = sorted({MARGIN / (narrow * sigma), MARGIN / ((wide + narrow) * sigma)})

    def integral(index: int) -> float:
        points = [0.0, *(edge for edge in edges if edge < 5), 5.0]
        parts = (quad(lambda s: given(s)[index] * density.pdf(s), a, b)[0] for a, b in pairwise(points))
        return float(sum(parts))

    equivalent, more, less = map(integral, range(3))
    return {"supports": more, "refutes": less, "equivalent": equivalent, "inconclusive": 1 - equivalent - more - less}


def t_power(effect: float, spread: float) -> tuple[float, float]:
    """Return the exact rates of finding more, and less, by the two-sided t test alone."""
    shift, edge = effect / (2 * spread / math.sqrt(SEEDS)), t.ppf(0.975, SEEDS - 1)
    # SciPy gives nan where the far tail underflows.
    return float(nct.sf(edge, SEEDS - 1, shift)), float(np.nan_to_num(nct.cdf(-edge, SEEDS - 1, shift)))
