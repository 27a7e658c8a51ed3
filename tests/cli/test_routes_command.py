"""`trimtab routes`: two records compared."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from transformers import Qwen3MoeConfig

from trimtab.cli.main import main
from trimtab.moe import route_files
from trimtab.moe.routes import RoutedSequence, Routes, RouteShape

SHAPE = RouteShape(layers=(1, 2), num_layers=3, num_experts=(8, 8), num_experts_per_tok=2)


@pytest.fixture
def records(tmp_path):
    experts = np.argsort(np.random.default_rng(0).random((5, 2, 8)), axis=2)[..., :2].astype(np.int16)
    other = experts.copy()
    other[3, 1] = [next(e for e in range(8) if e not in experts[3, 1]), experts[3, 1, 0]]
    for name, table in (("a", experts), ("b", other)):
        routes = Routes(shape=SHAPE, sequences=[RoutedSequence(experts=table, tokens=np.arange(6), prompt=2)])
        routes.save(tmp_path / f"{name}.safetensors")
        route_files.write(routes, tmp_path / f"{name}.jsonl", "sglang")
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(main, ["routes", "compare", *map(str, arguments)])


def test_two_records_are_compared(records):
    result = run(records / "a.safetensors", records / "b.safetensors")
    assert result.exit_code == 0
    assert "1 sequences, 5 tokens: 1 (20.00%) take other experts in at least one layer" in result.output
    assert "sequence 0 first at token 3, layer 2" in result.output
    record = json.loads(run(records / "a.safetensors", records / "b.safetensors", "--json").output)
    assert record["flipped"] == 1
    assert record["layers"][1]["layer"] == 2


def test_files_of_engines_need_the_model(records):
    config = Qwen3MoeConfig(
        num_hidden_layers=3, mlp_only_layers=[0], num_experts=8, num_experts_per_tok=2, hidden_size=32, head_dim=16,
        intermediate_size=32, moe_intermediate_size=16, num_attention_heads=2, num_key_value_heads=2, vocab_size=64,
    )  # fmt: skip
    config.save_pretrained(records)
    result = run(records / "a.jsonl", records / "b.safetensors", "--model", records)
    assert result.exit_code == 0, result.output
    assert "1 (20.00%)" in result.output


def test_a_file_that_is_none_costs_one_line(records):
    result = run(records / "a.jsonl", records / "b.jsonl")
    assert result.exit_code == 2
    assert "a.jsonl is no file of routes" in result.output
