"""Tiny random models of the five families whose routers differ."""

import pytest
import torch
from transformers import (
    DeepseekV3Config,
    DeepseekV3ForCausalLM,
    Glm4MoeConfig,
    Glm4MoeForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    OlmoeConfig,
    OlmoeForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
)

from trimtab.settings.rules import LossFree, NoBalancer, RouterZLoss, Stack, SwitchLoss

SHARED = {
    "vocab_size": 64,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "num_experts_per_tok": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,  # so that routing is not uniform
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
SIGMOID = {"intermediate_size": 32, "moe_intermediate_size": 16, "n_routed_experts": 8, "n_shared_experts": 1}
LATENT = {
    "q_lora_rank": None,
    "kv_lora_rank": 8,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 16,
    "n_group": 2,
    "topk_group": 1,
}
FAMILIES = {
    "glm4_moe": lambda: Glm4MoeForCausalLM(Glm4MoeConfig(**SHARED, **SIGMOID, first_k_dense_replace=1, head_dim=16)),
    "qwen3_moe": lambda: Qwen3MoeForCausalLM(
        Qwen3MoeConfig(
            **SHARED,
            intermediate_size=32,
            moe_intermediate_size=16,
            num_experts=8,
            norm_topk_prob=True,
            mlp_only_layers=[0],
            head_dim=16,
        )
    ),
    "deepseek_v3": lambda: DeepseekV3ForCausalLM(
        DeepseekV3Config(**SHARED, **SIGMOID, **LATENT, first_k_dense_replace=1)
    ),
    "olmoe": lambda: OlmoeForCausalLM(OlmoeConfig(**SHARED, intermediate_size=16, num_experts=8)),
    "mixtral": lambda: MixtralForCausalLM(MixtralConfig(**SHARED, intermediate_size=16, num_local_experts=8)),
}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=sorted(FAMILIES))
def any_family(request):
    return request.param


@pytest.fixture(params=["glm4_moe", "qwen3_moe"])
def family(request):
    return request.param


@pytest.fixture
def build():
    def make(name, seed=0):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return FAMILIES[name]()

    return make


@pytest.fixture
def text():
    return torch.randint(3, 64, (4, 16), generator=torch.Generator().manual_seed(5))


@pytest.fixture(
    params=[
        NoBalancer(),
        LossFree(bias_update_rate=1e-2),
        SwitchLoss(coef=0.1, scope="sequence"),
        SwitchLoss(coef=0.1, scope="micro"),
        SwitchLoss(coef=0.1, scope="global"),
        RouterZLoss(coef=0.1),
        Stack(LossFree(bias_update_rate=1e-2), SwitchLoss(coef=0.1, scope="sequence")),
    ],
    ids=repr,
)
def balancer(request):
    return request.param


@pytest.fixture
def step():
    def make(model, gates, tokens, accumulation=1):
        """One optimizer step without an optimizer; returns the loads and the gradients."""
        model.train()
        for index in range(accumulation):
            rows = tokens[index::accumulation]
            (model(input_ids=rows, labels=rows, use_cache=False).loss / accumulation).backward()
        loads = gates.loads()
        gates.update()
        gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
        model.zero_grad()
        return loads, gradients

    return make


@pytest.fixture
def close():
    def check(left, right):
        assert left.keys() == right.keys()
        for name, tensor in left.items():
            assert torch.allclose(tensor, right[name], rtol=1e-4, atol=1e-6), name

    return check


@pytest.fixture
def equal():
    def check(left, right):
        assert left.keys() == right.keys()
        for name, tensor in left.items():
            assert torch.equal(tensor, right[name]), name

    return check
