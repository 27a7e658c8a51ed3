"""The mixture block that takes the place of a dense feed-forward block: a router, experts, perhaps a shared expert.

Its router is found and heard by :func:`trimtab.moe.attach.attach` like those of transformers, so balancing rules and
capacity are the package's own; its experts are computed by :mod:`trimtab.moe.experts`. Weights are those of the dense
block at the start, whatever the routing: each expert holds one of G shards of it, and with G = 1 the whole of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from trimtab.errors import ConfigurationError
from trimtab.moe import experts
from trimtab.moe.upcycle import fill_experts, fill_router

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.settings.upcycled_models import UpcycledSettings


class MixtureRouter(nn.Module):
    """Scores each token for each expert; returns logits [T, E], weights [T, K] that sum to 1, and experts [T, K]."""

    def __init__(self, shape: UpcycledSettings, hidden: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(shape.num_experts, hidden))
        self.num_experts_per_tok = shape.num_experts_per_tok
        self.score_function = shape.score_function

    def forward(self, hidden_states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Route hidden states [T, H]."""
        logits = functional.linear(hidden_states, self.weight)
        scores = logits.sigmoid() if self.score_function == "sigmoid" else logits.softmax(-1)
        chosen = scores.topk(self.num_experts_per_tok, dim=-1).indices
        weights = scores.gather(1, chosen)
        return logits, weights / weights.sum(-1, keepdim=True), chosen


class MixtureExperts(nn.Module):
    """Gated SiLU experts in the layout of transformers."""

    def __init__(self, num_experts: int, inner: int, hidden: int, *, narrow_gradients: bool) -> None:
        super().__init__()
        self.num_experts = num_experts
        self.narrow_gradients = narrow_gradients
        self.gate_up_proj = nn.Parameter(torch.empty(num_experts, 2 * inner, hidden))
        self.down_proj = nn.Parameter(torch.empty(num_experts, hidden, inner))
        self.act_fn = nn.SiLU()

    def forward(self, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
        """Return Σ_k weight · expert(token), [T, H]."""
        return experts.forward(self, hidden_states, top_k_index, top_k_weights)


class Mixture(nn.Module):
    """The block itself: router (``gate``), ``experts`` and, if asked for, ``shared_expert``."""

    def __init__(self, dense: Any, shape: UpcycledSettings, generator: torch.Generator) -> None:  # noqa: ANN401 - transformers' own
        super().__init__()
        columns, hidden = dense.gate_proj.weight.shape
        if columns % shape.granularity:
            raise ConfigurationError(f"granularity {shape.granularity} does not divide intermediate_size = {columns}")
        self.gate = MixtureRouter(shape, hidden)
        inner = columns // shape.granularity
        self.experts = MixtureExperts(shape.num_experts, inner, hidden, narrow_gradients=shape.narrow_gradients)
        self.shared_expert = _Shared(dense) if shape.shared_expert else None
        with torch.no_grad():
            fill_router(self.gate.weight, shape.granularity, shape.router_std, generator)
            fill_experts(dense, self.experts, shape.granularity)
            if shape.shared_expert:
                self.experts.down_proj.mul_(0.5)

    def forward(self, hidden_states: Tensor, needed: Tensor | None = None) -> Tensor:
        """Return the block's output [..., H].

        Args:
            hidden_states: [..., H]; every token is routed and takes part in the competition for room.
            needed: [T] indices of the tokens whose output is wanted; the others are routed only, and the result is
                [len(needed), H].
        """
        flat = hidden_states.reshape(-1, hidden_states.shape[-1])
        _, weights, chosen = self.gate(flat)
        if needed is not None:
            flat, weights, chosen = flat[needed], weights[needed], chosen[needed]
        result: Tensor = self.experts(flat, chosen, weights)
        if self.shared_expert is not None:
            result = result + self.shared_expert(flat)
        return result if needed is not None else result.view_as(hidden_states)


class _Shared(nn.Module):
    """Half of the dense block, for every token."""

    def __init__(self, dense: Any) -> None:  # noqa: ANN401 - transformers' own
        super().__init__()
        self.gate_up_proj = nn.Parameter(torch.cat([dense.gate_proj.weight, dense.up_proj.weight]).detach().clone())
        self.down_proj = nn.Parameter(0.5 * dense.down_proj.weight.detach())

    def forward(self, hidden_states: Tensor) -> Tensor:
        gate, up = functional.linear(hidden_states, self.gate_up_proj).chunk(2, dim=-1)
        return functional.linear(functional.silu(gate) * up, self.down_proj)
