"""What sums of loads say: MaxVio with its floor, entropy, dead and rare experts, how alike domains are.

Each figure stands beside what chance alone would show for as many tokens.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.stats import binom

from trimtab.inspection.foreign_loads import rank_balance
from trimtab.inspection.router_usage import SCALARS, LayerUsage, plain
from trimtab.moe.routing import DEAD_SHARE, max_violation_floor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trimtab.inspection.foreign_loads import ForeignLoads

FORMAT: Final = "trimtab-routing-1"
# An expert below this share of the mean load that is not dead is called rare.
RARE_SHARE: Final = 0.25


def layer_record(usage: LayerUsage, domains: Sequence[str]) -> dict[str, Any]:
    """Return what a layer's sums say, of all texts together and of each domain."""
    parts = {"all": list(range(len(domains)))} | {name: [place] for place, name in enumerate(domains)}
    return {
        "layer": usage.layer,
        "name": usage.name,
        "num_experts": usage.num_experts,
        "num_experts_per_tok": usage.num_experts_per_tok,
        "domains": {name: domain_record(usage, places) for name, places in parts.items()},
        "similarity": similarities(usage, domains),
    }


def loads_record(source: str, found: ForeignLoads, ranks: int | None) -> dict[str, Any]:
    """Return what loads that others measured say, in the form of :func:`trimtab.inspection.routing_reading`.

    Raises:
        ConfigurationError: The experts cannot be cut into ``ranks`` equal runs.
    """
    tokens = max(int(usage.tokens.sum()) for usage in found.layers)
    record: dict[str, Any] = {
        "format": FORMAT,
        "source": source,
        "kind": found.kind,
        "model_type": "",
        "domains": {"measured": {"texts": None, "tokens": tokens or None}},
        "layers": [layer_record(usage, ["measured"]) for usage in found.layers],
        "without": list(found.without),
        "notes": list(found.notes),
    }
    if ranks is not None:
        record["ranks"] = rank_balance(np.concatenate([usage.load for usage in found.layers]), ranks)
    return record


def domain_record(usage: LayerUsage, places: Sequence[int]) -> dict[str, Any]:
    """Return the measures of a layer on the domains at ``places`` together.

    Keys: tokens, load [E] (calls), max_violation and its floor where K and the tokens are known, min_violation,
    entropy (over its maximum), dead and rare (experts by number), dead_by_chance (experts that a uniform router would
    leave dead in as many tokens); and where weights were heard weight_share [E], weight_max_violation and the means
    over tokens that :data:`~trimtab.inspection.router_usage.SCALARS` names.
    """
    load, tokens = usage.load[places].sum(0), int(usage.tokens[places].sum())
    record: dict[str, Any] = {"tokens": tokens, "load": load.tolist(), **load_measures(load)}
    if usage.num_experts_per_tok and tokens:
        record["max_violation_floor"] = max_violation_floor(tokens, usage.num_experts, usage.num_experts_per_tok)
        record["dead_by_chance"] = dead_by_chance(tokens, usage.num_experts, usage.num_experts_per_tok)
    if usage.weight is not None and usage.scalars is not None and tokens:
        share = usage.weight[places].sum(0) / tokens
        record["weight_share"] = plain(share)
        record["weight_max_violation"] = float(share.max() * len(share) / max(share.sum(), 1e-300) - 1)
        record |= dict(zip(SCALARS, plain(usage.scalars[places].sum(0) / tokens), strict=True))
    return record


def load_measures(load: NDArray[Any]) -> dict[str, Any]:
    """Return MaxVio, MinVio (1 − min / mean), entropy over its maximum, dead and rare experts of a load [E]."""
    total, count = float(load.sum()), len(load)
    if not total:
        return {"max_violation": 0.0, "min_violation": 0.0, "entropy": 1.0, "dead": [], "rare": []}
    ratio, share = load * count / total, load / total
    inside = share[share > 0]
    entropy = float(-(inside * np.log(inside)).sum()) / math.log(count) if count > 1 else 1.0
    dead = ratio < DEAD_SHARE
    return {
        "max_violation": float(ratio.max() - 1),
        "min_violation": float(1 - ratio.min()),
        "entropy": entropy,
        "dead": np.flatnonzero(dead).tolist(),
        "rare": np.flatnonzero(~dead & (ratio < RARE_SHARE)).tolist(),
    }


def dead_by_chance(tokens: int, num_experts: int, num_experts_per_tok: int) -> float:
    """Return how many of E experts a router that picks K of them uniformly leaves dead in T tokens."""
    share = num_experts_per_tok / num_experts
    if not tokens or not share or share >= 1:
        return 0.0
    below = math.ceil(DEAD_SHARE * tokens * share) - 1
    return float(num_experts * binom.cdf(below, tokens, share))


def similarities(usage: LayerUsage, domains: Sequence[str]) -> list[dict[str, Any]]:
    """Return for each pair of domains how much their loads overlap: Σ_e min(p_e, q_e), and what chance would show.

    Two samples of one domain overlap by 1 − ½ Σ_e E|p̂_e − q̂_e| in expectation, with the normal approximation of the
    binomial under the pooled load. Tokens of a text are no independent draws, so that real samples overlap less.
    """
    calls = usage.load.sum(1)
    pairs = []
    for first in range(len(domains)):
        for second in range(first + 1, len(domains)):
            if not calls[first] or not calls[second]:
                continue
            mine, other = usage.load[first] / calls[first], usage.load[second] / calls[second]
            pooled = (usage.load[first] + usage.load[second]) / (calls[first] + calls[second])
            called = np.clip(pooled * usage.num_experts_per_tok, 0, 1)
            spread = np.sqrt(called * (1 - called) * (1 / usage.tokens[first] + 1 / usage.tokens[second]))
            apart = np.sqrt(2 / np.pi) * spread.sum() / usage.num_experts_per_tok
            pairs.append(
                {
                    "domains": [domains[first], domains[second]],
                    "overlap": float(np.minimum(mine, other).sum()),
                    "by_chance": float(1 - apart / 2),
                }
            )
    return pairs
