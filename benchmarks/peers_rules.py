"""Balancing rules beside the installed frameworks that ship them: the same numbers in, the same numbers out.

``python benchmarks/peers_rules.py``. Installs megatron-core 0.16.1 and torchtitan 0.3.0 without dependencies into a
temporary folder, with tyro and spmd-types, which torchtitan imports. Compared, largest difference over 20 draws each:

* ``LossFree`` with Megatron's ``get_updated_expert_bias``, in a process group of one;
* ``LossFree(centered=True)`` with torchtitan's optimizer hook, registered on a block of its own form;
* ``SwitchLoss`` and ``RouterZLoss`` with Megatron's functions, values and gradients to the logits;
* ``Sinkhorn`` with the top-k of Megatron's plan.

No release on PyPI ships Quantile Balancing on 2026-11-29: the files of megatron-core 0.16.1 (the newest), torchtitan
0.3.0 and marin-levanter 0.2.20.dev202606180959 have none, by a search for "quantile". For SMEBU, the soft-clipped
update and moving quantiles we know of no package. Their oracles are worked examples in ``tests/moe/balancers``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import warnings
from types import SimpleNamespace

import torch
from torch import distributed, nn

from trimtab.moe.balancers import Context, behavior
from trimtab.moe.routing import Routing
from trimtab.settings.rules import LossFree, RouterZLoss, Sinkhorn, SwitchLoss

PINNED = ("megatron-core==0.16.1", "torchtitan==0.3.0")
NEEDED = ("tyro==1.0.17", "docstring-parser==0.18.0", "typeguard==4.6.1", "spmd-types==0.3.1")
DRAWS, TOKENS, EXPERTS, TOP_K = 20, 128, 16, 2


def drawn(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return logits [T, E], loads [E] and a bias [E]."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(TOKENS, EXPERTS, generator=generator)
    return logits, torch.randint(0, 90, (EXPERTS,), generator=generator), torch.randn(EXPERTS, generator=generator) / 50


def routed(logits: torch.Tensor) -> tuple[Routing, Context]:
    """Return top-k of a softmax and what surrounds it."""
    scores = logits.softmax(-1)
    experts = scores.topk(TOP_K).indices
    routing = Routing(logits=logits, experts=experts, weights=scores.gather(1, experts), score_function="softmax")
    return routing, Context(training=True, num_experts_per_tok=TOP_K, score_function="softmax")


def of_megatron() -> dict[str, list[float]]:
    """Return the differences to megatron-core."""
    from megatron.core import parallel_state  # noqa: PLC0415 - a peer
    from megatron.core.transformer.moe import moe_utils  # noqa: PLC0415

    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29571", RANK="0", WORLD_SIZE="1")
    distributed.init_process_group("gloo")
    parallel_state.initialize_model_parallel()
    apart: dict[str, list[float]] = {
        "LossFree": [],
        "SwitchLoss": [],
        "its gradient": [],
        "RouterZLoss": [],
        "Sinkhorn": [],
    }
    for seed in range(DRAWS):
        logits, loads, bias = drawn(seed)
        theirs = moe_utils.get_updated_expert_bias(loads.float(), bias, 1e-3)
        apart["LossFree"].append(difference(behavior(LossFree(bias_update_rate=1e-3)).update(bias, loads, 1), theirs))
        mine, other = (logits.clone().requires_grad_() for _ in range(2))
        routing, context = routed(mine)
        value = behavior(SwitchLoss(coef=0.01, scope="micro")).penalty(routing, context)
        theirs = moe_utils.switch_load_balancing_loss_func(
            other.softmax(-1), routing.load, TOKENS, TOP_K, EXPERTS, 0.01
        )
        apart["SwitchLoss"].append(difference(value, theirs))
        value.backward()
        theirs.backward()
        apart["its gradient"].append(difference(mine.grad, other.grad))
        penalty = behavior(RouterZLoss(coef=1e-3)).penalty(routing, context)
        apart["RouterZLoss"].append(difference(penalty, moe_utils.z_loss_func(logits, 1e-3)))
        plan = behavior(Sinkhorn()).select(routing.scores.detach(), torch.zeros(EXPERTS), context)
        ours = plan.topk(TOP_K).indices.sort(1).values
        apart["Sinkhorn"].append(float((ours != moe_utils.sinkhorn(logits).topk(TOP_K).indices.sort(1).values).sum()))
    distributed.destroy_process_group()
    return apart


def of_torchtitan() -> dict[str, list[float]]:
    """Return the difference to torchtitan's hook."""
    from torchtitan.components.optimizer import optimizer as titan  # noqa: PLC0415 - a peer

    apart: dict[str, list[float]] = {"LossFree(centered=True)": []}
    for seed in range(DRAWS):
        _, loads, bias = drawn(seed)
        block, model = nn.Module(), nn.Module()
        block.moe_enabled, block.moe = True, nn.Module()
        block.moe.load_balance_coeff, block.moe.tokens_per_expert_E, block.moe.expert_bias_E = (
            1e-3,
            loads.float(),
            bias.clone(),
        )
        model.layers = nn.ModuleDict({"0": block})
        weight = nn.Parameter(torch.zeros(1))
        optimizer = torch.optim.SGD([weight], lr=0.0)
        alone = SimpleNamespace(get_optional_mesh=lambda _: None, ep_enabled=False, tp=1)
        titan.register_moe_load_balancing_hook(optimizer, [model], alone)
        weight.grad = torch.zeros(1)
        optimizer.step()
        ours = behavior(LossFree(bias_update_rate=1e-3, centered=True)).update(bias, loads, 1)
        apart["LossFree(centered=True)"].append(difference(ours, block.moe.expert_bias_E))
    return apart


def difference(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the largest absolute difference."""
    return float((one.detach() - other.detach()).abs().max())


def main() -> None:
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", folder, *PINNED, *NEEDED]
        subprocess.run(install, check=True, env={**os.environ, "PIP_CONSTRAINT": ""})
        sys.path.append(folder)
        for name, compare in (("megatron-core 0.16.1", of_megatron), ("torchtitan 0.3.0", of_torchtitan)):
            try:
                found = compare()
            except ImportError as error:
                print(f"{name}: cannot be imported here: {error}")
                continue
            for rule, apart in found.items():
                what = "choices that differ" if rule == "Sinkhorn" else "largest difference"
                print(f"{name}: {rule}: {what} over {len(apart)} draws {max(apart):.1e}")


if __name__ == "__main__":
    main()
