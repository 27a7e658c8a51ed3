"""Files of routes in every form: read back as they were, or refused with the file's name."""

import json

import numpy as np
import pytest
import torch

from trimtab.errors import ConfigurationError
from trimtab.moe import route_files
from trimtab.moe.attach import attach
from trimtab.moe.route_forms import RouteReader
from trimtab.settings.rules import NoBalancer


@pytest.fixture
def sampled(build, text):
    """A model, its gates, what it sampled and the routes."""
    model = build("qwen3_moe").eval()
    gates = attach(model, balancer=NoBalancer())
    with gates.record() as routes:
        full = model.generate(text, max_new_tokens=4, do_sample=False, eos_token_id=None)
    for row, sequence in enumerate(routes.sequences):
        routes.sequences[row] = type(sequence)(
            experts=sequence.experts, tokens=full[row].numpy(), prompt=sequence.prompt
        )
    return model, gates, full, routes


@pytest.mark.parametrize("form", ["own", "vllm", "vllm-split", "sglang", "verl"])
def test_a_file_of_every_form_replays_what_was_sampled(sampled, tmp_path, form):
    model, gates, full, routes = sampled
    path = tmp_path / ("a.safetensors" if form in {"own", "verl"} else "a.jsonl")
    if form == "own":
        routes.save(path)
    else:
        route_files.write(routes, path, form)
    read = gates.read_routes(path)
    for left, right in zip(routes.sequences, read.sequences, strict=True):
        assert np.array_equal(left.experts, right.experts)
        assert np.array_equal(left.tokens, right.tokens)
    with torch.no_grad(), gates.replay(read), gates.record() as replayed:
        model(input_ids=full)
    assert np.array_equal(replayed.sequences[3].experts[:19], routes.sequences[3].experts)


def test_tables_of_tensors(sampled, tmp_path):
    _, gates, full, routes = sampled
    table = np.stack([sequence.experts for sequence in routes.sequences])
    mask = np.ones(full.shape, int)
    table = np.concatenate([table, np.zeros_like(table[:, :1])], axis=1)
    torch.save({"routed_experts": torch.from_numpy(table), "attention_mask": torch.from_numpy(mask)}, tmp_path / "a.pt")
    np.savez(tmp_path / "a.npz", routed_experts=table, attention_mask=mask, input_ids=full.numpy())
    np.save(tmp_path / "a.npy", table)
    np.save(tmp_path / "b.npy", table[0])
    for name, options in (("a.pt", {}), ("a.npz", {}), ("a.npy", {"attention_mask": mask}), ("b.npy", {})):
        read = gates.read_routes(tmp_path / name, **options)
        assert np.array_equal(read.sequences[0].experts, routes.sequences[0].experts), name
    with pytest.raises(ConfigurationError, match=r"a\.npy: routes of shape .* are padded"):
        gates.read_routes(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"{\n", "no routes can be read"),
        ("a.jsonl", b"{}\n", "no routed_experts"),
        ("a.npy", b"abc", "no routes can be read"),
        ("a.npz", b"abc", "no routes can be read"),
        ("a.pt", b"abc", "no routes can be read"),
        ("a.safetensors", b"abc", "no routes can be read"),
        ("a.csv", b"1,2", "ends in '.csv'"),
    ],
)
def test_a_file_that_is_none_is_named(sampled, tmp_path, name, content, message):
    gates = sampled[1]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=message) as caught:
        gates.read_routes(tmp_path / name)
    assert str(tmp_path / name) in caught.value.message
    with pytest.raises(ConfigurationError, match="cannot be read"):
        gates.read_routes(tmp_path / "missing.npy")


def test_a_file_of_another_model_is_refused(sampled, build, tmp_path):
    routes = sampled[3]
    route_files.write(routes, tmp_path / "a.jsonl", "vllm")
    other = attach(build("olmoe"), balancer=NoBalancer())
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert len(lines) == 4
    # Its dense layer is full of zeros, which is no choice of two experts.
    with pytest.raises(ConfigurationError, match=r"a\.jsonl: sequence 0: token 0 has experts \[0, 0\] in layer 0"):
        other.read_routes(tmp_path / "a.jsonl")


def test_what_cannot_be_written_leaves_no_file(sampled, tmp_path):
    routes = sampled[3]
    with pytest.raises(ConfigurationError, match=r"are a \.jsonl file"):
        route_files.write(routes, tmp_path / "a.pt", "vllm")
    with pytest.raises(ConfigurationError, match="form 'trt' must be one of"):
        route_files.write(routes, tmp_path / "a.pt", "trt")
    routes.sequences[0].experts[1] = -1
    with pytest.raises(ConfigurationError, match="without routes"):
        route_files.write(routes, tmp_path / "a.jsonl", "sglang")
    assert not list(tmp_path.iterdir())


def test_a_reader_needs_no_model(sampled, tmp_path):
    _, gates, _, routes = sampled
    route_files.write(routes, tmp_path / "a.jsonl", "sglang")
    read = route_files.read(tmp_path / "a.jsonl", RouteReader(shape=gates.route_shape))
    assert len(read) == 4
