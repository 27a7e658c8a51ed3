"""Scores of experts, on the worked example of REAP with and without a selection bias, and on a model by hand."""

import json

import numpy as np
import pytest
import torch

from trimtab.errors import ConfigurationError
from trimtab.inspection.domain_texts import domain_sources
from trimtab.inspection.expert_saliency import mean_contribution, measure_saliency, read_scores
from trimtab.moe.router import Formula
from trimtab.moe.routing import scores_of

LOGITS = torch.tensor([[2.0, 1, 0], [0, 2, 1], [1, 0, 2], [3, 0, 1]])
NORMS = torch.tensor([[1.0, 2, 4], [1.5, 2.5, 3], [2, 1, 5], [1, 3, 2]])


def saliency(scores, chosen, weights):
    sums, calls = mean_contribution(chosen.numpy(), (weights * NORMS.gather(1, chosen)).numpy(), 3)
    return (sums / calls).tolist(), calls.tolist()


@pytest.mark.parametrize(
    ("renormalize", "expected"),
    [
        (False, [0.6661642108, 1.0762796658, 1.4295935303]),
        (True, [0.7165794998, 1.1827646447, 1.5668410004]),
    ],
)
def test_the_mean_over_routed_tokens_of_weight_times_norm(renormalize, expected):
    scores = scores_of(LOGITS, "softmax")
    chosen = scores.topk(2).indices
    found, calls = saliency(scores, chosen, Formula(renormalize=renormalize).weights(scores, chosen))
    assert found == pytest.approx(expected, abs=1e-6)
    assert calls == [3, 2, 3]


def test_a_bias_chooses_the_tokens_and_is_in_no_weight():
    """With the bias inside the weight the order would be 1, 2, 0 and the wrong expert would go."""
    scores = scores_of(LOGITS, "sigmoid")
    chosen = (scores + torch.tensor([1.5, 0, 0])).topk(2).indices
    found, calls = saliency(scores, chosen, Formula(renormalize=False).weights(scores, chosen))
    assert calls == [4, 2, 2]
    assert np.argsort(found).tolist() == [0, 1, 2]


def scored(inspected, texts, **options):
    return measure_saliency(inspected, domain_sources([], [f"code={texts / 'code.jsonl'}"]), **options)


def test_scores_of_a_model_are_those_of_each_expert_called_alone(inspected, texts):
    scores = scored(inspected, texts, batch_tokens=200)
    block, given = inspected.model.model.layers[1].mlp, []
    handle = block.register_forward_pre_hook(lambda _block, args: given.append(args[0].flatten(0, 1)))
    sources = domain_sources([], [f"code={texts / 'code.jsonl'}"])
    with torch.no_grad():
        for window in inspected.windows(sources[0].texts()):
            inspected.model(input_ids=torch.from_numpy(window.ids)[None], use_cache=False)
        handle.remove()
        hidden = torch.cat(given)
        _, weights, chosen = block.gate(hidden)
        for expert in range(8):
            rows, slots = (chosen == expert).nonzero(as_tuple=True)
            gate, up = (hidden[rows] @ block.experts.gate_up_proj[expert].T).chunk(2, dim=-1)
            alone = (torch.nn.functional.silu(gate) * up) @ block.experts.down_proj[expert].T
            mean = (weights[rows, slots] * alone.norm(dim=-1)).mean() if len(rows) else torch.zeros(())
            assert scores.reap[1][expert] == pytest.approx(float(mean), rel=1e-4)
            assert scores.frequency[1][expert] == len(rows)


def test_the_lowest_go_and_enough_stay(inspected, texts):
    scores, top_k = scored(inspected, texts), {1: 2, 2: 2}
    for method, values in (("reap", scores.reap), ("frequency", scores.frequency)):
        for layer, gone in scores.lowest(method, 3, top_k=top_k).items():
            assert gone == sorted(np.argsort(values[layer], kind="stable")[:3].tolist())
    draws = [scores.lowest("random", 3, top_k=top_k, seed=seed) for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]
    for count in (0, 7):
        with pytest.raises(ConfigurationError, match=f"{count} of 8 experts cannot be removed from layer 1"):
            scores.lowest("reap", count, top_k=top_k)


def test_a_file_of_scores_belongs_to_its_checkpoint(inspected, texts, tmp_path):
    scores, path = scored(inspected, texts), tmp_path / "scores.json"
    scores.write(path)
    assert read_scores(path, inspected) == scores
    record = json.loads(path.read_text())
    for change, message in [
        ({"identity": "0" * 64}, "scores another checkpoint"),
        ({"format": "other"}, "its format is 'other'"),
        ({"reap": {"1": [0.0] * 8}}, r"scores experts by layer \{1: 8\}"),
    ]:
        path.write_text(json.dumps(record | change))
        with pytest.raises(ConfigurationError, match=message):
            read_scores(path, inspected)
