"""A sample of the parity benchmark (benchmarks/moe_parity.py): attached and plain are the same to the last bit."""

import importlib.util
import sys
from pathlib import Path

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
parity = load("moe_parity")


@pytest.mark.parametrize(
    ("family", "implementation"),
    [("mixtral", "eager"), ("glm4_moe", "grouped_mm"), ("phimoe", "eager"), ("llama4", "eager")],
)
def test_every_measure_is_equal(family, implementation):
    found = parity.parity(family, implementation)
    assert set(found) == set(parity.MEASURES)
    assert not {name: value for name, value in found.items() if value not in {0.0, None}}
    assert None not in {found[name] for name in ("evaluation", "training", "gradients", "three steps")}


def test_a_difference_is_noticed():
    ones = [torch.ones(3)]
    assert parity.difference(ones, [torch.tensor([1.0, 1.5, 1.0])]) == 0.5
    assert parity.difference(ones, [torch.ones(4)]) == float("inf")
    assert parity.difference(ones, []) == float("inf")
