"""What a capacity would cost: each setting's likelihood of the same texts, drops and time, beside no limit at all.

The texts are read once without a limit. What lies in front of the first expert layer is kept from that
(:mod:`trimtab.inspection.shared_prefix`), and so are the routers' choices; a batch in which nobody can be turned away
is not computed again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from trimtab.errors import ConfigurationError
from trimtab.inspection.batch_composition import ABOUT, compose
from trimtab.inspection.room_limits import RoomLimit, RoomLimiter, competition
from trimtab.inspection.router_ear import listening
from trimtab.inspection.shared_prefix import SharedPrefix
from trimtab.inspection.smallest_capacity import differences, smallest
from trimtab.inspection.token_windows import batches, stack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from trimtab.inspection.inspected_model import InspectedModel
    from trimtab.inspection.router_ear import HeardDecision
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


@dataclass(slots=True, kw_only=True, eq=False)
class _Baseline:
    """The texts read once, without a limit: by window, nats, states in front of the experts, and choices by layer."""

    nats: NDArray[np.float64]
    states: list[Tensor | None]
    choices: list[dict[int, NDArray[np.int16]]]
    hot: dict[int, NDArray[np.int64]] = field(default_factory=dict)


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
    base = _read_once(model, windows, prefix, options)
    rows = []
    for done, limit in enumerate(limits):
        rows.append(_run(model, windows, limit, prefix, base, options))
        report(done + 1, len(limits))
    texts = list(dict.fromkeys((window.domain, window.name) for window in windows))
    place = {text: number for number, text in enumerate(texts)}
    owner = np.array([place[window.domain, window.name] for window in windows])
    size = np.bincount(owner, weights=[window.num_bytes for window in windows]).astype(np.float64)
    before = np.bincount(owner, weights=base.nats)
    domains = np.array([domain for domain, _ in texts])
    for row in rows:
        after = np.bincount(owner, weights=row.pop("nats"))
        row.update(differences((after - before) / math.log(2), size, domains, options.seed, options.resamples))
    return {
        "format": FORMAT,
        "source": model.name,
        "texts": {str(name): int((domains == name).sum()) for name in dict.fromkeys(domains)},
        "tokens": sum(len(window.ids) for window in windows),
        "scored": sum(window.scored for window in windows),
        "baseline_bits_per_byte": {
            str(name): float(before[domains == name].sum() / math.log(2) / size[domains == name].sum())
            for name in dict.fromkeys(domains)
        },
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
def _read_once(
    model: InspectedModel, windows: Sequence[TokenWindow], prefix: SharedPrefix, options: PlanOptions
) -> _Baseline:
    base = _Baseline(nats=np.zeros(len(windows)), states=[None] * len(windows), choices=[{} for _ in windows])
    places = {id(window): place for place, window in enumerate(windows)}
    heard: dict[int, Tensor] = {}

    def note(decision: HeardDecision) -> None:
        heard[decision.router.layer] = decision.experts.to(torch.int16).cpu()

    checked = not prefix.works
    for batch in batches(windows, batch_tokens=options.batch_tokens, pad=model.pad):
        with listening(model.routers, note), prefix.recording() as states:
            nats, logits = _nats(model, batch)
        if not checked and logits is not None and prefix.works and states:
            with prefix.replaying(states[0]):
                _, again = _nats(model, batch)
            checked = again is not None and (prefix.check(logits, again) or True)
        width = batch.ids.shape[1]
        for row, window in enumerate(batch.windows):
            place, length = places[id(window)], len(window.ids)
            base.nats[place] = nats[row]
            if prefix.works and states:
                base.states[place] = states[0][row, :length].clone()
            base.choices[place] = {
                layer: chosen[row * width : row * width + length].numpy() for layer, chosen in heard.items()
            }
    for router in model.routers:
        load = np.zeros(router.num_experts, dtype=np.int64)
        for chosen in base.choices:
            if router.layer in chosen:
                load += np.bincount(chosen[router.layer].ravel(), minlength=router.num_experts)
        base.hot[router.layer] = np.argsort(-load, kind="stable")
    return base


def _nats(model: InspectedModel, batch: WindowBatch) -> tuple[list[float], Tensor | None]:
    """Return the nats of the scored tokens of each window, and the logits they came from; None where there are none."""
    width = batch.ids.shape[1]
    rows = [
        torch.arange(row * width + len(window.ids) - window.scored - 1, row * width + len(window.ids) - 1)
        for row, window in enumerate(batch.windows)
    ]
    wanted = torch.cat(rows)
    if not len(wanted):
        return [0.0] * len(batch.windows), None
    with model.selected_logits(wanted):
        logits: Tensor = model.run(batch, logits=True).logits[0]
    losses = functional.cross_entropy(
        logits.float(), batch.ids.flatten()[wanted + 1].to(logits.device), reduction="none"
    )
    return [float(part.double().sum()) for part in losses.cpu().split([len(each) for each in rows])], logits


@torch.inference_mode()
def _run(
    model: InspectedModel,
    windows: Sequence[TokenWindow],
    limit: RoomLimit,
    prefix: SharedPrefix,
    base: _Baseline,
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
        with listening(model.routers, limiter), prefix.replaying(_stacked(states, batch.ids.shape[1])):
            nats[places] = _nats(model, batch)[0]
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


def _stacked(states: Sequence[Tensor | None], width: int) -> Tensor | None:
    """Return the states [B, S, ...] of windows, padded with zeros to the width of their batch."""
    held = [state for state in states if state is not None]
    if len(held) < len(states) or not held:
        return None
    padded = held[0].new_zeros(len(held), width, *held[0].shape[1:])
    for row, state in enumerate(held):
        padded[row, : len(state)] = state
    return padded
