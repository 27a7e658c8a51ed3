"""Can this score be k of N problems? A consistency flag for pass@1 by greedy decoding, never a refutation.

A benchmark has several published sizes, and a value is flagged only when none of them fits, so the test is weak where
one of them is large: at one decimal, of 974 problems almost every value can be had.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trimtab.claims.arithmetic import attainable
from trimtab.claims.name_registry import Registry
from trimtab.claims.wording import key
from trimtab.codeeval.benchmark_registry import counts

if TYPE_CHECKING:
    from trimtab.claims.claim_model import Fact

_NEVER_REPORTED: Final = ("prompt", "train", "validation")
_REGISTRY: Final = Registry.load()


def _counts() -> dict[str, tuple[int, ...]]:
    """Return the sizes of the sets that scores are reported on, by id of the registry of names."""
    found: dict[str, set[int]] = {}
    for (family, split), count in counts().items():
        benchmark = _REGISTRY.id_of(family, "benchmarks")
        if benchmark and not split.endswith(_NEVER_REPORTED):
            found.setdefault(benchmark, set()).add(count)
    return {benchmark: tuple(sorted(sizes)) for benchmark, sizes in found.items()}


COUNTS: Final = _counts()


def unattainable(fact: Fact) -> str:
    """Return why no known number of problems gives the value of a fact; empty if one does, or none is known."""
    setting, value = fact.setting, fact.value
    benchmark = _REGISTRY.id_of(fact.benchmark, "benchmarks")
    scored = (
        setting.k in (None, 1)
        and setting.decoding != "sampled"
        and fact.relation == "equals"
        and fact.hedge == "exactly"
    )
    if value is None or not scored or benchmark not in COUNTS or not value.decimals or not 0 <= value.value <= 100:
        return ""
    if fact.metric and not key(fact.metric).startswith("pass"):
        return ""
    known = (setting.problems,) if setting.problems else COUNTS[benchmark]
    if any(attainable(value.value, value.decimals, known).values()):
        return ""
    sizes = " or ".join(f"k/{count}" for count in known)
    return (
        f"{value.text} on {fact.benchmark} is not {sizes} for any whole k, so it is no greedy pass@1 of that benchmark"
    )
