"""More experts with the same function, or by the published recipe with another; optimizer state goes along."""

import copy
import warnings

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

import trimtab
from trimtab.errors import ConfigurationError, UnsupportedModelError
from trimtab.moe.discovery import find_routers
from trimtab.moe.expert_upcycle import expand_optimizer, upcycle_experts
from trimtab.moe.upcycled_init import doubling_order

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
SIGMOID = {"n_routed_experts": 8, "n_shared_experts": 1, "first_k_dense_replace": 1}
KINDS = {
    "mixtral": {"num_local_experts": 8},
    "olmoe": {"num_experts": 8},  # softmax, not divided by the sum
    "gpt_oss": {"num_local_experts": 8},  # transposed, with biases
    "glm4_moe": SIGMOID,  # sigmoid with a bias of its own, divided by the sum
    "dots1": {**SIGMOID, "norm_topk_prob": False},  # sigmoid, not divided: the last projection is
}
TEXT = torch.randint(3, 64, (2, 12), generator=torch.Generator().manual_seed(0))


def model_of(kind, **settings):
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        config = AutoConfig.for_model(kind, **SIZES, **{**KINDS[kind], **settings})
        model = AutoModelForCausalLM.from_config(config).eval()
    for router in find_routers(model):
        if router.native is not None:
            router.native.read().copy_(torch.linspace(-0.1, 0.1, router.num_experts))
    return model


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("multiple", [2, 3])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_copies_of_all_preserve_the_function(kind, multiple, tmp_path):
    model = model_of(kind)
    before = copy.deepcopy(model.state_dict())
    larger, receipt = upcycle_experts(model, multiple=multiple, tokens=TEXT)
    assert receipt.exact
    assert (receipt.num_experts, receipt.num_experts_per_tok) == ((8, 8 * multiple), (2, 2 * multiple))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    larger.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    other = TEXT.flip(0).roll(3, dims=1)
    with torch.no_grad():
        expected, found = (each(input_ids=other, use_cache=False).logits for each in (model, loaded))
    assert float((found - expected).norm() / expected.norm()) < 1e-5


@pytest.mark.filterwarnings("ignore")
def test_noise_on_the_copies_rows_is_reported():
    _, receipt = upcycle_experts(model_of("mixtral"), noise_std=0.1, tokens=TEXT)
    assert not receipt.exact
    assert 1e-4 < max(receipt.layers) < 1


def test_the_order_of_the_published_recipe():
    """Six experts: the largest three times, then the next; the others are not copied."""
    assert doubling_order(torch.tensor([3.0, 9, 1, 7, 5, 2])).tolist() == [1, 1, 1, 3, 3, 3]


def test_after_the_published_recipe_a_token_calls_twins():
    """Top-2 after doubling is both copies of the best expert, at half the weight each."""
    rows = torch.tensor([[1.0, 0], [0, 1], [1, 1], [-1, 0], [0, -1], [0.5, -0.5]])
    token = torch.tensor([-2.0, 1])
    order = doubling_order(torch.tensor([3.0, 9, 1, 7, 5, 2]))
    for weight, experts, shares in [
        (rows, [3, 1], [0.7310585786, 0.2689414214]),
        (torch.cat([rows, rows[order]]), [3, 3], [0.5, 0.5]),
    ]:
        chosen = (weight @ token).topk(2)
        sources = torch.cat([torch.arange(6), order])
        assert sources[chosen.indices].tolist() == experts
        assert chosen.values.softmax(-1).tolist() == pytest.approx(shares)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["mixtral", "glm4_moe"])
def test_the_published_recipe_copies_rows_weights_and_bias(kind):
    model = model_of(kind)
    larger, receipt = upcycle_experts(model, method="bias_only", tokens=TEXT)
    assert receipt.num_experts_per_tok == (2, 2)
    assert not receipt.exact
    for old, new in zip(find_routers(model), find_routers(larger), strict=True):
        sources = torch.tensor(receipt.sources[old.layer])
        assert torch.equal(new.weight, old.weight[sources])
        assert torch.equal(new.experts.down_proj, old.experts.down_proj[sources])
        assert sources[:8].tolist() == list(range(8))
        assert all(count <= 3 for count in torch.bincount(sources[8:]).tolist())
        if old.native is not None:
            before, after = old.native.read(), new.native.read()
            assert torch.equal(after[:8], before)
            moved = after[8:] - before[sources[8:]]
            assert 0 < moved.abs().max() < 0.1 * before.std()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("moments", ["copy", "reset"])
def test_optimizer_state_goes_with_the_copies(moments):
    model = model_of("mixtral").train()
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.1}, {"params": plain}], lr=1e-3)
    model(input_ids=TEXT, labels=TEXT).loss.backward()
    optimizer.step()
    larger, receipt = upcycle_experts(model, tokens=TEXT)
    expanded = expand_optimizer(optimizer, model, larger, receipt, moments=moments)
    assert [len(group["params"]) for group in expanded.param_groups] == [len(decayed), len(plain)]
    assert [group["weight_decay"] for group in expanded.param_groups] == [0.1, 0.01]
    old, new = (m.model.layers[0].mlp.experts.down_proj for m in (model, larger))
    if moments == "copy":
        for key in ("exp_avg", "exp_avg_sq"):
            copied = optimizer.state[old][key].repeat_interleave(2, 0)
            assert torch.equal(expanded.state[new][key], copied)
    else:
        assert new not in expanded.state
    norm_before, norm_after = (m.model.norm.weight for m in (model, larger))
    assert torch.equal(expanded.state[norm_after]["exp_avg"], optimizer.state[norm_before]["exp_avg"])
    larger(input_ids=TEXT, labels=TEXT).loss.backward()
    expanded.step()


@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_exact_is_refused():
    with pytest.raises(UnsupportedModelError, match="sum of their two best scores"):
        upcycle_experts(model_of("glm4_moe", n_group=2, topk_group=1), tokens=TEXT)
    with pytest.raises(ConfigurationError, match="2 alone for bias_only"):
        upcycle_experts(model_of("mixtral"), multiple=3, method="bias_only", tokens=TEXT)
    with pytest.raises(ConfigurationError, match="did you mean 'copies'"):
        upcycle_experts(model_of("mixtral"), method="copy", tokens=TEXT)
    model = model_of("mixtral")
    larger, receipt = trimtab.upcycle_experts(model, tokens=TEXT)
    foreign = torch.optim.SGD(larger.parameters(), lr=0.1)
    with pytest.raises(ConfigurationError, match="parameters that the model before does not have"):
        expand_optimizer(foreign, model, larger, receipt)
