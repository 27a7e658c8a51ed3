"""What a forward pass would make a GPU wait for, counted on a CPU: values that are read into Python.

Each operation that reads a value from a tensor passes torch's dispatcher (`_local_scalar_dense`, `nonzero`) or one of
the methods that copy a tensor to the host. They are counted beyond those of the same pass with nothing attached.
"""

import collections

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from trimtab.moe.attach import attach
from trimtab.settings.capacities import Capacity
from trimtab.settings.rules import RULES, LossFree, NoBalancer, Stack, SwitchLoss

READING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "equal.default")
COPYING = ("tolist", "item", "numpy", "cpu", "__bool__", "__int__", "__float__", "__index__")
ARGUMENTS = {
    "loss_free": {"bias_update_rate": 0.01},
    "smebu": {"bias_update_rate": 0.01},
    "soft_clipped": {"bias_update_rate": 0.01},
    "causal_bias": {"rate": 0.01},
    **{key: {"coef": 0.1} for key in ("switch", "pooled_switch", "z_loss", "simbal")},
}
BALANCERS = {kind.key: kind(**ARGUMENTS.get(kind.key, {})) for kind in RULES if kind is not Stack}
BALANCERS["stack"] = Stack(LossFree(bias_update_rate=0.01), SwitchLoss(coef=0.1))
BALANCERS["switch sequence"] = SwitchLoss(coef=0.1, scope="sequence")
BALANCERS["switch micro"] = SwitchLoss(coef=0.1, scope="micro")
CAPACITIES = {
    **{
        policy: Capacity(factor=1.0, drop_policy=policy) for policy in ("probs", "position", "random", "batch_priority")
    },
    "sequence": Capacity(factor=1.0, scope="sequence"),
    "fixed": Capacity(factor=1.0, tokens=16),
    "kept": Capacity(factor=1.0, load_signal="kept"),
    "renormalize": Capacity(factor=1.0, renormalize=True),
}
TOKENS = torch.randint(3, 64, (2, 16), generator=torch.Generator().manual_seed(1))


class Reads(TorchDispatchMode):
    """Counts operations that read values."""

    def __init__(self):
        super().__init__()
        self.counts = collections.Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if any(name in str(function) for name in READING):
            self.counts[str(function)] += 1
        return function(*args, **(kwargs or {}))


def build(make_mixture):
    model = make_mixture().train()
    model.set_experts_implementation("grouped_mm")  # ours reads how many calls each expert has, transformers' does not
    return model


def reads(model, patched):
    """Count what a second pass reads; the first one makes what lives on."""
    model(input_ids=TOKENS, use_cache=False)
    copies = collections.Counter()
    for name in COPYING:
        before = getattr(torch.Tensor, name)

        def counted(tensor, *args, _before=before, _name=name, **kwargs):
            copies[_name] += 1
            return _before(tensor, *args, **kwargs)

        patched.setattr(torch.Tensor, name, counted)
    with Reads() as found:
        model(input_ids=TOKENS, use_cache=False)
    patched.undo()
    return found.counts, copies


@pytest.fixture
def alone(make_mixture, monkeypatch):
    return reads(build(make_mixture), monkeypatch)


def test_the_counter_counts():
    with pytest.MonkeyPatch.context() as patched, Reads() as found:
        patched.setattr(torch.Tensor, "tolist", torch.Tensor.tolist)
        assert torch.ones(3).sum().item() == 3
        torch.ones(3).nonzero()
    assert sum(found.counts.values()) == 2


# These iterate until something holds, or go through a batch text by text.
READERS = {"sinkhorn", "moving_quantile", "causal_bias"}


def test_the_rules_that_read_are_known(alone, make_mixture, monkeypatch):
    for name in READERS:
        model = build(make_mixture)
        attach(model, balancer=BALANCERS[name])
        assert reads(model, monkeypatch) != alone, name


@pytest.mark.parametrize("name", sorted(BALANCERS.keys() - READERS))
def test_no_other_rule_reads_a_value_in_the_forward_pass(name, alone, make_mixture, monkeypatch):
    model = build(make_mixture)
    attach(model, balancer=BALANCERS[name])
    assert reads(model, monkeypatch) == alone


@pytest.mark.parametrize("name", CAPACITIES)
def test_a_capacity_reads_two_values_a_layer_whatever_the_policy_and_two_more_by_text(
    name, alone, make_mixture, monkeypatch
):
    """The largest expert that was called, and whether all calls find room, in which case nothing is sorted."""
    model = build(make_mixture)
    gates = attach(model, balancer=NoBalancer(), capacity=CAPACITIES[name])
    found = reads(model, monkeypatch)
    assert found[0] == alone[0]
    due = collections.Counter({"__bool__": 1, "__int__": 1})
    if name == "sequence":
        due += {"__int__": 1, "tolist": 1}  # how many tokens each text of the batch has
    assert found[1] - alone[1] == {key: count * len(gates.routers) for key, count in due.items()}
