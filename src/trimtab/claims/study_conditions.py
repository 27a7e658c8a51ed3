"""Under what conditions a claim about balancing is made, read from its words: method, control, stress, sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from trimtab.claims.claim_model import Conditions
from trimtab.claims.wording import any_case, any_of

if TYPE_CHECKING:
    from trimtab.claims.name_registry import Registry

_SCALE: Final = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
_SCALED: Final = {
    "parameters": any_case(r"(?<![\w.])(\d+(?:\.\d+)?)\s?([KMBT])\b(?!\s*tokens)(?:[- ]param\w*)?"),
    "tokens": any_case(r"(?<![\w.])(\d+(?:\.\d+)?)\s?([KMBT])\s+(?:training\s+)?tokens\b"),
}
_WHOLE: Final = {
    "num_experts": any_case(r"(?<![\w.])(\d+)\s+(?:routed\s+)?experts\b"),
    "top_k": any_case(r"\btop-(\d+)\b"),
    "seeds": any_case(r"(?<![\w.])(\d+)\s+seeds\b"),
}
_CAPACITY: Final = any_case(r"\bcapacity(?: factor)?(?: of| =|=)?\s*(\d+(?:\.\d+)?)\b")
_SAME: Final = any_of(
    r"as (?:much|robust|well|stable|good) as|equally|no (?:more|less|worse|better) than|no difference|equivalent"
)
_LESS: Final = any_of(
    r"more (?:robust|stable|resilient)|degrad\w+ less|los\w+ less|less (?:degradation|loss|affected|sensitive)"
    r"|smaller (?:degradation|loss|drop)|(?:suffers?|drops?) less|holds? up better"
)
_MORE: Final = any_of(
    r"less (?:robust|stable|resilient)|degrad\w+ more|los\w+ more|more (?:degradation|loss|affected|sensitive)"
    r"|larger (?:degradation|loss|drop)|(?:suffers?|drops?) more|holds? up worse"
)
_SIZE: Final = any_case(r"(?<![\w.])(\d+(?:\.\d+)?)\s*(nats|bits|points|%)[^.]{0,12}\b(?:more|less)\b")
_VERSION: Final = any_case(r"\bMBPP[ -](sanitized|full)\b")


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
    capacity, version = _CAPACITY.search(text), _VERSION.search(text)
    numbers: dict[str, Any] = {
        field: float(match[1]) * _SCALE[match[2].upper()]
        for field, pattern in _SCALED.items()
        if (match := pattern.search(text))
    }
    numbers |= {field: int(match[1]) for field, pattern in _WHOLE.items() if (match := pattern.search(text))}
    return Conditions(
        method=methods[0].text,
        control=next((name.text for name in methods if name.id != methods[0].id), ""),
        stressor=stressors[0].text if stressors else "",
        capacity_factor=float(capacity[1]) if capacity else None,
        benchmark_version=version[1].casefold() if version else "",
        expects=_expects(text),
        effect=_effect(text),
        **numbers,
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
