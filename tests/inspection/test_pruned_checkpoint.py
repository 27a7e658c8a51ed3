"""Masked experts are never chosen, and a written checkpoint is the masked model, loaded by transformers alone."""

import warnings

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

import trimtab
from trimtab.errors import ConfigurationError, UnsupportedModelError
from trimtab.inspection.expert_mask import masked
from trimtab.inspection.pruned_checkpoint import write_pruned
from trimtab.inspection.router_ear import listening
from trimtab.moe.attach import attach
from trimtab.settings.rules import LossFree

SIZES = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 16,
    "moe_intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "num_experts_per_tok": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
KINDS = {
    "mixtral": {"num_local_experts": 8},
    "olmoe": {"num_experts": 8},  # weights are not divided by their sum
    "gpt_oss": {"num_local_experts": 8},  # transposed, with biases
    "glm4_moe": {"n_routed_experts": 8, "n_shared_experts": 1, "first_k_dense_replace": 1},  # a bias of its own
}
TEXT = torch.randint(3, 64, (2, 12), generator=torch.Generator().manual_seed(0))


def model_of(kind, **settings):
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **SIZES, **KINDS[kind], **settings)).eval()


@torch.no_grad()
def logits(model):
    return model(input_ids=TEXT, use_cache=False).logits


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_is_written_is_the_masked_model(in_memory, tmp_path, kind):
    model = model_of(kind)
    inspected = in_memory(model)
    for router in inspected.routers:
        if router.native is not None:
            router.native.read().copy_(torch.linspace(-0.2, 0.2, 8))
    removed = {router.layer: [1, 4, 6] if router.layer else [0, 2, 7] for router in inspected.routers}
    before, chosen = logits(model), set()

    def hear(decision):
        chosen.update((decision.router.layer, expert) for expert in decision.experts.unique().tolist())

    with masked(inspected.routers, removed), listening(inspected.routers, hear):
        expected = logits(model)
    assert not chosen & {(layer, expert) for layer, experts in removed.items() for expert in experts}
    assert torch.equal(logits(model), before)
    assert not torch.allclose(expected, before)
    assert write_pruned(inspected, removed, tmp_path / "pruned") < 1e-5
    loaded, info = AutoModelForCausalLM.from_pretrained(tmp_path / "pruned", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert torch.allclose(logits(loaded.eval()), expected, atol=1e-4)
    assert sum(each.numel() for each in loaded.parameters()) < sum(each.numel() for each in model.parameters())


@pytest.mark.filterwarnings("ignore")
def test_an_attached_bias_goes_with_the_experts_that_stay(in_memory, tmp_path):
    model = model_of("mixtral")
    gates = attach(model, balancer=LossFree(bias_update_rate=1e-3))
    for gate in gates._gates:
        gate.bias.copy_(torch.linspace(-0.3, 0.3, 8))
    inspected, removed = in_memory(model), {0: [0, 3], 1: [6, 7]}
    with masked(inspected.routers, removed):
        expected = logits(model)
    write_pruned(inspected, removed, tmp_path / "pruned")
    loaded, again = trimtab.load(tmp_path / "pruned")
    assert torch.allclose(logits(loaded.eval()), expected, atol=1e-4)
    for layer, bias in again.biases().items():
        kept = [expert for expert in range(8) if expert not in removed[layer]]
        assert torch.equal(bias, gates.biases()[layer][kept])


def test_what_cannot_be_written_is_said_and_leaves_nothing(in_memory, tmp_path):
    inspected = in_memory(model_of("mixtral"))
    with pytest.raises(ConfigurationError, match="as many experts in every layer"):
        write_pruned(inspected, {0: [0], 1: [0, 1]}, tmp_path / "pruned")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    with pytest.raises(ConfigurationError, match="full is not empty"):
        write_pruned(inspected, {0: [0], 1: [1]}, tmp_path / "full")
    grouped = in_memory(model_of("glm4_moe", n_group=2, topk_group=1))
    with pytest.raises(UnsupportedModelError, match="within 2 groups of equal size"):
        write_pruned(grouped, {1: [0]}, tmp_path / "pruned")
    assert [path.name for path in tmp_path.iterdir()] == ["full"]
