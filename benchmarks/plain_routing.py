"""What the experts of a plain model receive, heard by hooks of torch and counted by numpy; nothing of trimtab is used.

The second opinion of the matrix (``moe_matrix.py``) and of the parity benchmark (``moe_parity.py``): tiny models, ways
of wrapping them, forms of a mask, and loads, biases and choices by hand.

Axes: T tokens, E experts, K experts a token.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import importlib.util
import re
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from torch import Tensor, nn

ROWS, COLUMNS = 3, 12
LENGTHS = (12, 4, 7)
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}
NATIVE = re.compile(r"(e_score_correction_bias|expert_bias|moe_statics\.\w+)$")
WRAPPED = re.compile(r"^base_model\.model\.|_orig_mod\.|\.base_layer|\.modules_to_save\.default|\.original_module")
ATTENTION = r".*\b(q_proj|v_proj|Wqkv|qkv_proj|query_key_value|q_a_proj|q_b_proj|kv_b_proj)"


def pages() -> Any:
    """Return ``docs/make_families.py``, which knows how to build each family."""
    if "make_families" not in sys.modules:
        place = Path(__file__).parent.parent / "docs" / "make_families.py"
        location = importlib.util.spec_from_file_location("make_families", place)
        if location is None or location.loader is None:
            raise SystemExit(f"{place} cannot be loaded")
        module = importlib.util.module_from_spec(location)
        sys.modules["make_families"] = module
        location.loader.exec_module(module)
    return sys.modules["make_families"]


def build(family: str, dtype: str) -> nn.Module:
    """Return a tiny model whose own selection biases, if it has any, are not all 0."""
    return copy.deepcopy(_template(family, dtype))


@functools.lru_cache(maxsize=256)
def _template(family: str, dtype: str) -> nn.Module:
    """Return the model that each trial gets a copy of, so that it is built once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model: nn.Module = pages().build(family)
    generator = torch.Generator().manual_seed(3)
    for bias in natives(model).values():
        # Numbers that bfloat16 holds exactly, so that a cast does not move them.
        bias.copy_(torch.randint(-8, 9, bias.shape, generator=generator) / 256)
    return cast(model, DTYPES[dtype])


def cast(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Return the model in ``dtype``, as loading leaves it.

    What is never saved (rotary frequencies) stays in float32, and so do selection biases where the family asks for it
    (DeepSeek-V3 and V4): a router that adds its bias in bfloat16 chooses otherwise where a token is nearly indifferent.
    """
    before = {
        (module, name): module._buffers[name]  # noqa: SLF001
        for module in model.modules()
        for name in module._non_persistent_buffers_set  # noqa: SLF001
    }
    model.to(dtype)
    precise = set(getattr(model, "_keep_in_fp32_modules_strict", None) or ()) if dtype.itemsize < 4 else set()
    for name, tensor in (*model.named_buffers(), *model.named_parameters()):
        if NATIVE.search(name) and precise & set(name.split(".")):
            tensor.data = tensor.data.float()
    for (module, name), buffer in before.items():
        module._buffers[name] = buffer  # noqa: SLF001
    return model


def natives(model: nn.Module) -> dict[str, Tensor]:
    """Return the selection biases that a model has of its own, by the path of their block."""
    tensors = [*model.named_buffers(), *model.named_parameters()]
    return {canonical(name): tensor.detach() for name, tensor in tensors if NATIVE.search(name) and tensor.ndim}


def canonical(name: str) -> str:
    """Return a module's name without what wrappers put into it."""
    return WRAPPED.sub("", name)


def adapted_rows(outer: nn.Module, weight: Tensor) -> NDArray[np.float64]:
    """Return the rows [E, H] that route: a router's weight, and what adapters of PEFT around it have learned to add."""
    rows = weight.detach().double().numpy()
    for module in outer.modules():
        for adapter in getattr(module, "lora_A", {}):
            delta = module.get_delta_weight(adapter).detach().double().numpy()
            rows = rows + (delta if delta.shape == rows.shape else delta.T)
    return rows


def block_of(name: str) -> str:
    """Return the block of a router, its experts or its bias: the path above them."""
    parts = canonical(name).split(".")
    ends = ("experts", "gate", "router", "moe_statics", "e_score_correction_bias", "expert_bias")
    return ".".join(parts[: next((at for at, part in enumerate(parts) if part in ends), len(parts))])


@dataclass(kw_only=True)
class Heard:
    """What the experts of each block received, call by call: chosen experts [T, K] of each."""

    chosen: dict[str, list[NDArray[np.int64]]] = field(default_factory=dict)
    inputs: dict[str, list[NDArray[np.float64]]] = field(default_factory=dict)

    def loads(self, valid: NDArray[np.bool_], experts: int) -> dict[str, NDArray[np.int64]]:
        """Count calls [E] of the tokens that are text, over all that was heard."""
        return {
            block: sum(np.bincount(call[valid].ravel(), minlength=experts) for call in calls)
            for block, calls in self.chosen.items()
        }


@contextlib.contextmanager
def listening(model: nn.Module) -> Iterator[Heard]:
    """Hear what experts receive in forward passes inside; recomputation in a backward pass is not heard."""
    heard = Heard()
    handles = []
    for name, module in model.named_modules():
        plain = canonical(name)
        if plain.endswith(".experts") and not name.endswith((".base_layer", ".original_module")):
            handles.append(module.register_forward_pre_hook(_ear(heard, block_of(plain)), with_kwargs=True))
        if type(module).__name__ == "Llama4Router" or plain.endswith((".gate", ".router")):
            handles.append(module.register_forward_hook(_router_ear(heard, block_of(plain), module)))
    try:
        yield heard
    finally:
        for handle in handles:
            handle.remove()


def _ear(heard: Heard, block: str) -> Callable[..., None]:
    def hook(module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        if torch._C._current_graph_task_id() != -1:  # noqa: SLF001
            return
        tensors = [value for value in (*arguments, *named.values()) if isinstance(value, torch.Tensor)]
        chosen = next((value for value in tensors if value.dtype == torch.int64), None)
        if chosen is None and len(tensors) > 1:  # Aria's experts choose by themselves, from logits
            chosen = tensors[1].topk(module.config.moe_topk, dim=-1).indices
        if chosen is not None:
            heard.chosen.setdefault(block, []).append(chosen.reshape(-1, chosen.shape[-1]).numpy().copy())

    return hook


def _router_ear(heard: Heard, block: str, router: nn.Module) -> Callable[..., None]:
    def hook(_module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        if torch._C._current_graph_task_id() != -1 or not arguments:  # noqa: SLF001
            return
        rows = arguments[0].detach()
        heard.inputs.setdefault(block, []).append(rows.reshape(-1, rows.shape[-1]).double().numpy())
        if type(router).__name__ == "Llama4Router":  # it weighs by a table [T, E], 0 where an expert is not called
            table = output[0].detach().float().numpy()
            count = int((table[0] != 0).sum())
            heard.chosen.setdefault(block, []).append(np.argsort(-table, axis=1, kind="stable")[:, :count])

    return hook


def top_k(scores: NDArray[np.float64], count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the K highest experts of each row, sorted by number, and the gap to the first that is not among them."""
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, 1)
    return np.sort(order[:, :count], axis=1), ranked[:, count - 1] - ranked[:, count]


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the softmax of each row."""
    raised = np.exp(logits - logits.max(1, keepdims=True))
    return raised / raised.sum(1, keepdims=True)


def moved(bias: NDArray[np.float32], load: NDArray[np.int64], rate: float) -> NDArray[np.float32]:
    """Return a bias [E] after a step of arXiv 2408.15664, Algorithm 1: b + u · sign(mean − load)."""
    return bias + np.float32(rate) * np.sign(load.mean() - load).astype(np.float32)


# Forms of a mask: keyword arguments of the model from token ids and embeddings, and which tokens are text.
def _text(side: str) -> Tensor:
    places = torch.arange(COLUMNS).expand(ROWS, COLUMNS)
    lengths = torch.tensor(LENGTHS)[:, None]
    return places < lengths if side == "right" else places >= COLUMNS - lengths


def _square(text: Tensor, *, own: bool) -> Tensor:
    causal = torch.ones(COLUMNS, COLUMNS, dtype=torch.bool).tril()
    square = causal & text[:, None, :]
    if own:  # a padding token attends to itself, so that no row is empty
        square = square | torch.eye(COLUMNS, dtype=torch.bool)
    return square[:, None]


def _additive(square: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros(square.shape, dtype=dtype).masked_fill(~square, torch.finfo(dtype).min)


def _packed() -> Tensor:
    return torch.cat([torch.arange(5), torch.arange(COLUMNS - 5)]).expand(ROWS, COLUMNS)


def inputs(form: str, ids: Tensor, model: nn.Module, dtype: torch.dtype) -> dict[str, Any]:
    """Return what a model is called with under a form of mask."""
    right, left = _text("right"), _text("left")
    if form == "embeds, left 2-D":
        with torch.no_grad():
            table = model.get_input_embeddings()
            return {"inputs_embeds": table(ids), "attention_mask": left.long()}
    masks: dict[str, Callable[[], dict[str, Any]]] = {
        "none": dict,
        "right 2-D": lambda: {"attention_mask": right.long()},
        "left 2-D": lambda: {"attention_mask": left.long()},
        "left 2-D bool": lambda: {"attention_mask": left},
        "left 2-D float": lambda: {"attention_mask": left.float()},
        "right 4-D bool": lambda: {"attention_mask": _square(right, own=False)},
        "right 4-D float": lambda: {"attention_mask": _additive(_square(right, own=False), dtype)},
        "left 4-D float, own": lambda: {"attention_mask": _additive(_square(left, own=True), dtype)},
        "left 4-D bool, empty": lambda: {"attention_mask": _square(left, own=False)},
        "packed": lambda: {"position_ids": _packed()},
    }
    return {"input_ids": ids} | masks[form]()


FORMS = (
    "none", "right 2-D", "left 2-D", "left 2-D bool", "left 2-D float", "embeds, left 2-D", "right 4-D bool",
    "right 4-D float", "left 4-D float, own", "left 4-D bool, empty", "packed",
)  # fmt: skip


def text_of(form: str) -> NDArray[np.bool_]:
    """Return which tokens [T] are text under a form."""
    side = "right" if form.startswith("right") else "left" if "left" in form else ""
    return (_text(side) if side else torch.ones(ROWS, COLUMNS, dtype=torch.bool)).flatten().numpy()


# Wrappings: what is done to a model before or after attaching.
PEFT = ("attention", "attention with a task", "all-linear", "experts", "router saved")
WRAPPINGS = (
    "none", "deepcopy", "compile", *(f"{kind}, {when}" for kind in PEFT for when in ("before", "after")),
)  # fmt: skip


def adapted(model: nn.Module, kind: str) -> nn.Module:
    """Return the model in PEFT, its adapters random, the same for the same model.

    Raises:
        LookupError: The model has nothing for this kind of adapter.
    """
    from peft import LoraConfig, get_peft_model  # noqa: PLC0415 - only some combinations need it

    options: dict[str, Any] = {"r": 2, "lora_alpha": 4, "init_lora_weights": False}
    if kind == "attention":
        options["target_modules"] = ATTENTION
    elif kind == "attention with a task":
        options |= {"target_modules": ATTENTION, "task_type": "CAUSAL_LM"}
    elif kind == "all-linear":
        options["target_modules"] = "all-linear"
    elif kind == "experts":
        names = [name for name, value in model.named_parameters() if ".experts." in name and value.ndim == 3]
        options |= {"target_modules": [], "target_parameters": sorted({".".join(n.split(".")[-2:]) for n in names})}
    else:
        options |= {"target_modules": ATTENTION, "modules_to_save": ["gate", "router"]}
    torch.manual_seed(7)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return get_peft_model(model, LoraConfig(**options))
    except ValueError as error:
        raise LookupError(str(error)) from error


def unpolluted(model: nn.Module) -> nn.Module:
    """Return a deep copy."""
    return copy.deepcopy(model)
