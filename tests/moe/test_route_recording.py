"""What is recorded is what the routers chose, token by token, however the model was called."""

import numpy as np
import pytest
import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.attach import attach
from trimtab.settings.rules import LossFree, NoBalancer


def heard(model, gates, call):
    """What each router returned in its calls, by layer: hooks of our own, beside what records."""
    seen = {router.layer: [] for router in gates.routers}
    handles = [
        router.module.register_forward_hook(lambda _m, _a, out, layer=router.layer: seen[layer].append(out[-1]))
        for router in gates.routers
    ]
    with torch.no_grad():
        call()
    for handle in handles:
        handle.remove()
    return {layer: torch.cat(calls).numpy() for layer, calls in seen.items()}


@pytest.mark.parametrize("family", ["glm4_moe", "qwen3_moe", "deepseek_v3", "mixtral"])
def test_one_pass_is_what_the_routers_returned(build, text, family):
    model = build(family).eval()
    gates = attach(model, balancer=LossFree(bias_update_rate=1e-2))
    for gate in gates._gates:
        gate.bias.copy_(torch.linspace(-0.3, 0.3, 8))
    with gates.record() as routes:
        seen = heard(model, gates, lambda: model(input_ids=text))
    assert len(routes) == 4
    assert routes.shape.layers == tuple(seen)
    assert routes.shape.num_layers == 3
    for row, sequence in enumerate(routes.sequences):
        assert np.array_equal(sequence.tokens, text[row].numpy())
        assert sequence.prompt == 16
        for index, layer in enumerate(routes.shape.layers):
            assert np.array_equal(sequence.experts[:, index], seen[layer].reshape(4, 16, 2)[row])


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_is_left_out(build, text, side):
    model = build("qwen3_moe").eval()
    gates = attach(model, balancer=NoBalancer())
    mask = torch.ones_like(text)
    mask[1, slice(0, 5) if side == "left" else slice(11, 16)] = 0
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    with torch.no_grad(), gates.record() as padded:
        model(input_ids=text, attention_mask=mask, position_ids=positions)
    with torch.no_grad(), gates.record() as alone:
        model(input_ids=text[1:2][mask[1:2].bool()][None])
    assert [len(sequence) for sequence in padded.sequences] == [16, 11, 16, 16]
    assert np.array_equal(padded.sequences[1].tokens, alone.sequences[0].tokens)
    assert np.array_equal(padded.sequences[1].experts, alone.sequences[0].experts)


def test_packed_rows_are_sequences(build, text):
    model = build("qwen3_moe").eval()
    gates = attach(model, balancer=NoBalancer())
    positions = torch.cat([torch.arange(6), torch.arange(10)])[None]
    with torch.no_grad(), gates.record() as routes:
        model(input_ids=text[:1], position_ids=positions)
    assert [len(sequence) for sequence in routes.sequences] == [6, 10]
    assert np.array_equal(routes.sequences[1].tokens, text[0, 6:].numpy())


@pytest.mark.parametrize("options", [{}, {"prompt_lookup_num_tokens": 3}], ids=["greedy", "speculative"])
def test_generating_gives_one_sequence_without_its_last_token(build, text, options):
    model = build("qwen3_moe").eval()
    gates = attach(model, balancer=NoBalancer())
    prompt = text[:1].repeat(1, 2)
    with gates.record() as routes:
        full = model.generate(prompt, max_new_tokens=8, do_sample=False, eos_token_id=None, **options)
    (sequence,) = routes.sequences
    assert sequence.prompt == (None if options else 32)  # guesses run with a prompt
    assert len(sequence) in {39, 40}  # a token that was guessed right has run
    assert np.array_equal(sequence.tokens, full[0, : len(sequence)].numpy())
    with torch.no_grad(), gates.record() as whole:
        model(input_ids=full)
    assert np.array_equal(sequence.experts, whole.sequences[0].experts[: len(sequence)])


def test_rows_of_different_lengths_are_generated_from(build, text):
    model = build("glm4_moe").eval()
    gates = attach(model, balancer=NoBalancer())
    mask = torch.ones_like(text)
    mask[2, :7] = 0
    with gates.record() as routes:
        full = model.generate(text, attention_mask=mask, max_new_tokens=4, do_sample=False, eos_token_id=None)
    assert [len(sequence) for sequence in routes.sequences] == [19, 19, 12, 19]
    assert np.array_equal(routes.sequences[2].tokens, full[2, 7:-1].numpy())


def test_a_prefix_that_was_not_recorded_is_open(build, text):
    model = build("qwen3_moe").eval()
    gates = attach(model, balancer=NoBalancer())
    with torch.no_grad():
        cache = model(input_ids=text[:, :10], use_cache=True).past_key_values
        with gates.record() as routes:
            model(input_ids=text[:, 10:], past_key_values=cache)
    assert [len(sequence) for sequence in routes.sequences] == [16] * 4
    assert routes.unknown == 40
    assert (routes.sequences[0].experts[10:] >= 0).all()


def test_recomputation_is_recorded_once(build, text):
    model = build("qwen3_moe").train()
    model.gradient_checkpointing_enable()
    gates = attach(model, balancer=NoBalancer())
    with gates.record() as routes:
        for _ in range(2):
            model(input_ids=text, labels=text, use_cache=False).loss.backward()
    assert [len(sequence) for sequence in routes.sequences] == [16] * 8


def test_a_block_by_itself_is_refused(build, text):
    model = build("qwen3_moe").eval()
    gates = attach(model, balancer=NoBalancer())
    block = model.model.layers[1].mlp
    with gates.record(), pytest.raises(ConfigurationError, match="called by itself"):
        block(torch.randn(1, 4, 32))


def test_a_dense_model_has_no_routes(build):
    model = build("qwen3_moe")
    model.model.layers = model.model.layers[:1]
    gates = attach(model, balancer=NoBalancer())
    with pytest.raises(ConfigurationError, match="no router"), gates.record():
        pass
