"""Streams are functions of their seed, and have the trouble they are named after."""

import pytest
import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.routing import load, max_violation
from trimtab.moe.simulate import names
from trimtab.moe.simulate.streams import Atoms, Jumping, Shape, Stationary, Twins

SHAPE = Shape(tokens=200, num_experts=8, num_experts_per_tok=2)


@pytest.mark.parametrize("name", [*names.STREAMS, "Fixed()"])
def test_a_batch_depends_on_its_seed_and_number_alone(name):
    stream = names.stream(name)
    first, again, other = stream.open(SHAPE, 1), stream.open(SHAPE, 1), stream.open(SHAPE, 2)
    for number in (1, 2, 3):
        first(number)
    assert first(3).shape == (200, 8)
    assert first(3).dtype == torch.float32
    assert torch.equal(first(3), again(3))
    assert not torch.equal(first(3), other(3))


def test_each_has_the_trouble_it_is_named_after():
    skewed = Stationary(skew=6).open(SHAPE, 0)(1)
    assert int(load(skewed.topk(2).indices, 8)[0]) > 180
    twins = Twins().open(SHAPE, 0)(1)
    assert torch.equal(twins[:, :1].expand(-1, 4), twins[:, :4])
    near = Twins(noise=1e-3).open(SHAPE, 0)(1)
    assert 0 < float((near[:, 0] - near[:, 1]).abs().max()) < 0.05
    assert len(Atoms(types=5).open(SHAPE, 0)(1).unique(dim=0)) <= 5
    jumping = Jumping(at=3).open(SHAPE, 0)
    loads = [load(jumping(n).topk(2).indices, 8).float() for n in (1, 2, 3)]
    assert torch.dist(loads[0], loads[2]) > 2 * torch.dist(loads[0], loads[1])


def test_atoms_have_the_floor_they_say():
    shape = Shape(tokens=4000, num_experts=8, num_experts_per_tok=2)
    stream = Atoms(types=50, share=0.5)
    experts = stream.open(shape, 0)(1).topk(2).indices
    assert stream.floor(shape) == pytest.approx(1.0)
    assert max_violation(load(experts, 8)) > 0.9 * stream.floor(shape)


def test_an_impossible_shape_is_refused():
    with pytest.raises(ConfigurationError):
        Shape(tokens=4, num_experts=2, num_experts_per_tok=2)
