"""Ways to make a harder problem of a function by what is known of its arguments and results: no model needed.

A template is a sentence, a body that calls the function, and inputs built from calls whose results were observed; which
templates fit is decided by the types that came back. Each is deterministic. ``{call}`` stands for a call of the base on
``x``, an element of the argument: the base's one argument, or a tuple of its several.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trimtab.codeeval.selfinvoke.program_lab import Example

Inputs = list[tuple[Any, ...]]
_SIZES: Final = (3, 5, 1, 4, 2, 6, 0, 3, 4)


class Facts:
    """What the observed calls of a function tell about it.

    Args:
        examples: Not empty; ordered so that different results come early.
    """

    def __init__(self, examples: Sequence[Example]) -> None:
        results = [example.result for example in examples]
        self.single = all(len(example.arguments) == 1 for example in examples)
        self.items: list[Any] = [example.arguments[0] if self.single else example.arguments for example in examples]
        self.results = results
        kinds = {type(result) for result in results}
        self.kind = kinds.pop() if len(kinds) == 1 else float if kinds == {int, float} else object
        self.varied = any(result != results[0] for result in results)
        self.hashable = _can(lambda: set(results))
        self.hashable_items = _can(lambda: set(self.items))
        self.ordered = self.kind not in (object, dict, set, type(None)) and _can(lambda: sorted(results))
        self.number = self.kind in (int, float)
        self.sized = self.kind in (str, list, tuple, set, dict)
        argument_kinds = {type(part) for example in examples for part in example.arguments}
        self.endless = self.single and argument_kinds == {self.kind}
        self.folds = all(len(example.arguments) == 2 for example in examples) and argument_kinds == {self.kind}


def _can(act: Callable[[], object]) -> bool:
    try:
        act()
    except TypeError:
        return False
    return True


def _window(values: list[Any], start: int, size: int) -> list[Any]:
    return [values[(start + step) % len(values)] for step in range(size)]


def _lists(facts: Facts) -> Inputs:
    """Lists of elements of many sizes, the empty one and one with repetitions included."""
    values = facts.items
    lists: Inputs = [(_window(values, 2 * n, size),) for n, size in enumerate(_SIZES)]
    return [*lists, ([values[0], values[-1], values[0], values[0]],), (values[::-1][:6],)]


def _filled(facts: Facts) -> Inputs:
    return [row for row in _lists(facts) if row[0]]


def _pairs(facts: Facts) -> Inputs:
    values = facts.items
    steps = [(values[n], values[(n + 1) % len(values)]) for n in range(min(5, len(values)))]
    return [*steps, *((b, a) for a, b in steps[:3]), (values[0], values[0])]


def _singles(facts: Facts) -> Inputs:
    return [(value,) for value in facts.items[:8]]


def _with_target(facts: Facts) -> Inputs:
    rows = _lists(facts)
    return [(row[0], facts.results[n % len(facts.results)]) for n, row in enumerate(rows)]


def _with_count(facts: Facts) -> Inputs:
    return [(value, n % 4) for n, value in enumerate(facts.items[:8], 1)]


def _with_separator(facts: Facts) -> Inputs:
    return [(row[0], ", -|"[n % 4]) for n, row in enumerate(_lists(facts))]


def _two_lists(facts: Facts) -> Inputs:
    rows = [row[0] for row in _lists(facts)]
    return [*itertools.pairwise(rows[:7]), (rows[0], rows[0]), (rows[1], rows[1][::-1])]


def _flat(facts: Facts) -> Inputs:
    """Lists of what a function of two arguments takes, for folding."""
    parts = [part for pair in facts.items for part in pair]
    return [(_window(parts, 2 * n, size),) for n, size in enumerate(_SIZES) if size > 0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One way.

    Attributes:
        name: What the new function's name begins with.
        fits: Whether it makes sense for a function.
        parameters: Of the new function.
        says: What it returns.
        body: Lines of its body, without indentation.
        inputs: Arguments to test it with.
    """

    name: str
    fits: Callable[[Facts], bool]
    parameters: str
    says: str
    body: tuple[str, ...]
    inputs: Callable[[Facts], Inputs]


def _template(
    name: str, fits: Callable[[Facts], bool], parameters: str, says: str, body: str, inputs: Callable[[Facts], Inputs]
) -> Template:
    return Template(name=name, fits=fits, parameters=parameters, says=says, body=tuple(body.split("\n")), inputs=inputs)


def _is_bool(facts: Facts) -> bool:
    return facts.kind is bool and facts.varied


TEMPLATES: Final = (
    _template(
        "select", _is_bool, "items", "the elements x of items for which {call} is true, in their order",
        "return [x for x in items if {call}]", _lists,
    ),
    _template(
        "partition", _is_bool, "items",
        "two lists: the elements x of items for which {call} is true, and the others, each in their order",
        "yes, no = [], []\nfor x in items:\n    (yes if {call} else no).append(x)\nreturn [yes, no]", _lists,
    ),
    _template(
        "longest_run", _is_bool, "items",
        "the length of the longest run of neighboring elements x of items for which {call} is true",
        "best = run = 0\nfor x in items:\n    run = run + 1 if {call} else 0\n    best = max(best, run)\nreturn best",
        _lists,
    ),
    _template(
        "positions", _is_bool, "items", "the positions, counted from 0, of the elements x of items for which {call} is "
        "false", "return [i for i, x in enumerate(items) if not {call}]", _lists,
    ),
    _template(
        "total", lambda f: f.number, "items", "the sum of {call} over all elements x of items; 0 for an empty list",
        "return sum({call} for x in items)", _lists,
    ),
    _template(
        "running", lambda f: f.number, "items",
        "the running totals: for each element of items, the sum of {call} over it and all elements x before it",
        "totals, so_far = [], 0\nfor x in items:\n    so_far += {call}\n    totals.append(so_far)\nreturn totals",
        _lists,
    ),
    _template(
        "spread", lambda f: f.number and f.varied, "items",
        "the difference between the largest and the smallest {call} over all elements x of items; 0 for an empty list",
        "values = [{call} for x in items]\nreturn max(values) - min(values) if values else 0", _lists,
    ),
    _template(
        "best", lambda f: f.ordered and f.varied and f.kind is not bool, "items",
        "the position, counted from 0, of the first element x of items whose {call} is largest; -1 for an empty list",
        "best, largest = -1, None\nfor i, x in enumerate(items):\n    value = {call}\n"
        "    if best == -1 or value > largest:\n        best, largest = i, value\nreturn best", _lists,
    ),
    _template(
        "ranked", lambda f: f.ordered and f.varied and f.kind is not bool, "items",
        "the elements of items in descending order of {call}; elements with equal results keep their order",
        "return sorted(items, key=lambda x: {call}, reverse=True)", _lists,
    ),
    _template(
        "compare", lambda f: f.ordered and f.varied and f.kind is not bool, "a, b",
        "1 if {a} is greater than {b}, -1 if it is less, and 0 if they are equal",
        "first, second = {a}, {b}\nreturn (first > second) - (first < second)", _pairs,
    ),
    _template(
        "differ", lambda f: f.varied, "first, second",
        "the positions at which two lists give different results: i counts if both lists have an element there and "
        "{call} is not the same for x = first[i] and for x = second[i]",
        "results = [[{call} for x in items] for items in (first, second)]\n"
        "return [i for i, (a, b) in enumerate(zip(*results)) if a != b]", _two_lists,
    ),
    _template(
        "changes", lambda f: f.varied, "items",
        "how many times {call} changes from an element x of items to the next one",
        "values = [{call} for x in items]\nreturn sum(a != b for a, b in zip(values, values[1:]))", _lists,
    ),
    _template(
        "group", lambda f: f.hashable and f.varied, "items",
        "a dictionary from each result of {call} over the elements x of items to the list of the positions, counted "
        "from 0, where it occurs",
        "groups = {{}}\nfor i, x in enumerate(items):\n    groups.setdefault({call}, []).append(i)\nreturn groups",
        _lists,
    ),
    _template(
        "invert", lambda f: f.varied, "items, target",
        "the elements x of items for which {call} equals target, in their order",
        "return [x for x in items if {call} == target]", _with_target,
    ),
    _template(
        "memoize", lambda f: f.hashable_items and f.varied, "items",
        "a dictionary from each different element x of items, in the order in which they first occur, to a pair: "
        "{call}, computed only once, and how often the element occurs",
        "known = {{}}\nfor x in items:\n    if x in known:\n        value, count = known[x]\n"
        "        known[x] = (value, count + 1)\n    else:\n        known[x] = ({call}, 1)\nreturn known", _lists,
    ),
    _template(
        "collect", lambda f: f.varied, "items",
        "the list of the different results of {call} over the elements x of items, in the order in which they first "
        "occur",
        "found = []\nfor x in items:\n    value = {call}\n    if value not in found:\n        found.append(value)\n"
        "return found", _lists,
    ),
    _template(
        "twice", lambda f: f.endless and f.varied, "value", "what {base} gives when it is applied to its own result "
        "for value", "return {base}({base}(value))", _singles,
    ),
    _template(
        "orbit", lambda f: f.endless and f.varied, "value, steps",
        "the list that begins with value and in which each further element is {base} of the one before it, with steps "
        "further elements",
        "found = [value]\nfor _ in range(steps):\n    found.append({base}(found[-1]))\nreturn found", _with_count,
    ),
    _template(
        "fold", lambda f: f.folds and f.varied, "values",
        "the result of combining values, which is not empty, from left to right with {base}: the result so far is the "
        "first argument, the next value the second",
        "result = values[0]\nfor value in values[1:]:\n    result = {base}(result, value)\nreturn result", _flat,
    ),
    _template(
        "chain", lambda f: f.kind is list and f.varied, "items",
        "one list that holds all elements of {call} for each element x of items, in order",
        "return [part for x in items for part in {call}]", _lists,
    ),
    _template(
        "join", lambda f: f.kind is str and f.varied, "items, separator",
        "one string: {call} for each element x of items, in order, with separator between them",
        "return separator.join({call} for x in items)", _with_separator,
    ),
    _template(
        "longest", lambda f: f.sized and f.varied, "items",
        "the longest {call} over all elements x of items, which is not empty; the first one if several are as long",
        "return max(({call} for x in items), key=len)", _filled,
    ),
    _template(
        "merge", lambda f: f.kind is dict and f.varied, "items",
        "one dictionary with all entries of {call} for each element x of items; later elements win",
        "merged = {{}}\nfor x in items:\n    merged.update({call})\nreturn merged", _lists,
    ),
    _template(
        "most_common", lambda f: f.hashable and f.varied, "items",
        "the result of {call} that occurs most often over the elements x of items, which is not empty; the one that "
        "occurs first if several are as frequent",
        "values = [{call} for x in items]\nreturn max(values, key=values.count)", _filled,
    ),
)  # fmt: skip
