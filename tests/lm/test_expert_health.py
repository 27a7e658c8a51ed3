import numpy as np
import pytest
import torch

from trimtab.lm import dense, expert_health
from trimtab.lm.text_pool import PlaceBatch
from trimtab.lm.trunk import TrunkCache
from trimtab.lm.upcycled import UpcycledModel, Vocabulary
from trimtab.settings.upcycled_models import UpcycledSettings


@pytest.fixture
def model(tiny_dense, tmp_path):
    source = dense.load(str(tiny_dense), tmp_path)
    text = np.random.default_rng(1).integers(1, 257, size=64).astype(np.int32)
    states = TrunkCache(identity=source.identity, layer=1, precision="float32", folder=tmp_path).collect(
        [[text]], lambda: source.model
    )
    settings = UpcycledSettings(layers=(-2, -1), num_experts=4)
    upcycled = UpcycledModel(source.model, settings, torch.Generator().manual_seed(0))
    upcycled.read(states, torch.from_numpy(text).long())
    return upcycled


def test_copies_have_equal_norms_and_a_silent_expert_no_share_of_the_output(model):
    for values in expert_health.norms(model).values():
        assert values == pytest.approx([values[0]] * 4)
    experts = model.mixtures["2"].experts
    with torch.no_grad():
        experts.down_proj[3] = 0
    expected = float(experts.gate_up_proj[3].detach().double().square().sum().sqrt())
    assert expert_health.norms(model)[2][3] == pytest.approx(expected, rel=1e-5)
    positions = np.arange(32)[None].repeat(2, 0)
    places = positions + np.array([[0], [32]])
    batch = PlaceBatch(tokens=places, weights=np.ones((2, 32), dtype=np.float32), positions=positions)
    vocabulary = Vocabulary(model.head, model.tokens, model.tokens)
    shares = expert_health.examine(model, vocabulary, batch)
    assert set(shares) == {1, 2}
    assert shares[2]["output_share"][3] == 0
    for layer in shares.values():
        assert sum(layer["output_share"]) == pytest.approx(1, abs=1e-4)
        assert sum(layer["gradient_share"]) == pytest.approx(1, abs=1e-4)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.training
