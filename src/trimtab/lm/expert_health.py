"""How well each expert of an upcycled model is: its weights, its gradient and its share of what its layer says.

Loads alone do not show an expert that dies silently: its weights shrink and its output fades while it is called as
often as the others. Jin et al. (2026) report norms below a tenth of their start and of their peers'.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from trimtab.lm.mixture import Mixture

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.lm.text_pool import PlaceBatch
    from trimtab.lm.upcycled import UpcycledModel, Vocabulary


def norms(model: UpcycledModel) -> dict[int, list[float]]:
    """Return the weight norm of each expert of each layer."""
    by_layer = {}
    for layer, block in zip(model.layers, model.mixtures.values(), strict=True):
        if isinstance(block, Mixture):
            parts = (block.experts.gate_up_proj, block.experts.down_proj)
            squares = torch.stack([part.detach().double().square().sum((1, 2)) for part in parts]).sum(0)
            by_layer[layer] = _rounded(squares.sqrt())
    return by_layer


def examine(model: UpcycledModel, vocabulary: Vocabulary, batch: PlaceBatch) -> dict[int, dict[str, Any]]:
    """Return by layer the shares [E] of each expert in the gradient's norm and in the output's, on one batch, dropless.

    An expert's share of the output is |Σ weight · expert(token)| over its tokens, divided by the sum over experts.
    """
    pairs = zip(model.layers, model.mixtures.values(), strict=True)
    blocks = {layer: block for layer, block in pairs if isinstance(block, Mixture)}
    seen: dict[int, Tensor] = {}
    handles = [
        block.experts.register_forward_pre_hook(
            lambda module, args, layer=layer: seen.update({layer: _outputs(module, args)})
        )
        for layer, block in blocks.items()
    ]
    model.eval()
    try:
        tensors = (torch.as_tensor(part) for part in (batch.tokens, batch.positions, batch.weights))
        vocabulary.place_loss(model, *tensors).backward()
        health = {}
        for layer, block in blocks.items():
            grads = [part.grad for part in (block.experts.gate_up_proj, block.experts.down_proj)]
            squares = torch.stack([grad.double().square().sum((1, 2)) for grad in grads if grad is not None]).sum(0)
            health[layer] = {"gradient_share": _shares(squares.sqrt()), "output_share": _shares(seen[layer])}
        return health
    finally:
        for handle in handles:
            handle.remove()
        model.zero_grad(set_to_none=True)
        model.train()


@torch.no_grad()
def _outputs(module: Any, args: tuple[Tensor, Tensor, Tensor]) -> Tensor:  # noqa: ANN401 - a mixture's experts
    """Return the norm [E] of what each expert adds."""
    hidden, chosen, weights = (part.detach() for part in args)
    forward = type(module).forward  # not a call of the module, whose hook this is
    alone = [forward(module, hidden, chosen, weights * (chosen == expert)) for expert in range(module.num_experts)]
    return torch.stack([torch.linalg.vector_norm(output.double()) for output in alone])


def _shares(values: Tensor) -> list[float]:
    return _rounded(values / values.sum().clamp_min(torch.finfo(torch.float64).tiny))


def _rounded(values: Tensor) -> list[float]:
    return [float(f"{value:.6g}") for value in values.tolist()]
