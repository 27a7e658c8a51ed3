"""The micro-benchmark: generated problems in HumanEval's form, their self-invoking counterpart, and training text.

At minutes of training a model passes none of HumanEval, so these problems are small enough to be learned: a docstring
names one to three list operations (:mod:`trimtab.codeeval.grammar`) and the solution is a line for each. *micro-pro*
shows such a function with its solution and asks for a second one that calls it
(:mod:`trimtab.codeeval.micro_pro_callers`).

Decisions: (1) the split is by composition, closed under equal behavior and under parts: no training text computes what
a test composition computes, nor contains a held-out pair of operations. (2) Tests refute stubs and near misses
(:mod:`trimtab.codeeval.discriminating_inputs`). (3) Every draw comes from ``random.Random.random``, whose stream Python
guarantees, and every hash is SHA-256: the same seed gives the same text under any Python and any hash seed. (4)
Self-invoking problems are new twice: the base is held out, and so is what follows the call.
"""

from __future__ import annotations

import hashlib
import itertools
import random
import re
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from trimtab.codeeval import discriminating_inputs
from trimtab.codeeval.grammar import (
    PRIMITIVES,
    PROBES,
    Composition,
    Grammar,
    Instance,
    evaluate,
    is_fold,
    language,
    misreadings,
    names,
    parts,
)
from trimtab.codeeval.micro_pro_callers import CALLERS, Caller, CallerForm, followers
from trimtab.codeeval.problems import Problem
from trimtab.errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Item = TypeVar("Item")
_DEFAULT: Final = Grammar()
_ASSERTS: Final = 8
SECOND_FUNCTIONS: Final = ("combine", "handle", "collect", "answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Which compositions training may show, and which are kept for the test; together, the language."""

    training: tuple[Composition, ...]
    held_out: tuple[Composition, ...]


@cache
def split(grammar: Grammar = _DEFAULT) -> Split:
    """Split a grammar's compositions.

    A class of two or more operations is drawn by the hash of its representative. Whatever contains a composition of a
    drawn class is held out too, and whatever is equal to one that is; single operations are always shown.
    """
    classes = language(grammar).classes
    named = {name: hashlib.sha256(" ".join(name).encode()).digest() for name in set(classes.values()) if len(name) > 1}
    drawn = {n for n, digest in named.items() if int.from_bytes(digest[:8], "big") / 2**64 < grammar.held_out}
    held = drawn | {
        classes[composition]
        for composition in classes
        if any(classes.get(part) in drawn for part in parts(composition))
    }
    return Split(
        training=tuple(composition for composition in classes if classes[composition] not in held),
        held_out=tuple(composition for composition in classes if classes[composition] in held),
    )


def problems(*, count: int, seed: int = 0, pro: bool = False, grammar: Grammar = _DEFAULT) -> tuple[Problem, ...]:
    """Return held-out problems; the first ones are the same for every ``count``.

    Args:
        count: How many.
        seed: Another seed gives other constants and wordings of the same held-out compositions.
        pro: Self-invoking problems, on bases that are held out.
        grammar: The language and its split.

    Raises:
        BenchmarkError: The grammar holds out too little for ``count`` different problems.
    """
    return _problems(count, seed, pro, grammar)


@cache
def _problems(count: int, seed: int, pro: bool, grammar: Grammar) -> tuple[Problem, ...]:  # noqa: FBT001 - a cache key
    dice = _Dice("pro" if pro else "test", seed)
    groups = _by_shape(split(grammar).held_out)
    if not groups:
        raise BenchmarkError("grammar: nothing is held out", hint="raise Grammar.held_out or Grammar.depth")
    made: list[Problem] = []
    seen: set[object] = set()
    for attempt in range(20 * count + 100):
        if len(made) == count:
            break
        instance = dice.instance(dice.pick(groups[attempt % len(groups)]))
        call = dice.call(instance, grammar, held_out=True) if pro else None
        examples = _examples(instance, call, dice)
        if (instance, call) not in seen and examples.can_tell:
            seen.add((instance, call))
            text = _text(instance, dice, grammar) if call is None else _pro_text(instance, call, dice, grammar)
            made.append(_problem(len(made), text, examples))
    if len(made) < count:
        raise BenchmarkError(
            f"this grammar holds out only {len(made)} different problems, not {count}",
            hint="raise Grammar.held_out or Grammar.depth, or ask for fewer",
        )
    return tuple(made)


def composition(problem: Problem, grammar: Grammar = _DEFAULT) -> Composition:
    """Return the composition behind a micro problem, or that of the base of a micro-pro problem.

    Found by what the program does, not by how it was made.

    Raises:
        BenchmarkError: The program computes nothing of this grammar.
    """
    scope: dict[str, Any] = {}
    exec(problem.prompt + problem.canonical_solution, scope)  # noqa: S102 - generated by this module
    function = next(value for name, value in scope.items() if name != "__builtins__")
    shown = repr([function(list(probe)) for probe in PROBES])
    same_behavior = language(grammar).behaviors.get(shown)
    if same_behavior is None:
        raise BenchmarkError(f"{problem.task_id}: computes nothing that this grammar describes")
    return same_behavior


def training_samples(*, count: int, seed: int, grammar: Grammar = _DEFAULT) -> Iterator[tuple[str, str]]:
    """Yield (prompt, solution) of training compositions, :attr:`Grammar.pro_share` of them self-invoking."""
    dice = _Dice("train", seed)
    known = split(grammar)
    groups, withheld = _by_shape(known.training), _behaviors_of(known.held_out, grammar)
    made = 0
    while made < count:
        instance = dice.instance(dice.pick(dice.pick(groups)))
        if dice.real() >= grammar.pro_share:
            yield _text(instance, dice, grammar)
        else:
            call = dice.call(instance, grammar, held_out=False)
            if _one_list_behavior(instance, call) in withheld:
                continue
            yield _pro_text(instance, call, dice, grammar)
        made += 1


@cache
def _behaviors_of(compositions: tuple[Composition, ...], grammar: Grammar) -> frozenset[str]:
    wanted = set(compositions)
    return frozenset(shown for shown, composition in language(grammar).behaviors.items() if composition in wanted)


def _one_list_behavior(instance: Instance, call: CallerForm) -> str | None:
    """Return what a call on one list does on the probes: it might amount to a test composition."""
    if call.caller.arguments != ("xs",):
        return None
    function = call.bind(partial(evaluate, instance))
    return repr([function(list(probe)) for probe in PROBES])


def _by_shape(compositions: tuple[Composition, ...]) -> list[list[Composition]]:
    """Group by length and result, so that each shape is drawn equally often however many compositions it has."""
    shapes: dict[tuple[int, bool], list[Composition]] = {}
    for composition in compositions:
        shapes.setdefault((len(composition), is_fold(composition)), []).append(composition)
    return [shapes[shape] for shape in sorted(shapes)]


class _Dice:
    """Seeded draws that no Python version changes."""

    def __init__(self, purpose: str, seed: int) -> None:
        digest = hashlib.sha256(f"{purpose} {seed}".encode()).digest()
        self.real = random.Random(int.from_bytes(digest, "big")).random

    def pick(self, items: Sequence[Item]) -> Item:
        return items[int(self.real() * len(items))]

    def instance(self, composition: Composition) -> Instance:
        return tuple((name, self.pick(PRIMITIVES[name].choices)) for name in composition)

    def call(self, base: Instance, grammar: Grammar, *, held_out: bool) -> CallerForm:
        """Draw a way to call ``base``; in training a flat list is returned as it is every other time."""
        caller = self.pick([known for known in CALLERS if known.folds == is_fold(names(base))])
        following = followers(caller, grammar, held_out=held_out)
        if not following or (not held_out and self.real() < 0.5):
            return CallerForm(caller=caller)
        return CallerForm(caller=caller, after=self.instance((self.pick(following),)))

    def numbers(self, size: int) -> list[int]:
        return [int(self.real() * 30) - 9 for _ in range(size)]


def _text(instance: Instance, dice: _Dice, grammar: Grammar, function: str | None = None) -> tuple[str, str]:
    """Write the prompt and the solution of an instance; wording and names are drawn."""
    function, argument = function or dice.pick(grammar.functions), dice.pick(grammar.arguments)
    prompt = _header(function, (argument,), _sentence(_phrases(instance, dice, grammar), dice.pick(grammar.links)))
    return prompt, _body(argument, [], instance)


def _pro_text(instance: Instance, call: CallerForm, dice: _Dice, grammar: Grammar) -> tuple[str, str]:
    """Write a base with its solution and the header of the function that calls it; then the call."""
    function = dice.pick(grammar.base_functions)
    prompt, solution = _text(instance, dice, grammar, function)
    phrases = [dice.pick(call.caller.phrases).format(f=function), *_phrases(call.after, dice, grammar)]
    second = _header(dice.pick(SECOND_FUNCTIONS), call.caller.arguments, _sentence(phrases, dice.pick(grammar.links)))
    code = call.caller.code.format(f=function)
    body = _body("xs", [code], call.after) if call.after else f"    return {code}\n"
    return f"{prompt}{solution}\n\n{second}", body


def _phrases(instance: Instance, dice: _Dice, grammar: Grammar) -> list[str]:
    return [dice.pick(PRIMITIVES[name].phrases[: grammar.phrasings]).format(c=constant) for name, constant in instance]


def _body(variable: str, lines: list[str], instance: Instance) -> str:
    """Write a line for each operation, after ``lines``, and return the last result."""
    lines = lines + [PRIMITIVES[name].code.format(v=variable, c=constant) for name, constant in instance]
    result = lines.pop() if is_fold(names(instance)) else variable
    return "".join(f"    {variable} = {line}\n" for line in lines) + f"    return {result}\n"


def _header(function: str, arguments: tuple[str, ...], doc: str) -> str:
    return f'def {function}({", ".join(arguments)}):\n    """{doc}"""\n'


def _sentence(phrases: Sequence[str], link: str) -> str:
    """Join phrases into English: commas between all but the last two."""
    *before, last = phrases
    text = link.join([", ".join(before), last]) if before else last
    return f"{text[0].upper()}{text[1:]}."


def _problem(number: int, text: tuple[str, str], examples: _Examples) -> Problem:
    (prompt, solution), benchmark = text, examples.benchmark
    chosen = discriminating_inputs.choose(examples.right, [*examples.idle, *examples.wrong], examples.pool, _ASSERTS)
    return Problem(
        task_id=f"{benchmark}/{number}",
        prompt=prompt,
        entry_point=re.findall(r"^def (\w+)", prompt, re.MULTILINE)[-1],
        canonical_solution=solution,
        test=discriminating_inputs.check(examples.right, chosen),
        benchmark=benchmark,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Examples:
    """The right function, what its tests must refute, and arguments to refute them with."""

    benchmark: str
    right: Callable[..., Any]
    idle: tuple[Callable[..., Any], ...]
    wrong: tuple[Callable[..., Any], ...]
    pool: tuple[discriminating_inputs.Arguments, ...]

    @property
    def can_tell(self) -> bool:
        """Whether no idle function will do: applying a filter twice, say, is the filter."""
        return all(discriminating_inputs.differ(self.right, idle, self.pool) for idle in self.idle)


def _examples(instance: Instance, call: CallerForm | None, dice: _Dice) -> _Examples:
    lists = _lists(dice)
    base = partial(evaluate, instance)
    near = near_misses(instance)
    if call is None:
        pool: tuple[discriminating_inputs.Arguments, ...] = tuple((values,) for values in lists)
        return _Examples(benchmark="micro", right=base, idle=discriminating_inputs.STUBS, wrong=tuple(near), pool=pool)
    called = CallerForm(caller=call.caller).bind(base)
    others = [
        other for other in CALLERS if (other.arguments, other.folds) == (call.caller.arguments, call.caller.folds)
    ]
    wrong: list[Callable[..., Any]] = [call.bind(miss) for miss in near]
    wrong += [CallerForm(caller=other, after=call.after).bind(base) for other in others if other.flat or not call.after]
    wrong += [partial(_then, called, miss) for miss in near_misses(call.after)]
    idle = (*discriminating_inputs.STUBS, lambda *given: base(given[0]))
    pool = tuple(_pool(call.caller, lists, dice))
    return _Examples(benchmark="micro-pro", right=call.bind(base), idle=idle, wrong=tuple(wrong), pool=pool)


def _then(first: Callable[..., Any], second: Callable[[Any], Any], *given: list[int]) -> Any:  # noqa: ANN401
    return second(first(*given))


def _lists(dice: _Dice) -> list[list[int]]:
    """Return lists to test on, the most telling first: mixed, then short, ramps, narrow ranges, all tiny ones."""
    mixed = [dice.numbers(3 + size % 7) for size in range(16)]
    single = [[n] for n in range(-4, 11)]  # the border of a comparison shows best alone
    tiny = [[*pair] for pair in itertools.product(range(-3, 4), repeat=2)]
    tiny += [[*three] for three in itertools.product((-1, 0, 2), repeat=3)]
    narrow = [[low + n % 5 for n in dice.numbers(4 + low % 9)] for low in range(-12, 21, 3)]
    ramps = [[first + way * n for n in range(12)] for first in (-11, 0, 10, 21) for way in (1, -1)]
    return mixed + [list(probe) for probe in PROBES] + single + ramps + narrow + tiny


def _pool(caller: Caller, lists: list[list[int]], dice: _Dice) -> list[discriminating_inputs.Arguments]:
    if caller.arguments == ("xs",):
        return [(values,) for values in lists]
    if caller.arguments == ("rows",):
        return [([dice.pick(lists) for _ in range(size % 4 + 1)],) for size in range(40)]
    unequal: list[discriminating_inputs.Arguments] = [(dice.pick(lists), dice.pick(lists)) for _ in range(60)]
    return [*unequal, *((values, values) for values in lists)]


def near_misses(instance: Instance) -> list[Callable[[list[int]], Any]]:
    """Return functions one edit away: an operation dropped, replaced or swapped, a number in it off by one."""
    functions: list[Callable[[list[int]], Any]] = []
    for at, (name, constant) in enumerate(instance):
        before, after = instance[:at], instance[at + 1 :]
        replaced = [
            primitive
            for primitive in PRIMITIVES.values()
            if primitive.fold == PRIMITIVES[name].fold and primitive.name != name
        ]
        edits = [
            (*before, (primitive.name, primitive.choices[len(primitive.choices) // 2]), *after)
            for primitive in replaced
        ]
        edits.append((*before, *after))
        if after and not PRIMITIVES[after[0][0]].fold:
            edits.append((*before, after[0], (name, constant), *after[1:]))
        functions += [partial(evaluate, primitive) for primitive in edits]
        functions += [partial(_misread, before, wrong, after) for wrong in misreadings(name, constant)]
    return functions


def _misread(before: Instance, wrong: Callable[[list[int]], Any], after: Instance, argument: list[int]) -> Any:  # noqa: ANN401
    return evaluate(after, wrong(evaluate(before, argument)))
