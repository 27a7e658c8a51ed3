"""A model's own auxiliary loss beside what is attached: said at once, shown in metrics, caught by the check."""

import copy
import warnings
from contextlib import nullcontext

import pytest
import torch
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

from trimtab.errors import BalancerWarning, ConfigurationError, InactiveBalancerError
from trimtab.moe.attach import attach
from trimtab.moe.balancers import LossFree, NoBalancer, PooledSwitchLoss, Stack, SwitchLoss
from trimtab.moe.lookout import own_coefficient, wants_own_loss

RULES = [
    LossFree(bias_update_rate=0.01),
    PooledSwitchLoss(coef=0.5),
    Stack(LossFree(bias_update_rate=0.01), SwitchLoss(coef=0.1)),
]


@pytest.mark.parametrize("way", ["config", "call", "tuple"])
@pytest.mark.parametrize("family", ["qwen3_moe", "mixtral", "olmoe"])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_two_balancers_are_said_shown_and_missed_by_no_check(*, build, text, family, rule, way):
    model = build(family).train()
    model.router_aux_loss_coef = 0.5
    options = {} if way == "config" else {"output_router_logits": True, "return_dict": way != "tuple"}
    model.config.output_router_logits = way == "config"
    gates = attach(model, balancer=rule)
    with pytest.warns(BalancerWarning, match="two balancers are at work"):
        output = model(input_ids=text, labels=text, **options)
    (output[0] if way == "tuple" else output.loss).backward()
    gates.update()
    assert all(line["own_loss"] == 0.5 for line in gates.metrics())
    with pytest.raises(InactiveBalancerError, match="its own auxiliary loss with coefficient"):
        gates.assert_active()
    model.config.output_router_logits = False
    for _ in range(2):
        model(input_ids=text, labels=text).loss.backward()
        gates.update()
    assert all(line["own_loss"] == 0 for line in gates.metrics())
    gates.assert_active()


def test_the_coefficient_told_is_the_one_that_the_loss_has(build, text):
    for family in ("qwen3_moe", "mixtral", "olmoe"):
        model = build(family).train()
        model.router_aux_loss_coef = 0.25
        with torch.no_grad():
            plain = model(input_ids=text, labels=text).loss
            own = model(input_ids=text, labels=text, output_router_logits=True)
        told = own_coefficient(model, {"labels": text}, own)
        assert float(own.loss - plain) == pytest.approx(told * float(own.aux_loss), rel=1e-4)


@pytest.mark.parametrize("family", ["deepseek_v3", "glm4_moe"])
def test_a_family_without_such_a_loss_is_not_accused_of_one(build, text, family):
    """What their configurations say about it changes nothing."""
    model = build(family).train()
    model.config.output_router_logits, model.config.router_aux_loss_coef = True, 0.5
    gates = attach(model, balancer=LossFree(bias_update_rate=0.01))
    for _ in range(2):
        model(input_ids=text, labels=text).loss.backward()
        gates.update()
    gates.assert_active()
    assert all(line["own_loss"] == 0 for line in gates.metrics())


@pytest.mark.parametrize(
    ("options", "labels", "coefficient"),
    [({}, True, 0.5), ({"output_router_logits": True}, False, 0.5), ({"output_router_logits": True}, True, 0.0)],
    ids=["not asked for", "no labels", "coefficient 0"],
)
def test_a_loss_that_is_not_added_is_no_second_balancer(*, build, text, options, labels, coefficient):
    model = build("qwen3_moe").train()
    model.router_aux_loss_coef = coefficient
    gates = attach(model, balancer=LossFree(bias_update_rate=0.01))
    for _ in range(2):
        model(input_ids=text, labels=text if labels else None, **options).logits.sum().backward()
        gates.update()
    assert all(line["own_loss"] == 0 for line in gates.metrics())
    gates.assert_active()


def test_beside_no_balancer_it_is_shown_alone(build, text):
    model = build("qwen3_moe").train()
    model.config.output_router_logits = True
    model.router_aux_loss_coef = 0.5
    gates = attach(model, balancer=NoBalancer())
    model(input_ids=text, labels=text).loss.backward()
    gates.update()
    gates.assert_active()
    assert all(line["own_loss"] == 0.5 for line in gates.metrics())


def test_a_configuration_says_whether_it_asks_for_it(build):
    config = copy.deepcopy(build("qwen3_moe").config)
    assert not wants_own_loss(config)
    config.output_router_logits = True
    assert wants_own_loss(config)
    assert not wants_own_loss(build("deepseek_v3").config)


def test_a_router_that_was_replaced_is_named(build, text, family):
    model = build(family).train()
    gates = attach(model, balancer=NoBalancer())
    block = model.model.layers[1].mlp
    held, block.gate = block.gate, copy.deepcopy(build(family).model.layers[1].mlp.gate)
    with pytest.raises(ConfigurationError, match=r"layers\.1\.mlp\.gate: the model now calls"):
        model(input_ids=text)
    block.gate = held
    model(input_ids=text, labels=text).loss.backward()
    assert int(gates.loads()[1].sum()) == 2 * text.numel()


def test_a_router_whose_block_has_left_the_model_is_named_in_training(build, text, family):
    model = build(family).train()
    gates = attach(model, balancer=NoBalancer())
    layers, block = model.model.layers, model.model.layers[1].mlp
    model.model.layers = layers[:2]
    with pytest.raises(ConfigurationError, match=r"layers\.2\.mlp\.gate is no longer part of the model"):
        model(input_ids=text)
    with torch.no_grad():
        model.eval()(input_ids=text)  # without its last layers a model may draft
    model.train().model.layers = layers
    layers[1].mlp = copy.deepcopy(build(family).model.layers[1].mlp)
    with pytest.raises(ConfigurationError, match=r"model\.layers\.1\.mlp is gone, or another module"):
        model(input_ids=text)
    layers[1].mlp = block
    model(input_ids=text, labels=text).loss.backward()
    assert {int(load.sum()) for load in gates.loads().values()} == {2 * text.numel()}


class Handing(torch.nn.Module):
    """A wrapper of somebody else's."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, *args, **kwargs):
        return self.inner(*args, **kwargs)


@pytest.mark.filterwarnings("ignore")  # of torch, about its own compiler
@pytest.mark.parametrize("wrap", [Handing, checkpoint_wrapper, lambda inner: torch.compile(inner, backend="eager")])
def test_wrappers_that_hold_a_block_are_not_accused(build, text, family, wrap, equal):
    loads = []
    for wrapped in (False, True):
        model = build(family).train()
        gates = attach(model, balancer=LossFree(bias_update_rate=0.01))
        for layer in model.model.layers if wrapped else ():
            layer.mlp = wrap(layer.mlp)
        model(input_ids=text, labels=text).loss.backward()
        loads.append(gates.loads())
    torch._dynamo.reset()
    equal(*loads)


@pytest.mark.parametrize(("name", "value"), [("top_k", 3), ("norm_topk_prob", False)])
def test_numbers_that_a_router_decides_by_are_those_it_was_attached_with(build, text, family, name, value):
    model = build(family).train()
    attach(model, balancer=LossFree(bias_update_rate=0.01))
    gate = model.model.layers[2].mlp.gate
    before = getattr(gate, name)
    setattr(gate, name, value)
    with pytest.raises(ConfigurationError, match=rf"{name} is {value}, and was {before} when it was attached to"):
        model(input_ids=text)
    setattr(gate, name, before)
    model(input_ids=text)


def test_transforms_of_functions_are_refused_with_the_reason(build, text, family):
    model = build(family).train()
    gates = attach(model, balancer=LossFree(bias_update_rate=0.01))

    def loss(parameters):
        return torch.func.functional_call(model, parameters, (), {"input_ids": text, "labels": text}).loss

    with pytest.raises(ConfigurationError, match=r"not within torch\.func\.grad"):
        torch.func.grad(loss)(dict(model.named_parameters()))
    gates.detach()
    torch.func.grad(loss)(dict(model.named_parameters()))


def test_a_loss_that_a_trainer_adds_without_labels_is_seen_by_its_gradient(build, text):
    """TRL's GRPO takes ``aux_loss`` from the output and adds it to a loss of its own."""
    model = build("qwen3_moe").train()
    gates = attach(model, balancer=LossFree(bias_update_rate=0.01), accumulation=2)
    for micro_batch in range(2):
        out = model(input_ids=text, output_router_logits=True)
        loss = (out.logits.square().mean() + 0.001 * out.aux_loss) / 2
        with nullcontext() if micro_batch else pytest.warns(BalancerWarning, match="with coefficient 0.001"):
            loss.backward()
    gates.update()
    assert all(line["own_loss"] == pytest.approx(0.001) for line in gates.metrics())
    with pytest.raises(InactiveBalancerError, match="its own auxiliary loss"):
        gates.assert_active()


def test_an_auxiliary_loss_that_nobody_adds_is_no_second_balancer(build, text):
    model = build("qwen3_moe").train()
    gates = attach(model, balancer=LossFree(bias_update_rate=0.01))
    for factor in (None, 0.0):
        out = model(input_ids=text, output_router_logits=True)
        (out.logits.square().mean() + (0 if factor is None else factor * out.aux_loss)).backward()
        gates.update()
        assert all(line["own_loss"] == 0 for line in gates.metrics())


def test_two_balancers_are_said_once_however_long_they_are_at_work(build, text):
    model = build("qwen3_moe").train()
    model.router_aux_loss_coef = 0.5
    model.config.output_router_logits = True
    gates = attach(model, balancer=LossFree(bias_update_rate=0.01))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(5):
            model(input_ids=text, labels=text).loss.backward()
            gates.update()
    assert len(caught) == 1


def test_a_loss_out_of_a_tuple_that_a_trainer_adds_is_seen_by_its_gradient(build, text):
    model = build("qwen3_moe").train()
    gates = attach(model, balancer=LossFree(bias_update_rate=0.01))
    own, logits = model(input_ids=text, output_router_logits=True, return_dict=False)[:2]
    with pytest.warns(BalancerWarning, match=r"with coefficient 0\.25"):
        (logits.square().mean() + 0.25 * own).backward()
    gates.update()
    assert gates.metrics()[0]["own_loss"] == 0.25
