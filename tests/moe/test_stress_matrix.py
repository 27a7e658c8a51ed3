"""A fixed random sample of the stress matrix (benchmarks/moe_matrix.py); `make matrix` runs all of it."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def load(name):
    location = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(location)
    sys.modules[name] = module
    location.loader.exec_module(module)
    return module


plain = load("plain_routing")
matrix = load("moe_matrix")
FAMILIES = [each for each in plain.pages().families() if each not in matrix.REFUSED]
SAMPLE = [each for each in matrix.draw(FAMILIES, 1, seed=1) if each.wrapping != "compile"]


@pytest.mark.parametrize("combination", SAMPLE, ids=lambda each: f"{each.family}-{each.key}")
def test_a_combination_agrees_with_the_plain_model(combination):
    outcome = matrix.run(combination)
    assert outcome["outcome"] in {"right", "refused", "not there"}, outcome


def test_most_of_the_sample_is_there_and_not_refused():
    chosen = [each for each in SAMPLE if "4-D" not in each.form and not (each.save and "," in each.wrapping)]
    outcomes = [matrix.run(each)["outcome"] for each in chosen[::4]]
    assert outcomes.count("right") >= 0.6 * len(outcomes)


@pytest.mark.parametrize("spoil", ["calls", "bias", "logits"])
def test_a_spoiled_gate_is_noticed(monkeypatch, spoil):
    """The matrix can fail: a count, a bias or a weight that is a little off is reported as wrong."""
    combination = matrix.Combination(
        family="mixtral", wrapping="none", dtype="float32", checkpointing="none", accumulation=1, form="right 2-D",
        experts="eager", rule="loss-free", save=False,
    )  # fmt: skip
    assert matrix.run(combination)["outcome"] == "right"
    if spoil == "calls":
        monkeypatch.setattr(
            "trimtab.moe.gates.Gates.loads", lambda gates: {r.layer: torch.ones(8) for r in gates.routers}
        )
    elif spoil == "bias":
        monkeypatch.setattr(plain, "moved", lambda bias, _load, rate: bias + np.float32(rate))
    else:
        monkeypatch.setattr("trimtab.moe.gate.Gate._served", lambda _, routing: routing.weights * 1.01)
    assert matrix.run(combination)["outcome"] == "wrong"
