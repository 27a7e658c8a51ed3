"""What enters the routers: branches that add up to one, and tokens that are alike."""

import math

import pytest
import torch
from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

from trimtab.errors import ConfigurationError
from trimtab.moe.discovery import find_routers
from trimtab.moe.stresses import initialize
from trimtab.settings.initializations import CollapsedInputs, DepthScaled


def apply(init, model, text, seed=0):
    initialize(model, init, text, torch.Generator().manual_seed(seed))
    return model.eval()


def deep(layers, *, tied=False):
    config = Qwen3MoeConfig(
        vocab_size=64, hidden_size=32, intermediate_size=32, moe_intermediate_size=16, num_hidden_layers=layers,
        num_attention_heads=2, num_key_value_heads=2, head_dim=16, num_experts=4, num_experts_per_tok=2,
        norm_topk_prob=True, mlp_only_layers=[0], initializer_range=0.2, max_position_embeddings=64,
        tie_word_embeddings=tied, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Qwen3MoeForCausalLM(config).eval()


@torch.no_grad()
def outputs(model, text, pick):
    """Outputs of the modules that ``pick`` names, in order."""
    found, handles = [], []
    for name, module in model.named_modules():
        if pick(name):
            handles.append(
                module.register_forward_hook(
                    lambda _m, _a, output: found.append(output[0] if isinstance(output, tuple) else output)
                )
            )
    model(input_ids=text)
    for handle in handles:
        handle.remove()
    return found


def cosine(rows):
    """Mean cosine of two different rows [T, H]."""
    unit = rows / rows.norm(dim=1, keepdim=True)
    return float((unit.sum(0).square().sum() - len(rows)) / (len(rows) * (len(rows) - 1)))


@torch.no_grad()
def inputs_of(model, text):
    """What each router sees [T, H]."""
    found = []
    handles = [
        router.module.register_forward_pre_hook(lambda _m, args: found.append(args[0].flatten(0, -2)))
        for router in find_routers(model)
    ]
    model(input_ids=text)
    for handle in handles:
        handle.remove()
    return found


def test_every_branch_of_the_first_layer_is_divided_by_the_root_of_the_depth(build, text, family):
    def pick(name):
        return name == "model.layers.0.self_attn"

    (plain,), (scaled,) = (outputs(m, text, pick) for m in (build(family), apply(DepthScaled(), build(family), text)))
    assert torch.allclose(scaled, plain / math.sqrt(3), atol=1e-6)


@torch.no_grad()
def test_experts_and_shared_experts_are_scaled_too(build, text):
    models = build("glm4_moe"), apply(DepthScaled(), build("glm4_moe"), text)
    inputs = torch.randn(1, 10, 32, generator=torch.Generator().manual_seed(4))
    plain, scaled = (model.eval().model.layers[1].mlp(inputs) for model in models)
    assert torch.allclose(scaled, plain / math.sqrt(3), atol=1e-6)


@pytest.mark.parametrize("layers", [4, 16])
def test_the_stream_keeps_its_variance_at_any_depth(text, layers):
    """What L layers add has about the variance that two branches of one layer add, not L times it."""
    text = text.repeat(2, 2)
    grown = []
    for init in (None, DepthScaled()):
        model = deep(layers)
        model = apply(init, model, text) if init else model
        first, last = outputs(model, text, lambda n: n in {"model.embed_tokens", f"model.layers.{layers - 1}"})
        grown.append(float((last - first).square().mean()))
    assert grown[1] < 1.6 * grown[0] / layers


def test_a_model_without_such_projections_is_refused(text):
    model = deep(2)
    del model.model.layers[0].self_attn.o_proj
    del model.model.layers[0].mlp.down_proj
    with pytest.raises(ConfigurationError, match=r"layers.0.self_attn \(Qwen3MoeAttention\) has no output"):
        initialize(model, DepthScaled(), text, torch.Generator())


@pytest.mark.parametrize("similarity", [0.3, 0.9])
def test_embeddings_get_the_cosine_asked_for_and_routers_see_it(text, similarity):
    plain, made = deep(2), apply(CollapsedInputs(similarity=similarity), deep(2), text)
    assert cosine(made.model.embed_tokens.weight.detach()[1:]) == pytest.approx(similarity, abs=0.06)
    assert cosine(inputs_of(made, text)[0]) > cosine(inputs_of(plain, text)[0]) + similarity / 4


@torch.no_grad()
def test_tied_output_rows_gain_one_number_for_all_tokens(text):
    plain, made = deep(2, tied=True), apply(CollapsedInputs(similarity=0.8), deep(2, tied=True), text)
    hidden = torch.randn(5, 32, generator=torch.Generator().manual_seed(1))
    gained = made.lm_head(hidden)[:, 1:] - plain.lm_head(hidden)[:, 1:]
    assert torch.allclose(gained, gained[:, :1].expand_as(gained), atol=1e-4)
