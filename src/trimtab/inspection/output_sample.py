"""What each expert adds to the residual stream, measured on a few tokens while texts are read.

The calls of the drawn tokens are made once more, each choice as a token of its own, and only in the experts: no text is
read twice for it. Tokens are drawn singly, so that every text has some. The first ones of a domain are drawn more often
than those behind them, and count for less, so that short texts have enough and long ones cost little.

Axes: T tokens, N drawn tokens, E experts, K experts a token, H hidden.
"""

from __future__ import annotations

import zlib
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from trimtab.inspection.call_norms import called_as_usual, single_norms
from trimtab.inspection.router_ear import listening

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from trimtab.inspection.router_ear import HeardDecision
    from trimtab.inspection.token_windows import WindowBatch
    from trimtab.moe.router import Router

# One token in so many is drawn: of the first ones of a domain, and of those behind them.
FIRST_TOKENS: Final = 2048
FIRST_SHARE: Final = 8
USUAL_SHARE: Final = 64
# Drawn tokens are kept until there are so many: a call of few tokens reads every expert's weights for little.
_CALLED_AT_ONCE: Final = 256


@dataclass(slots=True, eq=False)
class _Held:
    """Drawn tokens of one layer that wait to be measured: hidden states [N, H], choices, weights [N, K], counts [N]."""

    parts: list[tuple[Tensor, Tensor, Tensor, Tensor]] = field(default_factory=list)
    tokens: int = 0


class OutputSample:
    """Sums the squared norms of what experts add to the tokens it draws.

    Args:
        routers: The routers whose experts are measured; none of them draws nothing.

    Attributes:
        tokens: Drawn so far.
        unmeasured: Routers whose experts cannot be called with single choices (they need the whole block instead).
    """

    def __init__(self, routers: Sequence[Router]) -> None:
        self.routers = tuple(routers)
        self.tokens = 0
        self.unmeasured: set[int] = set()
        self._squares = {router.layer: np.zeros(router.num_experts) for router in routers}
        self._seen: dict[str, int] = {}
        self._rows: Tensor | None = None
        self._counts: Tensor | None = None
        self._decisions: dict[int, HeardDecision] = {}
        self._held: dict[int, _Held] = {router.layer: _Held() for router in routers}

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Measure the batches inside, each announced by :meth:`expect`."""
        with ExitStack() as stack:
            stack.enter_context(listening(self.routers, self._note))
            for router in self.routers:

                def hook(module: Any, args: tuple[Any, ...], router: Router = router) -> None:  # noqa: ANN401
                    self._take(router, module, args)

                stack.callback(router.experts.register_forward_pre_hook(hook).remove)
            yield

    def expect(self, batch: WindowBatch) -> None:
        """Draw tokens of the batch that is read next."""
        if not self.routers:
            return
        rows, counts = [], []
        for place, window in enumerate(batch.windows):
            drawn, shares = draw(
                f"{window.domain}/{window.name}:{window.start}", len(window.ids), self._seen.get(window.domain, 0)
            )
            self._seen[window.domain] = self._seen.get(window.domain, 0) + len(window.ids)
            rows.append(drawn + place * batch.ids.shape[1])
            counts.append(shares)
        self._rows = torch.from_numpy(np.concatenate(rows))
        self._counts = torch.from_numpy(np.concatenate(counts))
        self.tokens += len(self._rows)

    def squares(self) -> dict[int, NDArray[np.float64]]:
        """Return by layer the summed squared norms [E] of what each expert adds, estimated for all tokens."""
        for router in self.routers:
            self._measure(router)
        return {layer: values for layer, values in self._squares.items() if layer not in self.unmeasured}

    def _note(self, decision: HeardDecision) -> None:
        self._decisions[decision.router.layer] = decision

    @torch.no_grad()
    def _take(self, router: Router, module: Any, args: tuple[Any, ...]) -> None:  # noqa: ANN401 - any family's experts
        """Hold the drawn tokens' calls; measure once there are enough."""
        decision, rows, counts = self._decisions.pop(router.layer, None), self._rows, self._counts
        if decision is None or rows is None or counts is None or router.layer in self.unmeasured:
            return
        if module is not router.experts or not called_as_usual(args, decision):
            self.unmeasured.add(router.layer)
            return
        if not len(rows):
            return
        held, place = self._held[router.layer], rows.to(args[0].device)
        held.parts.append((args[0][place], args[1][place], args[2][place], counts))
        held.tokens += len(rows)
        if held.tokens >= _CALLED_AT_ONCE:
            self._measure(router)

    @torch.no_grad()
    def _measure(self, router: Router) -> None:
        held = self._held[router.layer]
        if not held.parts or router.layer in self.unmeasured:
            return
        hidden_NH, experts_NK, weights_NK, counts_N = (torch.cat(parts) for parts in zip(*held.parts, strict=True))
        self._held[router.layer] = _Held()
        norms_NK = single_norms(router.experts, hidden_NH, experts_NK)
        if norms_NK is None:
            self.unmeasured.add(router.layer)
            return
        added_NK = (norms_NK * weights_NK.float()).double().square().cpu() * counts_N[:, None]
        self._squares[router.layer] += np.bincount(
            experts_NK.cpu().numpy().ravel(), weights=added_NK.numpy().ravel(), minlength=router.num_experts
        )


def draw(name: str, tokens: int, seen: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return which of a window's tokens are drawn, and for how many tokens each of them stands.

    Args:
        name: Of the window: the same window has the same draw.
        tokens: In the window.
        seen: Tokens of its domain in front of it.
    """
    shares = np.where(np.arange(seen, seen + tokens) < FIRST_TOKENS, FIRST_SHARE, USUAL_SHARE)
    drawn = np.flatnonzero(np.random.default_rng([20_260_033, zlib.crc32(name.encode())]).random(tokens) * shares < 1)
    return drawn, shares[drawn].astype(np.float64)
