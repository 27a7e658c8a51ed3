"""Values as tagged JSON: how arguments and results cross between processes that do not trust each other.

Decisions: only plain data crosses, never pickle or marshal; JSON's own null, booleans, strings, finite floats, lists
and integers below 2**63 stand for themselves, everything else is an object with exactly one key, its tag. A subclass
crosses as the data of its base, so an ``__eq__`` of its own never arrives. An object that is not data crosses as a
handle, a name without content. Iterators cross as their items. Reading is the dangerous side: whatever is not exactly
what :func:`encode` writes raises CodecError, and ``plain`` narrows what is read to values whose comparison is cheap.
"""

# ruff: noqa: ANN401 - values of any type pass through here

from __future__ import annotations

import collections
import collections.abc
import itertools
import json
import math
import sys
import types
from typing import TYPE_CHECKING, Any, Final

from trimtab.sandbox import wire_values
from trimtab.sandbox.iterators import ITERATORS
from trimtab.sandbox.stand_ins import Handle, Items
from trimtab.sandbox.wire_values import (
    BIG,
    TYPES,
    byte_string,
    datetime_class,
    decimal_number,
    fraction,
    named_type,
    short_decimal,
    short_fraction,
    special_float,
    strict,
    typed_array,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CodecError = wire_values.CodecError
MAX_ITEMS: Final = 1_000_000  # items taken from an iterator
PLAIN_ALIKE: Final = 8  # keys read in plain mode whose hash another has: each costs as much as those before it are long
_ROW: Final = 16  # items from which on it pays to look at all their types first
_THEMSELVES: Final = frozenset({type(None), bool, str})


def _refuse_object(value: object) -> Any:
    raise CodecError(f"a {type(value).__name__} object is not data")


def encode(value: Any, keep: Callable[[object], Any] = _refuse_object) -> Any:  # noqa: PLR0911 - a table of kinds, the frequent ones first
    """Return ``value`` as JSON-able data.

    Args:
        value: Any object.
        keep: Called with what is not data; returns the encoding of a handle or raises.

    Raises:
        CodecError: A part is not data and ``keep`` refuses it.
        RecursionError: The value is nested too deeply or contains itself.
    """
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if kind is int:
        return value if -BIG < value < BIG else {"int": hex(value)}
    if kind is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if kind is list:
        return _list(value, keep)
    if kind is tuple:
        return {"tuple": _list(value, keep)}
    for base, write in itertools.chain(_WRITERS, _late_writers()):
        if isinstance(value, base):
            return write(value, keep)
    if kind.__module__ == "numpy" and hasattr(value, "item") and not hasattr(value, "__len__"):
        return encode(value.item(), keep)  # its scalars count as numbers wherever tests look at them
    return keep(value)


def _list(value: Any, keep: Callable[[object], Any]) -> list[Any]:
    """Encode items; those of a long row that all stand for themselves, by their types and extremes, at once."""
    if len(value) > _ROW:
        kinds = set(map(type, value))
        if kinds <= _THEMSELVES or (kinds == {int} and min(value) > -BIG and max(value) < BIG):
            return list(value)
    return [encode(item, keep) for item in value]


def _items(tag: str, iterate: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda value, keep: {tag: [encode(item, keep) for item in iterate(value)]}


def _members(tag: str, iterate: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """Write a set: in an order that does not depend on how it came about, so that equal sets read the same."""
    return lambda value, keep: {tag: sorted([encode(item, keep) for item in iterate(value)], key=repr)}


def _pairs(tag: str) -> Callable[[Any, Any], Any]:
    return lambda value, keep: {tag: [encode(part, keep) for pair in dict.items(value) for part in pair]}


def _as_mapping(tag: str) -> Callable[[Any, Any], Any]:
    """Write a mapping that is no dict by its keys, each looked up once."""
    return lambda value, keep: {tag: [encode(part, keep) for key in list(value) for part in (key, value[key])]}


def _text(tag: str, write: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda value, _: {tag: write(value)}


def _base64(data: bytes) -> str:
    import base64  # noqa: PLC0415 - rare

    return base64.b64encode(data).decode()


def _iterator(value: Any, keep: Callable[[object], Any]) -> Any:
    items = list(itertools.islice(value, MAX_ITEMS + 1))
    if len(items) > MAX_ITEMS:
        raise CodecError(f"an iterator of more than {MAX_ITEMS} items")
    return {"iter": [encode(item, keep) for item in items]}


def _type(value: type, keep: Callable[[object], Any]) -> Any:
    return {"type": value.__name__} if TYPES.get(value.__name__) is value else keep(value)


# The base classes' own methods read the data, so that a subclass has no say in what crosses. First match wins.
_WRITERS: Final[list[tuple[Any, Callable[[Any, Any], Any]]]] = [
    (int, lambda value, _: encode(int.__add__(value, 0))),
    (float, lambda value, _: encode(float.__add__(value, 0.0))),
    (str, lambda value, _: str.__str__(value)),
    (list, lambda value, keep: [encode(item, keep) for item in list.__iter__(value)]),
    (tuple, _items("tuple", tuple.__iter__)),
    (collections.Counter, _pairs("Counter")),
    (collections.OrderedDict, _pairs("OrderedDict")),
    (dict, _pairs("dict")),
    (set, _members("set", set.__iter__)),
    (frozenset, _members("frozenset", frozenset.__iter__)),
    (collections.deque, _items("deque", collections.deque.__iter__)),
    (bytes, _text("bytes", _base64)),
    (bytearray, _text("bytearray", _base64)),
    (complex, lambda value, _: {"complex": [encode(float(value.real)), encode(float(value.imag))]}),
    (range, lambda value, _: {"range": [encode(part) for part in (value.start, value.stop, value.step)]}),
    (type, _type),
    (ITERATORS, _iterator),
    (type({}.keys()), _items("keys", iter)),
    (type({}.values()), _items("values", iter)),
    (type({}.items()), lambda value, keep: {"items": [encode(part, keep) for pair in value for part in pair]}),
    # Classes of the standard library that stand for a mapping, a sequence or a set without being one.
    (collections.UserDict, _as_mapping("UserDict")),
    (collections.ChainMap, _as_mapping("ChainMap")),
    (types.MappingProxyType, _as_mapping("mappingproxy")),
    (collections.UserList, _items("UserList", lambda value: list(value.data))),
    (collections.UserString, _text("UserString", lambda value: str(value.data))),
    (memoryview, _text("memoryview", lambda value: _base64(value.tobytes()))),
    (collections.abc.KeysView, _items("keys", iter)),
    (collections.abc.ValuesView, _items("values", iter)),
    (collections.abc.ItemsView, lambda value, keep: {"items": [encode(part, keep) for pair in value for part in pair]}),
    (types.SimpleNamespace, lambda value, keep: keep(value)),
]
# Classes of modules that are not loaded for their sake alone: where nobody has loaded one, no value is of its classes.
_LATE_WRITERS: Final[dict[str, dict[str, Callable[[Any, Any], Any]]]] = {
    "decimal": {"Decimal": _text("Decimal", str)},
    "fractions": {"Fraction": lambda value, _: {"Fraction": [encode(value.numerator), encode(value.denominator)]}},
    "datetime": {
        "datetime": _text("datetime", lambda value: value.isoformat()),
        "date": _text("date", lambda value: value.isoformat()),
        "time": _text("time", lambda value: value.isoformat()),
        "timedelta": lambda value, _: {"timedelta": [value.days, value.seconds, value.microseconds]},
    },
    "array": {"array": lambda value, keep: {"array": [value.typecode, *(encode(item, keep) for item in value)]}},
}


def _late_writers() -> Iterator[tuple[Any, Callable[[Any, Any], Any]]]:
    for name, writers in _LATE_WRITERS.items():
        module = sys.modules.get(name) or sys.modules.get(f"_{name}")  # the part in C may be loaded by itself
        for kind, write in writers.items() if module is not None else ():
            yield getattr(module, kind), write


def _handle(number: int, kind: str, truth: bool) -> Handle:  # noqa: FBT001 - the order of the parts on the wire
    return Handle(number, kind, truth=truth)


class Decoder:
    """Reads what :func:`encode` wrote.

    Args:
        plain: Read only what cheap comparisons need: no big keys, no numbers that are expensive to compare.
        handle: Makes the local stand-in of a handle from its number, type name and truth.
    """

    def __init__(self, *, plain: bool = False, handle: Callable[[int, str, bool], object] = _handle) -> None:
        self._limit = self._alike = PLAIN_ALIKE if plain else MAX_ITEMS
        self._readers = _PLAIN_READERS if plain else _ALL_READERS
        self._handle = handle

    def decode(self, data: Any) -> Any:
        """Return the value that ``data`` stands for.

        Raises:
            CodecError: ``data`` is nothing that :func:`encode` writes.
        """
        self._alike = self._limit
        try:
            return self._decode(data)
        except CodecError:
            raise
        except (RecursionError, ValueError, TypeError, ArithmeticError, OverflowError) as error:
            raise CodecError(f"not an encoded value: {type(error).__name__}") from None

    def _decode(self, data: Any) -> Any:
        if isinstance(data, list):
            return [self._decode(item) for item in data]
        if not isinstance(data, dict):
            return data
        if len(data) != 1:
            raise CodecError("an object needs exactly one tag")
        ((tag, content),) = data.items()
        if tag == "handle":
            number, kind, truth = content
            if type(number) is not int or type(kind) is not str or type(truth) is not bool:
                raise CodecError("not a handle")
            return self._handle(number, kind[:100], truth)
        reader = self._readers.get(tag)
        if reader is None:
            raise CodecError(f"no value is tagged {tag[:40]!r} here")
        return reader(self, content)

    def items(self, content: Any) -> list[Any]:
        """Decode the items of a tag whose content is a list."""
        if not isinstance(content, list):
            raise CodecError("not a list")
        return [self._decode(item) for item in content]

    def keys(self, content: Any) -> list[Any]:
        """Decode items that are going to be hashed."""
        return self._apart(self.items(content))

    def pairs(self, content: Any) -> list[tuple[Any, Any]]:
        """Decode a flat list of keys and values."""
        items = self.items(content)
        return list(zip(self._apart(items[::2]), items[1::2], strict=True))

    def _apart(self, keys: list[Any]) -> list[Any]:
        """Refuse keys whose hashes were chosen so that each is compared with its predecessors, at any depth."""
        self._alike -= alike(keys)
        if self._alike < 0:
            raise CodecError("too many keys of one hash")
        return keys


def alike(keys: list[Any]) -> int:
    """Count the keys whose hash another one before them has; none of them is compared here."""
    return len(keys) - len(set(map(hash, keys)))


def _split(items: list[Any]) -> tuple[Any, list[Any]]:
    return items[0], items[1:]


def _range(reader: Decoder, content: Any) -> range:
    start, stop, step = (strict(int, part) for part in reader.items(content))
    return range(start, stop, step)


def _complex(reader: Decoder, content: Any) -> complex:
    real, imaginary = (strict(float, part) for part in reader.items(content))
    return complex(real, imaginary)


_PLAIN_READERS: Final[dict[str, Callable[[Decoder, Any], Any]]] = {
    "int": lambda _, content: int(strict(str, content), 16),
    "float": lambda _, content: special_float(content),
    "tuple": lambda reader, content: tuple(reader.items(content)),
    "set": lambda reader, content: set(reader.keys(content)),
    "frozenset": lambda reader, content: frozenset(reader.keys(content)),
    "dict": lambda reader, content: dict(reader.pairs(content)),
    "bytes": lambda _, content: byte_string(content),
    "complex": _complex,
    "Counter": lambda reader, content: collections.Counter(dict(reader.pairs(content))),
    "OrderedDict": lambda reader, content: collections.OrderedDict(reader.pairs(content)),
    "iter": lambda reader, content: Items(reader.items(content)),
    "keys": lambda reader, content: dict.fromkeys(reader.keys(content)).keys(),
    "values": lambda reader, content: dict(enumerate(reader.items(content))).values(),
    "items": lambda reader, content: dict(reader.pairs(content)).items(),
    "deque": lambda reader, content: collections.deque(reader.items(content)),
    "UserDict": lambda reader, content: collections.UserDict(dict(reader.pairs(content))),
    "ChainMap": lambda reader, content: collections.ChainMap(dict(reader.pairs(content))),
    "mappingproxy": lambda reader, content: types.MappingProxyType(dict(reader.pairs(content))),
    "UserList": lambda reader, content: collections.UserList(reader.items(content)),
    "UserString": lambda _, content: collections.UserString(strict(str, content)),
    "array": lambda reader, content: typed_array(*_split(reader.items(content))),
    "memoryview": lambda _, content: memoryview(byte_string(content)),
    "datetime": lambda _, content: datetime_class("datetime").fromisoformat(strict(str, content)),
    "date": lambda _, content: datetime_class("date").fromisoformat(strict(str, content)),
    "time": lambda _, content: datetime_class("time").fromisoformat(strict(str, content)),
    "timedelta": lambda reader, content: datetime_class("timedelta")(
        *(strict(int, part) for part in reader.items(content))
    ),
    "Decimal": lambda _, content: short_decimal(strict(str, content)),
    "Fraction": lambda reader, content: short_fraction(*(strict(int, part) for part in reader.items(content))),
}
_RICH_READERS: Final[dict[str, Callable[[Decoder, Any], Any]]] = {
    "iter": lambda reader, content: iter(reader.items(content)),
    "bytearray": lambda _, content: bytearray(byte_string(content)),
    "range": _range,
    "Decimal": lambda _, content: decimal_number(strict(str, content)),
    "Fraction": lambda reader, content: fraction(*(strict(int, part) for part in reader.items(content))),
    "type": lambda _, content: named_type(content),
}

_ALL_READERS: Final = _PLAIN_READERS | _RICH_READERS


def pair(data: Any) -> tuple[str, str]:
    """Read a pair of short texts, whatever was sent in its place."""
    parts = data if isinstance(data, list) else []
    texts = [part[:500] for part in parts[:2] if isinstance(part, str)]
    first, second = (*texts, "", "")[:2]
    return first, second


# The parts in C that json.dumps and json.loads end up in, built once: what is around them costs a child more pages of
# memory than its message has.
_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_object)
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False)
_MAKE_PARTS: Final = getattr(json.encoder, "c_make_encoder", None)
_PARTS: Final = _MAKE_PARTS and _MAKE_PARTS(
    None, _ENCODER.default, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, False
)


def _write(data: Any) -> str:
    return "".join(_PARTS(data, 0)) if _PARTS else _ENCODER.encode(data)


def _read(data: str) -> Any:
    try:
        value, end = _DECODER.scan_once(data, 0)  # type: ignore[attr-defined]
    except StopIteration:
        raise ValueError("no value") from None
    if end != len(data):
        raise ValueError("more than one value")
    return value


def dumps(message: Any) -> bytes:
    """Write a message: JSON in ASCII."""
    return _write(message).encode()


def text(data: Any) -> str:
    """Return encoded data as JSON."""
    return _write(data)


def loads(data: bytes) -> dict[str, Any]:
    """Read a message: one JSON object.

    Raises:
        CodecError: The bytes are not one JSON object.
    """
    try:
        message = _read(data.decode())
    except (ValueError, RecursionError) as error:
        raise CodecError(f"not a message: {type(error).__name__}") from None
    if not isinstance(message, dict):
        raise CodecError("not a message: not an object")
    return message
