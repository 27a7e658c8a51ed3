"""What a gate does to one router: gradients of penalties, drops, the bias and its precision."""

import pytest
import torch

from trimtab.moe.attach import attach
from trimtab.moe.discovery import find_routers
from trimtab.settings.capacities import Capacity
from trimtab.settings.rules import LossFree, NoBalancer, RouterZLoss, Stack, SwitchLoss

CHECKPOINTING = {"reentrant": {"use_reentrant": True}, "non_reentrant": {"use_reentrant": False}}


@pytest.mark.parametrize("policy", ["probs", "random"])
@pytest.mark.parametrize("checkpointing", ["reentrant", "non_reentrant"])
def test_gradients_do_not_depend_on_checkpointing(
    *, build, text, family, checkpointing, policy, balancer, step, close, equal
):
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


@pytest.mark.parametrize("checkpointing", [None, "reentrant", "non_reentrant"])
def test_a_layer_that_is_called_twice_recomputes_each_of_its_decisions(build, text, family, checkpointing, close, step):
    """As in models that loop over their layers, or call a block on a piece of the sequence at a time."""
    found = []
    for kind in (None, checkpointing):
        model = build(family)
        gates = attach(model, balancer=LossFree(bias_update_rate=1e-2), capacity=Capacity(factor=0.75))
        layers = list(model.model.layers)
        model.model.layers = torch.nn.ModuleList([*layers, layers[2]])
        model.config.num_hidden_layers = 4
        if getattr(model.config, "layer_types", None):
            model.config.layer_types = [*model.config.layer_types, model.config.layer_types[2]]
        if kind is not None:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": kind == "reentrant"})
        found.append(step(model, gates, text))
    assert [int(load.sum()) for load in found[1][0].values()] == [2 * text.numel(), 4 * text.numel()]
    assert all(torch.equal(load, found[1][0][layer]) for layer, load in found[0][0].items())
    close(found[0][1], found[1][1])


@pytest.mark.parametrize("checkpointing", ["reentrant", "non_reentrant"])
def test_two_forward_passes_before_one_backward_recompute_what_they_decided(build, text, family, checkpointing, close):
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


def test_the_injected_penalty_is_the_gradient_of_the_loss_plus_the_penalty(build, text, family, balancer, step, close):
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


def test_sequence_penalty_gradient_does_not_depend_on_accumulation(build, text, family, step, close):
    gradients = []
    for accumulation in (1, 4):
        model = build(family)
        gates = attach(model, balancer=SwitchLoss(coef=0.1, scope="sequence"), accumulation=accumulation)
        gradients.append((step(model, gates, text, accumulation)[1], float(gates.penalty())))
    close(gradients[0][0], gradients[1][0])
    assert gradients[0][1] == pytest.approx(gradients[1][1], rel=1e-5)


def test_global_penalty_uses_the_counts_so_far(build, text, step):
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


@pytest.mark.parametrize("scope", ["sequence", "micro", "global"])
def test_losses_count_the_top_k_without_the_bias_that_moved_the_selection(build, text, family, scope, step):
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


def test_loss_scale_scales_the_injected_gradient_alone(build, text, close):
    gradients = []
    for scale in (1.0, 8.0):
        model = build("glm4_moe")
        gates = attach(model, balancer=SwitchLoss(coef=0.1))
        gates.loss_scale = scale
        model.train()
        (model(input_ids=text, labels=text).loss * scale).backward()
        gradients.append({name: p.grad / scale for name, p in model.named_parameters() if p.grad is not None})
    close(*gradients)


@pytest.mark.filterwarnings("ignore:.*larger than the mean softmax score")
def test_weights_come_from_scores_without_bias_and_recorded_logits_are_raw(build, text, step):
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


@pytest.mark.filterwarnings("ignore:.*had no proper effect")  # which is what "kept" is shown to have
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


@pytest.mark.parametrize("cast", [torch.bfloat16, torch.float16])
def test_the_bias_stays_float32_when_the_model_is_cast(build, text, any_family, cast, equal):
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


def test_a_native_bias_is_saved_with_the_model(build, text, tmp_path, step):
    model = build("glm4_moe")
    gates = attach(model, balancer=LossFree(bias_update_rate=1e-2))
    step(model, gates, text)
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    name = "model.layers.1.mlp.gate.e_score_correction_bias"
    assert torch.equal(dict(again.named_buffers())[name], gates.biases()[1])
    assert torch.equal(model.state_dict()[name], gates.biases()[1])
    assert float(gates.biases()[1].abs().max()) == pytest.approx(0.01)


def test_loading_weights_into_an_attached_model_takes_the_bias_over(build, text, step, equal):
    source = build("glm4_moe")
    trained = attach(source, balancer=LossFree(bias_update_rate=1e-2))
    step(source, trained, text)
    for assign in (False, True):
        model = build("glm4_moe")
        gates = attach(model, balancer=LossFree(bias_update_rate=1e-2))
        model.load_state_dict(source.state_dict(), assign=assign)
        model.eval()(input_ids=text)
        equal(gates.biases(), trained.biases())
