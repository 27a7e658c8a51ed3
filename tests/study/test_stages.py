"""A cell's settings become the model, the stress and the attached rule that they name."""

import numpy as np
import pytest
import torch

from trimtab.lm.corpus import Batch
from trimtab.moe.stresses import initialize
from trimtab.settings.fresh_models import FreshModel
from trimtab.settings.initializations import INITIALIZATIONS, Random
from trimtab.settings.runs import CorpusSettings
from trimtab.study import stages

NEEDED = {"scaled_router": {"factor": 10.0}, "twin_rows": {"groups": 2}}


class Text:
    """A corpus of random tokens."""

    def batch(self, seed, step):
        drawn = np.random.default_rng([seed, step]).integers(3, 64, (2, 16))
        return Batch(tokens=drawn, weights=np.ones((2, 16), dtype=np.float32))


def build():
    model = FreshModel(hidden_size=32, intermediate_size=32, moe_intermediate_size=16, num_hidden_layers=2)
    return stages.build_model(model, CorpusSettings(vocab_size=64), 0)


@pytest.mark.parametrize("kind", INITIALIZATIONS, ids=lambda kind: kind.key)
def test_a_kind_changes_the_model_as_its_value_does(kind):
    model, fresh, init = build(), build(), kind(**NEEDED.get(kind.key, {}))
    stages.initialize(model, init, Text(), 4)
    states = model.state_dict(), fresh.state_dict()
    assert any(not torch.equal(states[0][name], states[1][name]) for name in states[0]) == (kind is not Random)
    initialize(fresh, init, torch.as_tensor(Text().batch(4, 0).tokens), torch.Generator().manual_seed(4))
    assert all(torch.equal(states[0][name], tensor) for name, tensor in fresh.state_dict().items())
