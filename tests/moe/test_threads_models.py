"""One test a thread: what went wrong elsewhere between models, experts and files, named after where it was reported."""

from functools import partial

import pytest
import torch
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.nn import functional
from torch.utils import checkpoint
from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

import trimtab
from trimtab.moe import experts
from trimtab.moe.attach import attach
from trimtab.settings.capacities import Capacity
from trimtab.settings.rules import LossFree, Stack, SwitchLoss

RULE = LossFree(bias_update_rate=1e-2)
BACKENDS = ["eager", "grouped_mm", "batched_mm", experts.NAME]


def qwen3(hidden=32, inner=16, num_experts=8):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Qwen3MoeForCausalLM(
            Qwen3MoeConfig(
                vocab_size=64, hidden_size=hidden, intermediate_size=32, moe_intermediate_size=inner,
                num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2, head_dim=16, norm_topk_prob=True,
                num_experts=num_experts, num_experts_per_tok=2, mlp_only_layers=[0], initializer_range=0.2,
            )
        )  # fmt: skip


def save_matrix_products(_ctx, op, *_args, **_kwargs):
    """As selective checkpointing is used: keep what is costly, compute the rest again."""
    keep = op in {torch.ops.aten.mm.default, torch.ops.aten.addmm.default}
    return checkpoint.CheckpointPolicy.MUST_SAVE if keep else checkpoint.CheckpointPolicy.PREFER_RECOMPUTE


@pytest.mark.parametrize("rule", [RULE, Stack(RULE, SwitchLoss(coef=0.1, scope="global"))], ids=["bias", "stack"])
def test_automodel_3247_selective_checkpointing_counts_once_and_routes_as_before(build, text, step, close, equal, rule):
    """State changed in recomputation broke selective checkpointing; torchtitan PR 4772 gave up on a global loss."""
    found = []
    context = partial(checkpoint.create_selective_checkpoint_contexts, save_matrix_products)
    for kwargs in (None, {"use_reentrant": False, "context_fn": context}):
        model = build("qwen3_moe")
        if kwargs:
            model.gradient_checkpointing_enable(kwargs)
        gates = attach(model, balancer=rule, capacity=Capacity(factor=1.0))
        found.append((*step(model, gates, text), gates.biases()))
    equal(found[0][0], found[1][0])
    close(found[0][1], found[1][1])
    equal(found[0][2], found[1][2])


def test_prime_rl_2953_a_model_made_on_the_meta_device_starts_from_zero(build, text, step):
    """Counters and biases that ``to_empty`` left uninitialized."""
    filled = build("glm4_moe")
    with torch.device("meta"):
        model = build("glm4_moe")
    model.to_empty(device="cpu")
    for buffer in model.buffers():
        buffer.fill_(7 if buffer.dtype == torch.float32 else 0)  # whatever was in memory
    model.load_state_dict(filled.state_dict(), strict=False)
    for own, other in zip(model.buffers(), filled.buffers(), strict=True):
        own.copy_(other)  # rotary frequencies are not in a state
    found = []
    for made in (filled, model):
        gates = attach(made, balancer=RULE)
        assert not any(counts.any() for counts in gates.loads().values())
        assert not any(bias.any() for bias in gates.biases().values())
        found.append((step(made, gates, text)[0], gates.biases()))
    for layer, load in found[0][0].items():
        assert torch.equal(load, found[1][0][layer])
        assert torch.equal(found[0][1][layer], found[1][1][layer])


def test_torchtitan_1918_twelve_experts_come_back_in_their_order(text, step, equal, tmp_path):
    """Sorted as words, expert 10 comes before expert 2."""
    model = qwen3(num_experts=12)
    gates = attach(model, balancer=RULE)
    for _ in range(3):
        step(model, gates, text)
    with pytest.warns(UserWarning, match=r"trimtab\.load"):
        gates.save_pretrained(tmp_path)
    loaded, again = trimtab.load(tmp_path)
    equal(gates.biases(), again.biases())
    assert len(gates.biases()[1].unique()) > 1
    equal(dict(model.state_dict()), dict(loaded.state_dict()))
    with torch.no_grad():
        assert torch.equal(model.eval()(text).logits, loaded.eval()(text).logits)


def test_torchtitan_3861_names_and_precision_are_the_same_under_checkpoint_wrappers(build, text, step, equal):
    found = []
    for wrapped in (False, True):
        model = build("glm4_moe")
        if wrapped:
            for number, layer in enumerate(model.model.layers):
                model.model.layers[number] = checkpoint_wrapper(layer)
        gates = attach(model, balancer=RULE)
        step(model, gates, text)
        model.to(torch.bfloat16)
        with torch.no_grad():
            model(text)
        biases = {name: value for name, value in model.state_dict().items() if "e_score_correction_bias" in name}
        assert all(value.dtype == torch.float32 for value in biases.values())
        found.append((gates.state_dict(), biases))
    equal(found[0][0], found[1][0])
    equal(found[0][1], {name.replace("_checkpoint_wrapped_module.", ""): bias for name, bias in found[1][1].items()})


def test_torchtitan_1689_a_model_with_dense_layers_and_one_without_any_router(build, text, step):
    """An empty stack of counts crashed where a stage had no router."""
    mixed = build("qwen3_moe")  # its first layer is dense
    assert sorted(step(mixed, attach(mixed, balancer=RULE), text)[0]) == [1, 2]
    for layer in mixed.model.layers:
        layer.mlp = mixed.model.layers[0].mlp
    gates = attach(mixed, balancer=trimtab.NoBalancer())
    assert step(mixed, gates, text)[0] == {}
    assert gates.metrics() == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_megablocks_107_one_expert_is_the_dense_block(backend):
    block = qwen3().model.layers[1].mlp.experts
    block.num_experts = 1
    for name in ("gate_up_proj", "down_proj"):
        setattr(block, name, torch.nn.Parameter(getattr(block, name)[:1].clone()))
    hidden = torch.randn(9, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        gate, up = (hidden @ block.gate_up_proj[0].T).chunk(2, dim=-1)
        dense = (functional.silu(gate) * up) @ block.down_proj[0].T
        nobody, all_of_it = torch.zeros(9, 1, dtype=torch.long), torch.ones(9, 1)
        block.config._experts_implementation = backend
        assert torch.allclose(block(hidden, nobody, all_of_it), dense, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("hidden", "inner"), [(32, 16), (36, 20), (30, 18), (34, 7)], ids=str)
def test_trap_10_and_deepspeed_8195_all_implementations_of_experts_agree(text, step, hidden, inner):
    """Loop, grouped, batched and ours, dropped calls and empty experts included; sizes off 16 bytes at the end."""
    found = {}
    for backend in BACKENDS:
        model = qwen3(hidden, inner)
        model.set_experts_implementation(backend)
        gates = attach(model, balancer=Stack(RULE, SwitchLoss(coef=0.1)), capacity=Capacity(factor=0.5))
        with torch.no_grad():
            gates.routers[0].weight[3] = -gates.routers[0].weight[3]
        if backend == "grouped_mm" and (hidden % 4 or inner % 4):
            with pytest.raises(RuntimeError, match="16 bytes"):  # torch's kernel says so itself
                step(model, gates, text)
            continue
        loads, gradients = step(model, gates, text)
        assert gates.metrics()[0]["drop_rate"] > 0
        found[backend] = loads[1], gradients
    assert {"eager", "batched_mm", experts.NAME} <= set(found)
    for backend, (load, gradients) in found.items():
        assert torch.equal(load, found["eager"][0]), backend
        for name, gradient in gradients.items():
            assert torch.allclose(gradient, found["eager"][1][name], rtol=1e-3, atol=1e-6), (backend, name)


def test_deepspeed_6809_evaluation_waits_for_no_other_process(build, text, monkeypatch):
    """A reduction inside the forward pass hangs where another process has nothing to do."""

    def refuse(*_args, **_kwargs):
        raise AssertionError("evaluation reduced something over processes")

    model = build("qwen3_moe").eval()
    gates = attach(model, balancer=SwitchLoss(coef=0.1, scope="global"), capacity=Capacity(eval_factor=1.0))
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "all_reduce", refuse)
    with torch.no_grad(), gates.measure() as lines:
        model(input_ids=text)
    assert lines[0]["drop_rate"] > 0
