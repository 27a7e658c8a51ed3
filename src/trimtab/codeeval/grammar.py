"""The language of the micro-benchmark: primitives, their code and their English, and which compositions exist.

A *composition* is a tuple of primitive names applied left to right: steps from list to list, then perhaps one fold to a
number. An *instance* adds the constants. Code is the only meaning a primitive has: its expression is both what a
solution says and what is evaluated here. A composition belongs to the language only if it does something that no
shorter one does, so ``(sort, reverse, sum)`` is out; and compositions that compute the same function for some
constants, such as ``(add, reverse)`` and ``(reverse, add)``, form one *class*: knowing one is knowing the other.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

from trimtab.errors import BenchmarkError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping

Composition = tuple[str, ...]
Instance = tuple[tuple[str, int | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Primitive:
    """One operation on a list of integers.

    Attributes:
        name: How a composition names it.
        code: A Python expression over ``{v}``, the list, and ``{c}``, the constant.
        phrases: Imperative English, interchangeable; ``{c}`` is the constant.
        constants: The values ``{c}`` may take; empty when there is none.
        fold: True when the result is a number, which ends a composition.
    """

    name: str
    code: str
    phrases: tuple[str, ...]
    constants: tuple[int, ...] = ()
    fold: bool = False

    @property
    def choices(self) -> tuple[int | None, ...]:
        """The constants, or a single None."""
        return self.constants or (None,)


def _step(name: str, code: str, *phrases: str, constants: range = range(0)) -> Primitive:
    return Primitive(name=name, code=code, phrases=phrases, constants=tuple(constants))


def _fold(name: str, code: str, *phrases: str, constants: range = range(0)) -> Primitive:
    return Primitive(name=name, code=code, phrases=phrases, constants=tuple(constants), fold=True)


_DIGITS: Final = range(1, 10)
PRIMITIVES: Final[Mapping[str, Primitive]] = {
    primitive.name: primitive
    for primitive in (
        _step(
            "add", "[x + {c} for x in {v}]",
            "add {c} to each number", "increase every number by {c}", "raise each value by {c}", constants=_DIGITS,
        ),
        _step(
            "subtract", "[x - {c} for x in {v}]",
            "subtract {c} from each number", "decrease every number by {c}", "lower each value by {c}",
            constants=_DIGITS,
        ),
        _step(
            "multiply", "[x * {c} for x in {v}]",
            "multiply each number by {c}", "scale every value by {c}", "make each number {c} times as large",
            constants=range(2, 10),
        ),
        _step(
            "modulo", "[x % {c} for x in {v}]",
            "take each number modulo {c}", "find the remainder of each number by {c}", constants=range(3, 10),
        ),
        _step("square", "[x * x for x in {v}]", "square each number", "multiply each value by itself"),
        _step("negate", "[-x for x in {v}]", "negate each number", "flip the sign of every value"),
        _step("absolute", "[abs(x) for x in {v}]", "take absolute values", "drop the sign of each number"),
        _step(
            "above", "[x for x in {v} if x > {c}]",
            "keep numbers greater than {c}", "select values above {c}", "keep only what exceeds {c}",
            constants=range(10),
        ),
        _step(
            "below", "[x for x in {v} if x < {c}]",
            "keep numbers less than {c}", "select values below {c}", "keep only what is under {c}", constants=_DIGITS,
        ),
        _step("even", "[x for x in {v} if x % 2 == 0]", "keep even numbers", "remove odd values"),
        _step("odd", "[x for x in {v} if x % 2 == 1]", "keep odd numbers", "remove even values"),
        _step(
            "floor", "[max(x, {c}) for x in {v}]",
            "replace numbers below {c} by {c}", "make every value at least {c}", constants=range(10),
        ),
        _step("reverse", "{v}[::-1]", "reverse the list", "put the items in reverse order", "flip the order"),
        _step("sort", "sorted({v})", "sort the list", "put the items in ascending order"),
        _step("first", "{v}[:{c}]", "keep the first {c} items", "take {c} items from the start", constants=range(2, 6)),
        _step("skip", "{v}[{c}:]", "skip the first {c} items", "drop {c} items from the start", constants=range(1, 4)),
        _step("alternate", "{v}[::2]", "keep every other item", "take every second item"),
        _step("distinct", "list(dict.fromkeys({v}))", "remove duplicates", "keep each value once"),
        _step("halve", "[x // 2 for x in {v}]", "halve each number", "divide every value by two"),
        _step("cube", "[x ** 3 for x in {v}]", "cube each number", "raise every value to the third power"),
        _step("digit", "[x % 10 for x in {v}]", "keep the last digit of each number", "reduce every value modulo ten"),
        _step("sign", "[(x > 0) - (x < 0) for x in {v}]", "replace each number by its sign", "take signs"),
        _step("nonzero", "[x for x in {v} if x]", "remove zeros", "drop every zero"),
        _step("descend", "sorted({v}, reverse=True)", "sort from large to small", "put the largest items first"),
        _step("rotate", "{v}[1:] + {v}[:1]", "move the first item to the end", "rotate the list left"),
        _step("shorten", "{v}[:-1]", "remove the last item", "leave out the final item"),
        _step("mirror", "{v} + {v}[::-1]", "append the reversed list", "add a mirror image"),
        _step("repeat", "{v} * 2", "repeat the list", "write the list twice"),
        _step("between", "{v}[1::2]", "keep items at odd positions", "take the items in between"),
        _step("change", "[b - a for a, b in zip({v}, {v}[1:])]", "take differences of neighbors", "find the changes"),
        _step("pairs", "[a + b for a, b in zip({v}, {v}[1:])]", "add neighbors", "find the sum of each pair in a row"),
        _step("weigh", "[i * x for i, x in enumerate({v})]", "multiply each number by its position", "weigh by index"),
        _step("shift", "[i + x for i, x in enumerate({v})]", "add its position to each number", "add the index"),
        _fold("sum", "sum({v})", "return the sum", "add up the numbers", "return the total"),
        _fold("length", "len({v})", "return the length", "count the items"),
        _fold("largest", "max({v}, default=0)", "return the largest", "find the maximum"),
        _fold("smallest", "min({v}, default=0)", "return the smallest", "find the minimum"),
        _fold(
            "count", "{v}.count({c})", "count how often {c} occurs", "return the number of {c} values",
            constants=range(5),
        ),
        _fold("head", "({v} or [0])[0]", "return the first item", "give what comes first"),
        _fold("last", "({v} or [0])[-1]", "return the last item", "give what comes last"),
        _fold("spread", "max({v}, default=0) - min({v}, default=0)", "return the range", "find the spread"),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """Which problems exist: the knob of difficulty.

    Attributes:
        primitives: Names of :data:`PRIMITIVES`; fewer is easier.
        depth: Most list steps in a row; a fold may follow.
        held_out: Share of the classes of two or more operations kept from training, before closing under parts.
        pro_share: Share of the training samples in self-invoking form.
        functions: Names a problem's function may have.
        base_functions: Names a self-invoking problem's base may have; more of them are harder, as they are copied.
        arguments: Names its argument may have; more of them are harder, because they have to be copied.
        phrasings: How many of the phrases of a primitive are used.
        links: What stands between the last two phrases of a docstring.

    Raises:
        BenchmarkError: An unknown primitive, or a number out of range.
    """

    primitives: tuple[str, ...] = tuple(PRIMITIVES)
    depth: int = 2
    held_out: float = 0.12
    pro_share: float = 0.25
    functions: tuple[str, ...] = ("work", "process", "apply", "change", "compute", "update", "adapt", "run")
    base_functions: tuple[str, ...] = ("work",)
    arguments: tuple[str, ...] = ("xs", "nums", "values", "data")
    phrasings: int = 3
    links: tuple[str, ...] = (", then ", " and ", ". Then ", ", and after that ")

    def __post_init__(self) -> None:
        for name in self.primitives:
            if name not in PRIMITIVES:
                raise BenchmarkError(f"grammar: no primitive {name!r}; {nearest(name, PRIMITIVES)}")
        if not 1 <= self.depth <= 3:
            raise BenchmarkError(f"grammar: depth must be 1, 2 or 3, got {self.depth!r}")
        for name, share in (("held_out", self.held_out), ("pro_share", self.pro_share)):
            if not 0 <= share < 1:
                raise BenchmarkError(f"grammar: {name} must be in [0, 1), got {share!r}")
        for name in ("primitives", "functions", "base_functions", "arguments", "links", "phrasings"):
            if not getattr(self, name):
                raise BenchmarkError(f"grammar: {name} must not be empty")

    @property
    def steps(self) -> tuple[str, ...]:
        """The primitives from list to list."""
        return tuple(name for name in self.primitives if not PRIMITIVES[name].fold)

    @property
    def folds(self) -> tuple[str, ...]:
        """The primitives from list to number."""
        return tuple(name for name in self.primitives if PRIMITIVES[name].fold)

    def tuples(self) -> Iterator[Composition]:
        """Yield every sequence of primitives of the right shape, short ones first, meaningful or not."""
        for length in range(1, self.depth + 2):
            if length <= self.depth:
                yield from itertools.product(self.steps, repeat=length)
            for steps in itertools.product(self.steps, repeat=length - 1):
                yield from ((*steps, fold) for fold in self.folds)


def is_fold(composition: Composition) -> bool:
    """Tell whether the composition returns a number."""
    return PRIMITIVES[composition[-1]].fold


def instances(composition: Composition) -> Iterator[Instance]:
    """Yield the composition with every choice of constants."""
    for constants in itertools.product(*(PRIMITIVES[name].choices for name in composition)):
        yield tuple(zip(composition, constants, strict=True))


def names(instance: Instance) -> Composition:
    """Return the composition of an instance."""
    return tuple(name for name, _ in instance)


@cache
def operation(name: str, constant: int | None) -> Callable[[list[int]], Any]:
    """Return the function that a primitive's code denotes."""
    return _compiled(PRIMITIVES[name].code.format(v="xs", c=constant))


@cache
def misreadings(name: str, constant: int | None) -> tuple[Callable[[list[int]], Any], ...]:
    """Return the primitive with one number in its code off by one; some raise."""
    code = PRIMITIVES[name].code.format(v="xs", c=constant)
    return tuple(
        _compiled(f"{code[: number.start()]}{int(number.group()) + change}{code[number.end() :]}")
        for number in re.finditer(r"\d+", code)
        for change in (-1, 1)
    )


def _compiled(code: str) -> Callable[[list[int]], Any]:
    function: Callable[[list[int]], Any] = eval(f"lambda xs: {code}", {})  # noqa: S307 - our own, of the table above
    return function


def evaluate(instance: Instance, argument: list[int]) -> Any:  # noqa: ANN401 - a list or a number
    """Apply an instance to a list."""
    value: Any = argument
    for name, constant in instance:
        value = operation(name, constant)(value)
    return value


# Functions that agree on all of these are taken to be the same: lengths 0 to 12, duplicates, runs, both signs.
PROBES: Final[tuple[tuple[int, ...], ...]] = (
    (), (0,), (7,), (-4,), (3, 3), (5, 2), (-1, 1), (8, -3, 8), (1, 2, 3), (9, 6, 4, 0), (2, -7, 5, -7),
    (10, 13, 11, 12, 10), (-9, -2, -5, -2, -12), (4, 15, 1, 9, 6, 2), (0, 1, 0, 1, 2, 0, 3), (6, 6, 6, 2, 2, 9, 9),
    (12, -6, 7, 3, -10, 5, 8, 1), (21, 14, 35, 18, 27, 9, 30, 16), (2, 4, 8, 16, 3, 9, 27, 1, 5),
    (-3, 17, 0, 5, -8, 11, 4, 4, -1, 6), (7, 5, 3, 1, 8, 6, 4, 2, 0, 9), (19, 2, 23, 8, -15, 8, 19, 1, -4, 10, 3, 7),
)  # fmt: skip


_TRIVIAL: Final = repr([list(probe) for probe in PROBES])


def behavior(instance: Instance) -> str:
    """Return what an instance does on :data:`PROBES`: the name of the function it computes."""
    return repr([evaluate(instance, list(probe)) for probe in PROBES])


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """The meaningful compositions of a grammar.

    Attributes:
        classes: Composition → representative of its class (the first in order among those equal to it).
        behaviors: Behavior → representative of the class that shows it.
    """

    classes: Mapping[Composition, Composition]
    behaviors: Mapping[str, Composition]


@lru_cache(maxsize=8)  # the folds of a chain come one after the other
def _outputs(composition: Composition) -> tuple[tuple[Any, ...], ...]:
    """Return the outputs on the probes of each instance."""
    return tuple(_each_output(composition)) if composition else (tuple(list(probe) for probe in PROBES),)


def _each_output(composition: Composition) -> Iterator[tuple[Any, ...]]:
    """Yield what :func:`_outputs` returns, sharing the work of common beginnings."""
    *before, last = composition
    applied = [operation(last, constant) for constant in PRIMITIVES[last].choices]
    return (tuple(map(apply, values)) for values in _outputs(tuple(before)) for apply in applied)


class _Classes:
    """Disjoint sets of compositions, each known by its first member."""

    def __init__(self) -> None:
        self.parent: dict[Composition, Composition] = {}

    def find(self, member: Composition) -> Composition:
        while (above := self.parent.setdefault(member, member)) != member:
            member = above
        return member

    def join(self, composition: Composition, other: Composition) -> None:
        first, second = sorted((self.find(composition), self.find(other)))
        self.parent[second] = first


@cache
def language(grammar: Grammar) -> Language:
    """Enumerate a grammar: keep what no shorter composition does, and join what is the same."""
    classes, shorter = _Classes(), {_TRIVIAL: Composition()}
    dropped: set[Composition] = set()
    for _, group in itertools.groupby(grammar.tuples(), key=len):
        by_behavior: dict[str, set[Composition]] = defaultdict(set)
        for composition in group:
            is_dropped = any(part in dropped for part in parts(composition))
            shown = set() if is_dropped else _new_behaviors(composition, shorter)
            if not shown:
                dropped.add(composition)
            for key in shown:
                by_behavior[key].add(composition)
        for key, members in by_behavior.items():
            shorter[key] = min(members)
            for member in members:
                classes.join(member, shorter[key])
    del shorter[_TRIVIAL]
    return Language(
        classes={member: classes.find(member) for member in sorted(classes.parent)},
        behaviors={key: classes.find(member) for key, member in shorter.items()},
    )


def parts(composition: Composition) -> Iterator[Composition]:
    """Yield the contiguous parts of two or more operations, the whole included."""
    for size in range(2, len(composition) + 1):
        yield from (composition[start : start + size] for start in range(len(composition) - size + 1))


def _new_behaviors(composition: Composition, known: Container[str]) -> set[str]:
    """Return what the instances do; empty when one of them ignores its argument or does what is known."""
    shown = set()
    for values in _each_output(composition):
        if all(value == values[0] for value in values) or (key := repr(list(values))) in known:
            return set()
        shown.add(key)
    return shown
