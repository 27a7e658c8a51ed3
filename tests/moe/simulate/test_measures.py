"""What a trace says is what its definition says."""

import pytest
import torch

from trimtab.moe import dual
from trimtab.moe.simulate import measures
from trimtab.moe.simulate.engine import SimulatedArm, run
from trimtab.moe.simulate.streams import Shape, Stationary
from trimtab.settings.rules import NewtonBalancing, NoBalancer


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
    arms = [
        SimulatedArm(name="none", balancer=NoBalancer()),
        SimulatedArm(name="newton", balancer=NewtonBalancing(), factor=1.0),
    ]
    cells, _ = measures.run(("skewed", stream), shape, arms, seeds=seeds, steps=40)
    assert [(cell.rule, cell.seed) for cell in cells] == [("none", 1), ("none", 2), ("newton", 1), ("newton", 2)]
    assert all(cell.recovery is None and cell.tail > 1 and cell.affinity > 1.01 for cell in cells[:2])
    assert all(cell.recovery is not None and cell.recovery < 10 for cell in cells[2:])
    assert all(0.9 < cell.affinity < 1.001 for cell in cells[2:])
    assert all(abs(cell.dropped - cell.drop_floor) < 0.03 for cell in cells[2:])
    assert cells[0].regret > 10 * cells[2].regret


@pytest.mark.parametrize("stream", [Stationary(), Stationary(skew=3)], ids=repr)
def test_regret_is_measured_from_the_best_bias_in_hindsight(stream):
    """The comparator, against the least of the same sum over all batches put together."""
    shape, steps = Shape(tokens=256, num_experts=8), 24
    beside, hessian = measures.hindsight(stream, shape, [4], steps)
    (still,) = run(stream, shape, [beside], seeds=[4], steps=steps)
    draw = stream.open(shape, 4)
    everything = torch.cat([draw(number) for number in range(1, steps + 1)]).sigmoid()
    exact = measures.optimum(everything, 2) / shape.tokens
    assert float(measures.least(still, hessian, shape)[0]) == pytest.approx(exact, abs=2e-4 * steps)
    assert float(still.dual.sum()) >= exact - 1e-4  # the correction goes the right way


def test_a_bias_that_is_right_from_the_start_has_no_regret_and_a_wrong_one_grows_with_time():
    shape, stream = Shape(tokens=256, num_experts=8), Stationary(skew=3)
    beside, _ = measures.hindsight(stream, shape, [4], 60)
    arms = [beside, SimulatedArm(name="none", balancer=NoBalancer())]
    short, long = (measures.run(("", stream), shape, arms, seeds=[4], steps=steps)[0] for steps in (30, 60))
    assert all(-0.002 < cells[0].regret < 0.03 for cells in (short, long))
    assert long[1].regret == pytest.approx(2 * short[1].regret, rel=0.1)
