"""What experts add to drawn tokens, against every expert called by hand on every token."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from trimtab.inspection import output_sample
from trimtab.inspection.domain_texts import domain_sources
from trimtab.inspection.output_sample import OutputSample, draw
from trimtab.inspection.token_windows import batches


def by_hand(model, window, drawn, counts):
    """The squared norms of weight · expert(token), summed over drawn tokens, for the layers with experts."""
    sums = {}

    def look(layer):
        def hook(block, args):
            hidden = args[0].flatten(0, 1)
            probabilities = block.gate(hidden)[0].softmax(-1)
            weights, chosen = probabilities.topk(block.gate.top_k)
            if block.gate.norm_topk_prob:
                weights = weights / weights.sum(-1, keepdim=True)
            experts = block.experts
            for token, count in zip(drawn, counts, strict=True):
                for weight, expert in zip(weights[token], chosen[token], strict=True):
                    gate, up = (experts.gate_up_proj[expert] @ hidden[token]).chunk(2)
                    output = experts.down_proj[expert] @ (functional.silu(gate) * up)
                    sums[layer][expert] += count * float((weight * output).square().sum())

        return hook

    handles = []
    for layer in (1, 2):
        sums[layer] = np.zeros(8)
        handles.append(model.model.layers[layer].mlp.register_forward_pre_hook(look(layer)))
    with torch.no_grad():
        model(input_ids=torch.from_numpy(window.ids)[None], use_cache=False)
    for handle in handles:
        handle.remove()
    return sums


def read(inspected, sample, windows, batch_tokens):
    with torch.inference_mode(), sample.listening():
        for batch in batches(windows, batch_tokens=batch_tokens, pad=0):
            sample.expect(batch)
            inspected.run(batch)
        return sample.squares()


@pytest.mark.parametrize("called_at_once", [1, 40, 10_000])
def test_the_sums_are_those_of_each_expert_called_by_hand(inspected, texts, monkeypatch, called_at_once):
    monkeypatch.setattr(output_sample, "_CALLED_AT_ONCE", called_at_once)
    sources = domain_sources([], [f"prose={texts / 'prose.txt'}", f"code={texts / 'code.jsonl'}"])
    windows = [w for source in sources for w in inspected.windows(source.texts(), length=48)]
    sample = OutputSample(inspected.routers)
    squares = read(inspected, sample, windows, 200)
    expected = {1: np.zeros(8), 2: np.zeros(8)}
    for window in windows:  # fewer than 2,048 of a domain, so that all are drawn at the first share
        drawn, counts = draw(f"{window.domain}/{window.name}:{window.start}", len(window.ids), 0)
        for layer, sums in by_hand(inspected.model, window, drawn, counts).items():
            expected[layer] += sums
    assert sample.tokens > 100
    assert not sample.unmeasured
    for layer in (1, 2):
        np.testing.assert_allclose(squares[layer], expected[layer], rtol=1e-4)


def test_experts_that_cannot_be_called_with_single_choices_are_said_to_be_unmeasured(inspected, texts, monkeypatch):
    experts = type(inspected.routers[0].experts)
    whole = experts.forward

    def forward(self, hidden, chosen, weights):
        if chosen.shape[1] != 2:
            raise ValueError("two choices a token")
        return whole(self, hidden, chosen, weights)

    monkeypatch.setattr(experts, "forward", forward)
    sources = domain_sources([], [f"prose={texts / 'prose.txt'}"])
    sample = OutputSample(inspected.routers)
    assert read(inspected, sample, [*inspected.windows(sources[0].texts(), length=48)], 200) == {}
    assert sample.unmeasured == {1, 2}


def test_draws_are_of_the_window_alone_and_stand_for_all_tokens():
    first, counts = draw("code/a:0", 400, 0)
    np.testing.assert_array_equal(first, draw("code/a:0", 400, 1000)[0])
    assert set(counts) == {8.0}
    across = draw("code/a:0", 4096, 0)
    assert set(across[1][across[0] < 2048]) == {8.0}
    assert set(across[1][across[0] >= 2048]) == {64.0}
    # 500 windows of 1,000 tokens behind the first ones: drawn tokens stand for as many as there are, within 5 %.
    stood_for = sum(draw(f"code/{number}:0", 1000, 4096)[1].sum() for number in range(500))
    assert stood_for == pytest.approx(500_000, rel=0.05)
