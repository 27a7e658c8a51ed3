"""The dither shares out exact ties, disturbs nothing else, and depends on a token's own scores alone."""

import pytest
import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.attach import attach
from trimtab.moe.balancers.dither import dither
from trimtab.moe.routing import max_violation_floor
from trimtab.moe.simulate.engine import SimulatedArm, run
from trimtab.moe.simulate.streams import Shape, Twins
from trimtab.settings.rules import NewtonBalancing, Stack, SwitchLoss

RULE = NewtonBalancing(dither=1e-3)


@pytest.mark.parametrize("scores", [torch.Tensor.sigmoid, lambda logits: logits.softmax(-1)])
def test_it_is_nearly_uniform_and_unrelated_between_experts(scores):
    found = dither(scores(torch.randn(4000, 8, generator=torch.Generator().manual_seed(0))), 0.5)
    assert float(found.abs().max()) <= 0.5
    assert found.mean(0).abs().max() < 0.02
    assert (found.std(0) - 0.5 / 3**0.5).abs().max() < 0.01
    assert (found.T.corrcoef() - torch.eye(8)).abs().max() < 0.06


def test_rounding_moves_it_by_no_more_than_rounding():
    scores = torch.randn(500, 16, generator=torch.Generator().manual_seed(1)).sigmoid()
    wiggled = scores * (1 + 1e-6 * torch.randn(500, 16, generator=torch.Generator().manual_seed(2)))
    assert (dither(scores, 1e-3) - dither(wiggled, 1e-3)).abs().max() < 1e-6
    assert torch.allclose(dither(scores, 1e-3)[:7], dither(scores[:7], 1e-3), atol=1e-8)  # no other token matters


def test_with_it_exact_twins_are_balanced_where_no_bias_can():
    (trace,) = run(Twins(), Shape(), [SimulatedArm(name="", balancer=RULE)], seeds=[9], steps=80)
    assert trace.max_violation[-30:].mean() < max_violation_floor(1024, 16, 2) + 0.03


@pytest.mark.parametrize("rule", [RULE, Stack(RULE, SwitchLoss(coef=0.1))], ids=repr)
@pytest.mark.parametrize("name", ["glm4_moe", "qwen3_moe"])
def test_attached_it_chooses_by_it_in_training_and_evaluation(build, text, step, name, rule):
    """Also where the router has a bias of its own, which alone would send twins' tokens one way."""
    model = build(name)
    gates = attach(model, balancer=rule)
    router, seen = gates.routers[0], []
    with torch.no_grad():
        router.weight[:6] = router.weight[:1]  # six twins among eight
    router.module.register_forward_hook(lambda _module, _args, output: seen.append(output))
    load, gradients = step(model, gates, text)
    assert load[router.layer][:6].all()
    with torch.no_grad():
        model.eval()(input_ids=text)
    logits = seen[-1][0].float()
    scores = logits.softmax(-1) if name == "qwen3_moe" else logits.sigmoid()
    bias = gates.biases()[router.layer]
    expected = (scores + bias + dither(scores, 1e-3)).topk(2).indices
    assert torch.equal(seen[-1][2].sort().values, expected.sort().values)
    assert all(gradient.isfinite().all() for gradient in gradients.values())


def test_a_size_that_is_none_is_refused():
    with pytest.raises(ConfigurationError, match="dither"):
        NewtonBalancing(dither=-1e-3)
