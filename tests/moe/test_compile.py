"""torch.compile with the gate outside the graph: what is counted, learned and chosen is what it is without."""

import pytest
import torch

from trimtab.moe.attach import attach
from trimtab.settings.capacities import Capacity
from trimtab.settings.rules import LossFree, Stack, SwitchLoss


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # Dynamo's own, while it looks at activations
def test_a_compiled_model_counts_moves_and_learns_as_it_does_uncompiled(build, text, step, close, equal):
    """Two steps, so that the second compiled pass sees a bias that has moved."""
    found = []
    for compiled in (False, True):
        model = build("qwen3_moe")
        model.set_experts_implementation("batched_mm")
        rule = Stack(LossFree(bias_update_rate=1e-2), SwitchLoss(coef=0.1))
        gates = attach(model, balancer=rule, capacity=Capacity(factor=1.0))
        if compiled:
            torch.compiler.reset()
            model.compile(backend="eager")
        step(model, gates, text)
        found.append((*step(model, gates, text), gates.biases()))
    equal(found[0][0], found[1][0])
    close(found[0][1], found[1][1])
    equal(found[0][2], found[1][2])
    assert any(bias.any() for bias in found[0][2].values())


@pytest.mark.filterwarnings("ignore")
def test_a_graph_that_may_not_be_broken_is_refused_with_the_reason(build, text):
    model = build("qwen3_moe")
    model.set_experts_implementation("batched_mm")
    attach(model, balancer=LossFree(bias_update_rate=1e-2))
    torch.compiler.reset()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    with pytest.raises(torch._dynamo.exc.Unsupported, match="compile without fullgraph=True"):
        compiled(input_ids=text, use_cache=False)
