"""One of two processes: for each case, two micro-batches under DistributedDataParallel or FSDP2, then one update.

python distributed_worker.py RANK RENDEZVOUS: one line of JSON, case by case.
"""

import json
import sys
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from trimtab.moe.attach import attach
from trimtab.moe.stepping import finite
from trimtab.settings.rules import LossFree, NewtonBalancing, QuantileBalancing, Stack, SwitchLoss

sys.path.insert(0, str(Path(__file__).parent))
from conftest import FAMILIES

SWITCH = SwitchLoss(coef=0.1, scope="global")
# name: family, rule, whether the first micro-batch runs under no_sync, whether DDP broadcasts buffers.
CASES = {
    "loss_free_careless": ("glm4_moe", LossFree(bias_update_rate=1e-2), False, True),
    "loss_free_no_sync": ("glm4_moe", LossFree(bias_update_rate=1e-2), True, True),
    "loss_free_own_buffers": ("qwen3_moe", LossFree(bias_update_rate=1e-2), False, False),
    "switch_careless": ("qwen3_moe", SWITCH, False, True),
    "switch_no_sync": ("qwen3_moe", SWITCH, True, False),
    "quantile": ("qwen3_moe", QuantileBalancing(), False, True),
    "stack": ("glm4_moe", Stack(LossFree(bias_update_rate=1e-2), SWITCH), True, True),
    "fsdp2_native_bias": ("glm4_moe", Stack(LossFree(bias_update_rate=1e-2), SWITCH), False, True),
    "fsdp2_added_bias": ("qwen3_moe", Stack(NewtonBalancing(), SWITCH), False, True),
}


def text():
    return torch.randint(3, 64, (8, 16), generator=torch.Generator().manual_seed(5))


def run(case, batches, *, parallel):
    family, balancer, no_sync, broadcast = CASES[case]
    torch.manual_seed(0)
    model = FAMILIES[family]()
    gates = attach(model, balancer=balancer, accumulation=2)
    wrapped = model
    if parallel and case.startswith("fsdp2"):
        shard(model)
    elif parallel:
        wrapped = DistributedDataParallel(model, broadcast_buffers=broadcast)
    wrapped.train()
    for index, rows in enumerate(batches):
        with wrapped.no_sync() if parallel and no_sync and index == 0 else nullcontext():
            (wrapped(input_ids=rows, use_cache=False).logits.float().square().mean() / 2).backward()
    gates.update()
    gates.assert_active()
    return {
        "biases": {str(layer): bias.tolist() for layer, bias in gates.biases().items()},
        "metrics": gates.metrics(),
        "gradient": {n: whole(p.grad).double().sum().item() for n, p in model.named_parameters() if p.grad is not None},
    }


def shard(model):
    mesh = init_device_mesh("cpu", (2,))
    for layer in model.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)


def whole(gradient):
    return gradient.full_tensor() if hasattr(gradient, "full_tensor") else gradient


def agree_on_finite(*, broken):
    parameter = torch.nn.Parameter(torch.ones(2))
    parameter.grad = torch.tensor([1.0, torch.nan if broken else 1.0])
    return finite([parameter])


def main(rank, rendezvous):
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2)
    batches = [text()[start + 2 * rank :][:2] for start in (0, 4)]
    results = {case: run(case, batches, parallel=True) for case in CASES}
    results["finite"] = [agree_on_finite(broken=False), agree_on_finite(broken=rank == 0)]
    sys.stdout.write(json.dumps(results) + "\n")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
