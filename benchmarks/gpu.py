"""What attaching, experts and capacity cost on a GPU, and a pilot of the study: one script of under eight minutes.

Sections, each with a time of its own and each caught: one that fails or runs out of time is written down with its
error, and the others go on. The file of results is written anew after each section, so nothing is lost if the machine
goes away.

* ``reads``: synchronizations that torch itself reports in a training step, attached and not.
* ``attach``: a training step of two layers of each family, and of one family under each rule, attached and not.
* ``experts``: forward and backward of an expert layer: transformers' implementations beside GEMMs by cuBLAS.
* ``capacity``: what dropping saves of a training step.
* ``pilot``: a model of 100 million parameters trained with ALF-LB and with the auxiliary loss, from a skewed router.

    python benchmarks/gpu.py [--device cuda] [--tiny] [--only SECTION ...]

Writes ``results/gpu-CARD.json``. ``--device cpu --tiny`` goes through all of it in a minute or two: a test does.
"""

import argparse
import collections
import math
import statistics
import sys
import time
import traceback
import warnings
from functools import partial
from pathlib import Path

import torch
from torch.nn import functional
from transformers import AutoModelForCausalLM, Glm4MoeConfig, MixtralConfig, OlmoeConfig, Qwen3MoeConfig

import recording
from trimtab.moe import experts as fast_experts
from trimtab.moe.attach import attach
from trimtab.moe.stresses import initialize
from trimtab.settings.capacities import Capacity
from trimtab.settings.initializations import SkewedRouter
from trimtab.settings.rules import RULES, LossFree, NoBalancer, Stack, SwitchLoss

BUDGET_S = 460.0
ARGUMENTS = {
    "loss_free": {"bias_update_rate": 1e-3},
    "smebu": {"bias_update_rate": 1e-3},
    "soft_clipped": {"bias_update_rate": 1e-3},
    "causal_bias": {"rate": 1e-2},
    **{key: {"coef": 1e-2} for key in ("switch", "pooled_switch", "z_loss", "simbal")},
}


class Sizes:
    """How large everything is: for a GPU, or for a test of the script."""

    def __init__(self, device, *, tiny):
        self.device = torch.device(device)
        self.hidden, self.inner, self.experts, self.per_tok = (64, 32, 8, 2) if tiny else (2048, 768, 64, 8)
        self.rows, self.columns, self.rounds = (2, 32, 2) if tiny else (4, 1024, 12)
        self.vocabulary = 128 if tiny else 8192
        # 8 layers of 32 experts: 100 million parameters, a quarter of them active.
        self.pilot = (64, 2, 8, 32, 3) if tiny else (512, 8, 32, 256, 120)
        # A processor without bfloat16 takes ten times as long with it.
        self.dtype = torch.float32 if self.device.type == "cpu" else torch.bfloat16

    def config(self, kind, *, hidden=None, layers=2, experts=None, inner=None):
        """Return the configuration of a family in this size."""
        hidden, inner, count = hidden or self.hidden, inner or self.inner, experts or self.experts
        heads = max(2, hidden // 128)
        shared = {
            "vocab_size": self.vocabulary, "hidden_size": hidden, "num_hidden_layers": layers,
            "num_attention_heads": heads, "num_key_value_heads": heads, "num_experts_per_tok": self.per_tok,
            "max_position_embeddings": max(self.columns, 64), "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
        }  # fmt: skip
        more = {
            Qwen3MoeConfig: {"num_experts": count, "moe_intermediate_size": inner, "intermediate_size": inner,
                             "head_dim": hidden // heads, "norm_topk_prob": True},
            OlmoeConfig: {"num_experts": count, "intermediate_size": inner},
            MixtralConfig: {"num_local_experts": count, "intermediate_size": inner},
            Glm4MoeConfig: {"n_routed_experts": count, "n_shared_experts": 1, "moe_intermediate_size": inner,
                            "intermediate_size": inner, "head_dim": hidden // heads, "first_k_dense_replace": 0},
        }  # fmt: skip
        return kind(**shared, **more[kind])

    def tokens(self, seed=0):
        """Return a batch."""
        shape = (self.rows, self.columns)
        drawn = torch.randint(3, self.vocabulary, shape, generator=torch.Generator().manual_seed(seed))
        return drawn.to(self.device)


FAMILIES = {"qwen3_moe": Qwen3MoeConfig, "olmoe": OlmoeConfig, "mixtral": MixtralConfig, "glm4_moe": Glm4MoeConfig}


def build(config, size, implementation=None):
    """Return a model in training mode on the device."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).to(size.dtype).to(size.device).train()
    if implementation is not None:
        model.set_experts_implementation(implementation)
    return model


def wait(device):
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def clocked(run, size, rounds=None):
    """Return the median seconds of ``run``, the device's work included."""
    run()
    times = []
    for _ in range(rounds or size.rounds):
        wait(size.device)
        begin = time.perf_counter()
        run()
        wait(size.device)
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def stepper(model, tokens, gates=None):
    """Return a training step without an optimizer, as a function."""

    def run():
        model(input_ids=tokens, labels=tokens, use_cache=False).loss.backward()
        model.zero_grad(set_to_none=True)
        if gates is not None:
            gates.update()

    return run


def rules():
    """Yield every rule under its name."""
    for kind in RULES:
        if kind is not Stack:
            yield kind.key, kind(**ARGUMENTS.get(kind.key, {}))
    yield "stack", Stack(LossFree(bias_update_rate=1e-3), SwitchLoss(coef=1e-2))


def attach_section(size, left):
    """Overhead of attaching, by family with ALF-LB and by rule on one family: ratios of steps in one process."""
    found = {}
    for name, kind in FAMILIES.items():
        model, tokens = build(size.config(kind), size), size.tokens()
        plain = clocked(stepper(model, tokens), size)
        gates = attach(model, balancer=LossFree(bias_update_rate=1e-3))
        found[f"{name}, loss_free"] = round(clocked(stepper(model, tokens, gates), size) / plain, 4)
        del model, gates
    model, tokens = build(size.config(Qwen3MoeConfig), size), size.tokens()
    plain = clocked(stepper(model, tokens), size)
    for name, rule in rules():
        if left() < 0:
            found[name] = "no time left"
            continue
        gates = attach(model, balancer=rule)
        try:
            found[name] = round(clocked(stepper(model, tokens, gates), size) / plain, 4)
        except Exception as error:  # noqa: BLE001 - the next rule has a turn
            found[name] = f"{type(error).__name__}: {error}"
        gates.detach()
    return {"step without gates, ms": round(1000 * plain, 3), "ratio": found}


def reads_section(size, _left):
    """Synchronizations of a step's forward pass that torch reports, beyond those without gates."""
    if size.device.type != "cuda":
        return "needs CUDA: tests/moe/test_synchronization.py looks for them elsewhere"

    def count(model, tokens):
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                model(input_ids=tokens, use_cache=False)
            finally:
                torch.cuda.set_sync_debug_mode("default")
        return sum("synchroniz" in str(each.message) for each in heard)

    found = {}
    model, tokens = build(size.config(Qwen3MoeConfig), size), size.tokens()
    model(input_ids=tokens, use_cache=False)
    plain = count(model, tokens)
    cases = [(name, rule, None) for name, rule in rules()]
    cases += [
        (f"capacity {policy}", NoBalancer(), Capacity(factor=1.0, drop_policy=policy))
        for policy in ("probs", "position", "random", "batch_priority")
    ]
    for name, rule, capacity in cases:
        gates = attach(model, balancer=rule, capacity=capacity)
        model(input_ids=tokens, use_cache=False)
        found[name] = count(model, tokens) - plain
        gates.detach()
    return {"without gates": plain, "more with gates": found}


def experts_section(size, left):
    """Rate of an expert layer's forward and backward pass, as a share of the rate of GEMMs of the same arithmetic."""
    tokens = size.rows * size.columns
    calls = tokens * size.per_tok
    draw = {"device": size.device, "dtype": size.dtype}
    x, up = torch.randn(calls, size.hidden, **draw), torch.randn(size.hidden, 2 * size.inner, **draw)
    act, down = torch.randn(calls, size.inner, **draw), torch.randn(size.inner, size.hidden, **draw)
    wide, back = torch.randn(calls, 2 * size.inner, **draw), torch.randn(calls, size.hidden, **draw)

    def gemms():
        for pair in ((x, up), (act, down), (back, down.t()), (act.t(), back), (x.t(), wide), (wide, up.t())):
            torch.mm(*pair)

    limit = clocked(gemms, size)
    found = {"GEMMs, ms": round(1000 * limit, 3), "share of GEMMs": {}}
    for implementation in ("grouped_mm", "batched_mm", "eager", fast_experts.NAME):
        if left() < 0:
            found["share of GEMMs"][implementation] = "no time left"
            continue
        if implementation == "batched_mm" and size.hidden > 512:
            found["share of GEMMs"][implementation] = "left out: it copies the weights for every call"
            continue
        try:
            model = build(size.config(Qwen3MoeConfig, layers=1), size, implementation)
            layer = model.model.layers[0].mlp.experts
            hidden = torch.randn(tokens, size.hidden, requires_grad=True, **draw)
            index = torch.rand(tokens, size.experts, device=size.device).topk(size.per_tok).indices
            weights = torch.rand(tokens, size.per_tok, **draw).requires_grad_()
            grad = torch.randn(tokens, size.hidden, **draw)
            seconds = clocked(lambda: layer(hidden, index, weights).backward(grad), size)  # noqa: B023 - called at once
            found["share of GEMMs"][implementation] = round(limit / seconds, 4)
        except Exception as error:  # noqa: BLE001 - the next implementation has a turn
            found["share of GEMMs"][implementation] = f"{type(error).__name__}: {error}"
    return found


def capacity_section(size, _left):
    """A training step under capacities, beside the same step without one; and what was dropped."""
    found = {}
    plain = None
    for factor in (None, 2.0, 1.25, 1.0, 0.75):
        model, tokens = build(size.config(Qwen3MoeConfig), size), size.tokens()
        capacity = Capacity(factor=factor) if factor else None
        gates = attach(model, balancer=LossFree(bias_update_rate=1e-3), capacity=capacity)
        seconds = clocked(stepper(model, tokens, gates), size)
        plain = plain or seconds
        model(input_ids=tokens, use_cache=False)
        gates.update()
        dropped = statistics.mean(line["drop_rate"] for line in gates.metrics())
        found["dropless" if factor is None else str(factor)] = {
            "ratio of steps": round(seconds / plain, 4),
            "dropped": round(dropped, 4),
        }
    return found


def pilot_section(size, left):
    """The study's question in small on random text with structure: loss of ALF-LB and of the auxiliary loss."""
    hidden, layers, experts, inner, steps = size.pilot
    # Each token is drawn after the two before it: text that can be learned, without any file.
    draw = torch.Generator().manual_seed(3)
    table = torch.randint(3, size.vocabulary, (4096, 4), generator=draw)

    def batch(step):
        chance = torch.Generator().manual_seed(step)
        ids = torch.randint(3, size.vocabulary, (size.rows * 2, size.columns // 2), generator=chance)
        for place in range(2, ids.shape[1]):
            context = (ids[:, place - 1] * 31 + ids[:, place - 2]) % len(table)
            pick = torch.randint(0, 4, (len(ids),), generator=chance)
            ids[:, place] = table[context, pick]
        return ids.to(size.device)

    found = {}
    arms = {
        "loss_free": LossFree(bias_update_rate=1e-2),
        "switch": SwitchLoss(coef=1e-2, scope="global"),
        "none": NoBalancer(),
    }
    share = left() / len(arms)
    for name, rule in arms.items():
        began = time.monotonic()
        config = size.config(Qwen3MoeConfig, hidden=hidden, layers=layers, experts=experts, inner=inner)
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config)
        initialize(model, SkewedRouter(), batch(0).cpu(), torch.Generator().manual_seed(0))
        model = model.to(size.dtype).to(size.device).train()
        gates = attach(model, balancer=rule, capacity=Capacity(factor=1.25))
        # In the device's own precision, with float32 weights behind it that the optimizer moves.
        masters = [parameter.detach().float().clone() for parameter in model.parameters()]
        optimizer = torch.optim.AdamW(masters, lr=1e-3, betas=(0.9, 0.95), fused=True)
        losses, violations = [], []
        for step in range(1, steps + 1):
            ids = batch(step)
            logits = model(input_ids=ids, use_cache=False).logits
            loss = functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), ids[:, 1:].flatten())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            with torch.no_grad():
                for master, parameter in zip(masters, model.parameters(), strict=True):
                    master.grad = None if parameter.grad is None else parameter.grad.float()
                optimizer.step()
                for master, parameter in zip(masters, model.parameters(), strict=True):
                    parameter.copy_(master)
            model.zero_grad()
            gates.update()
            losses.append(float(loss.detach()))
            violations.append(statistics.mean(line["max_violation"] for line in gates.metrics()))
            if not math.isfinite(losses[-1]) or time.monotonic() - began > share:
                break
        tail = max(1, len(losses) // 5)
        found[name] = {
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "steps": len(losses),
            "seconds a step": round((time.monotonic() - began) / len(losses), 4),
            "loss, last fifth": round(statistics.mean(losses[-tail:]), 4),
            "MaxVio, first and last fifth": [
                round(statistics.mean(part), 3) for part in (violations[:tail], violations[-tail:])
            ],
        }
        del model, gates, optimizer, masters
    return found


# Section, share of the time, what it does.
SECTIONS = {
    "reads": (0.10, reads_section),
    "attach": (0.35, attach_section),
    "experts": (0.10, experts_section),
    "capacity": (0.15, capacity_section),
    "pilot": (0.30, pilot_section),
}


def remaining(end):
    """Return the seconds until a moment."""
    return end - time.monotonic()


def card(device):
    """Name the device, fit for a file name."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return "-".join(name.lower().replace("/", " ").split())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small sizes, to try the script itself")
    parser.add_argument("--only", nargs="*", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--out", type=Path, help="folder of the results, by default beside the others")
    arguments = parser.parse_args()
    size = Sizes(arguments.device, tiny=arguments.tiny)
    if size.device.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit("there is no GPU here that torch can use: --device cpu --tiny tries the script")
    if arguments.out:
        recording.RESULTS = arguments.out
    found = collections.OrderedDict()
    for name in arguments.only:
        began = time.monotonic()
        allowed = BUDGET_S * SECTIONS[name][0]
        try:
            found[name] = SECTIONS[name][1](size, partial(remaining, began + allowed))
        except Exception as error:  # noqa: BLE001 - whatever happened, the others have a turn
            found[name] = {"failed": f"{type(error).__name__}: {error}", "where": traceback.format_exc(limit=-3)}
        print(f"{name}: {time.monotonic() - began:.0f} s\n  {found[name]}", flush=True)
        recording.write(f"gpu-{card(size.device)}{'-tiny' if arguments.tiny else ''}", found)
        if size.device.type == "cuda":
            torch.cuda.empty_cache()
    failed = [name for name, result in found.items() if isinstance(result, dict) and "failed" in result]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
