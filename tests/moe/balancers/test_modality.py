"""A bias for text and one for images: the worked example, and real models that read both."""

import pytest
import torch
from transformers import Glm4vMoeConfig, Glm4vMoeForConditionalGeneration, Qwen3VLMoeConfig
from transformers import Qwen3VLMoeForConditionalGeneration as Qwen3VLMoe

from trimtab.errors import ConfigurationError
from trimtab.moe.attach import attach
from trimtab.moe.balancers import behavior
from trimtab.settings.capacities import Capacity
from trimtab.settings.rules import LossFree, ModalityLossFree, Stack, SwitchLoss

IMAGE, VIDEO = 60, 61
RATE = 1e-2


def test_the_worked_example_moves_each_bias_by_its_own_load():
    rule = behavior(ModalityLossFree())
    text, image = [6, 2, 0, 0], [0, 0, 3, 1]
    state = rule.update(rule.initial(4), torch.tensor(text + image), 1)
    assert state.tolist() == pytest.approx([-1e-3, 0, 1e-3, 1e-3, 1e-3, 1e-3, -1e-3, 0])
    together = behavior(LossFree(bias_update_rate=1e-3))
    summed = together.update(together.initial(4), torch.tensor(text) + torch.tensor(image), 1)
    assert summed.tolist() == pytest.approx([-1e-3, 1e-3, 0, 1e-3])
    without = rule.update(state, torch.tensor([*text, 0, 0, 0, 0]), 2)
    assert torch.equal(without[4:], state[4:])


TEXT = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 32, "moe_intermediate_size": 16, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "num_experts_per_tok": 2, "pad_token_id": 0,
}  # fmt: skip
VISION = {"hidden_size": 16, "intermediate_size": 16, "depth": 1, "num_heads": 2, "out_hidden_size": 32}
ROPE = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e4}


def qwen3_vl():
    text = {**TEXT, "num_experts": 8, "rope_parameters": ROPE}
    vision = {**VISION, "deepstack_visual_indexes": [0]}
    return Qwen3VLMoe(
        Qwen3VLMoeConfig(text_config=text, vision_config=vision, image_token_id=IMAGE, video_token_id=VIDEO)
    )


def glm4v():
    text = {
        **TEXT, "n_routed_experts": 8, "n_shared_experts": 1, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 1,
        "rope_parameters": {**ROPE, "mrope_section": [1, 1, 0], "partial_rotary_factor": 0.5},
    }  # fmt: skip
    return Glm4vMoeForConditionalGeneration(
        Glm4vMoeConfig(text_config=text, vision_config=VISION, image_token_id=IMAGE, video_token_id=VIDEO)
    )


MODELS = {"qwen3_vl": qwen3_vl, "glm4v": glm4v}


@pytest.fixture(params=MODELS)
def model(request):
    torch.manual_seed(0)
    return MODELS[request.param]().train()


@pytest.fixture
def ids():
    tokens = torch.randint(3, 60, (4, 16), generator=torch.Generator().manual_seed(1))
    tokens[:, 4:9] = IMAGE
    tokens[0, 12] = VIDEO
    return tokens


def experts_of(gates, call):
    """What each token chose in ``call``, by layer: [T, K]."""
    with gates.record() as routes:
        call()
    chosen = torch.cat([torch.from_numpy(sequence.experts.astype("int64")) for sequence in routes.sequences])
    return dict(zip(routes.shape.layers, chosen.unbind(1), strict=True))


def test_each_bias_is_moved_by_the_calls_of_its_tokens(model, ids):
    gates = attach(model, balancer=ModalityLossFree(bias_update_rate=RATE))
    image = ((ids == IMAGE) | (ids == VIDEO)).flatten()
    experts = experts_of(gates, lambda: model(input_ids=ids, use_cache=False).logits.sum().backward())
    gates.update()
    for gate in gates._gates:
        chosen = experts[gate.router.layer]
        loads = [torch.bincount(chosen[mine].flatten(), minlength=8) for mine in (~image, image)]
        expected = [RATE * (load.float().mean() - load).sign() for load in loads]
        assert torch.allclose(gate.state, torch.cat(expected))
        assert not torch.equal(*gate.state.view(2, -1))


def test_tokens_choose_with_the_bias_of_their_modality_in_evaluation_too(model, ids):
    gates = attach(model.eval(), balancer=ModalityLossFree())
    for gate in gates._gates:
        gate.learn(torch.tensor([9.0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 9]))
    image = ((ids == IMAGE) | (ids == VIDEO)).flatten()
    with torch.no_grad():
        experts = experts_of(gates, lambda: model(input_ids=ids, use_cache=False))
    assert len(experts) == len(gates.routers)
    for chosen in experts.values():
        assert set(chosen[image].unique().tolist()) == {6, 7}
        assert set(chosen[~image].unique().tolist()) == {0, 1}


def test_recomputation_and_a_loss_beside_it_know_the_modality(model, ids):
    rule = Stack(ModalityLossFree(bias_update_rate=RATE), SwitchLoss(coef=1e-4, scope="sequence"))
    gates = attach(model, balancer=rule)
    for gate in gates._gates:  # far apart, so that another modality would choose otherwise
        gate.learn(torch.tensor([9.0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 9]))
    start = [gate.state.clone() for gate in gates._gates]

    def gradients():
        model.zero_grad()
        model(input_ids=ids, use_cache=False).logits.square().sum().backward()
        gates.update()
        moved = [gate.state.clone() for gate in gates._gates]
        for gate, state in zip(gates._gates, start, strict=True):
            gate.learn(state)
        return [p.grad.clone() for p in model.parameters() if p.grad is not None], moved

    eager, moved = gradients()
    model.gradient_checkpointing_enable({"use_reentrant": False})
    recomputed, again = gradients()
    for mine, theirs in zip(eager, recomputed, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-4)
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(moved, again, strict=True))


def test_under_a_capacity_either_load_is_split(model, ids):
    image = ((ids == IMAGE) | (ids == VIDEO)).flatten()
    for signal, total in (("routed", 128), ("kept", None)):
        gates = attach(
            model,
            balancer=ModalityLossFree(bias_update_rate=RATE),
            capacity=Capacity(factor=1.0, load_signal=signal),
        )
        model(input_ids=ids, use_cache=False).logits.sum().backward()
        for gate in gates._gates:
            text_calls, image_calls = gate.observed.view(2, -1).sum(1).tolist()
            assert (total or int(gate.tally.kept.sum())) == text_calls + image_calls
            if total:
                assert image_calls == 2 * int(image.sum())
        gates.detach()


def test_a_call_that_does_not_say_which_tokens_are_images_is_refused(model, ids):
    attach(model, balancer=ModalityLossFree())
    embeds = model.get_input_embeddings()(ids)
    with pytest.raises(ConfigurationError, match="called without input_ids: which of its tokens are images"):
        model(inputs_embeds=embeds, attention_mask=torch.ones_like(ids), use_cache=False)


def test_a_model_of_text_alone_is_balanced_as_by_one_bias(build, text):
    states = []
    for rule in (ModalityLossFree(bias_update_rate=RATE), LossFree(bias_update_rate=RATE)):
        twin = build("qwen3_moe").train()
        gates = attach(twin, balancer=rule)
        for _ in range(3):
            twin(input_ids=text, use_cache=False).logits.sum().backward()
            gates.update()
        states.append(gates.biases())
    assert all(torch.equal(states[0][layer], states[1][layer]) for layer in states[0])
