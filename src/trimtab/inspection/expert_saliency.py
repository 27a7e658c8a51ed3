"""Which experts matter least: scores that are kept in a file, bound to the checkpoint they were measured on.

* ``reap`` (arXiv 2510.13999): the mean, over the tokens that are routed to an expert, of its weight times the norm of
  its output. The weight has no selection bias in it, which is a price of load and no contribution, and the tokens are
  those of the model's own, biased choice.
* ``frequency``: how many tokens are routed to it.
* ``random``: a seeded draw, to see what the others are worth.

No observational score is known to predict what removing an expert costs (arXiv 2606.10703): measure that.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import numpy as np
import torch

from trimtab import disk
from trimtab.errors import ConfigurationError
from trimtab.inspection.call_norms import call_norms
from trimtab.inspection.token_windows import batches

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from trimtab.inspection.domain_texts import DomainSource
    from trimtab.inspection.inspected_model import InspectedModel
    from trimtab.moe.router import Router

SaliencyMethod = Literal["reap", "frequency", "random"]
METHODS: Final[tuple[SaliencyMethod, ...]] = get_args(SaliencyMethod)
FORMAT: Final = "trimtab-saliency-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertScores:
    """What was measured of each expert.

    Args:
        identity: Of the checkpoint.
        texts: What it was measured on.
        tokens: How many of them.
        reap, frequency: [E] by the number of a layer.
    """

    identity: str
    texts: tuple[str, ...]
    tokens: int
    reap: dict[int, list[float]]
    frequency: dict[int, list[int]]

    def lowest(
        self, method: SaliencyMethod, count: int, *, top_k: dict[int, int], seed: int = 0
    ) -> dict[int, list[int]]:
        """Return by layer the ``count`` experts of the lowest score; the lower number first where equal.

        Args:
            method: The score.
            count: How many of each layer.
            top_k: Experts a token by layer: so many must be left.
            seed: Of the random one.

        Raises:
            ConfigurationError: Fewer than K experts would be left, or ``count`` is not positive.
        """
        found = {}
        for layer, values in self.reap.items():
            if not 1 <= count <= len(values) - top_k[layer]:
                raise ConfigurationError(
                    f"{count} of {len(values)} experts cannot be removed from layer {layer}, whose tokens call"
                    f" {top_k[layer]}",
                    hint=f"1 to {len(values) - top_k[layer]}",
                )
            if method == "random":
                order = np.random.default_rng([20_260_031, seed, layer]).permutation(len(values))
            else:
                measured = values if method == "reap" else self.frequency[layer]
                order = np.argsort(np.asarray(measured), kind="stable")
            found[layer] = sorted(order[:count].tolist())
        return found

    def write(self, path: Path) -> None:
        """Write them to a file."""
        disk.write_json(path, {"format": FORMAT, **asdict(self)})


def mean_contribution(
    experts_TK: NDArray[Any], contribution_TK: NDArray[Any], num_experts: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the sums [E] of contributions (weight · |expert(token)|) and the routed tokens [E]."""
    called = experts_TK.ravel()
    sums = np.bincount(called, weights=contribution_TK.ravel(), minlength=num_experts)
    return sums.astype(np.float64), np.bincount(called, minlength=num_experts).astype(np.int64)


def measure_saliency(
    model: InspectedModel,
    sources: Sequence[DomainSource],
    *,
    window: int | None = None,
    batch_tokens: int = 2048,
    max_tokens: int | None = None,
    report: Callable[[int], None] = lambda _tokens: None,
) -> ExpertScores:
    """Measure the experts of ``model`` on texts, which are not kept.

    Raises:
        ConfigurationError: The texts are empty.
    """
    sums = {router.layer: np.zeros(router.num_experts) for router in model.routers}
    calls = {router.layer: np.zeros(router.num_experts, dtype=np.int64) for router in model.routers}
    rows: list[Tensor | None] = [None]

    def add(router: Router, experts_TK: Tensor, norms_TK: Tensor) -> None:
        valid = slice(None) if rows[0] is None else rows[0]
        part = mean_contribution(
            experts_TK[valid].long().cpu().numpy(), norms_TK[valid].double().cpu().numpy(), router.num_experts
        )
        sums[router.layer] += part[0]
        calls[router.layer] += part[1]

    tokens = 0
    found = (w for source in sources for w in model.windows(source.texts(), length=window, max_tokens=max_tokens))
    with torch.inference_mode(), call_norms(model.routers, add):
        for batch in batches(found, batch_tokens=batch_tokens, pad=model.pad):
            rows[0] = batch.valid
            model.run(batch)
            tokens += int(batch.mask.sum())
            report(tokens)
    if not tokens:
        raise ConfigurationError("the texts that experts are to be scored on are empty")
    return ExpertScores(
        identity=model.identity(),
        texts=tuple(source.domain for source in sources),
        tokens=tokens,
        reap={layer: (sums[layer] / np.maximum(calls[layer], 1)).tolist() for layer in sums},
        frequency={layer: counted.tolist() for layer, counted in calls.items()},
    )


def read_scores(path: Path, model: InspectedModel) -> ExpertScores:
    """Read a file of scores that were measured on this very checkpoint.

    Raises:
        ConfigurationError: It is none, of another checkpoint, or of other layers or experts.
    """
    record = disk.read_json(path, error=ConfigurationError)
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        found = record.get("format") if isinstance(record, dict) else type(record).__name__
        raise ConfigurationError(f"{path} is no file of scores: its format is {found!r}, expected {FORMAT!r}")
    identity = model.identity()
    if record["identity"] != identity:
        raise ConfigurationError(
            f"{path} scores another checkpoint than {model.name}: {record['identity'][:16]}…, this is {identity[:16]}…",
            hint="remove the file to measure anew",
        )
    shape = {router.layer: router.num_experts for router in model.routers}
    scored = {int(layer): len(values) for layer, values in record["reap"].items()}
    if scored != shape:
        raise ConfigurationError(f"{path} scores experts by layer {scored}, {model.name} has {shape}")
    return ExpertScores(
        identity=identity,
        texts=tuple(record["texts"]),
        tokens=record["tokens"],
        reap={int(layer): values for layer, values in record["reap"].items()},
        frequency={int(layer): values for layer, values in record["frequency"].items()},
    )
