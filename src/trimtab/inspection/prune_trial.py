"""What removing experts costs: the likelihood of texts with the least important of each layer masked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from trimtab.errors import ConfigurationError
from trimtab.inspection.expert_mask import masked
from trimtab.inspection.shared_prefix import SharedPrefix
from trimtab.inspection.text_likelihood import TextSums, read_baseline, stacked, window_nats
from trimtab.inspection.token_windows import batches

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trimtab.inspection.expert_saliency import ExpertScores, SaliencyMethod
    from trimtab.inspection.inspected_model import InspectedModel
    from trimtab.inspection.token_windows import TokenWindow

FORMAT: Final = "trimtab-prune-1"
_RESAMPLES: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneTrial:
    """One trial: ``count`` experts of each layer, the lowest by ``method``; ``seed`` is that of the random one."""

    method: SaliencyMethod
    count: int
    seed: int = 0


def try_pruning(
    model: InspectedModel,
    windows: Sequence[TokenWindow],
    scores: ExpertScores,
    trials: Sequence[PruneTrial],
    *,
    batch_tokens: int = 2048,
    report: Callable[[int, int], None] = lambda *_: None,
) -> dict[str, Any]:
    """Return what each trial costs in bits a byte, paired over texts: plain values. The model is not changed.

    Raises:
        ConfigurationError: Nothing in the texts is scored, or a trial leaves fewer experts than a token calls.
        UnsupportedModelError: A router cannot choose among fewer experts, or the model has no language-model head.
    """
    if not any(window.scored for window in windows):
        raise ConfigurationError("nothing in the texts can be scored: each holds one token")
    top_k = {router.layer: router.num_experts_per_tok for router in model.routers}
    removed = [scores.lowest(trial.method, trial.count, top_k=top_k, seed=trial.seed) for trial in trials]
    prefix = SharedPrefix(model)
    base = read_baseline(model, windows, prefix, batch_tokens)
    places = {id(window): place for place, window in enumerate(windows)}
    sums, rows = TextSums.of(windows), []
    for done, (trial, gone) in enumerate(zip(trials, removed, strict=True)):
        nats = np.zeros(len(windows))
        with torch.inference_mode(), masked(model.routers, gone):
            for batch in batches(windows, batch_tokens=batch_tokens, pad=model.pad):
                states = stacked([base.states[places[id(window)]] for window in batch.windows], batch.ids.shape[1])
                with prefix.replaying(states):
                    nats[[places[id(window)] for window in batch.windows]] = window_nats(model, batch)[0]
        row = sums.compare(base.nats, nats, 0, _RESAMPLES)
        row.pop("draws")
        rows.append({"method": trial.method, "count": trial.count, "seed": trial.seed, "removed": gone, **row})
        report(done + 1, len(trials))
    return {
        "format": FORMAT,
        "source": model.name,
        "experts": {router.layer: router.num_experts for router in model.routers},
        "scored_on": {"texts": list(scores.texts), "tokens": scores.tokens},
        "texts": sums.counts,
        "baseline_bits_per_byte": sums.bits_per_byte(base.nats),
        "trials": rows,
    }
