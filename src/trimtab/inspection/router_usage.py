"""What routers did with the tokens of each domain, summed as they go by: memory does not grow with the tokens.

Axes: T tokens, E experts, K experts a token, D domains.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from trimtab.errors import UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from trimtab.inspection.router_ear import HeardDecision
    from trimtab.moe.router import Router

# A token whose last expert has less than this share of its weight is served by fewer experts than it calls.
SATURATED_SHARE: Final = 0.01
SCALARS: Final = ("confidence", "margin", "saturation", "experts_in_effect", "choice_entropy")


@dataclass(slots=True, kw_only=True, eq=False)
class LayerUsage:
    """Sums of one layer.

    Args:
        layer: Its number.
        name: The router's name in the model.
        num_experts, num_experts_per_tok: E and K.
        load: [D, E] calls.
        weight: [D, E] summed shares that the experts have in the weight of their tokens.
        scalars: [D, len(SCALARS)] sums over tokens.
        tokens: [D] tokens; None where only loads are known.
    """

    layer: int
    name: str
    num_experts: int
    num_experts_per_tok: int
    load: NDArray[np.int64]
    weight: NDArray[np.float64] | None
    scalars: NDArray[np.float64] | None
    tokens: NDArray[np.int64]

    @classmethod
    def empty(cls, router: Router, domains: int) -> LayerUsage:
        """Return sums of nothing."""
        return cls(
            layer=router.layer,
            name=router.name,
            num_experts=router.num_experts,
            num_experts_per_tok=router.num_experts_per_tok,
            load=np.zeros((domains, router.num_experts), dtype=np.int64),
            weight=np.zeros((domains, router.num_experts)),
            scalars=np.zeros((domains, len(SCALARS))),
            tokens=np.zeros(domains, dtype=np.int64),
        )


class UsageCounter:
    """A listener that sums what routers decide, by domain.

    Args:
        routers: The routers that will be heard.
        domains: How many domains there are.
    """

    def __init__(self, routers: Sequence[Router], domains: int) -> None:
        self.domains = domains
        self.layers = {router.layer: LayerUsage.empty(router, domains) for router in routers}
        self._domain_T = torch.zeros(0, dtype=torch.int64)
        self._valid_T: Tensor | None = None
        self._text_T = self._domain_T

    def expect(self, domain_T: Tensor, valid_T: Tensor | None) -> None:
        """Note the domain [T] of each token of the next pass, and which are text [T]; None when all are."""
        self._domain_T, self._valid_T = domain_T, valid_T
        self._text_T = domain_T if valid_T is None else domain_T[valid_T]

    @torch.no_grad()
    def __call__(self, decision: HeardDecision) -> None:
        """Add one decision to the sums.

        Raises:
            UnsupportedModelError: The router sees another number of tokens than the model was given.
        """
        router, text_T = decision.router, self._text_T
        probabilities_TE, experts_TK, weights_TK = decision.probabilities, decision.experts, decision.weights
        if len(experts_TK) != len(self._domain_T):
            raise UnsupportedModelError(
                f"{router.name} sees {len(experts_TK)} tokens where the model was given {len(self._domain_T)}:"
                " which text they belong to is not known"
            )
        if self._valid_T is not None:
            valid_T = self._valid_T.to(experts_TK.device)
            probabilities_TE, experts_TK, weights_TK = (
                each[valid_T] for each in (probabilities_TE, experts_TK, weights_TK)
            )
        usage = self.layers[router.layer]
        place_TK = (experts_TK.long().cpu() + router.num_experts * text_T[:, None]).flatten()
        shape = (self.domains, router.num_experts)
        usage.load += torch.bincount(place_TK, minlength=math.prod(shape)).view(shape).numpy()
        # A weight may be 0 where an expert is called in vain, and negative in no family known.
        share_TK = weights_TK.float() / weights_TK.float().sum(-1, keepdim=True).clamp_min(torch.finfo().tiny)
        assert usage.weight is not None and usage.scalars is not None  # noqa: S101, PT018 - made with both
        summed = torch.bincount(place_TK, weights=share_TK.flatten().double().cpu(), minlength=math.prod(shape))
        usage.weight += summed.view(shape).numpy()
        values_ST = torch.stack(_values(probabilities_TE, experts_TK, share_TK)).double().cpu()
        for place, values_T in enumerate(values_ST):
            usage.scalars[:, place] += torch.bincount(text_T, weights=values_T, minlength=self.domains).numpy()
        usage.tokens += torch.bincount(text_T, minlength=self.domains).numpy()

    @property
    def unheard(self) -> list[str]:
        """Names of routers that no token reached."""
        return [usage.name for usage in self.layers.values() if not usage.tokens.any()]


def _values(probabilities_TE: Tensor, experts_TK: Tensor, share_TK: Tensor) -> list[Tensor]:
    """Return the values [T] that :data:`SCALARS` names."""
    chosen_TK = probabilities_TE.gather(1, experts_TK.long())
    others_TE = probabilities_TE.scatter(1, experts_TK.long(), -1.0)
    unchosen_T = others_TE.amax(1)
    # With every expert chosen there is none to fall back on.
    margin_T = torch.where(unchosen_T < 0, chosen_TK.amin(1), chosen_TK.amin(1) - unchosen_T)
    entropy_T = torch.special.entr(probabilities_TE).sum(1) / max(math.log(probabilities_TE.shape[1]), 1e-9)
    return [
        probabilities_TE.amax(1),
        margin_T,
        (share_TK.amin(1) < SATURATED_SHARE).float(),
        torch.special.entr(share_TK).sum(1).exp(),
        entropy_T,
    ]


def plain(values: Any) -> list[float]:  # noqa: ANN401 - an array of numbers
    """Return numbers at six digits."""
    return [float(f"{value:.6g}") for value in np.asarray(values, dtype=np.float64).tolist()]
