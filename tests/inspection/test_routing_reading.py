"""What is said of the use of experts, against counting by hand and a plain reference."""

import gc
import json
import tracemalloc

import numpy as np
import pytest
import torch
from safetensors import safe_open

from trimtab.errors import ConfigurationError, UnsupportedModelError
from trimtab.inspection.domain_texts import domain_sources
from trimtab.inspection.routing_reading import ReadingOptions, loss, read_routing, start_norms
from trimtab.inspection.token_windows import stack
from trimtab.moe.attach import attach
from trimtab.settings.rules import LossFree

SMALL = ReadingOptions(window=48, batch_tokens=160)


def named(texts):
    return domain_sources([], [f"prose={texts / 'prose.txt'}", f"code={texts / 'code.jsonl'}"])


def logits_by_hand(model, windows):
    """Router logits of every token, one window at a time, without padding."""
    found = {}
    with torch.no_grad():
        for window in windows:
            out = model(input_ids=torch.from_numpy(window.ids)[None], output_router_logits=True, use_cache=False)
            for layer, logits in zip((1, 2), out.router_logits, strict=True):
                found.setdefault((layer, window.domain), []).append(logits)
    return {key: torch.cat(parts) for key, parts in found.items()}


def test_loads_and_choices_are_those_of_each_text_alone(inspected, texts):
    record = read_routing(inspected, named(texts), SMALL)
    windows = [w for source in named(texts) for w in inspected.windows(source.texts(), length=48)]
    by_hand = logits_by_hand(inspected.model, windows)
    assert [layer["layer"] for layer in record["layers"]] == [1, 2]
    for layer in record["layers"]:
        for domain in ("prose", "code"):
            logits = by_hand[layer["layer"], domain]
            probabilities = logits.softmax(-1)
            ordered = probabilities.sort(-1, descending=True).values
            chosen = probabilities.topk(2).indices
            held = layer["domains"][domain]
            assert held["load"] == torch.bincount(chosen.flatten(), minlength=8).tolist()
            assert held["tokens"] == len(logits) == record["domains"][domain]["tokens"]
            assert held["confidence"] == pytest.approx(float(ordered[:, 0].mean()), abs=1e-5)
            assert held["margin"] == pytest.approx(float((ordered[:, 1] - ordered[:, 2]).mean()), abs=1e-5)
            share = ordered[:, :2] / ordered[:, :2].sum(1, keepdim=True)
            assert held["saturation"] == pytest.approx(float((share[:, 1] < 0.01).float().mean()), abs=1e-5)
            in_effect = (-(share * share.log()).sum(1)).exp().mean()
            assert held["experts_in_effect"] == pytest.approx(float(in_effect), abs=1e-4)
        both = layer["domains"]["all"]
        assert both["load"] == np.add(*(layer["domains"][name]["load"] for name in ("prose", "code"))).tolist()
        (pair,) = layer["similarity"]
        shares = [
            np.array(layer["domains"][name]["load"]) / sum(layer["domains"][name]["load"]) for name in pair["domains"]
        ]
        assert pair["overlap"] == pytest.approx(np.minimum(*shares).sum())
        assert pair["overlap"] < pair["by_chance"] < 1


def test_a_bias_that_was_saved_with_the_model_decides_and_is_no_confidence(inspected, texts):
    gates = attach(inspected.model, balancer=LossFree(bias_update_rate=1e-3))
    for gate in gates._gates:
        gate.bias[3] += 10
    record = read_routing(inspected, named(texts), SMALL)
    for layer in record["layers"]:
        held = layer["domains"]["all"]
        assert held["load"][3] == held["tokens"]
        assert held["margin"] < 0
    gates.detach()


def test_health_is_that_of_each_expert_computed_alone(inspected, texts):
    record = read_routing(inspected, named(texts), ReadingOptions(window=48, batch_tokens=160, gradients=True))
    experts = inspected.model.requires_grad_(requires_grad=False).model.layers[1].mlp.experts
    for expert, norm in enumerate(record["layers"][0]["health"]["weight_norm"]):
        both = experts.gate_up_proj[expert].square().sum() + experts.down_proj[expert].square().sum()
        assert norm == pytest.approx(both.sqrt().item(), rel=1e-5)
    for key in ("output_share", "gradient_share"):
        for layer in record["layers"]:
            assert sum(layer["health"][key]) == pytest.approx(1, abs=1e-4)
    assert not any(parameter.grad is not None for parameter in inspected.model.parameters())


def test_an_expert_without_weights_has_no_share_though_its_load_stays(inspected, texts):
    inspected.model.model.layers[2].mlp.experts.down_proj.data[5] = 0
    layer = read_routing(inspected, named(texts), SMALL)["layers"][-1]
    assert layer["domains"]["all"]["load"][5] > 0
    assert layer["health"]["output_share"][5] == 0
    assert layer["health"]["norm_to_layer"][5] < 1


def test_a_layer_that_shrank_is_suspected_flagged_and_masked(in_memory, make_mixture, texts):
    before, now = in_memory(make_mixture(layers=5)), in_memory(make_mixture(layers=5))
    for weights in now.model.model.layers[2].mlp.experts.parameters():
        weights.data *= 0.05
    suspected = read_routing(now, named(texts), SMALL)["layers"][1]["health"]
    assert suspected["silent_death"] is None
    flagged = read_routing(
        now, named(texts), ReadingOptions(window=48, batch_tokens=160, start=start_norms(before, now))
    )
    assert [layer["health"]["silent_death"] for layer in flagged["layers"]] == [False, True, False, False]
    assert abs(flagged["layers"][1]["health"]["masking_costs"]) < 0.02


@pytest.mark.parametrize("kind", [".jsonl", ".safetensors"])
def test_records_hold_every_token_once_and_agree_with_the_loads(inspected, texts, tmp_path, kind):
    path = tmp_path / f"tokens{kind}"
    record = read_routing(inspected, named(texts), SMALL, records=path)
    loads = np.zeros((2, 8), dtype=int)
    if kind == ".jsonl":
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        places = {(line["domain"], line["text"], line["position"]) for line in lines}
        for line in lines:
            for column, layer in enumerate(("1", "2")):
                np.add.at(loads[column], line["layers"][layer]["experts"], 1)
        assert all(sum(line["layers"]["1"]["weights"]) == pytest.approx(1, abs=1e-3) for line in lines)
    else:
        with safe_open(path, framework="np") as file:
            experts, position, text = (file.get_tensor(name) for name in ("experts", "position", "text"))
        places = set(zip(text.tolist(), position.tolist(), strict=True))
        for column in range(2):
            loads[column] = np.bincount(experts[:, column].ravel(), minlength=8)
    assert len(places) == sum(read["tokens"] for read in record["domains"].values())
    assert loads.tolist() == [layer["domains"]["all"]["load"] for layer in record["layers"]]


def test_records_of_an_interrupted_run_are_not_left_behind(inspected, texts, tmp_path, monkeypatch):
    monkeypatch.setattr(type(inspected), "run", lambda *_args: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        read_routing(inspected, named(texts), SMALL, records=tmp_path / "tokens.jsonl")
    assert not list(tmp_path.iterdir())


def test_memory_does_not_grow_with_the_tokens(in_memory, make_mixture, tmp_path):
    model, peaks = in_memory(make_mixture(layers=2)), []
    for count in (150, 600):  # more windows than are sorted together
        file = tmp_path / f"{count}.jsonl"
        file.write_text('{"text": "def f(x):\\n    return x + 1\\n"}\n' * count)
        sources = domain_sources([], [f"code={file}"])
        tracemalloc.start()
        # Without the collections, what is measured is how much garbage happens to lie around. What the tests before
        # this left alive is frozen, because each collection would look through all of it.
        options = ReadingOptions(window=48, batch_tokens=160, health=False)
        gc.collect()
        gc.freeze()
        read_routing(model, sources, options, report=lambda _tokens: gc.collect())
        gc.unfreeze()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0], peaks


def test_a_dense_model_a_long_window_and_an_empty_domain_are_named(in_memory, make_mixture, inspected, tmp_path):
    dense = make_mixture(layers=1)
    with pytest.raises(UnsupportedModelError, match="in memory is a dense model"):
        in_memory(dense)
    (tmp_path / "empty.txt").write_text("\n")
    empty = domain_sources([], [f"nothing={tmp_path / 'empty.txt'}"])
    with pytest.raises(ConfigurationError, match="the domain 'nothing' holds no text"):
        read_routing(inspected, empty, SMALL)
    with pytest.raises(ConfigurationError, match=r"windows of 200 tokens are longer than .* reads, 128"):
        read_routing(inspected, empty, ReadingOptions(window=200))


def test_the_loss_is_that_of_the_model(inspected, texts):
    (source,) = domain_sources([], [str(texts / "code.jsonl")])
    windows = [*inspected.windows(source.texts())][:3]
    total = sum(
        inspected.model(input_ids=ids, labels=ids).loss.item() * (ids.shape[1] - 1)
        for ids in (torch.from_numpy(window.ids)[None] for window in windows)
    )
    scored = sum(len(window.ids) - 1 for window in windows)
    assert loss(inspected, stack(windows, 0)).item() == pytest.approx(total / scored, rel=1e-5)
