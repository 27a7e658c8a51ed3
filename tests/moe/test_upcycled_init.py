"""Fresh experts as upcycling leaves them: what was copied, what was drawn, and which function is left."""

import pytest
import torch
from torch.nn import functional

from trimtab.errors import ConfigurationError
from trimtab.moe.attach import attach
from trimtab.moe.discovery import find_routers
from trimtab.moe.stresses import initialize
from trimtab.settings.initializations import (
    DoubledExperts,
    DropUpcycled,
    DyingExpert,
    NoisyCopies,
    PromptRouter,
    VirtualGroups,
)
from trimtab.settings.rules import LossFree


def apply(init, model, text, seed=0):
    initialize(model, init, text, torch.Generator().manual_seed(seed))
    return model.eval()


@pytest.mark.parametrize(("ratio", "redrawn"), [(0.0, 0), (0.25, 4), (0.5, 8), (1.0, 16)])
def test_each_expert_redraws_its_share_of_columns_in_all_three_matrices(build, text, family, ratio, redrawn):
    before = find_routers(build(family))[0].experts
    experts = find_routers(apply(DropUpcycled(drop_ratio=ratio), build(family), text))[0].experts
    lost = []
    for expert in range(8):
        gate, up = (experts.gate_up_proj[expert] != before.gate_up_proj[0]).any(1).chunk(2)
        down = (experts.down_proj[expert] != before.down_proj[0]).any(0)
        assert torch.equal(gate, up)
        assert torch.equal(gate, down)
        assert int(gate.sum()) == redrawn
        lost.append(tuple(gate.tolist()))
    assert (len(set(lost)) > 1) == (0 < ratio < 1)  # each its own columns


def test_what_is_drawn_has_the_mean_and_deviation_of_what_was_there(build, text, family):
    model = build(family)
    with torch.no_grad():
        for router in find_routers(model):
            router.experts.gate_up_proj[0].mul_(3.0).add_(1.0)
            router.experts.down_proj[0].mul_(0.5).sub_(2.0)
    before = find_routers(model)[0].experts.gate_up_proj[0].detach().clone()
    experts = find_routers(apply(DropUpcycled(drop_ratio=1.0), model, text))[0].experts.requires_grad_(False)
    gate, old = experts.gate_up_proj[:, :16], before[:16]  # 8 experts of 16 × 32 draws
    assert float(gate.mean()) == pytest.approx(float(old.mean()), abs=0.05)
    assert float(gate.std()) == pytest.approx(float(old.std()), rel=0.05)
    assert float(experts.down_proj.mean()) == pytest.approx(-2.0, abs=0.05)
    assert abs(float(torch.corrcoef(gate[:2].flatten(1))[0, 1])) < 0.15  # nothing in common is left


def blocks(model, inputs):
    """Output of each mixture's experts and router for given inputs [T, H], without a shared expert."""
    found = []
    for router in find_routers(model):
        _, weights, experts = router.module(inputs[None])
        found.append(router.experts(inputs, experts.view(len(inputs), -1), weights.view(len(inputs), -1)))
    return found


def dense_blocks(model, inputs, shards):
    """The dense block that the first experts of a layer make side by side, before they were laid out."""
    found = []
    for router in find_routers(model):
        gate, up = router.experts.gate_up_proj[:shards].chunk(2, dim=1)
        down = router.experts.down_proj[:shards].transpose(0, 1).flatten(1)
        wide = functional.silu(inputs @ gate.flatten(0, 1).T) * (inputs @ up.flatten(0, 1).T)
        found.append(wide @ down.T)
    return found


@pytest.mark.parametrize("shards", [1, 2])
@torch.no_grad()
def test_virtual_groups_are_the_dense_block_whatever_the_routing(build, text, family, shards):
    inputs = torch.randn(40, 32, generator=torch.Generator().manual_seed(2))
    wanted = dense_blocks(build(family), inputs, shards)
    model = apply(VirtualGroups(granularity=shards), build(family), text)
    for _ in range(2):
        for ours, dense in zip(blocks(model, inputs), wanted, strict=True):
            assert float((ours - dense).norm() / dense.norm()) < 1e-5
        for router in find_routers(model):  # other groups are chosen
            fresh = torch.randn(8 // shards, 32, generator=torch.Generator().manual_seed(9))
            router.weight.copy_(fresh.repeat_interleave(shards, 0))


def test_one_step_of_a_bias_rule_moves_groups_whole(build, text, step):
    """Counts of a group's members are equal, so their biases stay so, and with them the function."""
    model = apply(VirtualGroups(granularity=2), build("glm4_moe"), text)
    with torch.no_grad():
        before = model(input_ids=text).logits
    gates = attach(model, balancer=LossFree(bias_update_rate=1e-2))
    step(model, gates, text)
    bias = find_routers(model)[0].native.read()
    assert bias.any()
    assert torch.equal(bias[::2], bias[1::2])
    with torch.no_grad():
        assert torch.allclose(model.eval()(input_ids=text).logits, before, atol=1e-4)


def test_virtual_groups_that_cannot_be_whole_are_refused(build, text):
    for granularity, count in ((3, "num_experts = 8"), (4, "num_experts_per_tok = 2")):
        with pytest.raises(ConfigurationError, match=count):
            apply(VirtualGroups(granularity=granularity), build("glm4_moe"), text)
    with pytest.raises(ConfigurationError, match="do not sum to 1"):
        apply(VirtualGroups(granularity=2), build("olmoe"), text)


def test_experts_of_another_layout_are_refused(build, text):
    model = build("glm4_moe")
    experts = find_routers(model)[0].experts
    experts.gate_up_proj = torch.nn.Parameter(experts.gate_up_proj.data.transpose(1, 2).contiguous()[:, :, :30])
    with pytest.raises(ConfigurationError, match="gate_up_proj"):
        apply(DropUpcycled(), model, text)


def stacks(model):
    """Return the first router, and copies of the weights of the experts beside it."""
    router = find_routers(model)[0]
    return router, router.experts.gate_up_proj.detach().clone(), router.experts.down_proj.detach().clone()


def test_noise_is_as_large_as_asked_for(build, text, family):
    model = build(family)
    _, before, _ = stacks(model)
    _, after, _ = stacks(apply(NoisyCopies(std=0.1), model, text))
    share = (after - before).std(dim=(1, 2)) / before.std(dim=(1, 2))
    assert share.tolist() == pytest.approx([0.1] * len(share), rel=0.15)


def test_one_expert_withers_and_the_others_stay(build, text, family):
    model = build(family)
    before = stacks(model)[1].norm(dim=(1, 2))
    ratio = (stacks(apply(DyingExpert(factor=0.1), model, text))[1].norm(dim=(1, 2)) / before).sort().values
    assert ratio.tolist() == pytest.approx([0.1, *[1.0] * (len(ratio) - 1)])


def test_doubled_experts_are_copies_of_the_largest_with_their_rows(build, text, family):
    router, gate_up, down = stacks(apply(DoubledExperts(drop_ratio=0.5), build(family), text))
    half = router.num_experts // 2
    ranked = gate_up[:half].norm(dim=(1, 2)).argsort(descending=True).tolist()
    order = [expert for expert in ranked for _ in range(3)][:half]
    for slot, source in enumerate(order):
        for stack in (gate_up, down, router.weight.detach()):
            assert torch.equal(stack[half + slot], stack[source])


def test_a_router_of_prompts_has_rows_of_one_length_that_point_to_texts(build, text, family):
    router, _, _ = stacks(apply(PromptRouter(norm=2.0), build(family), text))
    rows = router.weight.detach()
    assert rows.norm(dim=1).tolist() == pytest.approx([2.0] * len(rows), rel=1e-5)
    assert len({tuple(row) for row in rows.tolist()}) == len(rows)


@pytest.mark.parametrize(("texts", "tokens"), [(1, 8), (1, 12), (3, 5), (2, 7)])
def test_a_router_of_prompts_finds_a_piece_of_text_for_every_expert(build, family, texts, tokens):
    """Eight experts; twelve tokens cut into eight by size would be six pieces."""
    sample = torch.randint(3, 64, (texts, tokens), generator=torch.Generator().manual_seed(1))
    router, _, _ = stacks(apply(PromptRouter(), build(family), sample))
    assert len({tuple(row) for row in router.weight.tolist()}) == 8


def test_a_router_of_prompts_refuses_a_sample_that_is_too_short(build, family):
    sample = torch.randint(3, 64, (1, 7), generator=torch.Generator().manual_seed(1))
    with pytest.raises(ConfigurationError, match="8 experts, and the sample 1 texts of 7 tokens"):
        apply(PromptRouter(), build(family), sample)
