"""Every rule through real models: eager, checkpointed, accumulated, saved and loaded."""

import pytest
import torch

import trimtab
from trimtab.moe.attach import attach
from trimtab.moe.balancers import behavior
from trimtab.settings.rules import RULES, SMEBU, Stack, SwitchLoss

RECOMPUTED = {"use_reentrant": False}
TRINITY = Stack(SMEBU(), SwitchLoss(coef=1e-4, scope="sequence", count="selection"))
NEEDED = {
    "LossFree": {"bias_update_rate": 1e-2},
    "SoftClippedBias": {"bias_update_rate": 1e-2},
    "CausalBias": {"rate": 1e-2},
}
LOSSES = {name: {"coef": 0.1} for name in ("SwitchLoss", "PooledSwitchLoss", "RouterZLoss", "SimBal")}


@pytest.fixture(params=RULES, ids=lambda kind: kind.__name__)
def balancer(request):
    kind = request.param
    return behavior(TRINITY if kind is Stack else kind(**(NEEDED | LOSSES).get(kind.__name__, {})))


def trained(model, balancer, step, text, *, accumulation=1, steps=2):
    gates = attach(model, balancer=balancer, accumulation=accumulation)
    gradients = [step(model, gates, text, accumulation)[1] for _ in range(steps)]
    return gates, gradients


@pytest.mark.filterwarnings("ignore")  # of steps that outweigh softmax scores
def test_recomputation_changes_neither_bias_nor_gradient(balancer, build, step, text, equal, close):
    eager, left = trained(build("mixtral"), balancer, step, text)
    model = build("mixtral")
    model.gradient_checkpointing_enable(RECOMPUTED)
    recomputed, right = trained(model, balancer, step, text)
    equal(eager.state_dict(), recomputed.state_dict())
    for mine, theirs in zip(left, right, strict=True):
        close(mine, theirs)


@pytest.mark.filterwarnings("ignore")
def test_micro_batches_move_the_bias_as_the_whole_batch_does(balancer, build, step, text):
    if not balancer.causal or balancer.cuts_matter:
        pytest.skip("finds something else in each micro-batch by itself")
    whole, _ = trained(build("glm4_moe"), balancer, step, text, steps=1)
    parts, _ = trained(build("glm4_moe"), balancer, step, text, accumulation=2, steps=1)
    for name, state in whole.state_dict().items():
        assert torch.allclose(state.float(), parts.state_dict()[name].float(), atol=1e-6), name


@pytest.mark.filterwarnings("ignore")
def test_a_run_goes_on_from_a_saved_folder_as_if_it_had_not_stopped(balancer, build, step, text, equal, tmp_path):
    gates, _ = trained(build("glm4_moe"), balancer, step, text)
    gates.save_pretrained(tmp_path)
    model, again = trimtab.load(tmp_path)
    assert again.balancer == balancer
    equal(gates.state_dict(), again.state_dict())
    step(gates._model, gates, text)
    step(model, again, text)
    for name, state in gates.state_dict().items():
        assert torch.allclose(state.float(), again.state_dict()[name].float(), atol=1e-6), name


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", ["glm4_moe", "mixtral"])
@pytest.mark.parametrize("count", ["scores", "selection"])
def test_a_loss_beside_a_bias_counts_what_it_says(count, family, build, text):
    """The bias sends everybody to the last two experts: the selection knows, the scores do not."""
    losses = Stack(trimtab.SMEBU(), SwitchLoss(coef=1.0, scope="sequence", count=count))
    model = build(family).train()
    gates, logits = attach(model, balancer=losses), []
    router = gates.routers[-1]
    for gate in gates._gates:
        gate.bias[-2:] = 10
    router.port.listen(router.module, lambda l, w, e: logits.append(l.detach()) or (w, e))
    model(input_ids=text, use_cache=False).logits.sum().backward()
    scores = logits[0].sigmoid() if router.score_function == "sigmoid" else logits[0].softmax(-1)
    calls = torch.zeros_like(scores).scatter_(1, scores.topk(2).indices, 1.0)
    if count == "selection":
        calls = torch.zeros_like(scores)
        calls[:, -2:] = 1
    shares = [
        (f.mean(0) / 2, (p / p.sum(1, keepdim=True)).mean(0))
        for f, p in zip(calls.split(16), scores.split(16), strict=True)
    ]
    expected = sum(8 * float((f * p).sum()) for f, p in shares) / 4
    assert float(gates._gates[-1].penalty) == pytest.approx(expected, rel=1e-4)
