"""What a header is called in sentences that leave out its measure: "test-clean" for "test-clean WER"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trimtab.claims.vocabulary import GENERIC, nameable
from trimtab.claims.wording import MEANS, any_case, key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trimtab.claims.name_registry import Registry

# A bracket that says a unit or which way is better.
_BRACKETS: Final = any_case(r"[(\[][^()\[\]]*[)\]]|\b(?:lower|higher) is better\b")


class ShortHeaders:
    """What headers are called without their measures; each header is read once.

    Args:
        registry: Known measures.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._names: dict[tuple[str, ...], Mapping[str, str]] = {}

    def names(self, path: tuple[str, ...]) -> Mapping[str, str]:
        """Return key → name, "test-clean" for "test-clean WER", and "average" for a mean."""
        if path not in self._names:
            self._names[path] = _short_names(path, self._registry)
        return self._names[path]


def _short_names(path: tuple[str, ...], registry: Registry) -> Mapping[str, str]:
    shortened: dict[str, str] = {}
    for part in path:
        rest = part
        for metric in reversed(registry.find(part, ("metrics",))):
            rest = f"{rest[: metric.start]} {rest[metric.end :]}"
        rest = _BRACKETS.sub(" ", rest).strip(" ,:;/|-\u2193\u2191")
        name = key(rest)
        if name in MEANS:  # over what it is a mean nobody says
            shortened["average"] = "average"
        elif name != key(part) and nameable(name) and not set(rest.casefold().split()) <= GENERIC:
            shortened[name] = rest
    return shortened
