"""Each stress does to the model what it says, to the experts the generator draws, and nothing else."""

import pytest
import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.attach import attach
from trimtab.moe.discovery import find_routers
from trimtab.moe.stresses import initialize
from trimtab.settings.initializations import (
    BiasedRouter,
    CollapsedInputs,
    DeadExpert,
    DepthScaled,
    DropUpcycled,
    IdenticalExperts,
    Random,
    ScaledRouter,
    SkewedRouter,
    TwinRows,
    VirtualGroups,
)
from trimtab.settings.rules import NoBalancer

EVERY = [
    Random(),
    ScaledRouter(factor=10.0),
    SkewedRouter(shift=3.0, share=0.25),
    TwinRows(groups=2, noise=1e-2),
    IdenticalExperts(),
    DeadExpert(),
    BiasedRouter(std=2.0),
    DropUpcycled(),
    DepthScaled(),
    CollapsedInputs(similarity=0.9),
]


def apply(init, model, text, seed=0):
    initialize(model, init, text, torch.Generator().manual_seed(seed))
    return model


def logits_of(model, text):
    """Mean logits [E] of each router over the text."""
    seen = []
    handles = [
        r.module.register_forward_hook(lambda _m, _a, output: seen.append(output[0].mean(0)))
        for r in find_routers(model)
    ]
    with torch.no_grad():
        model.eval()(input_ids=text)
    for handle in handles:
        handle.remove()
    return seen


def changed(model, reference):
    ours, theirs = model.state_dict(), reference.state_dict()
    return {name for name in ours if not torch.equal(ours[name], theirs[name])}


@pytest.mark.parametrize("init", EVERY, ids=repr)
def test_the_same_seed_makes_the_same_model_and_the_global_random_state_stays(build, text, any_family, init):
    state = torch.get_rng_state()
    first, second = apply(init, build(any_family), text), apply(init, build(any_family), text)
    assert torch.equal(torch.get_rng_state(), state)
    assert not changed(first, second)
    assert first.training == build(any_family).training
    assert all(tensor.isfinite().all() for tensor in first.state_dict().values())


@pytest.mark.parametrize("init", [*EVERY, VirtualGroups(granularity=2)], ids=repr)
def test_nothing_else_changes(build, text, family, init):
    names = changed(apply(init, build(family), text), build(family))
    touched = {name.split(".mlp.")[-1].split(".")[0] for name in names if "mlp" in name}
    others = {name for name in names if "mlp" not in name}
    if isinstance(init, CollapsedInputs):
        assert others == {"model.embed_tokens.weight"}
    elif isinstance(init, DepthScaled):
        assert others == {f"model.layers.{layer}.self_attn.o_proj.weight" for layer in range(3)}
    else:
        assert not others
    assert (
        touched
        == {
            "Random": set(),
            "ScaledRouter": {"gate"},
            "SkewedRouter": {"gate"},
            "TwinRows": {"gate"},
            "IdenticalExperts": {"experts"},
            "DeadExpert": {"gate", "experts"},
            "BiasedRouter": {"gate"},
            "DropUpcycled": {"experts"},
            "VirtualGroups": {"gate", "experts"},
            "DepthScaled": {"experts", "down_proj"} | ({"shared_experts"} if family == "glm4_moe" else set()),
            "CollapsedInputs": set(),
        }[type(init).__name__]
    )


def test_scaled_router(build, text, family):
    model, reference = apply(ScaledRouter(factor=10.0), build(family), text), build(family)
    for ours, theirs in zip(find_routers(model), find_routers(reference), strict=True):
        assert torch.allclose(ours.module.weight, 10 * theirs.module.weight)


def test_a_skew_shifts_the_mean_logit_of_its_experts_by_exactly_that(build, text, family):
    init = SkewedRouter(shift=3.0, share=0.25)
    model, reference = apply(init, build(family), text), build(family)
    # The first router sees the same input in both models.
    shift = (logits_of(model, text)[0] - logits_of(reference, text)[0]).sort().values
    assert torch.allclose(shift, torch.tensor([0.0] * 6 + [3.0] * 2), atol=1e-4)


def test_a_skew_scales_with_the_token_so_that_no_bias_cancels_it(build, text):
    """A constant offset would shift every token's logit equally."""
    shifts = []
    for init in (Random(), SkewedRouter(shift=3.0, share=0.125)):
        model = apply(init, build("glm4_moe"), text).eval()
        seen = []
        find_routers(model)[0].module.register_forward_hook(lambda _m, _a, output, seen=seen: seen.append(output[0]))
        with torch.no_grad():
            model(input_ids=text)
        shifts.append(seen[0])
    difference = shifts[1] - shifts[0]
    favored = int(difference.abs().sum(0).argmax())
    assert float(difference[:, favored].mean()) == pytest.approx(3.0, abs=1e-3)
    assert float(difference[:, favored].std()) > 0.3


def test_a_skew_of_later_layers_is_measured_on_what_they_then_see(build, text, family):
    init = SkewedRouter(shift=2.0, share=0.25)
    model = apply(init, build(family), text)
    last = find_routers(model)[-1]
    skewed = logits_of(model, text)[-1].clone()
    with torch.no_grad():
        last.module.weight.copy_(find_routers(build(family))[-1].module.weight)
    shift = (skewed - logits_of(model, text)[-1]).sort().values
    assert torch.allclose(shift[-2:], torch.tensor([2.0, 2.0]), atol=1e-4)


def test_a_skew_unbalances_the_load(build, text, family):
    violations = []
    for init in (Random(), SkewedRouter(shift=4.0, share=0.125)):
        model = apply(init, build(family), text).eval()
        gates = attach(model, balancer=NoBalancer())
        with torch.no_grad(), gates.measure() as lines:
            model(input_ids=text)
        violations.append(lines[0]["max_violation"])
    assert violations[1] > violations[0] + 0.5


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_twin_rows_are_equal_within_groups_of_nearly_equal_size(build, text, family, groups):
    model = apply(TwinRows(groups=groups), build(family), text)
    for router in find_routers(model):
        rows, counts = router.module.weight.unique(dim=0, return_counts=True)
        assert len(rows) == groups
        assert int(counts.max() - counts.min()) <= 1


def test_noise_parts_twins_by_its_share_of_a_row(build, text, family):
    exact = find_routers(apply(TwinRows(groups=2), build(family), text))
    noisy = find_routers(apply(TwinRows(groups=2, noise=1e-2), build(family), text))
    for one, other in zip(exact, noisy, strict=True):
        apart = ((other.module.weight - one.module.weight).std() / one.module.weight.std()).detach()
        assert float(apart) == pytest.approx(1e-2, rel=0.2)


def test_identical_experts_make_the_output_independent_of_the_routing(build, text, family):
    model = apply(IdenticalExperts(), build(family), text).eval()
    with torch.no_grad():
        before = model(input_ids=text).logits
        for router in find_routers(model):
            router.module.weight.copy_(torch.randn(8, 32, generator=torch.Generator().manual_seed(3)))
        assert torch.allclose(model(input_ids=text).logits, before, atol=1e-5)


def test_a_dead_expert_says_nothing_and_is_hardly_asked_but_can_revive(build, text, family):
    model, reference = apply(DeadExpert(), build(family), text), build(family)
    drop = logits_of(model, text)[0] - logits_of(reference, text)[0]
    dead = int(drop.argmin())
    assert float(drop[dead]) == pytest.approx(-6.0, abs=1e-3)
    router = find_routers(model)[0]
    assert not router.experts.down_proj[dead].any()
    assert router.experts.gate_up_proj[dead].any()
    with torch.no_grad():
        router.module.weight.zero_()
        router.module.weight[dead] = 1.0  # somebody asks it
    model.train()
    model(input_ids=text, labels=text).loss.backward()
    assert router.experts.down_proj.grad[dead].any()


def test_a_biased_router_shifts_each_mean_logit_by_its_own_normal_draw(build, text, family):
    init = BiasedRouter(std=2.0)
    shifts = [
        logits_of(apply(init, build(family), text, seed), text)[0] - logits_of(build(family), text)[0]
        for seed in range(12)
    ]
    drawn = 2.0 * torch.randn(8, 1, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(shifts[0], drawn[:, 0], atol=1e-3)
    assert float(torch.cat(shifts).std()) == pytest.approx(2.0, rel=0.2)


@pytest.mark.parametrize("init", [SkewedRouter(shift=3.0, share=0.25), TwinRows(groups=2), DeadExpert()], ids=repr)
def test_the_seed_draws_the_experts_whatever_the_weights(build, text, family, init):
    def touched(seed, weights):
        model, reference = apply(init, build(family, weights), text, seed), build(family, weights)
        router, before = find_routers(model)[0], find_routers(reference)[0]
        return (router.module.weight != before.module.weight).any(1)

    assert torch.equal(touched(0, weights=0), touched(0, weights=1))
    assert any(not torch.equal(touched(0, weights=0), touched(seed, weights=0)) for seed in range(1, 6))


@pytest.mark.parametrize(
    "make",
    [
        lambda: ScaledRouter(factor=0.0),
        lambda: SkewedRouter(shift=float("nan"), share=0.1),
        lambda: SkewedRouter(shift=1.0, share=1.0),
        lambda: TwinRows(groups=0),
        lambda: TwinRows(groups=2, noise=-1.0),
        lambda: BiasedRouter(std=0.0),
        lambda: DropUpcycled(drop_ratio=1.1),
        lambda: VirtualGroups(granularity=0),
        lambda: CollapsedInputs(similarity=1.0),
    ],
)
def test_impossible_settings_are_refused(make):
    with pytest.raises(ConfigurationError):
        make()


def test_as_many_groups_as_experts_is_refused(build, text):
    with pytest.raises(ConfigurationError, match="nobody a twin"):
        apply(TwinRows(groups=8), build("glm4_moe"), text)
