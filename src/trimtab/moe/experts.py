"""The experts of a layer, computed quickly on a CPU and registered with transformers as ``"trimtab"``.

Calls are sorted by expert; each expert multiplies its own segment with plain ``mm``; ``embedding_bag`` gathers and sums
the weighted outputs in one kernel. The backward pass is written by hand, so that expert outputs are never saved, weight
gradients land in their own slices (indexing a weight tensor under autograd allocates a full gradient per expert), and a
call of weight 0 costs no arithmetic at all: capacity saves time here instead of only masking.

Inputs that need no gradient (cached states of a frozen trunk) get none, a fifth of the arithmetic of a training step. A
module with ``narrow_gradients = True`` multiplies in bfloat16 in the backward pass, where the processor can: its output
is the same, its gradients are rounded to 8 bits before and after each product.

Only gated SiLU experts in a stock layout on a CPU are computed here; everything else is passed to transformers'
``grouped_mm``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional
from transformers.integrations.moe import ExpertsInterface, grouped_mm_experts_forward

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn
    from transformers import PreTrainedModel

NAME = "trimtab"
_BLOCK: Final = 2**18  # numbers, of a MiB


def use(model: PreTrainedModel) -> None:
    """Make ``model`` compute its experts with :func:`forward`; a model without experts is left alone."""
    if any(hasattr(module, "gate_up_proj") and hasattr(module, "num_experts") for module in model.modules()):
        model.set_experts_implementation(NAME)


def forward(self: nn.Module, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
    """Return Σ_k weight · expert(token), as transformers' ExpertsInterface asks.

    Args:
        self: The experts module: ``gate_up_proj`` [E, 2I, H], ``down_proj`` [E, H, I], ``act_fn``.
        hidden_states: [T, H].
        top_k_index: [T, K] experts; an index of E or more is a call to nobody.
        top_k_weights: [T, K]; a call of weight exactly 0 is not computed and its weight gets gradient 0.
    """
    if not _supported(self, hidden_states):
        result: Tensor = grouped_mm_experts_forward(self, hidden_states, top_k_index, top_k_weights)
        return result
    narrow = bool(getattr(self, "narrow_gradients", False)) and narrow_is_fast()
    computed: Tensor = _Experts.apply(
        hidden_states, top_k_index, top_k_weights.to(hidden_states.dtype), self.gate_up_proj, self.down_proj, narrow
    )
    return computed


@lru_cache(maxsize=1)
def narrow_is_fast() -> bool:
    """Tell whether this processor multiplies bfloat16."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001 - it has no public name


def _supported(module: nn.Module, hidden_states: Tensor) -> bool:
    stock = (
        getattr(module, "has_gate", True)
        and not getattr(module, "has_bias", False)
        and not getattr(module, "is_transposed", False)
        and getattr(module, "is_concatenated", True)
        and type(module.act_fn).__name__ in {"SiLU", "SiLUActivation"}
    )
    same_type = hidden_states.dtype == module.gate_up_proj.dtype and hidden_states.device.type == "cpu"
    return bool(stock and same_type and not torch.is_autocast_enabled("cpu"))


class _Calls:
    """Calls of weight ≠ 0 sorted by expert: ``token`` [n], ``slot`` [n] in the flattened [T·K], ``sizes`` by expert."""

    __slots__ = ("bag", "sizes", "slot", "token")

    def __init__(self, index: Tensor, weights: Tensor, num_experts: int) -> None:
        flat = index.flatten()
        called = torch.where(weights.flatten() != 0, flat, num_experts)
        order = called.argsort(stable=True)
        self.sizes: list[int] = torch.bincount(called, minlength=num_experts + 1)[:num_experts].tolist()
        total = sum(self.sizes)
        self.slot = order[:total]
        self.token = self.slot.div(index.shape[1], rounding_mode="floor")
        # Where the result of each call lies; a dropped one reads row 0 with weight 0.
        place = torch.zeros_like(flat).scatter_(0, self.slot, torch.arange(total))
        self.bag = place.view_as(index)

    def blocks(self, width: int) -> Iterator[tuple[list[int], slice]]:
        """Yield runs of experts with their rows: what is done to single numbers is done to a run at once.

        A run is as many experts as have :data:`_BLOCK` numbers, so that it stays in the cache and small experts do not
        cost an operation each.
        """
        run: list[int] = []
        start = end = 0
        for expert, size in enumerate(self.sizes):
            if not size:
                continue
            run.append(expert)
            end += size
            if (end - start) * width >= _BLOCK:
                yield run, slice(start, end)
                run, start = [], end
        if run:
            yield run, slice(start, end)

    def combine(self, rows: Tensor, weights: Tensor) -> Tensor:
        """Sum ``rows`` [n, H] over the calls of each token with ``weights`` [T, K]."""
        if not len(rows):
            return rows.new_zeros(len(weights), rows.shape[1])
        return functional.embedding_bag(self.bag, rows, mode="sum", per_sample_weights=weights)


class _Experts(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0913, PLR0917 - autograd passes by position
        ctx: Any,  # noqa: ANN401 - torch gives it no public type
        hidden: Tensor,
        index: Tensor,
        weights: Tensor,
        gate_up: Tensor,
        down: Tensor,
        narrow: bool,  # noqa: FBT001 - autograd passes by position
    ) -> Tensor:
        calls = _Calls(index, weights, len(gate_up))
        gathered = hidden.index_select(0, calls.token)
        inner, sizes = down.shape[2], calls.sizes
        projected = hidden.new_empty(len(gathered), 2 * inner)
        outputs = hidden.new_empty(len(gathered), down.shape[1])
        rows_E, projected_E, outputs_E = (each.split(sizes) for each in (gathered, projected, outputs))
        gate_up_E, down_E = gate_up.transpose(1, 2).unbind(0), down.transpose(1, 2).unbind(0)
        for run, part in calls.blocks(inner):
            for expert in run:
                torch.mm(rows_E[expert], gate_up_E[expert], out=projected_E[expert])
            block = projected[part]
            active = functional.silu(block[:, :inner]).mul_(block[:, inner:])
            for expert, rows in zip(run, active.split([sizes[expert] for expert in run]), strict=True):
                torch.mm(rows, down_E[expert], out=outputs_E[expert])
        ctx.save_for_backward(gathered, projected, weights, gate_up, down)
        ctx.calls, ctx.narrow = calls, narrow
        return calls.combine(outputs, weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, Tensor, Tensor, Tensor, None]:  # noqa: ANN401
        gathered, projected, weights, gate_up, down = ctx.saved_tensors
        calls: _Calls = ctx.calls
        inner, sizes = down.shape[2], calls.sizes
        multiply = _mm_narrow if ctx.narrow else _mm
        grad_gathered = torch.empty_like(gathered) if ctx.needs_input_grad[0] else None
        grad_gate_up, grad_down = torch.empty_like(gate_up), torch.empty_like(down)
        grad_gate_up_E, grad_down_E = grad_gate_up.unbind(0), grad_down.unbind(0)
        for idle in (expert for expert, size in enumerate(sizes) if not size):
            grad_gate_up_E[idle].zero_()
            grad_down_E[idle].zero_()
        weight_sorted = weights.flatten()[calls.slot]
        grad_weight_sorted = weights.new_empty(len(gathered))
        grad_rows = grad.index_select(0, calls.token)
        rows_E, above_E = gathered.split(sizes), grad_rows.split(sizes)
        below_E = None if grad_gathered is None else grad_gathered.split(sizes)
        gate_up_E, down_E = gate_up.unbind(0), down.unbind(0)
        for run, part in calls.blocks(inner):
            of_run = [sizes[expert] for expert in run]
            gate, up = projected[part].chunk(2, dim=1)
            weight = weight_sorted[part, None]
            grad_active = gate.new_empty(gate.shape)
            for expert, rows in zip(run, grad_active.split(of_run), strict=True):
                multiply(above_E[expert], down_E[expert], rows)
            squashed = functional.silu(gate)
            active = squashed * up
            grad_weight_sorted[part] = torch.linalg.vecdot(grad_active, active)
            grad_active.mul_(weight)
            active.mul_(weight)
            grad_projected = gate.new_empty(len(gate), 2 * inner)
            torch.mul(grad_active, squashed, out=grad_projected[:, inner:])
            torch.ops.aten.silu_backward.grad_input(grad_active.mul_(up), gate, grad_input=grad_projected[:, :inner])
            parts = zip(run, active.split(of_run), grad_projected.split(of_run), strict=True)
            for expert, active_rows, projected_rows in parts:
                multiply(above_E[expert].t(), active_rows, grad_down_E[expert])
                multiply(projected_rows.t(), rows_E[expert], grad_gate_up_E[expert])
                if below_E is not None:
                    multiply(projected_rows, gate_up_E[expert], below_E[expert])
        grad_weight = torch.zeros_like(weights)
        grad_weight.view(-1)[calls.slot] = grad_weight_sorted
        grad_hidden = None
        if grad_gathered is not None:
            grad_hidden = calls.combine(grad_gathered, (weights != 0).to(grad.dtype))
        return grad_hidden, None, grad_weight, grad_gate_up, grad_down, None


def _mm(left: Tensor, right: Tensor, out: Tensor) -> None:
    torch.mm(left, right, out=out)


def _mm_narrow(left: Tensor, right: Tensor, out: Tensor) -> None:
    out.copy_(torch.mm(left.bfloat16(), right.bfloat16()))


ExpertsInterface.register(NAME, forward)
