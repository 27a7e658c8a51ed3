"""Single values as they are read from the wire: of exactly the kind that was written; short ones compare cheaply."""

# ruff: noqa: ANN401 - values of any type pass through here

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import array
    import decimal
    import fractions

BIG: Final = 1 << 63
_SHORT: Final = 40  # characters of a decimal number that is cheap to compare
# The builtin types a value may name; a class of the program crosses as a handle.
TYPES: Final = {
    t.__name__: t
    for t in (bool, bytes, bytearray, complex, dict, float, frozenset, int, list, object, range, set, str, tuple, type)
} | {"NoneType": type(None)}


class CodecError(ValueError):
    """Bytes that are not a message, or a value that cannot become one."""


def strict(kind: type, content: Any) -> Any:
    """Return ``content`` if it is exactly of ``kind``, no subclass."""
    if type(content) is not kind:
        raise CodecError(f"not a {kind.__name__}")
    return content


def byte_string(content: Any) -> bytes:
    """Return the bytes that base64 text stands for."""
    import base64  # noqa: PLC0415 - loaded where such a value is read, as the modules below

    return base64.b64decode(strict(str, content), validate=True)


def typed_array(typecode: Any, items: list[Any]) -> array.array[Any]:
    """Return an array of one of Python's type codes."""
    import array  # noqa: PLC0415

    if type(typecode) is not str or typecode not in array.typecodes:
        raise CodecError("not an array")
    return array.array(typecode, "".join(items) if typecode in "uw" else items)


def special_float(content: Any) -> float:
    """Return the float that JSON has no number for."""
    if content not in ("nan", "inf", "-inf"):
        raise CodecError("not a special float")
    return float(content)


def datetime_class(name: str) -> Any:
    """Return a class of the module datetime."""
    import datetime as dt  # noqa: PLC0415

    return getattr(dt, name)


def decimal_number(text: str) -> decimal.Decimal:
    """Return a decimal number of any length."""
    import decimal  # noqa: PLC0415

    return decimal.Decimal(text)


def fraction(numerator: int, denominator: int) -> fractions.Fraction:
    """Return a fraction of integers of any size."""
    import fractions  # noqa: PLC0415

    return fractions.Fraction(numerator, denominator)


def short_decimal(text: str) -> decimal.Decimal:
    """Return a finite decimal number of few digits and a small exponent."""
    import decimal  # noqa: PLC0415

    value = decimal.Decimal(text) if len(text) <= _SHORT else decimal.Decimal("NaN")
    if not value.is_finite() or abs(value.adjusted()) > _SHORT:
        raise CodecError("a decimal number that may be expensive to compare")
    return value


def short_fraction(numerator: int, denominator: int) -> fractions.Fraction:
    """Return a fraction of two machine-sized integers."""
    import fractions  # noqa: PLC0415

    if abs(numerator) >= BIG or abs(denominator) >= BIG:
        raise CodecError("a fraction that may be expensive to compare")
    return fractions.Fraction(numerator, denominator)


def named_type(content: Any) -> type:
    """Return the builtin type of that name."""
    kind = TYPES.get(strict(str, content))
    if kind is None:
        raise CodecError("not a builtin type")
    return kind
