"""One of two processes: for each case, two micro-batches under DistributedDataParallel, then one update.

python distributed_worker.py RANK RENDEZVOUS: one line of JSON, case by case.
"""

import json
import sys
from pathlib import Path

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from trimtab.moe.attach import attach
from trimtab.moe.balancers import LossFree, SwitchLoss

sys.path.insert(0, str(Path(__file__).parent))
from conftest import FAMILIES

CASES = {"glm4_moe": LossFree(bias_update_rate=1e-2), "qwen3_moe": SwitchLoss(coef=0.1, scope="global")}


def text():
    return torch.randint(3, 64, (8, 16), generator=torch.Generator().manual_seed(5))


def run(family, balancer, batches, wrap):
    torch.manual_seed(0)
    model = FAMILIES[family]()
    gates = attach(model, balancer=balancer, accumulation=2)
    wrapped = wrap(model)
    wrapped.train()
    # No no_sync, and buffers broadcast at every pass: the careless way must count right too.
    for rows in batches:
        (wrapped(input_ids=rows, use_cache=False).logits.float().square().mean() / 2).backward()
    gates.update()
    return {
        "biases": {str(layer): bias.tolist() for layer, bias in gates.biases().items()},
        "metrics": gates.metrics(),
        "gradient": {n: p.grad.double().sum().item() for n, p in model.named_parameters() if p.grad is not None},
    }


def main(rank, rendezvous):
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2)
    batches = [text()[start + 2 * rank :][:2] for start in (0, 4)]
    results = {family: run(family, rule, batches, DistributedDataParallel) for family, rule in CASES.items()}
    sys.stdout.write(json.dumps(results) + "\n")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
