"""What a forward pass would make a GPU wait for, found out on a CPU: values that are read into Python.

The models live on torch's meta device, whose tensors have a shape and no values: whatever reads one, or copies one to
the host, ends in an error there. A GPU would wait instead. Two operations read on a GPU that do not on the meta device,
or are not there at all; they are refused by name.
"""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import masking_utils

from trimtab.moe import gate as gate_module
from trimtab.moe.attach import attach
from trimtab.moe.stresses import initialize
from trimtab.settings import initializations
from trimtab.settings.capacities import Capacity
from trimtab.settings.rules import RULES, LossFree, NoBalancer, Stack, SwitchLoss

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
SIZE = (2, 16)


class WaitingError(RuntimeError):
    """A GPU would be waited for."""


class Refusing(TorchDispatchMode):
    """Refuses what reads values on a GPU, and copies from the device to the host."""

    NAMES = ("bincount", "unique", "_local_scalar_dense", "nonzero", "masked_select", "equal.default")

    def __init__(self):
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.operations += 1
        # A boolean index is a nonzero inside of the operation.
        indices = args[1] if "aten.index" in str(function) and isinstance(args[1], (list, tuple)) else ()
        booleans = any(isinstance(each, torch.Tensor) and each.dtype == torch.bool for each in indices)
        if booleans or any(name in str(function) for name in self.NAMES):
            raise WaitingError(str(function))
        out = function(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and out.device.type == "cpu":
            given = [each for each in (*args, *(kwargs or {}).values()) if isinstance(each, torch.Tensor)]
            if any(each.device.type == "meta" for each in given):
                raise WaitingError(f"{function} to the host")
        return out


@pytest.fixture
def step(make_mixture, monkeypatch):
    """A training step on the meta device; how many operations its forward pass has."""
    # A gate hides what it does from modes, so that recomputation may differ; here it must not.
    monkeypatch.setattr(gate_module, "_get_current_dispatch_mode", lambda: None)
    # Transformers' own read, one a pass: whether a row holds several texts.
    monkeypatch.setattr(masking_utils, "find_packed_sequence_indices", lambda _: None)

    def run(balancer=None, capacity=None, prepare=None, **inputs):
        model = make_mixture().train()
        if prepare is not None:
            prepare(model)
        model.set_experts_implementation("batched_mm")  # ours reads how many calls each expert has, for segments
        gates = None if balancer is None else attach(model, balancer=balancer, capacity=capacity)
        model.to("meta")
        tokens = torch.zeros(SIZE, dtype=torch.int64, device="meta")
        # The first pass of a step makes what lives on; nothing may be read in the second one either.
        for _ in range(2):
            with Refusing() as mode:
                loss = model(input_ids=tokens, use_cache=False, **inputs).logits.float().mean()
            loss.backward()
        return mode.operations, gates

    return run


@pytest.mark.parametrize(
    "read",
    [
        lambda x: x.sum().item(),
        lambda x: bool(x.any()),
        lambda x: int(x.sum()),
        lambda x: x.tolist(),
        lambda x: x.cpu(),
        lambda x: x.nonzero(),
        lambda x: x[x > 0],
        lambda x: torch.equal(x, x),
        lambda x: torch.bincount(x, minlength=4),
        lambda x: x.unique(return_inverse=True),
        lambda x: torch.zeros(3, dtype=torch.int64) + x.to("cpu"),
    ],
)
def test_every_way_to_read_is_refused(read):
    with pytest.raises((WaitingError, RuntimeError, NotImplementedError)), Refusing():
        read(torch.zeros(3, dtype=torch.int64, device="meta"))


def test_what_a_gate_does_is_seen(step):
    assert step(LossFree(bias_update_rate=0.01))[0] > step()[0]


@pytest.mark.parametrize("name", sorted(BALANCERS))
def test_no_rule_reads_a_value_in_the_forward_pass(name, step):
    step(BALANCERS[name])


@pytest.mark.parametrize("name", CAPACITIES)
def test_no_capacity_reads_a_value_whatever_the_policy(name, step):
    step(NoBalancer(), CAPACITIES[name])


def test_rerouting_reads_because_its_rounds_end_when_nobody_is_turned_away(step):
    with pytest.raises((WaitingError, RuntimeError)):
        step(NoBalancer(), Capacity(factor=1.0, reroute=True))


@pytest.mark.parametrize("kind", initializations.INITIALIZATIONS, ids=lambda kind: kind.key)
@pytest.mark.filterwarnings("ignore:the rows of")
def test_no_initialization_leaves_something_that_reads(kind, step):
    needed = {initializations.ScaledRouter: {"factor": 2.0}, initializations.TwinRows: {"groups": 2}}

    def prepare(model):
        tokens = torch.randint(3, 64, SIZE, generator=torch.Generator().manual_seed(1))
        initialize(model, kind(**needed.get(kind, {})), tokens, torch.Generator().manual_seed(0))

    step(LossFree(bias_update_rate=0.01), Capacity(factor=1.0), prepare)
