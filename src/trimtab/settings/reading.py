"""What makes a class a setting: strict values, one wording of every refusal, plain values in and out.

Nothing is coerced, except that an integer may stand where a float is meant and a list where a tuple is. A refusal names
the value, the place and the way out: ``LossFree(clip=...)`` in Python, ``study.toml.balancers.x.clip`` in a file.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final, TypeVar, dataclass_transform

import annotated_types
from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from trimtab.errors import ConfigurationError, SettingError, StudyError, TrimtabError, nearest

Kind = TypeVar("Kind")
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
InnerShare = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
NotNegative = Annotated[int, Field(ge=0)]

_CONFIG: Final = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True)
_LATER: Final[Mapping[str, bool]] = MappingProxyType({"later": True})
# Of several faults, the one that explains the others comes first: a misspelled key is also a missing one.
_ORDER: Final = ("unexpected_keyword_argument", "missing")


class Setting:
    """What all settings have in common; made by :func:`setting`."""

    __slots__ = ()
    # Old names of fields, which older files use.
    renamed: ClassVar[Mapping[str, str]] = {}
    # The way out of a refused value, where there is one to name.
    hints: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def by_position(cls, *values: object) -> dict[str, object]:  # noqa: ARG003 - which nothing but a stack takes
        """Return the values that were given without a name by their names.

        Raises:
            SettingError: Settings are given by name.
        """
        raise SettingError(
            cls.__name__, "", "settings are given by name", hint=f"{cls.__name__}({', '.join(hints_of(cls))})"
        )

    def check_together(self) -> None:
        """Refuse values that are right alone and cannot work together.

        Raises:
            SettingError: Names them.
        """

    def refused(self, sentence: str, field: str = "", *, hint: str | None = None) -> SettingError:
        """Return the error that says ``sentence`` of a field, or of the whole."""
        return SettingError(type(self).__name__, field, sentence, hint=hint)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(dataclasses.field,))
def setting(cls: type[Kind]) -> type[Kind]:
    """Make a class of annotated fields a setting: frozen, equal by value, checked whenever it is built.

    Fields are given by name. Building one raises :class:`~trimtab.errors.SettingError`, a ``ConfigurationError``.
    """
    made: Any = dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)(cls)
    validated = made.__init__

    @functools.wraps(validated)
    def __init__(self: Any, *unnamed: Any, **values: Any) -> None:  # noqa: ANN401, N807 - of any setting
        if unnamed:
            values.update(made.by_position(*unnamed))
        for old, new in made.renamed.items():
            if old in values and new not in values:
                values[new] = values.pop(old)
        try:
            validated(self, **values)
        except ValidationError as error:
            raise _refusal(made, error) from None
        self.check_together()

    made.__init__ = __init__
    return made  # type: ignore[no-any-return] # the class that was given, with more in it


def later(default: Any) -> Any:  # noqa: ANN401 - the type of its field
    """Return a field added after studies had been run: at its default it is left out of a cell, whose id stays."""
    return dataclasses.field(default=default, metadata=_LATER)


def read(
    kind: type[Kind],
    table: Mapping[str, object],
    where: str,
    error: type[TrimtabError] = StudyError,
    *,
    beside: Mapping[str, type] = MappingProxyType({}),
) -> Kind:
    """Build a setting from a table of a file.

    Args:
        kind: Its class.
        table: Its fields.
        where: The file and key that messages begin with.
        error: The class of errors.
        beside: The other classes that the table could have named, by what it would have written for them; a key that
            is one of theirs is pointed out.

    Raises:
        StudyError: Or ``error``: a key is unknown or missing, or a value cannot be.
    """
    try:
        return kind(**{str(key): _frozen(value) for key, value in table.items()})
    except SettingError as refusal:
        unknown = set(table) - set(hints_of(kind)) if refusal.sentence.startswith("unknown key") else set[str]()
        theirs = [how for how, other in beside.items() if unknown & set(hints_of(other))]
        hint = f"{refusal.hint}; it is a key of {' and '.join(theirs)}" if theirs else refusal.hint
        raise error(refusal.at(where), hint=hint) from refusal


def encode(value: Any) -> Any:  # noqa: ANN401 - any setting
    """Return what :func:`read` reads back as ``value``, without later fields that are at their default."""
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    if not dataclasses.is_dataclass(value):
        return value
    return {
        field.name: encode(item)
        for field in dataclasses.fields(value)
        if not ((item := getattr(value, field.name)) == field.default and field.metadata.get("later"))
    }


def table_of(value: object, where: str) -> dict[str, Any]:
    """Return ``value`` if it is a table of a study file.

    Raises:
        StudyError: It is something else.
    """
    if not isinstance(value, dict):
        raise StudyError(f"{where}: expected a table, got {value!r}")
    return value


def chosen(names: Mapping[str, Kind], name: object, where: str, what: str) -> Kind:
    """Return what ``name`` stands for in a study file.

    Raises:
        StudyError: With the nearest known name.
    """
    if not isinstance(name, str) or name not in names:
        raise StudyError(f"{where}: unknown {what} {name!r}", hint=nearest(str(name), names))
    return names[name]


def without(table: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return ``table`` without some of its keys."""
    return {key: value for key, value in table.items() if key not in names}


def describe(hint: Any) -> str:  # noqa: ANN401 - any type annotation
    """Say in words what values an annotated field takes: ``float``, ``"a" or "b"``, ``list of int``."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return describe(arguments[0])
    if origin in {typing.Union, types.UnionType}:
        return " or ".join(describe(argument) for argument in arguments if argument is not types.NoneType)
    if origin is tuple:
        return f"list of {describe(arguments[0])}"
    if origin is typing.Literal:
        return " or ".join(repr(argument) for argument in arguments)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "table"
    return hint.__name__ if isinstance(hint, type) else str(hint)


def bounds(hint: Any) -> str:  # noqa: ANN401 - any type annotation
    """Say in words between what bounds an annotated field lies; empty where there are none."""
    marks = [mark for part in _parts(hint) for mark in getattr(part, "__metadata__", ())]
    marks = [limit for mark in marks for limit in (getattr(mark, "metadata", None) or [mark])]
    limits = {type(mark): next(iter(dataclasses.asdict(mark).values())) for mark in marks}
    low, least = limits.get(annotated_types.Gt), limits.get(annotated_types.Ge)
    high, most = limits.get(annotated_types.Lt), limits.get(annotated_types.Le)
    if low == 0 and high is None and most is None:
        return "positive"
    if least == 0 and high is None and most is None:
        return "not negative"
    if (low is None and least is None) or (high is None and most is None):
        return f"at least {least}" if least is not None else ""
    if low is not None and high is not None:
        return f"between {low} and {high}"
    left, right = ("(", low) if low is not None else ("[", least), (high, ")") if high is not None else (most, "]")
    return f"in {left[0]}{left[1]}, {right[0]}{right[1]}"


def hints_of(kind: type) -> dict[str, Any]:
    """Return the annotations of the fields of a setting, resolved."""
    resolved = typing.get_type_hints(kind, include_extras=True)
    return {field.name: resolved[field.name] for field in dataclasses.fields(kind)}


def is_required(field: dataclasses.Field[Any]) -> bool:
    """Tell whether a field has to be given."""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _frozen(value: object) -> object:
    """Turn the lists of a file into tuples, which a frozen setting holds."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def _parts(hint: Any) -> list[Any]:  # noqa: ANN401 - any type annotation
    """Return an annotation and what is in it: of ``Positive | None`` and ``tuple[Positive, ...]``, ``Positive``."""
    return [hint, *(part for argument in typing.get_args(hint) for part in _parts(argument))]


def _refusal(kind: type[Setting], error: ValidationError) -> SettingError:
    """Put the first fault in our words."""
    faults = error.errors(include_url=False)
    fault = min(faults, key=lambda one: _ORDER.index(one["type"]) if one["type"] in _ORDER else len(_ORDER))
    hints, place = hints_of(kind), "".join(_step(part) for part in fault["loc"])[1:]
    name, value = str(fault["loc"][0]) if fault["loc"] else "", fault["input"]
    if fault["type"] == "unexpected_keyword_argument":
        hint = nearest(name, hints) if hints else f"{kind.__name__} has nothing to set"
        return SettingError(kind.__name__, "", f"unknown key {name!r}", hint=hint)
    if fault["type"] == "missing":
        return SettingError(kind.__name__, "", f"missing key {name!r}", hint=f"it is a {describe(hints[name])}")
    hint_of = kind.hints.get(name)
    if fault["type"] == "literal_error":
        literals = typing.get_args(
            next(part for part in _parts(hints[name]) if typing.get_origin(part) is typing.Literal)
        )
        return SettingError(
            kind.__name__, place, f"{value!r} is not known", hint=nearest(str(value), map(str, literals))
        )
    if fault["type"] == "finite_number":
        words = bounds(hints[name])
        return SettingError(
            kind.__name__, place, f"must be {f'{words} and finite' if words else 'finite'}, got {value!r}", hint=hint_of
        )
    if bounds(hints[name]) and fault["type"].startswith(("greater", "less")):
        return SettingError(kind.__name__, place, f"must be {bounds(hints[name])}, got {value!r}", hint=hint_of)
    inner = any(isinstance(part, int) for part in fault["loc"]) and typing.get_origin(hints[name]) is tuple
    expected = describe(typing.get_args(hints[name])[0] if inner else hints[name])
    return SettingError(kind.__name__, place, f"expected {expected}, got {value!r} ({type(value).__name__})")


def _step(part: int | str) -> str:
    return f"[{part}]" if isinstance(part, int) else f".{part}"


def fits(check: typing.Callable[[], None], where: str) -> None:
    """Run a check of settings against each other on behalf of a study file.

    Raises:
        StudyError: With the place before the reason.
    """
    try:
        check()
    except ConfigurationError as refusal:
        hint = refusal.hint or "leave that combination out with [[select]]"
        raise StudyError(f"{where}: {refusal.message}", hint=hint) from refusal
