"""The likelihood of texts under a model, window by window, and how two of them differ text by text."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from trimtab.inspection.router_ear import listening
from trimtab.inspection.smallest_capacity import differences
from trimtab.inspection.token_windows import batches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from trimtab.inspection.inspected_model import InspectedModel
    from trimtab.inspection.router_ear import HeardDecision
    from trimtab.inspection.shared_prefix import SharedPrefix
    from trimtab.inspection.token_windows import TokenWindow, WindowBatch


@dataclass(slots=True, kw_only=True, eq=False)
class TextBaseline:
    """The texts read once, as the model is.

    Attributes:
        nats: [N] of each window.
        states: Of each window, what its first expert layer got; None where that is not shared.
        choices: Of each window, the experts [S, K] of each layer.
        hot: The experts of each layer by their calls, most first.
    """

    nats: NDArray[np.float64]
    states: list[Tensor | None]
    choices: list[dict[int, NDArray[np.int16]]]
    hot: dict[int, NDArray[np.int64]] = field(default_factory=dict)


@torch.inference_mode()
def read_baseline(
    model: InspectedModel, windows: Sequence[TokenWindow], prefix: SharedPrefix, batch_tokens: int
) -> TextBaseline:
    """Read the windows once; where stepping over the layers in front gives other logits, ``prefix`` gives up.

    Raises:
        UnsupportedModelError: The model has no language-model head.
    """
    base = TextBaseline(nats=np.zeros(len(windows)), states=[None] * len(windows), choices=[{} for _ in windows])
    places = {id(window): place for place, window in enumerate(windows)}
    heard: dict[int, Tensor] = {}

    def note(decision: HeardDecision) -> None:
        heard[decision.router.layer] = decision.experts.to(torch.int16).cpu()

    checked = not prefix.works
    for batch in batches(windows, batch_tokens=batch_tokens, pad=model.pad):
        with listening(model.routers, note), prefix.recording() as states:
            nats, logits = window_nats(model, batch)
        if not checked and logits is not None and prefix.works and states:
            with prefix.replaying(states[0]):
                _, again = window_nats(model, batch)
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


def window_nats(model: InspectedModel, batch: WindowBatch) -> tuple[list[float], Tensor | None]:
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


def stacked(states: Sequence[Tensor | None], width: int) -> Tensor | None:
    """Return the states [B, S, ...] of windows, padded with zeros to the width of their batch."""
    held = [state for state in states if state is not None]
    if len(held) < len(states) or not held:
        return None
    padded = held[0].new_zeros(len(held), width, *held[0].shape[1:])
    for row, state in enumerate(held):
        padded[row, : len(state)] = state
    return padded


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextSums:
    """Sums over the windows of each text.

    Args:
        owner: [N] text of each window.
        size: [M] bytes that are scored of each text.
        domains: [M] its domain.
    """

    owner: NDArray[np.int64]
    size: NDArray[np.float64]
    domains: NDArray[Any]

    @classmethod
    def of(cls, windows: Sequence[TokenWindow]) -> TextSums:
        """Return the sums over these windows."""
        texts = list(dict.fromkeys((window.domain, window.name) for window in windows))
        place = {text: number for number, text in enumerate(texts)}
        owner = np.array([place[window.domain, window.name] for window in windows])
        size = np.bincount(owner, weights=[window.num_bytes for window in windows]).astype(np.float64)
        return cls(owner=owner, size=size, domains=np.array([domain for domain, _ in texts]))

    @property
    def counts(self) -> dict[str, int]:
        """Texts of each domain."""
        return {str(name): int((self.domains == name).sum()) for name in dict.fromkeys(self.domains.tolist())}

    def bits_per_byte(self, nats: NDArray[np.float64]) -> dict[str, float]:
        """Return the bits a byte of each domain, from the nats [N] of the windows."""
        bits = np.bincount(self.owner, weights=nats) / math.log(2)
        return {
            name: float(bits[self.domains == name].sum() / self.size[self.domains == name].sum())
            for name in self.counts
        }

    def compare(
        self, before: NDArray[np.float64], after: NDArray[np.float64], seed: int, resamples: int
    ) -> dict[str, Any]:
        """Return the rise in bits a byte from nats [N] to nats [N], with its interval over texts."""
        bits = np.bincount(self.owner, weights=after - before) / math.log(2)
        return differences(bits, self.size, self.domains, seed, resamples)
