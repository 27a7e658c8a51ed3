"""The fast experts against a per-token reference in float64, and against transformers' own."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from trimtab.lm import models
from trimtab.moe import experts
from trimtab.settings.fresh_models import FreshModel


class Layer(nn.Module):
    """Experts in transformers' stock layout."""

    def __init__(self, num_experts, hidden, inner, dtype=torch.float64):
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.num_experts = num_experts
        shape = (num_experts, 2 * inner, hidden)
        self.gate_up_proj = nn.Parameter(torch.randn(shape, generator=generator, dtype=dtype))
        self.down_proj = nn.Parameter(torch.randn((num_experts, hidden, inner), generator=generator, dtype=dtype))
        self.act_fn = nn.SiLU()


def per_token(layer, hidden, index, weights):
    rows = []
    for token in range(len(hidden)):
        total = torch.zeros_like(hidden[token])
        for slot in range(index.shape[1]):
            expert = index[token, slot]
            gate, up = (layer.gate_up_proj[expert] @ hidden[token]).chunk(2)
            total = total + weights[token, slot] * (layer.down_proj[expert] @ (functional.silu(gate) * up))
        rows.append(total)
    return torch.stack(rows)


def gradients(function, layer, hidden, index, weights):
    hidden, weights = hidden.clone().requires_grad_(), weights.clone().requires_grad_()
    inputs = (hidden, weights, layer.gate_up_proj, layer.down_proj)
    result = function(layer, hidden, index, weights)
    direction = torch.sin(torch.arange(result.numel(), dtype=result.dtype)).view_as(result)
    return result, torch.autograd.grad(result, inputs, direction)


@pytest.mark.parametrize("dropped", [0.0, 0.25, 0.86, 1.0])
def test_value_and_gradients_equal_a_per_token_loop(dropped):
    generator = torch.Generator().manual_seed(0)
    layer = Layer(5, 8, 6)
    hidden = torch.randn(23, 8, generator=generator, dtype=torch.float64)
    index = torch.rand(23, 5, generator=generator).topk(2).indices
    weights = torch.rand(23, 2, generator=generator, dtype=torch.float64)
    kept = torch.rand(23, 2, generator=generator) >= dropped
    # The drop is outside, as in a gate: the weight of a dropped call gets no gradient from either.
    mine = gradients(lambda *a: experts.forward(*a[:3], a[3] * kept), layer, hidden, index, weights)
    reference = gradients(lambda *a: per_token(*a[:3], a[3] * kept), layer, hidden, index, weights)
    assert torch.allclose(mine[0], reference[0], rtol=1e-12, atol=1e-12)
    for ours, theirs in zip(mine[1], reference[1], strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(
    tokens=st.integers(0, 9),
    num_experts=st.integers(1, 7),
    data=st.data(),
)
def test_any_shape_equals_a_per_token_loop(tokens, num_experts, data):
    top_k = data.draw(st.integers(1, num_experts))
    layer = Layer(num_experts, 4, 3)
    generator = torch.Generator().manual_seed(tokens)
    hidden = torch.randn(tokens, 4, generator=generator, dtype=torch.float64)
    index = torch.rand(tokens, num_experts, generator=generator).topk(top_k).indices
    weights = torch.rand(tokens, top_k, generator=generator, dtype=torch.float64)
    result = experts.forward(layer, hidden, index, weights)
    assert result.shape == hidden.shape
    if tokens:
        assert torch.allclose(result, per_token(layer, hidden, index, weights), rtol=1e-12, atol=1e-12)


def test_a_call_of_weight_zero_is_never_computed():
    layer = Layer(3, 4, 3)
    with torch.no_grad():
        layer.down_proj[1] = float("nan")  # would spread to any token whose call to it were computed
    hidden = torch.ones(4, 4, dtype=torch.float64)
    index = torch.tensor([[0, 1], [1, 2], [0, 2], [2, 1]])
    weights = torch.tensor([[0.5, 0.0], [0.0, 0.5], [0.5, 0.5], [0.5, 0.0]], dtype=torch.float64)
    assert experts.forward(layer, hidden, index, weights).isfinite().all()


@pytest.mark.parametrize("preset", ["sigmoid", "softmax"])
def test_a_model_computes_the_same_as_with_transformers_experts(preset):
    model = models.build(
        FreshModel(preset=preset, hidden_size=16, num_attention_heads=1, moe_intermediate_size=8), seed=0, vocab_size=64
    )
    tokens = torch.randint(3, 64, (3, 17), generator=torch.Generator().manual_seed(0))
    results = {}
    for name in ("eager", "grouped_mm", "trimtab"):
        model.set_experts_implementation(name)
        model.zero_grad()
        loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        results[name] = (loss.detach(), {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None})
    for name in ("grouped_mm", "trimtab"):
        assert torch.allclose(results[name][0], results["eager"][0], rtol=1e-6)
        for parameter, gradient in results["eager"][1].items():
            assert torch.allclose(results[name][1][parameter], gradient, rtol=1e-4, atol=1e-7), parameter


def test_layouts_it_does_not_know_go_to_transformers(monkeypatch):
    called = []
    monkeypatch.setattr(experts, "grouped_mm_experts_forward", lambda *a: called.append(1) or a[1])
    layer = Layer(2, 4, 4, dtype=torch.float32)
    layer.act_fn = nn.GELU()
    hidden, index, weights = torch.ones(2, 4), torch.tensor([[0], [1]]), torch.ones(2, 1)
    experts.forward(layer, hidden, index, weights)
    layer.act_fn = nn.SiLU()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        experts.forward(layer, hidden, index, weights)
    assert called == [1, 1]
    experts.forward(layer, hidden, index, weights)
    assert called == [1, 1]


def test_a_model_without_experts_is_left_alone():
    size = FreshModel(hidden_size=16, num_attention_heads=1, feed_forward="none")
    model = models.build(size, seed=0, vocab_size=64)
    before = model.config._experts_implementation
    experts.use(model)
    assert model.config._experts_implementation == before
