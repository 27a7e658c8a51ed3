"""Replayed routes: the same function, the gradient of that routing, and nothing shifted."""

import copy
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.attach import attach
from trimtab.moe.balancers import LossFree, NewtonBalancing, Stack, SwitchLoss
from trimtab.moe.gates import Gates
from trimtab.moe.router import Formula
from trimtab.moe.routes import RoutedSequence, Routes
from trimtab.moe.routing import scores_of
from trimtab.settings.capacities import Capacity
from trimtab.settings.rules import NoBalancer

ORACLES = Path(__file__).parents[3] / "shared" / "design" / "rules-oracles.json"
RULE = LossFree(bias_update_rate=1e-2)


@pytest.mark.skipif(not ORACLES.is_file(), reason="the design pages are not beside this clone")
def test_weights_of_forced_experts_are_megatrons():
    oracle = json.loads(ORACLES.read_text())["replay_probabilities"]
    logits = torch.tensor(oracle["inputs"]["logits"], dtype=torch.float64)
    forced = torch.tensor(oracle["inputs"]["forced"])
    forms = {"sigmoid": ("sigmoid", True), "softmax_pre": ("softmax", False), "softmax_post": ("softmax", True)}
    for name, (score_function, renormalize) in forms.items():
        weights = Formula(renormalize=renormalize).weights(scores_of(logits, score_function), forced)
        assert np.allclose(weights.numpy(), oracle["expected"][name], atol=1e-9), name


def random_routes(gates, text, seed=0):
    """Routes that no router would choose, of these rows."""
    shape = gates.route_shape
    generator = np.random.default_rng(seed)
    experts = np.argsort(generator.random((*text.shape, len(shape.layers), 8)), axis=3)[..., :2]
    rows = zip(experts.astype(np.int16), text.numpy(), strict=True)
    return Routes(shape=shape, sequences=[RoutedSequence(experts=own, tokens=ids) for own, ids in rows])


def by_hand(model, gates, routes):
    """The same routing by hooks of a few lines that know nothing of trimtab: weights from softmax or sigmoid."""
    softmax = {"qwen3_moe": True, "mixtral": True, "glm4_moe": False, "deepseek_v3": False}[model.config.model_type]

    def force(experts):
        def hook(_module, _inputs, output):
            logits = output[0]
            scores = logits.float().softmax(-1) if softmax else logits.float().sigmoid()
            chosen = torch.gather(scores, 1, experts)
            scale = getattr(model.config, "routed_scaling_factor", 1.0)
            return (logits, chosen / chosen.sum(-1, keepdim=True) * scale, experts)

        return hook

    for index, router in enumerate(gates.routers):
        experts = torch.from_numpy(np.concatenate([s.experts[:, index] for s in routes.sequences]).astype(np.int64))
        router.module.register_forward_hook(force(experts))


@pytest.mark.parametrize("implementation", ["eager", "grouped_mm"])
@pytest.mark.parametrize("checkpointing", [False, True], ids=["plain", "checkpointing"])
@pytest.mark.parametrize("family", ["qwen3_moe", "mixtral", "glm4_moe", "deepseek_v3"])
def test_gradients_are_those_of_the_same_routing_by_hand(*, build, text, family, checkpointing, implementation, close):
    gradients, losses = [], []
    for way in ("replay", "hand"):
        model = build(family).train()
        model.set_experts_implementation(implementation)
        if checkpointing:
            model.gradient_checkpointing_enable()
        gates = attach(model, balancer=RULE)
        routes = random_routes(gates, text)
        if way == "replay":
            with gates.replay(routes):
                loss = model(input_ids=text, labels=text, use_cache=False).loss
        else:
            by_hand(model, gates, routes)
            gates.detach()
            loss = model(input_ids=text, labels=text, use_cache=False).loss
        loss.backward()  # recomputed outside of replay(...), where the forward pass is remembered
        losses.append(loss.item())
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    close(*gradients)
    assert all(gradients[0][f"model.layers.{layer}.mlp.gate.weight"].any() for layer in (1, 2))


@pytest.mark.parametrize("family", ["qwen3_moe", "glm4_moe"])
def test_sampled_in_half_precision_trained_in_single(build, text, family, close):
    model = build(family)
    half = copy.deepcopy(model).to(torch.bfloat16).eval()
    rollout = attach(half, balancer=NoBalancer())
    torch.manual_seed(0)
    with rollout.record() as routes:
        sampled = half.generate(text, max_new_tokens=12, do_sample=True, eos_token_id=None)
    gates = attach(model.train(), balancer=RULE)
    with torch.no_grad(), gates.record() as live:
        model(input_ids=sampled)
    flips = sum(
        (np.sort(a.experts) != np.sort(b.experts[:27])).any(2).sum()
        for a, b in zip(routes.sequences, live.sequences, strict=True)
    )
    assert flips > 0  # or the two would not differ
    with gates.replay(routes), gates.record() as replayed:
        logits = model(input_ids=sampled, use_cache=False).logits
    for left, right, own in zip(routes.sequences, replayed.sequences, live.sequences, strict=True):
        assert np.array_equal(left.experts, right.experts[:27])
        assert right.experts.shape == own.experts.shape
    (logits[:, :-1].log_softmax(-1).gather(2, sampled[:, 1:, None]).mean()).backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    other = build(family).train()
    hand = attach(other, balancer=NoBalancer())
    by_hand(other, hand, replayed)
    hand.detach()
    logits = other(input_ids=sampled, use_cache=False).logits
    (logits[:, :-1].log_softmax(-1).gather(2, sampled[:, 1:, None]).mean()).backward()
    close(
        gradients, {name: parameter.grad for name, parameter in other.named_parameters() if parameter.grad is not None}
    )


@pytest.mark.parametrize(
    ("any_family", "rule"),
    [
        *itertools.product(["glm4_moe", "qwen3_moe", "deepseek_v3", "olmoe", "mixtral"], [RULE]),
        ("deepseek_v3", NoBalancer()),
        ("qwen3_moe", SwitchLoss(coef=0.1)),
        ("qwen3_moe", NewtonBalancing()),
        ("glm4_moe", NewtonBalancing()),
    ],
)
def test_own_routes_are_the_same_function_to_the_last_bit(build, text, any_family, rule):
    model = build(any_family).train()
    gates = attach(model, balancer=rule, capacity=Capacity(factor=0.8))
    for gate in gates._gates if gates.balancer.has_bias else ():
        gate.bias.copy_(torch.linspace(-0.2, 0.2, 8))
    with gates.record() as routes, torch.no_grad():
        before = model(input_ids=text).logits
    with gates.replay(routes), torch.no_grad():
        assert torch.equal(model(input_ids=text).logits, before)


def test_nothing_is_counted_penalized_or_learned_while_routes_are_replayed(build, text, equal):
    model = build("qwen3_moe").train()
    rule = Stack(LossFree(bias_update_rate=1e-2), SwitchLoss(coef=1.0))
    gates = attach(model, balancer=rule)
    model(input_ids=text, labels=text).loss.backward()
    gates.update()
    before = gates.biases()
    model.zero_grad()
    routes = random_routes(gates, text)
    for _ in range(4):  # as many as a balancer without effect is warned of
        with gates.replay(routes):
            model(input_ids=text, labels=text).loss.backward()
        assert not any(int(load.sum()) for load in gates.loads().values())
        gates.update()
    equal(gates.biases(), before)
    assert float(gates.penalty()) == 0
    assert gates.steps == 5
    model(input_ids=text, labels=text).loss.backward()
    gates.update()
    assert all(not torch.equal(bias, before[layer]) for layer, bias in gates.biases().items())


def test_a_step_that_replays_some_counts_the_others(build, text):
    model = build("glm4_moe").train()
    gates = attach(model, balancer=RULE)
    routes = random_routes(gates, text[:2])
    with gates.replay(routes):
        model(input_ids=text[:2]).logits.sum().backward()
    model(input_ids=text[2:]).logits.sum().backward()
    assert all(int(load.sum()) == 2 * 32 for load in gates.loads().values())
    gates.update()
    assert all(bias.any() for bias in gates.biases().values())


def test_the_side_of_padding_and_packing_make_no_difference(build, text):
    model = build("qwen3_moe").eval()
    gates = attach(model, balancer=NoBalancer())
    short = text[1, :11]
    routes = random_routes(gates, text).select([0, 1])
    routes.sequences[1] = RoutedSequence(experts=routes.sequences[1].experts[:11], tokens=short.numpy())
    mask = torch.ones(2, 16, dtype=torch.long)
    right = torch.stack([text[0], torch.cat([short, torch.zeros(5, dtype=torch.long)])])
    left = torch.stack([text[0], torch.cat([torch.zeros(5, dtype=torch.long), short])])
    found = []
    for tokens, gap, own in ((right, slice(11, 16), slice(0, 11)), (left, slice(0, 5), slice(5, 16))):
        padded = mask.clone()
        padded[1, gap] = 0
        with torch.no_grad(), gates.replay(routes):
            out = model(input_ids=tokens, attention_mask=padded, position_ids=(padded.cumsum(1) - 1).clamp(min=0))
        found.append(out.logits[1, own])
    packed = torch.cat([text[0], short])[None]
    positions = torch.cat([torch.arange(16), torch.arange(11)])[None]
    with torch.no_grad(), gates.replay(routes):
        found.append(model(input_ids=packed, position_ids=positions, use_cache=False).logits[0, 16:])
    assert torch.allclose(found[0], found[1], atol=1e-5)
    assert torch.allclose(found[0], found[2], atol=1e-5)


def test_generating_again_takes_the_same_experts(build, text):
    model = build("qwen3_moe").eval()
    gates = attach(model, balancer=NoBalancer())
    routes = random_routes(gates, text)
    with gates.replay(routes), gates.record() as first, torch.no_grad():
        cache = model(input_ids=text[:, :9], use_cache=True).past_key_values
        parts = [model(input_ids=text[:, place : place + 1], past_key_values=cache).logits for place in range(9, 16)]
    for left, right in zip(routes.sequences, first.sequences, strict=True):
        assert np.array_equal(left.experts, right.experts)
    with gates.replay(routes), torch.no_grad():
        whole = model(input_ids=text).logits[:, 9:]
    assert torch.allclose(torch.cat(parts, 1), whole, atol=1e-4)


def test_by_tokens_the_order_does_not_matter(build, text):
    model = build("qwen3_moe").eval()
    gates = attach(model, balancer=NoBalancer())
    routes = random_routes(gates, text)
    with torch.no_grad(), gates.replay(routes):
        straight = model(input_ids=text).logits
    with torch.no_grad(), gates.replay(routes, match="tokens"):
        for order in ([3, 0], [2, 1], [0, 3]):
            assert torch.allclose(model(input_ids=text[order]).logits, straight[order], atol=1e-5)
        with pytest.raises(ConfigurationError, match="none of the 4 sequences"):
            model(input_ids=text[:1] + 1)
        with pytest.raises(ConfigurationError, match="needs input_ids"):
            model(inputs_embeds=torch.randn(1, 16, 32))


def test_the_token_that_was_sampled_last_is_routed_live(build, text):
    model = build("qwen3_moe").eval()
    gates = attach(model, balancer=NoBalancer())
    routes = random_routes(gates, text[:, :15])
    with torch.no_grad(), gates.replay(routes), gates.record() as replayed:
        model(input_ids=text)
    assert np.array_equal(replayed.sequences[0].experts[:15], routes.sequences[0].experts)
    assert len(replayed.sequences[0]) == 16


def test_of_layers_a_record_lacks_nothing_is_guessed(build, text):
    model = build("qwen3_moe").eval()
    gates = attach(model, balancer=NoBalancer())
    routes = random_routes(gates, text)
    few = Routes(
        shape=routes.shape.of_layers([2]),
        sequences=[RoutedSequence(experts=s.experts[:, 1:], tokens=s.tokens) for s in routes.sequences],
    )
    with (
        gates.replay(few),
        pytest.raises(ConfigurationError, match="no layer 1; they are of 2 of 8 experts in layers 2"),
    ):
        model(input_ids=text)


def changed(routes, **changes):
    return Routes(
        shape=routes.shape,
        sequences=[
            RoutedSequence(experts=changes.get("experts", s.experts), tokens=changes.get("tokens", s.tokens))
            for s in routes.sequences
        ],
    )


def test_what_does_not_fit_is_refused_with_both_sides(build, text):
    model = build("qwen3_moe").eval()
    gates = attach(model, balancer=NoBalancer())
    routes = random_routes(gates, text)

    def refused(source, match, **options):
        with pytest.raises(ConfigurationError, match=match), gates.replay(source, **options):
            model(input_ids=options.pop("rows", text))

    refused(random_routes(gates, text + 1), "row 0, sequence 0 of the routes: token 0 is")
    refused(random_routes(gates, text[:, :12]), "16 tokens, and routes of 12")
    refused(random_routes(gates, text[:3]), "routes are of 3 sequences")
    longer = torch.cat([text, text], 1)
    refused(changed(random_routes(gates, longer), tokens=None), "16 tokens, and routes of 32")
    other = attach(build("olmoe"), balancer=NoBalancer())
    refused(
        random_routes(other, text), r"the routes are of .* layers 0 to 2 of 3, and the model has .* layers 1, 2 of 3"
    )
    with pytest.raises(ConfigurationError, match="match='shape'"), gates.replay(routes, match="shape"):
        pass


def test_a_gap_in_the_middle_is_refused_unless_asked_for(build, text):
    model = build("qwen3_moe").eval()
    gates = attach(model, balancer=NoBalancer())
    routes = random_routes(gates, text)
    routes.sequences[2].experts[3:5] = -1
    with gates.replay(routes), pytest.raises(ConfigurationError, match=r"2 of 16 tokens lack their routes.* token 3"):
        model(input_ids=text)
    with torch.no_grad(), gates.replay(routes, missing="live"), gates.record() as replayed:
        model(input_ids=text)
    assert (replayed.sequences[2].experts >= 0).all()
    assert np.array_equal(replayed.sequences[2].experts[5:], routes.sequences[2].experts[5:])


def test_beams_that_changed_places_are_noticed(build, text):
    """Beam search moves rows between steps, so what was recorded in a row is of several sequences."""
    model = build("qwen3_moe").eval()
    gates = attach(model, balancer=NoBalancer())
    with gates.record() as routes:
        full = model.generate(text[:1], num_beams=4, num_return_sequences=4, max_new_tokens=8, do_sample=False)
    with gates.replay(routes), pytest.raises(ConfigurationError, match="was recorded"):
        model(input_ids=full)


def test_indices_of_earlier_parameters_are_weighed_by_present_scores():
    """Anticipatory routing as second-hand summaries of DeepSeek-V4, section 4.2.3, give it; numbers made with numpy."""
    tokens = torch.tensor([[2.0, 0.5], [-0.3, 1.2]])
    earlier = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    present = torch.tensor([[0.0, 1.5], [1.5, 0.0], [0.0, -1.5], [-1.5, 0.0]])
    experts_TK = scores_of(tokens @ earlier.T, "sqrtsoftplus").topk(2).indices
    assert experts_TK.tolist() == [[0, 1], [1, 2]]
    scores_TE = scores_of(tokens @ present.T, "sqrtsoftplus")
    assert scores_TE.topk(2).indices.tolist() == [[1, 0], [0, 3]]
    weights_TK = Formula(renormalize=True, scale=1.5).weights(scores_TE, experts_TK)
    expected = torch.tensor([[0.5687102833, 0.9312897167], [0.9634501306, 0.5365498694]])
    assert torch.allclose(weights_TK, expected, atol=1e-6)


def test_routes_of_an_earlier_copy_choose_for_the_model_and_its_own_scores_weigh(build, text, family):
    model = build(family)
    gates = attach(model, balancer=NoBalancer())
    earlier = copy.deepcopy(model)
    with torch.no_grad():
        for router in gates.routers:
            router.weight.copy_(router.weight.flip(0))
    with torch.no_grad(), Gates.of(earlier).record() as routes:
        earlier(input_ids=text)
    with gates.replay(routes), gates.record() as replayed:
        model(input_ids=text).logits.sum().backward()
    assert all(
        np.array_equal(own.experts, given.experts)
        for own, given in zip(replayed.sequences, routes.sequences, strict=True)
    )
    assert all(router.weight.grad.abs().sum() > 0 for router in gates.routers)
