"""Routers are found and understood by their interface, in families that name everything differently."""

import pytest
import torch
from torch import nn

from trimtab.errors import UnsupportedModelError
from trimtab.moe.discovery import find_routers

EXPECTED = {
    "glm4_moe": ("sigmoid", True, True, [1, 2]),
    "deepseek_v3": ("sigmoid", True, True, [1, 2]),
    "qwen3_moe": ("softmax", True, False, [1, 2]),
    "olmoe": ("softmax", False, False, [0, 1, 2]),
    "mixtral": ("softmax", True, False, [0, 1, 2]),
}


def test_families_are_read_right(build, any_family):
    score_function, renormalize, native_bias, layers = EXPECTED[any_family]
    routers = find_routers(build(any_family))
    assert [router.layer for router in routers] == layers
    for router in routers:
        assert router.score_function == score_function
        assert router.renormalize == renormalize
        assert router.native_bias == native_bias
        assert (router.num_experts, router.num_experts_per_tok) == (8, 2)


def test_weights_of_reproduces_the_router(build, any_family):
    model = build(any_family)
    for router in find_routers(model):
        logits, weights, experts = router.module(torch.randn(5, 32, generator=torch.Generator().manual_seed(0)))
        scores = logits.sigmoid() if router.score_function == "sigmoid" else logits.softmax(-1)
        assert torch.allclose(router.weights_of(scores, experts), weights, atol=1e-6)


def test_a_scaling_factor_and_a_bias_do_not_confuse_it(build):
    model = build("deepseek_v3")
    for router in find_routers(model):
        router.module.routed_scaling_factor = 2.5
        router.module.e_score_correction_bias += torch.linspace(5, 7, 8)
    routers = find_routers(model)
    assert {(r.score_function, r.renormalize) for r in routers} == {("sigmoid", True)}
    logits, weights, experts = routers[0].module(torch.randn(5, 32))
    assert torch.allclose(routers[0].weights_of(logits.sigmoid(), experts), weights, atol=1e-6)


def test_looking_leaves_no_trace(build, any_family):
    model = build(any_family)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    calls = []
    for module in model.modules():
        module.register_forward_hook(lambda *_: calls.append(1))
    state = torch.get_rng_state()
    find_routers(model)
    assert torch.equal(torch.get_rng_state(), state)
    assert calls == []
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_routers_are_read_before_their_weights_exist(build, any_family):
    plain = [(r.name, r.score_function, r.renormalize) for r in find_routers(build(any_family))]
    with torch.device("meta"):
        model = build(any_family)
    assert [(r.name, r.score_function, r.renormalize) for r in find_routers(model)] == plain


def test_a_dense_model_has_none():
    assert find_routers(nn.Sequential(nn.Linear(2, 2))) == []


class Block(nn.Module):
    def __init__(self, gate, name="gate"):
        super().__init__()
        self.experts = nn.Linear(1, 1)
        setattr(self, name, gate)


class Odd(nn.Module):
    """A router with a chosen way of answering."""

    def __init__(self, answer, shape=(8, 4)):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(shape))
        self.answer = answer

    def forward(self, hidden):
        return self.answer(hidden @ self.weight.t())


def top(values, k=2):
    return values, *values.topk(k)


@pytest.mark.parametrize(
    ("gate", "reason"),
    [
        (Odd(lambda logits: logits), "does not return"),
        (Odd(lambda logits: (logits, logits.softmax(-1))), "does not return logits"),
        (Odd(lambda logits: (logits, *(-logits).topk(2))), "neither its choice nor its weights"),
        (Odd(lambda logits: (logits, logits.topk(2).values, torch.zeros(len(logits), 2).long())), "that differ"),
        (Odd(top, shape=(2, 8, 4)), "no weight"),
        (nn.Identity(), "no weight"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_name_and_reason(gate, reason):
    with pytest.raises(UnsupportedModelError, match=reason) as caught:
        find_routers(nn.ModuleDict({"block": Block(gate)}))
    assert "block.gate" in str(caught.value)


def test_a_router_that_wants_more_than_hidden_states_is_refused():
    gate = Odd(top)
    gate.forward = lambda hidden, bias: top(hidden + bias)
    with pytest.raises(UnsupportedModelError, match="wants 'bias' beside hidden states"):
        find_routers(nn.ModuleDict({"block": Block(gate)}))


def test_experts_without_a_router_are_refused():
    with pytest.raises(UnsupportedModelError, match="no router named"):
        find_routers(nn.ModuleDict({"block": Block(Odd(top), name="chooser")}))


def test_blocks_without_layer_numbers_are_counted():
    def answer(logits):
        weights, experts = logits.softmax(-1).topk(2)
        return logits, weights, experts

    model = nn.ModuleDict({"a": Block(Odd(answer)), "b": Block(Odd(answer), name="router")})
    assert [(r.name, r.layer) for r in find_routers(model)] == [("a.gate", 0), ("b.router", 1)]
