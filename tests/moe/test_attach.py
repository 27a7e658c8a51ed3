"""Counts, outputs and state of an attached model, wherever other code bases get them wrong."""

import copy

import pytest
import torch

from trimtab.errors import ConfigurationError, UnsupportedModelError
from trimtab.moe import routing
from trimtab.moe.attach import attach
from trimtab.moe.discovery import find_routers
from trimtab.moe.gates import Gates
from trimtab.settings.capacities import Capacity
from trimtab.settings.rules import LossFree, NoBalancer, Stack, SwitchLoss

CHECKPOINTING = {"off": None, "reentrant": {"use_reentrant": True}, "non_reentrant": {"use_reentrant": False}}


@pytest.mark.parametrize("accumulation", [1, 4])
@pytest.mark.parametrize("checkpointing", sorted(CHECKPOINTING))
def test_counts_and_bias_do_not_depend_on_checkpointing_or_accumulation(
    *, build, text, family, checkpointing, accumulation, step, equal
):
    def run(checkpointing, accumulation):
        model = build(family)
        if CHECKPOINTING[checkpointing]:
            model.gradient_checkpointing_enable(CHECKPOINTING[checkpointing])
        gates = attach(model, balancer=LossFree(bias_update_rate=1e-2), accumulation=accumulation)
        counted = [step(model, gates, text.roll(shift, 1), accumulation)[0] for shift in range(3)]
        return counted, gates.biases(), gates.metrics()

    counted, biases, metrics = run(checkpointing, accumulation)
    plain_counted, plain_biases, plain_metrics = run("off", 1)
    assert all(int(load.sum()) == text.numel() * 2 for loads in counted for load in loads.values())
    for loads, plain in zip(counted, plain_counted, strict=True):
        equal(loads, plain)
    equal(biases, plain_biases)
    assert metrics == plain_metrics
    assert all(float(bias.abs().max()) > 0.01 for bias in biases.values())


def test_a_wrong_number_of_micro_batches_is_refused(build, text, family, step):
    model = build(family)
    gates = attach(model, balancer=SwitchLoss(coef=0.1, scope="micro"))
    with pytest.raises(ConfigurationError, match="4 micro-batches") as caught:
        step(model, gates, text, accumulation=4)
    assert "accumulation=4" in caught.value.hint


def test_evaluation_changes_neither_counts_nor_bias(build, text, family, step, equal):
    model = build(family)
    gates = attach(model, balancer=LossFree(bias_update_rate=1e-2), capacity=Capacity(factor=1.0))
    step(model, gates, text)
    before = copy.deepcopy(gates.state_dict())
    model.eval()
    model(input_ids=text).logits.sum().backward()
    with torch.no_grad():
        model(input_ids=text)
        model.generate(text[:1, :4], max_new_tokens=3, do_sample=False)
        model.train()
        model(input_ids=text)  # no gradient: not a training step either
    with torch.inference_mode():
        model.eval()
        model(input_ids=text)
    equal(gates.state_dict(), before)
    assert all(not load.any() for load in gates.loads().values())


def test_an_attached_model_at_rest_computes_the_same(build, text, any_family, balancer):
    model = build(any_family).eval()
    with torch.no_grad():
        before = model(input_ids=text).logits
        gates = attach(model, balancer=balancer, capacity=Capacity(factor=1.0))
        assert torch.equal(model(input_ids=text).logits, before)
        gates.detach()
        assert torch.equal(model(input_ids=text).logits, before)


@pytest.mark.filterwarnings("ignore:.*larger than the mean softmax score")
def test_detached_models_have_no_hooks_left(build, text, family, step, equal):
    model = build(family)
    gates = attach(model, balancer=LossFree(bias_update_rate=0.5))
    step(model, gates, text)
    gates.detach()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    before = gates.state_dict()
    model(input_ids=text)
    equal(gates.state_dict(), before)


def test_gates_whose_routers_have_all_left_the_model_make_room_for_others(build, text, family, step):
    model, donor, rule = build(family), build(family), LossFree(bias_update_rate=1e-2)
    earlier = attach(model, balancer=rule)
    places = [place for place, layer in enumerate(model.model.layers) if find_routers(layer)]
    model.model.layers[places[0]] = donor.model.layers[places[0]]
    with pytest.raises(ConfigurationError, match="attached already"):
        attach(model, balancer=rule)
    for place in places:
        model.model.layers[place] = donor.model.layers[place]
    with pytest.raises(ConfigurationError):
        attach(model, balancer=rule, accumulation=0)
    assert Gates.of(model) is earlier
    gates = attach(model, balancer=rule)
    earlier.detach()
    assert Gates.of(model) is gates
    loads, *_ = step(model, gates, text)
    assert all(load.any() for load in loads.values())
    assert not any(load.any() for load in earlier.loads().values())
    gates.detach()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_the_bias_steers_selection_in_every_family(build, text, any_family):
    model = build(any_family)
    gates = attach(model, balancer=LossFree(bias_update_rate=2e-2))
    model.train()
    worst = []
    for _ in range(60):
        model(input_ids=text, use_cache=False).logits.sum().backward()
        gates.update()
        worst.append(max(line["max_violation"] for line in gates.metrics()))
    assert worst[0] > 0.5
    # Groups of DeepSeek-V3 move whole, so that it settles less tightly.
    assert sum(worst[-10:]) / 10 < (0.75 if any_family == "deepseek_v3" else 0.5) * worst[0]


def pad(tokens, side):
    """Two rows shortened to 11 tokens by padding."""
    padded, mask = tokens.clone(), torch.ones_like(tokens)
    for row in (0, 2):
        if side == "right":
            padded[row, 11:], mask[row, 11:] = 0, 0
        else:
            padded[row], mask[row, :5] = tokens[row].roll(5), 0
            padded[row, :5] = 0
    return padded, mask


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_is_neither_routed_nor_counted(build, text, family, side):
    padded, mask = pad(text, side)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    model = build(family).eval()
    gates = attach(model, balancer=NoBalancer())
    loads = []
    with torch.no_grad():
        with gates.measure() as lines:
            model(input_ids=padded, attention_mask=mask, position_ids=positions)
        loads.append([line["load"] for line in lines])
        with gates.measure() as alone:
            for row, keep in zip(padded, mask.bool(), strict=True):
                model(input_ids=row[keep][None])
        loads.append([line["load"] for line in alone])
    assert loads[0] == loads[1]
    assert [line["tokens"] for line in lines] == [int(mask.sum())] * 2


def test_padding_takes_no_room_from_text(build, text, family):
    """The same text with and without 16 columns of padding, at a capacity that drops calls."""
    model = build(family).eval()
    gates = attach(model, balancer=NoBalancer(), capacity=Capacity(eval_factor=1.0))
    wide = torch.cat([text, torch.zeros_like(text)], 1)
    mask = torch.cat([torch.ones_like(text), torch.zeros_like(text)], 1)
    with torch.no_grad(), gates.measure() as lines:
        narrow_logits = model(input_ids=text).logits
        wide_logits = model(input_ids=wide, attention_mask=mask).logits
    assert lines[0]["drop_rate"] > 0.05
    assert torch.allclose(wide_logits[:, :16], narrow_logits, atol=1e-5)


def test_training_on_a_padded_batch_counts_and_penalizes_text_alone(build, text, family, close, equal):
    results = []
    wide = torch.cat([text, torch.zeros_like(text)], 1)
    mask = torch.cat([torch.ones_like(text), torch.zeros_like(text)], 1)
    for tokens, given in ((text, None), (wide, mask)):
        model = build(family)
        model.train()
        gates = attach(model, balancer=SwitchLoss(coef=0.1, scope="sequence"), capacity=Capacity(factor=1.0))
        model(input_ids=tokens, attention_mask=given, use_cache=False).logits[:, :16].square().mean().backward()
        loads = gates.loads()
        gates.update()
        gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        results.append((loads, float(gates.penalty()), gradients))
    equal(results[0][0], results[1][0])
    assert results[0][1] == pytest.approx(results[1][1], rel=1e-5)
    close(results[0][2], results[1][2])


def test_evaluation_capacity_is_its_own_setting(build, text, family, step):
    model = build(family)
    gates = attach(model, balancer=NoBalancer(), capacity=Capacity(factor=0.5))
    rates = []
    for factor in (None, 2.0, 1.0, 0.5):
        model.eval()
        with torch.no_grad(), gates.eval_capacity(factor), gates.measure() as lines:
            model(input_ids=text)
        rates.append(lines[0]["drop_rate"])
        floor = routing.drop_floor(64, 8, 2, None if factor is None else int(16 * factor))
        assert lines[0]["drop_floor"] == pytest.approx(floor)
    assert rates[0] == 0 <= rates[1] < rates[2] < rates[3]
    assert rates[3] >= 0.5
    step(model, gates, text)
    assert gates.metrics()[0]["drop_rate"] >= 0.5
    with pytest.raises(ConfigurationError, match="positive"), gates.eval_capacity(0.0):
        pass


def test_measurements_add_up_over_batches(build, text, family):
    model = build(family).eval()
    gates = attach(model, balancer=NoBalancer())
    with torch.no_grad():
        with gates.measure() as whole:
            model(input_ids=text)
        with gates.measure() as parts:
            for row in text.split(1):
                model(input_ids=row)
        model(input_ids=text)
    assert [line["load"] for line in whole] == [line["load"] for line in parts]
    assert whole[0]["tokens"] == 64
    assert whole[0]["max_violation_floor"] == routing.max_violation_floor(64, 8, 2)
    assert [line["layer"] for line in whole] == [1, 2]


@pytest.mark.parametrize("balancer", [LossFree(bias_update_rate=1e-2, schedule="inv_sqrt"), NoBalancer()], ids=repr)
def test_a_resumed_run_goes_on_exactly(build, text, family, balancer, step, equal):
    def fresh():
        model = build(family)
        limits = Capacity(factor=1.0, drop_policy="random")
        return model, attach(model, balancer=balancer, capacity=limits, accumulation=2)

    model, gates = fresh()
    for _ in range(3):
        step(model, gates, text, accumulation=2)
    saved = {name: tensor.clone() for name, tensor in gates.state_dict().items()}
    expected = step(model, gates, text, accumulation=2)
    again, resumed = fresh()
    resumed.load_state_dict(saved)
    assert resumed.steps == 3
    result = step(again, resumed, text, accumulation=2)
    equal(result[0], expected[0])
    equal(result[1], expected[1])
    equal(gates.state_dict(), resumed.state_dict())
    assert gates.metrics() == resumed.metrics()


def test_state_of_another_model_is_refused(build):
    sigmoid = attach(build("glm4_moe"), balancer=LossFree(bias_update_rate=1e-2)).state_dict()
    gates = attach(build("olmoe"), balancer=LossFree(bias_update_rate=1e-2))
    with pytest.raises(ConfigurationError, match="is not on both sides"):
        gates.load_state_dict(sigmoid)
    wrong = gates.state_dict() | {"layers.1.bias": torch.zeros(3)}
    with pytest.raises(ConfigurationError, match="shape"):
        gates.load_state_dict(wrong)


def test_a_skipped_step_moves_nothing(build, text, family, equal):
    model = build(family)
    gates = attach(model, balancer=LossFree(bias_update_rate=1e-2))
    model.train()
    before = gates.state_dict()
    model(input_ids=text, labels=text).loss.backward()
    gates.skip()
    equal(gates.state_dict(), before)


def test_counts_are_not_module_buffers(build, family):
    model = build(family)
    before = set(model.state_dict())
    gates = attach(model, balancer=LossFree(bias_update_rate=1e-2))
    biases = {f"{router.name}.e_score_correction_bias" for router in gates.routers}
    assert set(model.state_dict()) == before | biases
    assert gates.added == biases - before
    gates.detach()
    assert set(model.state_dict()) == before


def test_impossible_combinations_are_refused(build):
    model = build("qwen3_moe")
    gates = attach(model, balancer=NoBalancer())
    with pytest.raises(ConfigurationError, match="attached already"):
        attach(model, balancer=NoBalancer())
    gates.detach()
    attach(model, balancer=NoBalancer())
    with pytest.raises(ConfigurationError, match="accumulation=0"):
        attach(build("qwen3_moe"), balancer=NoBalancer(), accumulation=0)


def test_one_expert_a_token_with_renormalized_weights_is_refused(build, family):
    model = build(family)
    for router in find_routers(model):
        router.module.top_k = 1
    with pytest.raises(ConfigurationError, match="always 1"):
        attach(model, balancer=NoBalancer())
    for router in find_routers(model):
        router.module.norm_topk_prob = False
    attach(model, balancer=NoBalancer())


def test_a_dense_model_is_refused_unless_nothing_is_asked():
    dense = torch.nn.Sequential(torch.nn.Linear(2, 2))
    with pytest.raises(UnsupportedModelError, match="no router"):
        attach(dense, balancer=LossFree(bias_update_rate=1e-3))
    with pytest.raises(UnsupportedModelError, match="no router"):
        attach(dense, balancer=NoBalancer(), capacity=Capacity(factor=1.0))
    gates = attach(dense, balancer=NoBalancer())
    gates.update()
    assert (gates.metrics(), float(gates.penalty())) == ([], 0.0)
    with gates.measure() as lines:
        dense(torch.ones(1, 2))
    assert lines == []


def test_a_block_called_by_itself_is_routed_but_not_counted(build, family):
    model = build(family)
    gates = attach(model, balancer=LossFree(bias_update_rate=1e-2))
    model.train()
    model.model.layers[1].mlp(torch.randn(2, 3, 32)).sum().backward()
    assert all(not load.any() for load in gates.loads().values())


def test_routers_beside_a_model_and_under_two_names_are_each_counted_once(build, text, family):
    """A mixture in front of a transformers model, which a second name reaches: every call counts, and only once."""

    class Behind(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = build(family)
            self.block = build(family).model.layers[1].mlp
            self.again = self.model.model.layers[1].mlp

        def forward(self, input_ids):
            hidden = self.block(self.model.get_input_embeddings()(input_ids))
            return self.model(inputs_embeds=hidden).logits

    model = Behind().train()
    gates = attach(model, balancer=LossFree(bias_update_rate=1e-2))
    inner = len(find_routers(model.model))
    assert len(gates.routers) == inner + 1
    assert len({id(router.module) for router in gates.routers}) == inner + 1
    model(text).sum().backward()
    assert [int(load.sum()) for load in gates.loads().values()] == [text.numel() * 2] * (inner + 1)
    gates.update()
    assert all(float(bias.abs().max()) == pytest.approx(0.01) for bias in gates.biases().values())


def test_a_failed_forward_pass_leaves_no_trace(build, text, family):
    model = build(family)
    gates = attach(model, balancer=LossFree(bias_update_rate=1e-2))
    with pytest.raises(IndexError):
        model(input_ids=text + 1000)
    assert gates._attachment.passes._open == []


def test_decoding_after_left_padding_counts_the_new_tokens_alone(build, text, family):
    """The mask of a decoding step is as long as the cache: only its last column is about the new tokens."""
    model = build(family).eval()
    gates = attach(model, balancer=NoBalancer())
    padded, mask = pad(text, "left")
    with torch.no_grad():
        cache = model(input_ids=padded, attention_mask=mask, use_cache=True).past_key_values
        with gates.measure() as lines:
            model(
                input_ids=text[:, :1],
                attention_mask=torch.cat([mask, torch.ones(4, 1, dtype=torch.long)], 1),
                past_key_values=cache,
                use_cache=True,
            )
    assert [line["tokens"] for line in lines] == [4, 4]
    assert sum(lines[0]["load"]) == 8


def test_attached_within_inference_mode_a_model_still_learns(build, text, family, step):
    model = build(family)
    with torch.inference_mode():
        gates = attach(model, balancer=LossFree(bias_update_rate=1e-2))
    for _ in range(2):
        step(model, gates, text)
    assert all(bias.any() for bias in gates.biases().values())


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    "balancer",
    [
        LossFree(bias_update_rate=1e-3),
        SwitchLoss(coef=0.1, scope="micro"),
        SwitchLoss(coef=0.1, scope="sequence"),
        Stack(LossFree(bias_update_rate=1e-3), SwitchLoss(coef=0.1, scope="sequence")),
    ],
    ids=str,
)
def test_a_batch_has_the_same_room_whatever_the_rule_reads(build, text, family, balancer, masked):
    """A rule that counts by sequence does not make sequences compete by themselves."""
    mask = torch.ones_like(text)
    mask[0, 5:] = 1 - int(masked)
    rates = {}
    for name, given in (("without", NoBalancer()), ("with", balancer)):
        model = build(family)
        model.train()
        gates = attach(model, balancer=given, capacity=Capacity(factor=1.0))
        model(input_ids=text, attention_mask=mask, use_cache=False).logits.sum().backward()
        calls = torch.stack(list(gates.loads().values())).double()
        gates.update()
        rates[name] = [line["drop_rate"] for line in gates.metrics()]
    room_each = (calls.sum(-1, keepdim=True) / calls.shape[-1]).ceil()
    lost = (calls - room_each).clamp(min=0).sum(-1) / calls.sum(-1)
    assert rates["with"] == rates["without"] == pytest.approx(lost.tolist())
