"""Each initialization that a study file can name is applied to the model of a cell."""

import numpy as np
import pytest
import torch

from trimtab.lm.corpus import Batch
from trimtab.moe import depth_init, expert_init, upcycled_init
from trimtab.study import levels, stages

TABLES = {
    "random": {},
    "scaled_router": {"factor": 10.0},
    "skewed_router": {},
    "twin_rows": {"groups": 2},
    "identical_experts": {},
    "dead_expert": {},
    "biased_router": {},
    "drop_upcycled": {},
    "virtual_groups": {},
    "depth_scaled": {},
    "collapsed_inputs": {},
}
# What a kind is in Python; the study's table is that value's settings.
VALUES = {
    "biased_router": expert_init.BiasedRouter(std=1.0),
    "drop_upcycled": upcycled_init.DropUpcycled(drop_ratio=0.5),
    "virtual_groups": upcycled_init.VirtualGroups(granularity=2),
    "depth_scaled": depth_init.DepthScaled(),
    "collapsed_inputs": depth_init.CollapsedInputs(similarity=0.9),
}


class Text:
    """A corpus of random tokens."""

    def batch(self, seed, step):
        drawn = np.random.default_rng([seed, step]).integers(3, 64, (2, 16))
        return Batch(tokens=drawn, weights=np.ones((2, 16), dtype=np.float32))


def build():
    model = levels.ModelLevel(hidden_size=32, intermediate_size=32, moe_intermediate_size=16, num_hidden_layers=2)
    return stages.build_model(model, levels.Data(vocab_size=64), 0)


def test_every_kind_is_here():
    assert TABLES.keys() == levels._KINDS.keys()


@pytest.mark.parametrize("kind", TABLES)
def test_a_kind_changes_the_model_as_its_value_does(kind):
    model, fresh = build(), build()
    level = levels.expert_init({"kind": kind, **TABLES[kind]}, "study.expert_inits.x")
    stages.initialize(model, level, Text(), 4)
    states = model.state_dict(), fresh.state_dict()
    assert any(not torch.equal(states[0][name], states[1][name]) for name in states[0]) == (kind != "random")
    if kind in VALUES:
        sample = torch.as_tensor(Text().batch(4, 0).tokens)
        VALUES[kind].apply(fresh, sample, torch.Generator().manual_seed(4))
        assert all(torch.equal(states[0][name], tensor) for name, tensor in fresh.state_dict().items())
