"""Load, imbalance and balance figures of other packages beside a count by hand, on the same tiny models.

The peers are installed without their dependencies into a temporary folder and put on the path behind what is there:

* ``moewatch`` 0.1.0: calls of each router's output, as it reads it; largest over mean load.
* ``plumb-moe`` 0.1.0: top-k of the logits it finds; largest over mean load of the experts that were called.
* transformers' ``load_balancing_loss_func``: of softmax of ``router_logits``, all layers pooled.
* DeepSpeed 0.19.8: ``topkgating``'s loss, of the logits of one layer.

``esmoe`` 1.1.0 counts nothing in a transformers model: its loss is of its own block, for YOLO models; it is not run.
A model is called with 3 rows of which two are padded: by hand, a call is of a token that is text.
"""

from __future__ import annotations

import contextlib
import io
import logging
import subprocess
import sys
import tempfile
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import transformers
from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

import plain_routing as plain
import trimtab

if TYPE_CHECKING:
    from torch import Tensor, nn

FAMILIES = ("mixtral", "qwen3_moe", "olmoe", "phimoe", "glm4_moe", "gpt_oss", "jamba")
PINNED = (
    "moewatch==0.1.0", "plumb-moe==0.1.0", "deepspeed==0.19.8", "hjson==3.1.0", "py-cpuinfo==9.0.0", "einops==0.8.2",
    "msgpack==1.1.2",
)  # fmt: skip


def called(model: nn.Module, **more: Any) -> Any:
    """Call a model with padded rows."""
    ids = torch.randint(3, 64, (plain.ROWS, plain.COLUMNS), generator=torch.Generator().manual_seed(100))
    with torch.no_grad():
        return model(**plain.inputs("right 2-D", ids, model, torch.float32), use_cache=False, **more)


def by_hand(model: nn.Module) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the loads [E] of each layer, of text and of all tokens."""
    with plain.listening(model) as heard:
        called(model)
    everything = np.ones(plain.ROWS * plain.COLUMNS, dtype=bool)
    return heard.loads(plain.text_of("right 2-D"), 8), heard.loads(everything, 8)


def of_moewatch(model: nn.Module) -> list[Any]:
    """Its counts, layer by layer."""
    import moewatch  # noqa: PLC0415 - a peer

    watch = moewatch.MoEWatch(model, moewatch.WatchConfig(sample_every=1))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        watch.start()
    called(model)
    stats = watch._collector.get_all_stats()  # noqa: SLF001 - it prints figures and returns none
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        watch.stop()
    return [(each.expert_counts.tolist(), round(each.load_imbalance_score, 3)) for each in stats.values()]


def of_plumb(model: nn.Module, per_token: int) -> list[Any]:
    """Its counts, layer by layer."""
    from plumb.analysis.imbalance import compute_imbalance  # noqa: PLC0415 - a peer
    from plumb.counter import ActivationCounter  # noqa: PLC0415
    from plumb.hook import ProfilingHooks  # noqa: PLC0415

    counter = ActivationCounter()
    hooks = ProfilingHooks(counter)
    if not hooks.attach(model, top_k=per_token):
        return ["finds no layer"]
    called(model)
    hooks.detach()
    return [
        ([layer.expert_loads.get(expert, 0) for expert in range(8)], layer.imbalance_ratio)
        for layer in compute_imbalance(counter)
    ] or ["finds layers, counts nothing"]


def of_transformers(model: nn.Module, per_token: int) -> list[Any]:
    """Its pooled loss, with and without the mask."""
    logits = called(model, output_router_logits=True).router_logits
    mask = plain._text("right").long()  # noqa: SLF001 - the second opinion is ours too
    return [
        round(float(load_balancing_loss_func(logits, 8, per_token, attention_mask=given)), 4) for given in (mask, None)
    ]


def of_deepspeed(logits: Tensor, per_token: int) -> float:
    """The loss of its gate on the logits of a layer."""
    from deepspeed.moe.sharded_moe import topkgating  # noqa: PLC0415 - a peer

    return round(float(topkgating(logits, per_token, 1.0, 1, drop_tokens=False)[0]), 4)


def tried(what: Any) -> Any:
    """Return a figure, or why there is none."""
    try:
        return what()
    except Exception as error:  # noqa: BLE001 - peers fail in ways of their own
        return f"cannot be run: {type(error).__name__}: {str(error).splitlines()[0][:110] if str(error) else ''}"


def main() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for package in PINNED:
            command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", folder, package]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{package} cannot be had: {(done.stderr.strip().splitlines() or ['?'])[-1][:150]}")
        sys.path.append(folder)
        for family in FAMILIES:
            compare(family)


def largest(load: Any) -> float:
    """Return the largest over the mean load."""
    return round(len(load) * load.max() / load.sum(), 3)


def compare(family: str) -> None:
    """Print every figure of one family."""
    model = plain.build(family, "float32").eval()
    text, everything = by_hand(model)
    gates = trimtab.attach(model, balancer=trimtab.NoBalancer())
    per_token = gates.routers[0].num_experts_per_tok
    with gates.measure() as lines:
        called(model)
    gates.detach()
    block, load = next(iter(text.items()))
    heard = []
    handle = gates.routers[0].module.register_forward_hook(lambda _module, _args, output: heard.append(output))
    called(model)
    handle.remove()
    logits = next(each for each in (heard[0] if isinstance(heard[0], tuple) else (heard[0],)) if each.shape[-1] == 8)
    print(f"\n{family}: {len(text)} layers, first {block}")
    print("  by hand, text      ", load.tolist(), largest(load))
    print("  by hand, all tokens", everything[block].tolist(), largest(everything[block]))
    print("  trimtab            ", lines[0]["load"], round(1 + lines[0]["max_violation"], 3))
    for name, figures in (
        ("moewatch           ", tried(lambda: of_moewatch(model))),
        ("plumb-moe          ", tried(lambda: of_plumb(model, per_token))),
    ):
        listed = isinstance(figures, list)
        print(f"  {name}", figures[0] if listed and figures else figures, f"{len(figures)} layers" if listed else "")
    print(
        "  transformers, pooled over layers, with and without mask:", tried(lambda: of_transformers(model, per_token))
    )
    print("  DeepSpeed, first layer, all tokens:", tried(lambda: of_deepspeed(logits, per_token)))


if __name__ == "__main__":
    main()
