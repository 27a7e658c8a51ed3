"""For every supported family: a model with ``NoBalancer`` attached computes what the plain model computes.

Loss and logits in evaluation and training, gradients, three steps of AdamW, greedy generation with and without cache,
and what comes back from a save, with experts in transformers' eager and grouped_mm implementations. Printed is the
largest difference of each; 0 is equal to the last bit, "differs" that tokens do, "-" that the plain model has none.

    python benchmarks/moe_parity.py --out runs/parity.jsonl
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import json
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers

import plain_routing as plain
import trimtab
from trimtab.moe.attach import attach

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

MEASURES = (
    "evaluation", "training", "gradients", "three steps", "generation, cache", "generation, no cache", "save and load",
)  # fmt: skip
REFUSED = {"doge", "jetmoe", "nllb_moe", "switch_transformers", "vitpose_backbone", "zaya"}
NEW = 5


def ids(seed: int) -> Tensor:
    """Return token ids [2, 10]."""
    return torch.randint(3, 64, (2, 10), generator=torch.Generator().manual_seed(seed))


def loss_of(model: nn.Module, seed: int) -> tuple[Tensor, Tensor]:
    """Return loss and logits of a batch; a model without a language head has the mean square of its states for one."""
    torch.manual_seed(seed)  # PhiMoE draws its choice in training
    labelled = "labels" in inspect.signature(model.forward).parameters
    out = model(input_ids=ids(seed), use_cache=False, **({"labels": ids(seed)} if labelled else {}))
    logits = out.logits if "logits" in out else out.last_hidden_state
    return (out.loss if labelled else logits.float().square().mean()), logits


def evaluated(model: nn.Module) -> list[Tensor]:
    """Loss and logits without gradients."""
    model.eval()
    with torch.no_grad():
        return list(loss_of(model, 1))


def trained(model: nn.Module) -> list[Tensor]:
    """Loss and logits in training mode."""
    model.train()
    return [tensor.detach() for tensor in loss_of(model, 2)]


def gradients(model: nn.Module) -> list[Tensor]:
    """The gradient of every parameter that has one."""
    model.train()
    model.zero_grad()
    loss_of(model, 2)[0].backward()
    found = [value.grad.clone() for value in model.parameters() if value.grad is not None]
    model.zero_grad()
    return found


def generated(cache: bool) -> Callable[[nn.Module], list[Tensor]]:  # noqa: FBT001 - the one thing to say
    """Tokens chosen greedily."""

    def run(model: nn.Module) -> list[Tensor]:
        model.eval()
        with torch.no_grad():
            options = {"max_new_tokens": NEW, "min_new_tokens": NEW, "do_sample": False, "use_cache": cache}
            return [model.generate(ids(3), attention_mask=torch.ones_like(ids(3)), **options)]

    return run


def stepped(update: Callable[[], object]) -> Callable[[nn.Module], list[Tensor]]:
    """Parameters after three steps of AdamW."""

    def run(model: nn.Module) -> list[Tensor]:
        model.train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        for step in range(3):
            loss_of(model, 10 + step)[0].backward()
            optimizer.step()
            optimizer.zero_grad()
            update()
        return [value.detach().clone() for value in model.parameters()]

    return run


def difference(left: list[Tensor], right: list[Tensor]) -> float:
    """Return the largest difference; infinite where there are not the same tensors."""
    if [tensor.shape for tensor in left] != [tensor.shape for tensor in right]:
        return float("inf")
    return max((float((a.double() - b.double()).abs().max()) for a, b in zip(left, right, strict=True)), default=0.0)


def build(family: str, implementation: str) -> nn.Module:
    """Return a tiny model with that implementation of its experts.

    Raises:
        LookupError: It has none.
    """
    model = plain.build(family, "float32")
    try:
        model.set_experts_implementation(implementation)
    except ValueError as error:
        if implementation == "eager":
            return model  # the only one it has
        raise LookupError(str(error)) from error
    return model


def parity(family: str, implementation: str) -> dict[str, float | None]:
    """Return the largest difference of each measure; None where the plain model itself cannot do it.

    Raises:
        LookupError: The family has no such implementation of its experts.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bare, model = build(family, implementation), build(family, implementation)
        gates = attach(model, balancer=trimtab.NoBalancer())
        runs: dict[str, Callable[[nn.Module], list[Tensor]]] = {
            "evaluation": evaluated,
            "training": trained,
            "gradients": gradients,
            "generation, cache": generated(cache=True),
            "generation, no cache": generated(cache=False),
        }
        found = {name: compared(run, run, bare, model) for name, run in runs.items()}
        gates.skip()
        found["three steps"] = compared(stepped(lambda: None), stepped(gates.update), bare, model)
        found["save and load"] = come_back(bare, model, gates, implementation)
    return {name: found[name] for name in MEASURES}


def compared(
    run: Callable[[nn.Module], list[Tensor]], attached: Callable[[nn.Module], list[Tensor]],
    bare: nn.Module, model: nn.Module,
) -> float | None:  # fmt: skip
    """Return how far both are apart; None where the plain model raises."""
    try:
        wanted = run(bare)
    except Exception:  # noqa: BLE001 - whatever a family cannot do
        return None
    return difference(wanted, attached(model))


def come_back(bare: nn.Module, model: nn.Module, gates: trimtab.Gates, implementation: str) -> float | None:
    """Compare the plain model, saved and loaded, with the attached one, saved and loaded."""
    again = []
    for each, save in ((bare, bare.save_pretrained), (model, gates.save_pretrained)):
        with tempfile.TemporaryDirectory() as folder:
            save(folder)
            loaded = trimtab.load(folder)[0] if each is model else type(bare).from_pretrained(folder)
        with contextlib.suppress(ValueError):
            loaded.set_experts_implementation(implementation)
        again.append(evaluated(loaded))
    return difference(*again)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/parity.jsonl"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    lines = options.out.read_text().splitlines() if options.out.exists() else []
    done: dict[str, dict[str, Any]] = {f"{r['family']} {r['experts']}": r for r in map(json.loads, lines)}
    with options.out.open("a", encoding="utf-8") as file:
        for family in (each for each in plain.pages().families() if each not in REFUSED):
            for implementation in ("eager", "grouped_mm"):
                if f"{family} {implementation}" in done:
                    continue
                try:
                    record = {"family": family, "experts": implementation, **parity(family, implementation)}
                except LookupError:
                    record = {"family": family, "experts": implementation, **dict.fromkeys(MEASURES)}
                done[f"{family} {implementation}"] = record
                file.write(json.dumps(record) + "\n")
                file.flush()
    for record in done.values():
        told = ("-" if record[name] is None else f"{record[name]:.2g}" for name in MEASURES)
        print(f"{record['family']:24} {record['experts']:10} {'  '.join(told)}")
    for name in MEASURES:
        values = [record[name] for record in done.values() if record[name] is not None]
        print(f"{name:22} equal to the last bit in {values.count(0.0)} of {len(values)}, largest {max(values):.3g}")


if __name__ == "__main__":
    main()
