"""Under what conditions a claim about balancing is made, read from its words: method, control, stress, sizes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

from trimtab.claims.claim_model import Conditions

if TYPE_CHECKING:
    from trimtab.claims.name_registry import Registry

_SCALE: Final = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
_PARAMETERS: Final = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)\s?([KMBT])\b(?!\s*tokens)(?:[- ]param\w*)?", re.IGNORECASE)
_TOKENS: Final = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)\s?([KMBT])\s+(?:training\s+)?tokens\b", re.IGNORECASE)
_EXPERTS: Final = re.compile(r"(?<![\w.])(\d+)\s+(?:routed\s+)?experts\b", re.IGNORECASE)
_TOP: Final = re.compile(r"\btop-(\d+)\b", re.IGNORECASE)
_CAPACITY: Final = re.compile(r"\bcapacity(?: factor)?(?: of| =|=)?\s*(\d+(?:\.\d+)?)\b", re.IGNORECASE)
_SEEDS: Final = re.compile(r"(?<![\w.])(\d+)\s+seeds\b", re.IGNORECASE)
_SAME: Final = re.compile(
    r"\b(?:as (?:much|robust|well|stable|good) as|equally"
    r"|no (?:more|less|worse|better) than|no difference|equivalent)\b",
    re.IGNORECASE,
)
_LESS: Final = re.compile(
    r"\b(?:more (?:robust|stable|resilient)|degrad\w+ less|los\w+ less|less (?:degradation|loss|affected|sensitive)"
    r"|smaller (?:degradation|loss|drop)|(?:suffers?|drops?) less|holds? up better)\b",
    re.IGNORECASE,
)
_MORE: Final = re.compile(
    r"\b(?:less (?:robust|stable|resilient)|degrad\w+ more|los\w+ more|more (?:degradation|loss|affected|sensitive)"
    r"|larger (?:degradation|loss|drop)|(?:suffers?|drops?) more|holds? up worse)\b",
    re.IGNORECASE,
)
_SIZE: Final = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)\s*(nats|bits|points|%)[^.]{0,12}\b(?:more|less)\b", re.IGNORECASE)
_VERSION: Final = re.compile(r"\bMBPP[ -](sanitized|full)\b", re.IGNORECASE)


def read(text: str, registry: Registry) -> Conditions:
    """Return what a statement says; all empty unless it names a balancing method.

    >>> from trimtab.claims.name_registry import Registry
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
        expects=_expects(text),
        effect=_effect(text),
    )


def _expects(text: str) -> Literal["more", "less", "same"] | None:
    if _SAME.search(text):
        return "same"
    if _LESS.search(text):
        return "less"
    return "more" if _MORE.search(text) or _SIZE.search(text) else None


def _effect(text: str) -> float | None:
    """Return a stated difference: "loses 0.05 nats more"; points and per cent as shares."""
    match = _SIZE.search(text)
    if match is None:
        return None
    size = float(match[1]) / (100 if match[2] in ("points", "%") else 1)
    return -size if match[0].casefold().endswith("less") else size


def _scaled(pattern: re.Pattern[str], text: str) -> float | None:
    match = pattern.search(text)
    return float(match[1]) * _SCALE[match[2].upper()] if match else None


def _whole(pattern: re.Pattern[str], text: str) -> int | None:
    match = pattern.search(text)
    return int(match[1]) if match else None
