"""Models that PEFT has wrapped, before and after attaching: the router in use is the one that is read and biased."""

import warnings

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import JambaConfig, JambaForCausalLM

from trimtab.errors import ConfigurationError, InactiveBalancerError, UnsupportedModelError
from trimtab.moe import wrappers
from trimtab.moe.attach import attach
from trimtab.moe.balancers import LossFree, NoBalancer
from trimtab.moe.capacity import Capacity
from trimtab.moe.gates import Gates
from trimtab.moe.loading import load, restore

RULE = LossFree(bias_update_rate=0.02)
SETTINGS = {
    "attention": {"target_modules": ["q_proj", "v_proj"]},
    "all-linear": {"target_modules": "all-linear"},
    "experts": {"target_parameters": ["experts.gate_up_proj", "experts.down_proj"]},
    "routers": {"target_parameters": ["gate.weight"]},
    "routers and experts": {"target_parameters": ["gate.weight", "experts.down_proj"]},
    "saved routers": {"target_modules": ["q_proj"], "modules_to_save": ["gate"]},
    "saved blocks": {"target_modules": ["q_proj"], "modules_to_save": ["mlp"]},
}
COPYING = {"saved routers", "saved blocks"}


def wrap(model, kind, task="CAUSAL_LM"):
    settings = {"target_modules": [], **SETTINGS[kind]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT's, about what its settings match
        peft = get_peft_model(model, LoraConfig(r=2, lora_alpha=8, task_type=task, **settings))
    generator = torch.Generator().manual_seed(0)
    for name, parameter in peft.named_parameters():
        if "lora_" in name:
            parameter.data.normal_(0, 0.3, generator=generator)
    return peft


def routed(model, text, gates):
    """Counts of the experts that each router in use really returned, heard behind all hooks."""
    seen = {}
    for router in gates.routers:

        def note(_module, _args, output, layer=router.layer):
            seen[layer] = torch.bincount(output[2].flatten(), minlength=8)

        handle = router.outer.register_forward_hook(note)
        seen[router.layer] = handle
    handles = list(seen.values())
    model.train()(input_ids=text, labels=text).loss.backward()
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("task", [None, "CAUSAL_LM"])
@pytest.mark.parametrize("kind", SETTINGS)
def test_attached_after_peft_the_router_in_use_is_counted_biased_and_limited(build, text, family, kind, task):
    peft = wrap(build(family), kind, task)
    with torch.no_grad():
        before = peft.eval()(input_ids=text).logits
    gates = attach(peft, balancer=RULE, capacity=Capacity(factor=0.75))
    with torch.no_grad():
        assert torch.equal(peft.eval()(input_ids=text).logits, before)
    gates.unfreeze()
    for _ in range(3):
        seen = routed(peft, text, gates)
        assert all(torch.equal(calls, seen[layer]) for layer, calls in gates.loads().items())
        gates.update()
    assert all(line["drop_rate"] > 0 for line in gates.metrics())
    gates.assert_active()
    for router in gates.routers:
        assert torch.equal(wrappers.used(router.outer).e_score_correction_bias, gates.biases()[router.layer])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", sorted(set(SETTINGS) - COPYING))
def test_attached_before_peft_it_is_as_if_attached_after(build, text, family, kind, equal):
    found = []
    for first in (True, False):
        model = build(family)
        gates = attach(model, balancer=RULE) if first else None
        peft = wrap(model, kind)
        gates = gates or attach(peft, balancer=RULE)
        gates.unfreeze()
        for _ in range(3):
            peft.train()(input_ids=text, labels=text).loss.backward()
            gates.update()
        gates.assert_active()
        found.append((gates.biases(), {n: p.grad for n, p in peft.named_parameters() if p.grad is not None}))
    equal(found[0][0], found[1][0])
    equal(found[0][1], found[1][1])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", sorted(COPYING))
def test_routers_that_peft_copies_afterwards_are_refused_at_the_first_pass(build, text, family, kind):
    model = build(family)
    gates = attach(model, balancer=RULE)
    peft = wrap(model, kind)
    with pytest.raises(ConfigurationError, match="modules_to_save"):
        peft.train()(input_ids=text, labels=text)
    gates.update()
    with pytest.raises(InactiveBalancerError):
        gates.assert_active()
    gates.detach()
    again = attach(peft, balancer=RULE)
    for _ in range(2):
        peft(input_ids=text, labels=text).loss.backward()
        again.update()
    again.assert_active()
    assert all(bias.any() for bias in again.biases().values())


@pytest.mark.filterwarnings("ignore")
def test_a_bias_that_is_not_the_one_in_use_is_pointed_out(build, text, family):
    """The bias held is compared with the one that the model would use, wherever that has gone."""
    model = build(family)
    gates = attach(model, balancer=RULE)
    for _ in range(2):
        model.train()(input_ids=text, labels=text).loss.backward()
        gates.update()
    gates.assert_active()
    wrap(model, "saved routers")
    for gate in gates._gates:
        wrappers.used(gate.router.outer).e_score_correction_bias.zero_()
        assert not gate.bias_in_use.any()
        assert gate.bias.any()
    with pytest.raises(InactiveBalancerError, match="the bias held goes up to") as caught:
        gates.assert_active()
    assert "the one in use is up to 0;" in caught.value.message


@pytest.mark.filterwarnings("ignore")
def test_adapters_turned_off_are_the_model_before_them_and_count_nothing(build, text, family):
    peft = wrap(build(family), "saved routers")
    with peft.disable_adapter(), torch.no_grad():
        plain = peft.eval()(input_ids=text).logits
    gates = attach(peft, balancer=RULE)
    peft.train()(input_ids=text, labels=text).loss.backward()
    gates.update()
    with peft.disable_adapter(), torch.no_grad():
        assert torch.equal(peft.eval()(input_ids=text).logits, plain)
    with peft.disable_adapter(), pytest.raises(ConfigurationError, match="no active adapter"):
        peft.train()(input_ids=text, labels=text)
    peft.add_adapter("other", LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=["gate"]))
    peft.set_adapter("other")
    with pytest.raises(ConfigurationError, match="the adapter 'other'"):
        peft.train()(input_ids=text, labels=text)
    peft.set_adapter("default")
    peft(input_ids=text, labels=text).loss.backward()
    gates.update()
    gates.assert_active()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["all-linear", "routers and experts", "saved routers"])
def test_merged_a_model_routes_as_its_adapters_did_and_is_saved(build, text, family, kind, tmp_path):
    peft = wrap(build(family), kind)
    gates = attach(peft, balancer=RULE)
    for _ in range(2):
        peft.train()(input_ids=text, labels=text).loss.backward()
        gates.update()
    with torch.no_grad():
        before = peft.eval()(input_ids=text).logits
    with pytest.raises(ConfigurationError, match="of PEFT"):
        gates.save_pretrained(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    merged = peft.merge_and_unload()
    with torch.no_grad():
        after = merged.eval()(input_ids=text).logits
        assert torch.allclose(after, before, atol=1e-4)
        gates.save_pretrained(tmp_path / "model")
        loaded = load(tmp_path / "model")[0]
        assert torch.equal(loaded.eval()(input_ids=text).logits, after)


@pytest.mark.filterwarnings("ignore")
def test_adapters_and_what_is_attached_are_saved_apart_and_come_back(build, text, family, tmp_path, equal):
    peft = wrap(build(family), "attention")
    gates = attach(peft, balancer=RULE)
    gates.unfreeze()
    peft.train()(input_ids=text, labels=text).loss.backward()
    gates.update()
    with torch.no_grad():
        before = peft.eval()(input_ids=text).logits
    peft.save_pretrained(tmp_path)
    gates.save(tmp_path)
    again = PeftModel.from_pretrained(build(family), tmp_path)
    others = attach(again, balancer=RULE)
    restore(others, tmp_path)
    equal(others.state_dict(), gates.state_dict())
    with torch.no_grad():
        assert torch.equal(again.eval()(input_ids=text).logits, before)
    with pytest.raises(ConfigurationError, match="adapters without their base model"):
        load(tmp_path)


def jamba():
    torch.manual_seed(0)
    return JambaForCausalLM(
        JambaConfig(
            vocab_size=64, hidden_size=32, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=2, num_experts=8, num_experts_per_tok=2, attn_layer_period=1, attn_layer_offset=0,
            expert_layer_period=1, expert_layer_offset=0, use_mamba_kernels=False, pad_token_id=0,
        )
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("first", [True, False])
def test_a_linear_router_with_an_adapter_is_heard_with_it(text, first):
    """Jamba's router is a linear layer: its adapter adds to the logits, and a frozen base still learns through it."""
    model = jamba()
    gates = attach(model, balancer=RULE) if first else None
    peft = get_peft_model(model, LoraConfig(r=2, target_modules=["router"], task_type="CAUSAL_LM"))
    for name, parameter in peft.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    gates = gates or attach(peft, balancer=RULE)
    logits = {}
    for router in gates.routers:
        router.outer.register_forward_hook(lambda _m, _a, output, layer=router.layer: logits.update({layer: output}))
    peft.train()(input_ids=text, labels=text).loss.backward()
    for layer, calls in gates.loads().items():
        chosen = logits[layer].topk(2).indices
        assert torch.equal(calls, torch.bincount(chosen.flatten(), minlength=8))
    gates.update()
    gates.assert_active()
    assert all(bias.any() for bias in gates.biases().values())


@pytest.mark.filterwarnings("ignore")
def test_quantized_routers_are_refused_and_other_quantized_layers_are_not(text, build):
    model = jamba().eval()
    model.model = torch.ao.quantization.quantize_dynamic(model.model, {torch.nn.Linear})
    assert "quantized" in type(model.model.layers[0].feed_forward.router).__module__
    with pytest.raises(UnsupportedModelError, match="has no weight") as caught:
        attach(model, balancer=RULE)
    assert "modules_to_not_convert" in caught.value.hint
    model = torch.ao.quantization.quantize_dynamic(build("qwen3_moe").eval(), {torch.nn.Linear})
    gates = attach(model, balancer=NoBalancer())
    with torch.no_grad(), gates.measure() as lines:
        model(input_ids=text)
    assert all(sum(line["load"]) == 2 * text.numel() for line in lines)


def test_gates_of_a_wrapped_model_are_found(build):
    model = build("qwen3_moe")
    gates = attach(model, balancer=NoBalancer())
    assert Gates.of(wrap(model, "attention")) is gates
