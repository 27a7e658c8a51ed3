"""Counts, biases, gradients and outputs of an attached model, wherever other code bases get them wrong."""

import copy

import pytest
import torch

from trimtab.errors import ConfigurationError, UnsupportedModelError
from trimtab.moe import routing
from trimtab.moe.attach import attach
from trimtab.moe.balancers import LossFree, NoBalancer, RouterZLoss, Stack, SwitchLoss
from trimtab.moe.capacity import Capacity
from trimtab.moe.router import find_routers

CHECKPOINTING = {"off": None, "reentrant": {"use_reentrant": True}, "non_reentrant": {"use_reentrant": False}}
BALANCERS = [
    NoBalancer(),
    LossFree(bias_update_rate=1e-2),
    SwitchLoss(coef=0.1, scope="sequence"),
    SwitchLoss(coef=0.1, scope="micro"),
    SwitchLoss(coef=0.1, scope="global"),
    RouterZLoss(coef=0.1),
    Stack(LossFree(bias_update_rate=1e-2), SwitchLoss(coef=0.1, scope="sequence")),
]


def name_of(value):
    return repr(value)


def step(model, gates, tokens, accumulation=1, mask=None):
    """One optimizer step without an optimizer; returns the gradients."""
    model.train()
    for index in range(accumulation):
        rows = slice(index, None, accumulation)
        part = None if mask is None else mask[rows]
        loss = model(input_ids=tokens[rows], attention_mask=part, labels=tokens[rows], use_cache=False).loss
        (loss / accumulation).backward()
    loads = gates.loads()
    gates.update()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return loads, gradients


def close(left, right, rtol=1e-4, atol=1e-6):
    assert left.keys() == right.keys()
    for name, tensor in left.items():
        assert torch.allclose(tensor, right[name], rtol=rtol, atol=atol), name


def equal(left, right):
    assert left.keys() == right.keys()
    for key, tensor in left.items():
        assert torch.equal(tensor, right[key]), key


@pytest.mark.parametrize("accumulation", [1, 4])
@pytest.mark.parametrize("checkpointing", sorted(CHECKPOINTING))
def test_counts_and_bias_do_not_depend_on_checkpointing_or_accumulation(
    build, text, family, checkpointing, accumulation
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


@pytest.mark.parametrize("balancer", BALANCERS, ids=name_of)
@pytest.mark.parametrize("policy", ["probs", "random"])
@pytest.mark.parametrize("checkpointing", ["reentrant", "non_reentrant"])
def test_gradients_do_not_depend_on_checkpointing(build, text, family, checkpointing, policy, balancer):
    results = []
    for kwargs in (None, CHECKPOINTING[checkpointing]):
        model = build(family)
        if kwargs:
            model.gradient_checkpointing_enable(kwargs)
        gates = attach(model, balancer=balancer, capacity=Capacity(factor=1.0, drop_policy=policy))
        results.append((*step(model, gates, text), float(gates.penalty()), gates.metrics()))
    equal(results[0][0], results[1][0])
    close(results[0][1], results[1][1])
    assert results[0][2] == pytest.approx(results[1][2])
    assert results[0][3] == results[1][3]
    assert results[0][3][0]["drop_rate"] > 0


@pytest.mark.parametrize("checkpointing", ["reentrant", "non_reentrant"])
def test_two_forward_passes_before_one_backward_recompute_what_they_decided(build, text, family, checkpointing):
    masks = [torch.ones(2, 16, dtype=torch.long) for _ in range(2)]
    masks[1][:, 10:] = 0
    gradients = []
    for kwargs in (None, CHECKPOINTING[checkpointing]):
        model = build(family)
        model.train()
        if kwargs:
            model.gradient_checkpointing_enable(kwargs)
        attach(model, balancer=SwitchLoss(coef=0.1, scope="global"), capacity=Capacity(factor=1.0), accumulation=2)
        losses = [
            model(input_ids=text[rows], attention_mask=mask, labels=text[rows], use_cache=False).loss
            for rows, mask in zip((slice(0, 2), slice(2, 4)), masks, strict=True)
        ]
        (losses[0] + 2 * losses[1]).backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    close(*gradients)


@pytest.mark.parametrize("balancer", BALANCERS, ids=name_of)
def test_the_injected_penalty_is_the_gradient_of_the_loss_plus_the_penalty(build, text, family, balancer):
    model = build(family)
    gates = attach(model, balancer=balancer)
    _, injected = step(model, gates, text)
    logged = float(gates.penalty())

    model = build(family)
    values = []
    for router in find_routers(model):
        router.module.register_forward_hook(
            lambda _module, _args, output, router=router: values.append((router, *output))
        )
    total = model(input_ids=text, labels=text, use_cache=False).loss
    for router, logits, _, experts in values:
        total = total + expected_penalty(balancer, router, logits, experts)
    total.backward()
    added = float((total - model(input_ids=text, labels=text, use_cache=False).loss).detach())
    assert logged == pytest.approx(added, rel=1e-4, abs=1e-6)
    close(injected, {name: p.grad for name, p in model.named_parameters() if p.grad is not None})


def expected_penalty(balancer, router, logits, experts):
    """The published formulas, term by term."""
    if isinstance(balancer, Stack):
        return sum(expected_penalty(loss, router, logits, experts) for loss in balancer.losses)
    if isinstance(balancer, RouterZLoss):
        return balancer.coef * (torch.log(torch.exp(logits.float()).sum(1)) ** 2).mean()
    if not isinstance(balancer, SwitchLoss):
        return logits.sum() * 0
    scores = logits.sigmoid() if router.score_function == "sigmoid" else logits.softmax(1)
    scores = scores / scores.sum(1, keepdim=True)
    sequences = 4 if balancer.scope == "sequence" else 1
    total = 0
    for part, chosen in zip(scores.chunk(sequences), experts.chunk(sequences), strict=True):
        for expert in range(8):
            share = (chosen == expert).sum() / chosen.numel()
            total = total + 8 * share * part[:, expert].mean()
    return balancer.coef * total / sequences


def test_sequence_penalty_gradient_does_not_depend_on_accumulation(build, text, family):
    gradients = []
    for accumulation in (1, 4):
        model = build(family)
        gates = attach(model, balancer=SwitchLoss(coef=0.1, scope="sequence"), accumulation=accumulation)
        gradients.append((step(model, gates, text, accumulation)[1], float(gates.penalty())))
    close(gradients[0][0], gradients[1][0])
    assert gradients[0][1] == pytest.approx(gradients[1][1], rel=1e-5)


def test_global_penalty_uses_the_counts_so_far(build, text):
    """f over all micro-batches up to this one, P over this one alone (arXiv 2501.11873)."""
    model = build("qwen3_moe")
    seen = []
    layer = find_routers(model)[0]
    layer.module.register_forward_hook(lambda _module, _args, output: seen.append(output))
    gates = attach(model, balancer=SwitchLoss(coef=1.0, scope="global"), accumulation=4)
    step(model, gates, text, accumulation=4)
    total, expected = torch.zeros(8), 0.0
    for logits, _, experts in seen:
        total += torch.bincount(experts.flatten(), minlength=8)
        expected += float(8 * (total / total.sum() * logits.detach().softmax(1).mean(0)).sum()) / 4
    assert expected < float(gates.penalty()) < 3 * expected  # the second layer adds its own
    model.train()
    for row in text.split(1):
        model(input_ids=row, use_cache=False).logits.sum().backward()
    assert float(gates._gates[0].penalty) == pytest.approx(expected, rel=1e-4)


def test_a_wrong_number_of_micro_batches_is_refused(build, text, family):
    model = build(family)
    gates = attach(model, balancer=SwitchLoss(coef=0.1, scope="micro"))
    with pytest.raises(ConfigurationError, match="4 micro-batches") as caught:
        step(model, gates, text, accumulation=4)
    assert "accumulation=4" in caught.value.hint


def test_loss_scale_scales_the_injected_gradient_alone(build, text):
    gradients = []
    for scale in (1.0, 8.0):
        model = build("glm4_moe")
        gates = attach(model, balancer=SwitchLoss(coef=0.1))
        gates.loss_scale = scale
        model.train()
        (model(input_ids=text, labels=text).loss * scale).backward()
        gradients.append({name: p.grad / scale for name, p in model.named_parameters() if p.grad is not None})
    close(*gradients)


def test_evaluation_changes_neither_counts_nor_bias(build, text, family):
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


def test_an_unattached_model_computes_the_same(build, text, any_family):
    model = build(any_family).eval()
    with torch.no_grad():
        before = model(input_ids=text).logits
        for balancer in BALANCERS:
            gates = attach(model, balancer=balancer, capacity=Capacity(factor=1.0))
            assert torch.equal(model(input_ids=text).logits, before), balancer
            gates.detach()
            assert torch.equal(model(input_ids=text).logits, before), balancer


def test_detached_models_have_no_hooks_left(build, text, family):
    model = build(family)
    gates = attach(model, balancer=LossFree(bias_update_rate=0.5))
    step(model, gates, text)
    gates.detach()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    before = gates.state_dict()
    model(input_ids=text)
    equal(gates.state_dict(), before)


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


def test_weights_come_from_scores_without_bias_and_recorded_logits_are_raw(build, text):
    model = build("qwen3_moe").eval()
    gates = attach(model, balancer=LossFree(bias_update_rate=0.3))
    plain = model(input_ids=text, output_router_logits=True).router_logits
    step(model, gates, text)
    model.eval()
    seen = []
    gates.routers[0].module.register_forward_hook(lambda _module, _args, output: seen.append(output))
    recorded = model(input_ids=text, output_router_logits=True).router_logits
    logits, weights, experts = seen[0]
    assert torch.equal(recorded[0], plain[0])  # the first router sees the same input as before
    scores = logits.softmax(-1).gather(1, experts)
    assert torch.allclose(weights, scores / scores.sum(1, keepdim=True))
    biased = (logits.softmax(-1) + gates.biases()[1]).topk(2).indices
    assert torch.equal(experts.sort(1).values, biased.sort(1).values)
    assert not torch.equal(experts, logits.topk(2).indices)


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


def test_training_on_a_padded_batch_counts_and_penalizes_text_alone(build, text, family):
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


def test_evaluation_capacity_is_its_own_setting(build, text, family):
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


@pytest.mark.parametrize("balancer", [LossFree(bias_update_rate=1e-2, schedule="inv_sqrt"), NoBalancer()], ids=name_of)
def test_a_resumed_run_goes_on_exactly(build, text, family, balancer):
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


def test_a_skipped_step_moves_nothing(build, text, family):
    model = build(family)
    gates = attach(model, balancer=LossFree(bias_update_rate=1e-2))
    model.train()
    before = gates.state_dict()
    model(input_ids=text, labels=text).loss.backward()
    gates.skip()
    equal(gates.state_dict(), before)


@pytest.mark.parametrize("cast", [torch.bfloat16, torch.float16])
def test_the_bias_stays_float32_when_the_model_is_cast(build, text, any_family, cast):
    model = build(any_family)
    gates = attach(model, balancer=LossFree(bias_update_rate=1e-3))
    model.train()
    for _ in range(3):
        model(input_ids=text, use_cache=False).logits.sum().backward()
        gates.update()
    before = gates.biases()
    model.to(cast).eval()
    model(input_ids=text)
    equal(gates.biases(), before)
    model.train()
    model(input_ids=text, use_cache=False).logits.sum().backward()
    gates.update()
    for layer, bias in gates.biases().items():
        assert bias.dtype == torch.float32
        moved = (bias - before[layer]).abs()
        assert bool(((moved < 1e-6) | ((moved - 1e-3).abs() < 1e-6)).all())
    for router in gates.routers:
        if router.native_bias:
            assert router.module.e_score_correction_bias.dtype == torch.float32


def test_a_native_bias_is_saved_with_the_model(build, text, tmp_path):
    model = build("glm4_moe")
    gates = attach(model, balancer=LossFree(bias_update_rate=1e-2))
    step(model, gates, text)
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    name = "model.layers.1.mlp.gate.e_score_correction_bias"
    assert torch.equal(dict(again.named_buffers())[name], gates.biases()[1])
    assert torch.equal(model.state_dict()[name], gates.biases()[1])
    assert float(gates.biases()[1].abs().max()) == pytest.approx(0.01)


def test_loading_weights_into_an_attached_model_takes_the_bias_over(build, text):
    source = build("glm4_moe")
    trained = attach(source, balancer=LossFree(bias_update_rate=1e-2))
    step(source, trained, text)
    for assign in (False, True):
        model = build("glm4_moe")
        gates = attach(model, balancer=LossFree(bias_update_rate=1e-2))
        model.load_state_dict(source.state_dict(), assign=assign)
        model.eval()(input_ids=text)
        equal(gates.biases(), trained.biases())


def test_counts_are_not_module_buffers(build, family):
    model = build(family)
    before = set(model.state_dict())
    attach(model, balancer=LossFree(bias_update_rate=1e-2))
    assert set(model.state_dict()) == before
    assert len(list(model.buffers())) == len(list(build(family).buffers()))


def test_load_signal_kept_freezes_the_bias_where_routed_balances(build, text, family):
    """Counted after drops, every overloaded expert looks exactly full (Megatron's order of operations)."""
    violations = {}
    for signal in ("routed", "kept"):
        model = build(family)
        limits = Capacity(factor=0.5, load_signal=signal)
        gates = attach(model, balancer=LossFree(bias_update_rate=2e-2), capacity=limits)
        model.train()
        tail = []
        for _ in range(60):
            model(input_ids=text, use_cache=False).logits.sum().backward()
            gates.update()
            tail.append(gates.metrics()[0]["max_violation"])
        violations[signal] = sum(tail[-10:]) / 10
    assert violations["kept"] > 1.5 * violations["routed"]


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


def test_a_failed_forward_pass_leaves_no_trace(build, text, family):
    model = build(family)
    gates = attach(model, balancer=LossFree(bias_update_rate=1e-2))
    with pytest.raises(IndexError):
        model(input_ids=text + 1000)
    assert gates._settings.passes._open == []


@pytest.mark.parametrize("scope", ["sequence", "micro", "global"])
def test_losses_count_the_top_k_without_the_bias_that_moved_the_selection(build, text, family, scope):
    """arXiv 2412.19437, Eq. 18: f is of the unbiased top-k; the biased one is balanced by the bias already."""
    model = build(family)
    stack = Stack(LossFree(bias_update_rate=1e-2), SwitchLoss(coef=0.1, scope=scope))
    gates = attach(model, balancer=stack)
    state = gates.state_dict()
    for name in state:
        if name.endswith("bias"):
            state[name] = torch.linspace(-0.5, 0.5, 8)
    gates.load_state_dict(state)
    seen = {}
    for router in gates.routers:
        router.module.register_forward_hook(
            lambda _module, _args, output, router=router: seen.update({router.layer: (router, *output)})
        )
    step(model, gates, text)
    expected = 0.0
    for router, logits, _, experts in seen.values():
        unbiased = logits.detach().topk(2).indices
        assert not torch.equal(unbiased.sort(1).values, experts.sort(1).values)
        expected += float(expected_penalty(SwitchLoss(coef=0.1, scope=scope), router, logits.detach(), unbiased))
    assert float(gates.penalty()) == pytest.approx(expected, rel=1e-5)


def test_random_drops_differ_by_step_micro_batch_and_layer_and_repeat_with_the_run(build, text, family):
    def drops():
        model = build(family)
        limits = Capacity(factor=0.5, drop_policy="random")
        gates = attach(model, balancer=NoBalancer(), capacity=limits, accumulation=2)
        model.train()
        for router in gates.routers:
            torch.nn.init.zeros_(router.module.weight)  # every call to the same experts, in every layer and pass
            router.module.register_forward_hook(lambda _module, _args, output: kept.append(output[1] != 0))
        for _ in range(2):
            for _ in range(2):
                model(input_ids=text, use_cache=False)
            gates.update()

    kept = []
    drops()
    drops()
    first, again = kept[:8], kept[8:]
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert len({tuple(mask.flatten().tolist()) for mask in first}) == 8


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
