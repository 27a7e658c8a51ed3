"""What a capacity would cost: each setting's likelihood of the same texts, drops and time, beside no limit at all.

The texts are read once without a limit. What lies in front of the first expert layer is kept from that
(:mod:`trimtab.inspection.shared_prefix`), and so are the routers' choices; a batch in which nobody can be turned away
is not computed again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from trimtab.errors import ConfigurationError
from trimtab.inspection.batch_composition import ABOUT, compose
from trimtab.inspection.room_limits import RoomLimit, RoomLimiter, competition
from trimtab.inspection.router_ear import listening
from trimtab.inspection.shared_prefix import SharedPrefix
from trimtab.inspection.smallest_capacity import smallest
from trimtab.inspection.text_likelihood import TextSums, read_baseline, stacked, window_nats
from trimtab.inspection.token_windows import stack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from trimtab.inspection.inspected_model import InspectedModel
    from trimtab.inspection.text_likelihood import TextBaseline
    from trimtab.inspection.token_windows import TokenWindow, WindowBatch

FORMAT = "trimtab-capacity-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """How settings are compared.

    Args:
        batch_tokens: Most tokens of a batch in prefill.
        batch_rows: Sequences decoded together.
        margin: The largest rise in bits a byte that would not matter.
        seed: Of the orders and of resampling.
        resamples: Of the bootstrap.
    """

    batch_tokens: int = 2048
    batch_rows: int = 16
    margin: float = 0.02
    seed: int = 0
    resamples: int = 2000

    def groups(self, windows: Sequence[TokenWindow], limit: RoomLimit) -> list[list[int]]:
        """Return the batches of a setting, as places of ``windows``."""
        size = {"batch_tokens": self.batch_tokens} if limit.phase == "prefill" else {"batch_rows": self.batch_rows}
        return compose(windows, limit.composition, seed=self.seed, **size)


def plan_capacity(
    model: InspectedModel,
    windows: Sequence[TokenWindow],
    limits: Sequence[RoomLimit],
    options: PlanOptions,
    report: Callable[[int, int], None] = lambda *_: None,
) -> dict[str, Any]:
    """Return what each setting costs, and the smallest factor within the margin: plain values.

    Args:
        model: The model.
        windows: The texts.
        limits: The settings; a dropless one is always the baseline and need not be among them.
        options: How they are compared.
        report: Told of settings done and settings in all.

    Raises:
        ConfigurationError: The texts are shorter than one batch, or score nothing; or more experts are to be
            duplicated than there are.
        UnsupportedModelError: The model has no language-model head.
    """
    _check(model, windows, limits, options)
    prefix = SharedPrefix(model)
    shared = prefix.works
    base = read_baseline(model, windows, prefix, options.batch_tokens)
    rows = []
    for done, limit in enumerate(limits):
        rows.append(_run(model, windows, limit, prefix, base, options))
        report(done + 1, len(limits))
    sums = TextSums.of(windows)
    for row in rows:
        row.update(sums.compare(base.nats, row.pop("nats"), options.seed, options.resamples))
    return {
        "format": FORMAT,
        "source": model.name,
        "texts": sums.counts,
        "tokens": sum(len(window.ids) for window in windows),
        "scored": sum(window.scored for window in windows),
        "baseline_bits_per_byte": sums.bits_per_byte(base.nats),
        "batch_tokens": options.batch_tokens,
        "batch_rows": options.batch_rows,
        "margin": options.margin,
        "compositions": {name: ABOUT[name] for name in dict.fromkeys(limit.composition for limit in limits)},
        "shared_prefix": bool(shared and prefix.works),
        "settings": [{key: value for key, value in row.items() if key != "draws"} for row in rows],
        "smallest": smallest(rows, options.margin),
    }


def _check(
    model: InspectedModel, windows: Sequence[TokenWindow], limits: Sequence[RoomLimit], options: PlanOptions
) -> None:
    tokens, rows = sum(len(window.ids) for window in windows), len(windows)
    phases = {limit.phase for limit in limits}
    if "prefill" in phases and tokens < options.batch_tokens:
        raise ConfigurationError(
            f"the texts hold {tokens} tokens, fewer than one batch of {options.batch_tokens}",
            hint="more text, or a smaller --batch-tokens",
        )
    if "batched_decoding" in phases and rows < options.batch_rows:
        raise ConfigurationError(
            f"the texts are {rows} sequences, fewer than the {options.batch_rows} that are decoded together",
            hint="more texts, or a smaller --batch-rows",
        )
    if not any(window.scored for window in windows):
        raise ConfigurationError("nothing in the texts can be scored: each holds one token")
    fewest = min(router.num_experts for router in model.routers)
    most = max((limit.duplicates for limit in limits), default=0)
    if most > fewest:
        raise ConfigurationError(f"{most} experts cannot be duplicated in a layer of {fewest}")


@torch.inference_mode()
def _run(
    model: InspectedModel,
    windows: Sequence[TokenWindow],
    limit: RoomLimit,
    prefix: SharedPrefix,
    base: TextBaseline,
    options: PlanOptions,
) -> dict[str, Any]:
    copies = {}
    for router in model.routers:
        copies[router.layer] = np.ones(router.num_experts, dtype=np.int64)
        copies[router.layer][base.hot[router.layer][: limit.duplicates]] += 1
    limiter = RoomLimiter(limit, copies)
    nats = base.nats.copy()
    computed = 0
    groups = options.groups(windows, limit)
    for number, places in enumerate(groups):
        batch = stack([windows[place] for place in places], model.pad)
        group_T = competition(batch.windows, batch.ids.shape[1], limit.phase)
        limiter.expect(group_T, number)
        if _everybody_has_room(model, limit, group_T):
            _count(model, limiter, batch, [base.choices[place] for place in places], group_T)
            continue
        computed += 1
        states = [base.states[place] for place in places]
        with listening(model.routers, limiter), prefix.replaying(stacked(states, batch.ids.shape[1])):
            nats[places] = window_nats(model, batch)[0]
    tally = limiter.tally
    return {
        "factor": limit.factor,
        "drop_policy": limit.drop_policy,
        "phase": limit.phase,
        "composition": limit.composition,
        "duplicates": limit.duplicates,
        "batches": len(groups),
        "computed": computed,
        "calls": tally.calls,
        "dropped": 1 - tally.kept / tally.calls if tally.calls else 0.0,
        "drop_floor": None if math.isnan(tally.floor) else tally.floor / max(1, tally.calls),
        "busiest": tally.busiest / tally.even if tally.even else 1.0,
        "nats": nats,
    }


def _everybody_has_room(model: InspectedModel, limit: RoomLimit, group_T: NDArray[np.int64]) -> bool:
    """Tell whether every expert has as many slots as there are tokens: each calls an expert once at most."""
    sizes = np.unique(np.bincount(group_T[group_T >= 0]))
    shapes = {(router.num_experts, router.num_experts_per_tok) for router in model.routers}
    return all(limit.slots(int(size), *shape) >= size for size in sizes for shape in shapes)


def _count(
    model: InspectedModel,
    limiter: RoomLimiter,
    batch: WindowBatch,
    choices: Sequence[dict[int, NDArray[np.int16]]],
    group_T: NDArray[np.int64],
) -> None:
    """Count a batch in which nothing is dropped by the choices made without a limit, which are the same."""
    own_T = group_T[batch.mask.flatten().numpy()]
    competes = own_T >= 0
    for router in model.routers:
        if router.layer not in choices[0]:
            continue
        chosen = np.concatenate([held[router.layer] for held in choices]).astype(np.int64)[competes]
        shape = (int(own_T.max(initial=0)) + 1, router.num_experts)
        places = chosen + router.num_experts * own_T[competes][:, None]
        load = np.bincount(places.ravel(), minlength=shape[0] * shape[1]).reshape(shape)
        copies = limiter.copies[router.layer]
        limiter.tally.add(load, load, limiter.limit, copies, router.num_experts_per_tok)
