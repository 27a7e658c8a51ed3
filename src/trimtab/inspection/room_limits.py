"""A capacity at evaluation as a server would have it: in prefill, in batched and in single decoding.

Who competes with whom is a number for each token. In prefill it is that of the batch. In decoding it is the step: the
tokens that the sequences of a batch emit together compete, those of the prompt do not, because they were read before;
texts are given, not sampled. A token decoded alone competes with nobody, and an expert has at least one slot, so that
it loses no call whatever the capacity.

Axes: T tokens, E experts, K experts a token, P groups that compete among themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np
import torch

from trimtab.moe.capacity import priority, served
from trimtab.moe.routing import expected_drops
from trimtab.settings.capacities import DropPolicy, check_factor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from trimtab.inspection.batch_composition import Composition
    from trimtab.inspection.router_ear import HeardDecision
    from trimtab.inspection.token_windows import TokenWindow

Phase = Literal["prefill", "batched_decoding", "single_decoding"]
PHASES: Final[tuple[Phase, ...]] = get_args(Phase)
POLICIES: Final[tuple[DropPolicy, ...]] = get_args(DropPolicy)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomLimit:
    """One setting of a plan.

    Args:
        factor: Capacity factor C; None is dropless.
        drop_policy: Who comes first; see :class:`~trimtab.settings.capacities.Capacity`.
        phase: Who competes.
        composition: Who shares a batch.
        duplicates: Experts of each layer, the ones with most calls, that are there twice. Room is shared among all
            E + duplicates of them, so that the same total is given out.

    Raises:
        ConfigurationError: ``factor`` is not positive and finite.
    """

    factor: float | None
    drop_policy: DropPolicy = "probs"
    phase: Phase = "prefill"
    composition: Composition = "shuffled"
    duplicates: int = 0

    def __post_init__(self) -> None:
        check_factor(self.factor, "capacity")

    def slots(self, tokens: int, num_experts: int, top_k: int) -> int:
        """Return the slots of one physical expert for T tokens: ⌈C·K·T / (E + duplicates)⌉, at least 1."""
        if self.factor is None:
            return tokens
        return max(1, math.ceil(Fraction(str(self.factor)) * top_k * tokens / (num_experts + self.duplicates)))


def competition(windows: Sequence[TokenWindow], width: int, phase: Phase) -> NDArray[np.int64]:
    """Return [T] the group of each token of a batch of rows padded to ``width``; −1 for those that always have room."""
    group = np.full((len(windows), width), -1, dtype=np.int64)
    for row, window in enumerate(windows):
        length = len(window.ids)
        if phase == "prefill":
            group[row, :length] = 0
            continue
        # The token that is emitted last is never read.
        steps = np.arange(max(0, window.scored - 1))
        own = steps if phase == "batched_decoding" else row * width + steps
        group[row, length - window.scored : length - window.scored + len(steps)] = own
    if phase == "single_decoding":
        _, numbers = np.unique(group[group >= 0], return_inverse=True)
        group[group >= 0] = numbers
    return group.reshape(-1)


@dataclass(slots=True)
class RoomTally:
    """Calls, drops and time over batches and layers, of a setting.

    Args:
        calls, kept: Calls that compete, and those with room.
        floor: Drops of a uniform router; NaN with duplicates.
        busiest: Σ over groups and layers of the calls that the busiest physical expert serves.
        even: The same if all served as many, nothing being dropped.
    """

    calls: int = 0
    kept: int = 0
    floor: float = 0.0
    busiest: float = 0.0
    even: float = 0.0

    def add(self, load_PE: NDArray[np.int64], kept_PE: NDArray[np.int64], limit: RoomLimit, copies_E: NDArray[np.int64],
            top_k: int) -> None:  # fmt: skip
        """Count one layer of one batch: loads before and after drops of each group."""
        self.calls += int(load_PE.sum())
        self.kept += int(kept_PE.sum())
        self.busiest += float(np.ceil(kept_PE / copies_E).max(1).sum())
        self.even += float(load_PE.sum() / copies_E.sum())
        if limit.duplicates:
            self.floor = math.nan
        elif limit.factor is not None:
            count = load_PE.shape[1]
            for tokens, groups in zip(*np.unique(load_PE.sum(1) // top_k, return_counts=True), strict=True):
                room = limit.slots(int(tokens), count, top_k)
                self.floor += float(groups) * expected_drops(int(tokens), count, top_k, room)


class RoomLimiter:
    """A listener that takes the weight from calls without room.

    Args:
        limit: The setting.
        copies: [E] physical copies of each expert, by layer.
    """

    def __init__(self, limit: RoomLimit, copies: Mapping[int, NDArray[np.int64]]) -> None:
        self.limit = limit
        self.copies = copies
        self.tally = RoomTally()
        self._group_T = torch.zeros(0, dtype=torch.int64)
        self._batch = 0

    def expect(self, group_T: NDArray[np.int64], batch: int) -> None:
        """Note the groups [T] of the tokens of the next pass, and its number."""
        self._group_T, self._batch = torch.from_numpy(group_T), batch

    @torch.no_grad()
    def __call__(self, decision: HeardDecision) -> Tensor:
        """Return the weights [T, K], 0 where a call found no room."""
        router, limit, group_T = decision.router, self.limit, self._group_T
        experts_TK = decision.experts.long().cpu()
        competes_TK = (group_T >= 0)[:, None].expand_as(experts_TK)
        place_TK = experts_TK + router.num_experts * group_T.clamp_min(0)[:, None]
        groups = int(group_T.max()) + 1 if len(group_T) else 0
        shape = (max(groups, 1), router.num_experts)
        copies_E = self.copies[router.layer]
        room_P = [limit.slots(tokens, shape[1], router.num_experts_per_tok) for tokens in self._sizes(shape[0])]
        room_PE = torch.tensor(room_P)[:, None] * torch.from_numpy(copies_E)
        generator = None
        if limit.drop_policy == "random":
            generator = torch.Generator().manual_seed(hash((self._batch, router.layer)) % 2**63)
        key_TK = priority(decision.weights.float().cpu(), limit.drop_policy, generator)
        found_TK = served(place_TK, competes_TK, room_PE.flatten(), key_TK)
        kept_TK = found_TK | ~competes_TK
        load_PE, kept_PE = (
            torch.bincount(place_TK[chosen], minlength=shape[0] * shape[1]).view(shape).numpy()
            for chosen in (competes_TK, found_TK & competes_TK)
        )
        self.tally.add(load_PE, kept_PE, limit, copies_E, router.num_experts_per_tok)
        return decision.weights.masked_fill(~kept_TK.to(decision.weights.device), 0)

    def _sizes(self, groups: int) -> list[int]:
        sizes: list[int] = torch.bincount(self._group_T[self._group_T >= 0], minlength=groups).tolist()
        return sizes
