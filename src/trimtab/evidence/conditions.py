"""Under what conditions a claim about balancing is made, read from its words: method, control, stress, sizes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from trimtab.evidence.claims import Conditions

if TYPE_CHECKING:
    from trimtab.evidence.names import Registry

_SCALE: Final = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
_PARAMETERS: Final = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)\s?([KMBT])\b(?!\s*tokens)(?:[- ]param\w*)?", re.IGNORECASE)
_TOKENS: Final = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)\s?([KMBT])\s+(?:training\s+)?tokens\b", re.IGNORECASE)
_EXPERTS: Final = re.compile(r"(?<![\w.])(\d+)\s+(?:routed\s+)?experts\b", re.IGNORECASE)
_TOP: Final = re.compile(r"\btop-(\d+)\b", re.IGNORECASE)
_CAPACITY: Final = re.compile(r"\bcapacity(?: factor)?(?: of| =|=)?\s*(\d+(?:\.\d+)?)\b", re.IGNORECASE)
_SEEDS: Final = re.compile(r"(?<![\w.])(\d+)\s+seeds\b", re.IGNORECASE)
_VERSION: Final = re.compile(r"\bMBPP[ -](sanitized|full)\b", re.IGNORECASE)


def read(text: str, registry: Registry) -> Conditions:
    """Return what a statement says; all empty unless it names a balancing method.

    >>> from trimtab.evidence.names import Registry
    >>> found = read("ALF-LB loses more than the auxiliary loss under capacity 1.0 at 16B", Registry.load())
    >>> found.method, found.control, found.capacity_factor, found.parameters
    ('ALF-LB', 'auxiliary loss', 1.0, 16000000000.0)
    """
    methods = registry.find(text, ("methods",))
    if not methods:
        return Conditions()
    stressors = registry.find(text, ("stressors",))
    other = next((one for one in methods if one.id != methods[0].id), None)
    version = _VERSION.search(text)
    return Conditions(
        method=methods[0].text,
        control=other.text if other else "",
        stressor=stressors[0].text if stressors else "",
        parameters=_scaled(_PARAMETERS, text),
        tokens=_scaled(_TOKENS, text),
        num_experts=_whole(_EXPERTS, text),
        top_k=_whole(_TOP, text),
        capacity_factor=float(found[1]) if (found := _CAPACITY.search(text)) else None,
        seeds=_whole(_SEEDS, text),
        benchmark_version=version[1].casefold() if version else "",
    )


def _scaled(pattern: re.Pattern[str], text: str) -> float | None:
    match = pattern.search(text)
    return float(match[1]) * _SCALE[match[2].upper()] if match else None


def _whole(pattern: re.Pattern[str], text: str) -> int | None:
    match = pattern.search(text)
    return int(match[1]) if match else None
