"""What a trace says is what its definition says."""

import pytest
import torch

from trimtab.moe import dual
from trimtab.moe.balancers import NewtonBalancing, NoBalancer
from trimtab.moe.simulate import measures
from trimtab.moe.simulate.engine import Arm, run
from trimtab.moe.simulate.streams import Shape, Stationary


def test_recovery_is_the_first_of_five_good_batches():
    violation = torch.tensor([2.0, 0.1, 0.1, 2.0, 0.1, 0.2, 0.1, 0.3, 0.1, 9.0])
    assert measures.recovery(violation, 0.5) == 4
    assert measures.recovery(violation, 0.25) is None
    assert measures.recovery(violation[4:], 0.5) == 0


@pytest.mark.parametrize(("top_k", "skew"), [(1, 0.0), (2, 0.4), (3, 0.0)])
def test_the_optimum_is_the_linear_programs_from_above(top_k, skew):
    scores = torch.rand(120, 8, generator=torch.Generator().manual_seed(top_k), dtype=torch.float64) * 0.6
    scores[:, 0] += skew
    exact = dual.lp_optimum(scores, top_k).value
    assert exact - 1e-6 <= measures.optimum(scores, top_k) <= exact * (1 + 1e-3)


def test_cells_hold_what_happened():
    shape = Shape(tokens=128, num_experts=8)
    stream, seeds = Stationary(skew=3), [1, 2]
    arms = [Arm(name="none", balancer=NoBalancer()), Arm(name="newton", balancer=NewtonBalancing(), factor=1.0)]
    traces = run(stream, shape, arms, seeds=seeds, steps=40)
    cells = measures.cells(("skewed", stream), shape, arms, traces, seeds)
    assert [(cell.rule, cell.seed) for cell in cells] == [("none", 1), ("none", 2), ("newton", 1), ("newton", 2)]
    assert all(cell.recovery is None and cell.tail > 1 and cell.affinity > 1.01 for cell in cells[:2])
    assert all(cell.recovery is not None and cell.recovery < 10 for cell in cells[2:])
    assert all(0.9 < cell.affinity < 1.001 for cell in cells[2:])
    assert all(abs(cell.dropped - cell.drop_floor) < 0.03 for cell in cells[2:])
    assert cells[0].regret > 10 * cells[2].regret
