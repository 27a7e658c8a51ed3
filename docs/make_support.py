"""Write docs/reference/support.md: adapters, quantized, half-precision, compiled and sharded models, tried.

Each row is tried on a tiny model and says what happened. `make docs` writes the page, a test tries the rows again.
"""
# ruff: noqa: SLF001, E402 - helpers of the page of families; the path first

from __future__ import annotations

import importlib.util
import sys
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers

DOCS = Path(__file__).parent
TESTS = DOCS.parent / "tests" / "moe"
sys.path[:0] = [str(DOCS), str(TESTS)]
import make_families as tiny

from trimtab.errors import TrimtabError
from trimtab.moe.attach import attach
from trimtab.moe.loading import load, restore
from trimtab.settings.rules import LossFree

if TYPE_CHECKING:
    from collections.abc import Callable

    from trimtab.moe.gates import Gates

TARGET = DOCS / "reference" / "support.md"
RULE = LossFree(bias_update_rate=1e-2)
_ABOUT = (
    "Each row is tried on tiny random models, one with a bias of its own (GLM-4-MoE) and one to which it is added"
    " (Qwen3-MoE), on a CPU: `LossFree` is attached, two steps are trained, every bias has to move and stay float32,"
    " and what the row says is checked."
)
_OLDER_ADAPTERS = (
    "**Adapters made with transformers 4** had a LoRA for each expert. PEFT 0.21.2 converts them when it loads them for"
    " transformers 5.17.0, and is exact for plain LoRA on Mixtral, OLMoE and Qwen3-MoE: the logits are those that"
    " transformers 4.57.1 and PEFT 0.17.1 gave. Two things go wrong without an error, before trimtab sees the model."
    " With `use_rslora=True` the experts' gate and up projections are changed by 1.414 times what was trained"
    " ([shown alone](../../findings/peft-rslora-of-experts-is-scaled-by-root-two.sh)). On Qwen2-MoE, Phi-3.5-MoE, Jamba"
    " and LFM2-MoE what the adapter taught the experts is dropped"
    " ([shown alone](../../findings/peft-drops-experts-of-qwen2-moe.sh)). Merged by transformers 4 and PEFT 0.17.1,"
    " both come through: the merged checkpoint gives the adapter's logits."
)
_NOT_TRIED = (
    "DistributedDataParallel and FSDP2 (`fully_shard`) with two gloo processes: their biases, counts and gradients"
    " are those of one process with twice the batch; `tests/moe/test_distributed.py` runs both kinds of bias.\n\n"
    "DeepSpeed's ZeRO-2 and ZeRO-3 with two gloo processes on a CPU: biases, counts and what a step makes of every"
    " weight are those of one process with twice the batch, for both kinds of bias and beside a loss."
    " `tests/moe/test_deepspeed.py` runs it where deepspeed is installed, and was run with 0.19.8. Call"
    " `gates.update()` once the engine has taken its step. Two things beside: the engine clips gradients to a norm of 1"
    " unless `gradient_clipping` says otherwise, and on a CPU it compiles its shared-memory collectives at the first"
    " use, for minutes. If that is killed it leaves a lock in `~/.cache/torch_extensions` for which every later process"
    " waits.\n\n"
    "Not tried: GPTQ and AWQ, pipeline and tensor parallelism."
)


def _train(model: Any, gates: Gates, called: Any = None, steps: int = 2) -> None:  # noqa: ANN401 - a model
    """Train some steps without an optimizer; every bias has to move."""
    model.train()
    before = gates.biases()
    for _ in range(steps):
        (model if called is None else called)(
            input_ids=tiny._text(), use_cache=False
        ).logits.float().square().mean().backward()
        gates.update()
    moved = all(not torch.equal(bias, before[layer]) for layer, bias in gates.biases().items())
    if not moved or any(bias.dtype != torch.float32 for bias in gates.biases().values()):
        raise AssertionError("a bias rests, or is not float32")
    gates.assert_active()
    model.eval()


def _adapted(family: str, targets: dict[str, Any]) -> Any:  # noqa: ANN401 - a model of PEFT
    from peft import LoraConfig, get_peft_model  # noqa: PLC0415

    torch.manual_seed(0)
    return get_peft_model(tiny.build(family), LoraConfig(r=2, init_lora_weights=False, **targets))


_EXPERTS = {"target_modules": [], "target_parameters": ["experts.gate_up_proj", "experts.down_proj"]}
_ROUTERS = {"target_modules": [], "target_parameters": ["gate.weight"]}


def _lora(family: str, targets: dict[str, Any], *, frozen: bool) -> str:
    model = _adapted(family, targets)
    gates = attach(model, balancer=RULE)
    if frozen:
        gates.unfreeze()  # a bias rests where its router does, unless it is told to move
    _train(model, gates)
    return "works; biases rest with their frozen routers unless `gates.unfreeze()`" if frozen else "works"


def lora_experts(family: str) -> str:
    """LoRA on experts."""
    return _lora(family, _EXPERTS, frozen=True)


def lora_routers(family: str) -> str:
    """LoRA on routers."""
    return _lora(family, _ROUTERS, frozen=False)


def saved_adapters(family: str) -> str:
    """Adapters saved with the bias, and brought back on a fresh base."""
    from peft import PeftModel  # noqa: PLC0415

    model = _adapted(family, _ROUTERS)
    gates = attach(model, balancer=RULE)
    _train(model, gates)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        before = tiny._out(model)
        model.save_pretrained(folder)
        gates.save(folder)
        again = PeftModel.from_pretrained(tiny.build(family), folder).eval()
        fresh = attach(again, balancer=RULE)
        restore(fresh, folder)
        same = torch.equal(before, tiny._out(again))
    same = same and all(torch.equal(bias, fresh.biases()[layer]) for layer, bias in gates.biases().items())
    return "works: `gates.save(folder)` beside PEFT's, `restore(gates, folder)`" if same else "DIFFERS"


def half(family: str) -> str:
    """bfloat16."""
    model: Any = tiny.build(family).to(torch.bfloat16)
    gates = attach(model, balancer=RULE)
    _train(model, gates)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        gates.save_pretrained(folder)
        loaded, again = load(folder, dtype=torch.bfloat16)
        pairs = [(gates.biases(), again.biases()), (model.state_dict(), loaded.state_dict())]
    same = all(torch.equal(value, right[key]) for left, right in pairs for key, value in left.items())
    return "works; biases stay float32, they and the weights come back to the last bit" if same else "DIFFERS"


def compiled(family: str) -> str:
    """torch.compile (aot_eager), with graph breaks at the gates."""
    model = tiny.build(family)
    gates = attach(model, balancer=RULE)
    torch.compiler.reset()
    _train(model, gates, torch.compile(model, backend="aot_eager"))
    return "works, with a graph break at each router"


def compiled_whole(family: str) -> str:
    """torch.compile(fullgraph=True)."""
    model = tiny.build(family)
    gates = attach(model, balancer=RULE)
    torch.compiler.reset()
    try:
        _train(model, gates, torch.compile(model, backend="aot_eager", fullgraph=True))
    except torch._dynamo.exc.Unsupported as error:
        if "compile without fullgraph=True" in str(error):
            return "refused by torch, with our reason: compile without fullgraph=True"
        raise
    return "works"


def checkpointed(family: str) -> str:
    """Activation checkpointing."""
    model: Any = tiny.build(family)
    model.gradient_checkpointing_enable()
    _train(model, attach(model, balancer=RULE))
    return "works"


def gguf_experts(family: str) -> str:
    """A GGUF file: transformers unpacks it into whole numbers."""
    import tiny_gguf  # noqa: PLC0415 - the files that tests read
    from transformers import AutoModelForCausalLM  # noqa: PLC0415

    if family != "qwen3_moe":
        return "—"
    with tempfile.TemporaryDirectory() as folder:
        tiny_gguf.write(Path(folder) / "a.gguf", "qwen3moe")
        model = AutoModelForCausalLM.from_pretrained(folder, gguf_file="a.gguf", dtype=torch.float32)
    _train(model, attach(model, balancer=RULE))
    return "works"


def _few_bits(family: str, bits: int) -> str:
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig  # noqa: PLC0415

    few = BitsAndBytesConfig(load_in_4bit=bits == 4, load_in_8bit=bits == 8)
    with tempfile.TemporaryDirectory() as folder:
        tiny.build(family).save_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder, quantization_config=few, dtype=torch.bfloat16)
    gates = attach(model, balancer=RULE)
    gates.unfreeze()  # its routers do not learn
    _train(model, gates)
    packed = [name for name, weight in model.named_parameters() if not weight.is_floating_point()]
    inside = [name for name in packed if ".experts." in name or ".gate." in name]
    seen = "bitsandbytes packs" if inside else "bitsandbytes packs linear layers, but not"
    return f"works after `gates.unfreeze()`; {seen} routers and experts of this family"


def four_bits(family: str) -> str:
    """4 bits."""
    return _few_bits(family, 4)


def eight_bits(family: str) -> str:
    """8 bits."""
    return _few_bits(family, 8)


ROWS: dict[str, Callable[[str], str]] = {
    "LoRA on experts (`target_parameters`)": lora_experts,
    "LoRA on routers (`target_parameters`)": lora_routers,
    "adapters saved with their bias": saved_adapters,
    "bfloat16": half,
    "activation checkpointing": checkpointed,
    "`torch.compile`": compiled,
    "`torch.compile(fullgraph=True)`": compiled_whole,
    "GGUF": gguf_experts,
    "4 bits (bitsandbytes)": four_bits,
    "8 bits (bitsandbytes)": eight_bits,
}
FAMILIES = ("glm4_moe", "qwen3_moe")


def row(name: str) -> str:
    """Return the row of a way to wrap or store a model."""
    if "bitsandbytes" in name and importlib.util.find_spec("bitsandbytes") is None and TARGET.is_file():
        # Not among the development dependencies: what was seen where it is installed stays.
        return next(line for line in TARGET.read_text(encoding="utf-8").splitlines() if line.startswith(f"| {name} "))
    cells = []
    for family in FAMILIES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                cells.append(ROWS[name](family))
            except TrimtabError as error:
                cells.append(f"refused: {error.message}")
    return f"| {name} | {' | '.join(cells)} |"


def render(rows: dict[str, str] | None = None) -> str:
    """Return the page; ``rows`` are those that are not tried anew."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "peft"))
    lines = [
        "# Adapters, quantized, compiled and sharded models",
        "",
        f"Generated by `make docs` with {packages}.",
        "",
        _ABOUT,
        "",
        "| | GLM-4-MoE | Qwen3-MoE |",
        "|---|---|---|",
        *((rows or {}).get(name) or row(name) for name in ROWS),
        "",
        _OLDER_ADAPTERS,
        "",
        _NOT_TRIED,
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    TARGET.write_text(render(), encoding="utf-8")
