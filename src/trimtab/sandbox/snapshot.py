"""A value frozen as bytes, for its digest and for whoever may ask for it later: one pass in C over plain values.

Decisions: a value made of nothing but None, booleans, numbers, strings, lists and tuples is frozen by marshal, whose
second version writes equal values of equal types as equal bytes (no references, no marks of interned strings), and so
is one that crosses as such a value, a subclass of list or a number of numpy's; any other value is encoded as for the
wire. The two forms cannot be taken for one another. Bytes from here never leave the process that made them, so nobody
reads marshal that somebody else wrote.
"""

# ruff: noqa: ANN401 - values of any type pass through here

from __future__ import annotations

import marshal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from trimtab.sandbox import codec, wire

if TYPE_CHECKING:
    from collections.abc import Callable

_VERSION: Final = 2
_SHORTEST: Final = 0.4  # characters of JSON a byte of marshal becomes at least: "0," for five bytes of a small integer
_SCALARS: Final = frozenset({type(None), bool, int, float, str})
_PLAIN: Final = _SCALARS | {list, tuple}
_CONTAINERS: Final = frozenset({dict, set, frozenset})


class Snapshot(NamedTuple):
    """A value as it was at one moment.

    Attributes:
        data: Its bytes.
        plain: Whether marshal wrote them.
    """

    data: bytes
    plain: bool

    @property
    def digest(self) -> str:
        """Equal ones mean equal values of equal types."""
        from _blake2 import blake2b  # noqa: PLC0415 - what hashlib has, without OpenSSL's library in each process

        return blake2b(self.data, digest_size=8, person=b"plain" if self.plain else b"").hexdigest()

    def text(self, longest: int = wire.MAX_FRAME) -> str | None:
        """Return the value's encoding as JSON; None where it is certainly longer than ``longest`` characters.

        Writing one out takes tens of times the memory of the bytes, which a value near its limit does not have.
        """
        if len(self.data) * (_SHORTEST if self.plain else 1) > longest:
            return None
        if self.plain:
            return codec.text(codec.encode(marshal.loads(self.data)))  # noqa: S302 - written by this process
        return self.data.decode()


def freeze(value: Any, keep: Callable[[object], Any]) -> Snapshot:
    """Take a snapshot.

    Args:
        value: Any object.
        keep: As :func:`trimtab.sandbox.codec.encode` takes it.

    Raises:
        CodecError: A part is not data and ``keep`` refuses it.
        RecursionError: The value is nested too deeply or contains itself.
    """
    if _plain(value):
        return Snapshot(marshal.dumps(value, _VERSION), plain=True)
    encoded = codec.encode(value, keep)
    if _stands_for_plain(value):
        meant = codec.Decoder().decode(encoded)
        if _plain(meant):
            return Snapshot(marshal.dumps(meant, _VERSION), plain=True)
    return Snapshot(codec.text(encoded).encode(), plain=False)


def _stands_for_plain(value: Any) -> bool:
    """Tell whether a value may cross as a plain one, as subclasses and numpy's numbers do; no dict does."""
    if isinstance(value, list | tuple):
        return not _CONTAINERS & set(map(type, value))
    return isinstance(value, int | float | str) or type(value).__module__ == "numpy"


def _plain(value: Any) -> bool:
    """Tell whether a value is made of plain parts only, whose types are looked at in C where they are many."""
    kind = type(value)
    if kind is not list and kind is not tuple:
        return kind in _SCALARS
    kinds = set(map(type, value))
    if kinds <= _SCALARS:
        return True
    return kinds <= _PLAIN and all(_plain(item) for item in value if type(item) is list or type(item) is tuple)
