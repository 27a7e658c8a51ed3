"""What stands here for an object that did not cross by value, and how a value from another process is shown."""

# ruff: noqa: ANN401 - values of any type pass through here

from __future__ import annotations

import reprlib
from typing import Any, Final

_SHOWN: Final = reprlib.Repr()
_SHOWN.maxstring = _SHOWN.maxother = _SHOWN.maxlong = 120
_SHOWN.maxlist = _SHOWN.maxtuple = _SHOWN.maxset = _SHOWN.maxdict = 20


class Handle:
    """An object that stayed in the other process: never equal to anything, not even different.

    Args:
        number: Its number over there.
        kind: The name of its type, for messages.
        truth: Whether it counts as true over there, which a program could as well return outright.
    """

    __slots__ = ("trimtab_parts",)  # one name, and none that an object of a program has
    trimtab_parts: tuple[int, str, bool]

    def __init__(self, number: int, kind: str, *, truth: bool) -> None:
        object.__setattr__(self, "trimtab_parts", (number, kind, truth))

    def __eq__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return False

    def __bool__(self) -> bool:
        return self.trimtab_parts[2]

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<{self.trimtab_parts[1]} object>"


class Items:
    """Stands for an iterator where only cheap comparisons are made: gives its items once, and equals nothing."""

    def __init__(self, items: list[Any]) -> None:
        self._items = items
        self._rest = iter(items)

    def __iter__(self) -> Items:
        return self

    def __next__(self) -> Any:
        return next(self._rest)

    def __repr__(self) -> str:
        return f"<iterator of {_SHOWN.repr(self._items)}>"


def show(value: Any) -> str:
    """Return a short text for a decoded value, however large it is."""
    try:
        return _SHOWN.repr(value)
    except ValueError:  # an integer of more digits than Python prints
        return f"a large {type(value).__name__}"
