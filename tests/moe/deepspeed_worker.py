"""One of two processes: for each case two micro-batches and one optimizer step under DeepSpeed's ZeRO, on a CPU.

python deepspeed_worker.py RANK PORT: one line of JSON, case by case.
"""

import json
import os
import sys
from pathlib import Path

import torch

from trimtab.moe.attach import attach
from trimtab.settings.rules import LossFree, NewtonBalancing, Stack, SwitchLoss

sys.path.insert(0, str(Path(__file__).parent))
from conftest import FAMILIES

# name: family, rule, stage of ZeRO.
CASES = {
    "zero2_native_bias": ("glm4_moe", Stack(LossFree(bias_update_rate=1e-2), SwitchLoss(coef=0.1, scope="global")), 2),
    "zero2_added_bias": ("qwen3_moe", NewtonBalancing(), 2),
    "zero3_native_bias": ("glm4_moe", LossFree(bias_update_rate=1e-2), 3),
    "zero3_added_bias": ("qwen3_moe", Stack(NewtonBalancing(), SwitchLoss(coef=0.1, scope="global")), 3),
}
RATE = 0.5


def text():
    return torch.randint(3, 64, (8, 16), generator=torch.Generator().manual_seed(5))


def build(case):
    torch.manual_seed(0)
    family, balancer, _ = CASES[case]
    model = FAMILIES[family]().train()
    return model, attach(model, balancer=balancer, accumulation=2)


def report(gates, weights):
    return {
        "biases": {str(layer): bias.tolist() for layer, bias in gates.biases().items()},
        "metrics": gates.metrics(),
        "weights": {name: weight.double().sum().item() for name, weight in weights},
    }


def alone(case):
    """The same in one process, with all eight rows."""
    model, gates = build(case)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    for rows in text().split(4):
        (model(input_ids=rows, use_cache=False).logits.float().square().mean() / 2).backward()
    optimizer.step()
    gates.update()
    return report(gates, model.named_parameters())


def sharded(case, rank):
    import deepspeed  # noqa: PLC0415 - where it is installed

    model, gates = build(case)
    engine, *_ = deepspeed.initialize(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=RATE),
        config={
            "train_micro_batch_size_per_gpu": 2,
            "gradient_accumulation_steps": 2,
            "zero_optimization": {"stage": CASES[case][2]},
            "zero_allow_untested_optimizer": True,
            "gradient_clipping": 1e9,  # its default is 1.0
        },
        dist_init_required=False,
    )
    for start in (0, 4):
        rows = text()[start + 2 * rank :][:2]
        engine.backward(engine(input_ids=rows, use_cache=False).logits.float().square().mean())
        engine.step()
    gates.update()
    gates.assert_active()
    parameters = list(model.named_parameters())
    with deepspeed.zero.GatheredParameters([parameter for _, parameter in parameters]):
        return report(gates, parameters)


def main(rank, port):
    torch.set_num_threads(1)
    os.environ |= {
        "RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
        "DS_ACCELERATOR": "cpu",
    }  # fmt: skip
    import deepspeed  # noqa: PLC0415
    import deepspeed.ops  # noqa: PLC0415

    # Its shared-memory collectives are compiled at the first use, for minutes, and a compilation that is killed leaves
    # a lock that every later process waits for without end. gloo does without them.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    torch.distributed.init_process_group("gloo", rank=int(rank), world_size=2)
    deepspeed.init_distributed("gloo", auto_mpi_discovery=False)
    sys.stdout.write(json.dumps({case: sharded(case, int(rank)) for case in CASES}) + "\n")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
