"""How far a mixture is from the dense model it was made of, measured on real activations.

Each feed-forward block of the mixture gets what the dense block got, so that an error is seen where it arises and is
not mixed with what earlier layers did; the logits then show what all of them do together. An error is
|mixture − dense| / |dense| in the Euclidean norm over all tokens and features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch

from trimtab.errors import UnsupportedModelError

if TYPE_CHECKING:
    from torch import Tensor, nn

_TOLERANCES: Final = {torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}


@dataclass(frozen=True, slots=True, kw_only=True)
class PreservationReceipt:
    """What upcycling did to a model's function.

    Attributes:
        method: ``copy``, ``noise``, ``drop`` or ``granular``.
        source: Family of the dense model.
        target: Family of the mixture.
        num_experts: Experts E of each layer.
        num_experts_per_tok: Experts k of each token.
        granularity: Shards G of each dense block.
        seed: Of every draw.
        tokens: Tokens on which the errors were measured.
        layers: Relative output error of each feed-forward block, first layer first, each given the dense block's input.
        logits: Relative error of the logits.
        tolerance: Largest error that is rounding at the model's precision: 1e-5 in float32.
        exact: Whether no error exceeds ``tolerance``.
    """

    method: str
    source: str
    target: str
    num_experts: int
    num_experts_per_tok: int
    granularity: int
    seed: int
    tokens: int
    layers: tuple[float, ...]
    logits: float
    tolerance: float
    exact: bool

    def __str__(self) -> str:
        verdict = "exact" if self.exact else "not exact"
        return (
            f"{self.source} → {self.target}, {self.method} (E={self.num_experts}, k={self.num_experts_per_tok},"
            f" G={self.granularity}): {verdict}; feed-forward blocks differ by at most {max(self.layers):.2g},"
            f" logits by {self.logits:.2g} (relative, {self.tokens} tokens)"
        )


@torch.no_grad()
def errors(dense: Any, mixture: Any, tokens: Tensor) -> tuple[tuple[float, ...], float]:  # noqa: ANN401 - any two models with the same layers
    """Return the relative error of each feed-forward block and of the logits.

    Args:
        dense: The model before.
        mixture: The model after, with as many layers.
        tokens: [B, S] token ids, all of them text.
    """
    modes = dense.training, mixture.training
    dense.eval()
    mixture.eval()
    try:
        seen, logits = _listen(dense, tokens)
        layers = tuple(
            _relative(layer.mlp(given), expected)
            for layer, (given, expected) in zip(mixture.model.layers, seen, strict=True)
        )
        return layers, _relative(mixture(input_ids=tokens, use_cache=False).logits, logits)
    finally:
        dense.train(modes[0])
        mixture.train(modes[1])


def tolerance(dtype: torch.dtype) -> float:
    """Return the largest relative error that is rounding in ``dtype``.

    Raises:
        UnsupportedModelError: ``dtype`` is none that the experts of transformers compute in.
    """
    if dtype not in _TOLERANCES:
        raise UnsupportedModelError(
            f"a model in {dtype} cannot be upcycled", hint="load it with dtype=torch.float32 or torch.bfloat16"
        )
    return _TOLERANCES[dtype]


def _listen(dense: Any, tokens: Tensor) -> tuple[list[tuple[Tensor, Tensor]], Tensor]:  # noqa: ANN401 - as above
    """Return what each feed-forward block got and gave, and the logits."""
    seen: list[tuple[Tensor, Tensor]] = []

    def keep(_module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        seen.append((args[0], output))

    handles = [layer.mlp.register_forward_hook(keep) for layer in dense.model.layers]
    try:
        logits: Tensor = dense(input_ids=tokens, use_cache=False).logits
    finally:
        for handle in handles:
            handle.remove()
    return seen, logits


def _relative(result: Tensor, expected: Tensor) -> float:
    difference = _norm(result.double() - expected.double())
    # Beside a silent block any error is large; a division by zero would be no answer.
    return difference / max(_norm(expected.double()), torch.finfo(torch.float64).tiny)


def _norm(tensor: Tensor) -> float:
    return float(torch.linalg.vector_norm(tensor))
