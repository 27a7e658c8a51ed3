import ast
import os
import random
import re
import subprocess
import sys
import warnings

import pytest

from trimtab.codeeval import discriminating_inputs, micro_benchmark, micro_pro_callers
from trimtab.codeeval.grammar import PRIMITIVES, Grammar, behavior, evaluate, instances, is_fold, language, parts
from trimtab.errors import BenchmarkError

SMALL = Grammar(primitives=("add", "multiply", "even", "reverse", "sort", "first", "sum", "largest"))
# Not the probes the grammar itself uses: agreement must hold where it was not enforced.
DICE = random.Random(20261123)
OTHER_PROBES = [[DICE.randint(-15, 40) for _ in range(size % 14)] for size in range(42)]
OTHER_PROBES += [[DICE.randint(low, low + 4) for _ in range(size)] for low in range(-12, 24, 3) for size in (3, 7, 12)]
OTHER_PROBES += [[n] for n in range(-4, 30)]
# Signs and zeros decide what some operations do, and few of the lists above hold both in the places that count.
OTHER_PROBES += [[DICE.randint(low, low + 3) for _ in range(2 + size % 4)] for low in (-3, -1, 0) for size in range(24)]

REFUSALS = (ArithmeticError, LookupError, TypeError, ValueError)


def run(program):
    scope = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # a near miss may look like a slip, and is one
        exec(program, scope)  # noqa: S102 - our own generated code
    return scope


def first_function(program):
    name = re.search(r"^def (\w+)", program, re.MULTILINE).group(1)
    return run(program)[name]


def last_function(program):
    return run(program)[re.findall(r"^def (\w+)", program, re.MULTILINE)[-1]]


def docstrings(program):
    return [ast.get_docstring(node) for node in ast.parse(program).body]


@pytest.fixture(scope="module")
def held_out():
    return micro_benchmark.problems(count=600)


@pytest.fixture(scope="module")
def held_out_pro():
    return micro_benchmark.problems(count=300, pro=True)


@pytest.fixture(scope="module")
def training():
    return list(micro_benchmark.training_samples(count=15_000, seed=0))


def test_canonical_solutions_pass_their_tests(held_out, held_out_pro):
    for problem in held_out + held_out_pro:
        scope = run(problem.prompt + problem.canonical_solution + "\n" + problem.test)
        scope["check"](scope[problem.entry_point])


def test_there_are_enough_different_problems(held_out, held_out_pro):
    assert len({p.prompt for p in held_out}) == 600
    assert len({p.prompt for p in held_out_pro}) == 300
    assert [p.task_id for p in held_out[:2]] == ["micro/0", "micro/1"]
    assert held_out_pro[3].task_id == "micro-pro/3"
    assert {p.benchmark for p in held_out_pro} == {"micro-pro"}


def test_problems_are_a_prefix_of_more_problems(held_out):
    assert micro_benchmark.problems(count=50) == held_out[:50]
    assert micro_benchmark.problems(count=50, seed=1) != held_out[:50]


@pytest.mark.parametrize("pro", [False, True])
def test_tests_refute_stubs(pro, held_out, held_out_pro):
    for problem in held_out_pro if pro else held_out:
        check = run(problem.test)["check"]
        for stub in discriminating_inputs.STUBS:
            with pytest.raises((AssertionError, TypeError)):
                check(stub)
        assert problem.test.count("assert ") >= 8


def near_misses_by_text(problem):
    """Drop a line, swap neighbors, move a constant: edits of the text, not of the grammar's own tuples."""
    lines = problem.canonical_solution.splitlines(keepends=True)
    *steps, last = lines
    for at in range(len(steps)):
        yield "".join([*steps[:at], *steps[at + 1 :], last])
        if at + 1 < len(steps):
            yield "".join([*steps[:at], steps[at + 1], steps[at], *steps[at + 2 :], last])
    if "(" in last:
        yield "".join([*steps, re.sub(r"return .*\((\w+).*\)|return (\w+)\.count.*", "return 0", last)])
    for found in re.finditer(r"(?<=[+\-*<>%:\[ ,(])\d+", problem.canonical_solution):
        for change in (-1, 1):
            number = str(int(found.group()) + change)
            yield problem.canonical_solution[: found.start()] + number + problem.canonical_solution[found.end() :]


def outcome(function, argument):
    try:
        return function(list(argument))
    except REFUSALS as error:
        return type(error)


def test_tests_refute_near_misses(held_out):
    refuted = tried = 0
    for problem in held_out[:400]:
        check = run(problem.test)["check"]
        right = last_function(problem.prompt + problem.canonical_solution)
        for text in near_misses_by_text(problem):
            wrong = last_function(problem.prompt + text)
            if all(outcome(wrong, one) == outcome(right, one) for one in OTHER_PROBES):
                continue  # an equivalent program is not wrong
            tried += 1
            try:
                check(wrong)
            except (AssertionError, *REFUSALS):
                refuted += 1
    assert tried > 2000
    assert refuted == tried


def renamed(text, function, argument):
    """The text with one name for every function and argument, and no docstring: each program is then run once."""
    (old_function, old_argument), *_ = re.findall(r"def (\w+)\((\w+)", text)
    text = re.sub(rf"\b{old_function}\b", function, re.sub(r'""".*"""', '""""""', text))
    return re.sub(rf"\b{old_argument}\b", argument, text)


def functions_of_one_list(prompt, solution):
    """The base and, where it too takes one list, the function that calls it."""
    base, *second = (prompt + solution).split("\n\n\n")
    first = renamed(base, "f", "v")
    yield first
    if second and "(xs):" in second[0]:
        name = re.search(r"def (\w+)", base).group(1)
        yield first + "\n\n" + re.sub(rf"\b{name}\b", "f", renamed(second[0], "g", "v"))


def test_no_test_composition_is_in_the_training_text(held_out, training):
    """By behavior, computed from the text alone, on inputs the generator does not know."""

    def shown(program):
        function = last_function(program)
        return repr([function(list(argument)) for argument in OTHER_PROBES])

    kept = {shown(p.prompt + p.canonical_solution) for p in held_out}
    programs = {text for prompt, solution in training for text in functions_of_one_list(prompt, solution)}
    taught = {shown(program) for program in sorted(programs)}
    assert len(kept) > 300
    assert len(taught) > 1000
    assert kept.isdisjoint(taught)


def test_no_paraphrase_of_a_test_composition_is_in_the_training_text(held_out, held_out_pro, training):
    """A docstring is turned back into operations by its phrases; no held-out sequence of them is ever described."""
    phrases = {
        re.sub(r"\d", "#", phrase.format(c=7)): name for name, one in PRIMITIVES.items() for phrase in one.phrases
    }
    longest_first = sorted(phrases, key=len, reverse=True)

    def described(doc):
        text, found = re.sub(r"\d", "#", doc[0].lower() + doc[1:]), []
        text = re.sub(r"\. (then)", ". then", text)
        while text:
            match = next((one for one in longest_first if text.startswith(one)), None)
            found += [phrases[match]] if match else []
            text = text[len(match) if match else 1 :]
        return tuple(found)

    kept = {described(docstrings(p.prompt + p.canonical_solution)[0]) for p in held_out + held_out_pro}
    assert kept <= set(micro_benchmark.split().held_out)
    shown = {described(docstrings(prompt + solution)[0]) for prompt, solution in training}
    assert shown <= set(micro_benchmark.split().training)
    assert kept.isdisjoint(shown)


def test_the_split_is_closed_under_parts_and_classes():
    split, classes = micro_benchmark.split(), language(Grammar()).classes
    assert set(split.training).isdisjoint(split.held_out)
    assert set(split.training) | set(split.held_out) == set(classes)
    assert {classes[one] for one in split.training}.isdisjoint(classes[one] for one in split.held_out)
    drawn_pairs = {one for one in split.held_out if len(one) == 2}
    for one in split.training:
        assert drawn_pairs.isdisjoint(parts(one))
    assert {(name,) for name in PRIMITIVES} <= set(split.training)


def test_every_primitive_is_in_training_and_in_test():
    split = micro_benchmark.split()
    for group in (split.training, split.held_out):
        assert {name for one in group if len(one) > 1 for name in one} == set(PRIMITIVES)


def test_language_holds_nothing_redundant():
    found = language(SMALL)
    assert ("reverse", "sort") not in found.classes
    assert ("add", "add") not in found.classes
    assert ("sort", "largest") not in found.classes
    assert found.classes["add", "reverse"] == found.classes["reverse", "add"]
    assert found.classes["sort", "first"] != found.classes["first", "sort"]


def test_classes_agree_with_brute_force():
    """Every pair of compositions: same class exactly when a chain of equal functions connects them."""
    found = language(SMALL).classes
    shown = {one: {behavior(instance) for instance in instances(one)} for one in found}
    connected = {one: {one} for one in found}
    for one in found:
        for other in found:
            if not shown[one].isdisjoint(shown[other]):
                merged = connected[one] | connected[other]
                for member in merged:
                    connected[member] = merged
    for one in found:
        assert connected[one] == {other for other in found if found[other] == found[one]}


def test_composition_is_found_from_the_program(held_out, held_out_pro):
    classes = language(Grammar()).classes
    for problem in held_out[:50] + held_out_pro[:50]:
        assert micro_benchmark.composition(problem) in {classes[one] for one in micro_benchmark.split().held_out}


def test_training_samples_are_programs_with_a_share_of_self_invoking_ones(training):
    pro = 0
    for prompt, solution in training[:3000]:
        tree = ast.parse(prompt + solution)
        names = [node.name for node in tree.body]
        if len(names) == 2:
            pro += 1
            calls = {node.id for node in ast.walk(tree.body[1]) if isinstance(node, ast.Name)}
            assert names[0] in calls
    assert 0.2 < pro / 3000 < 0.3


def test_pro_tests_refute_a_call_that_ignores_the_second_function(held_out_pro):
    for problem in held_out_pro:
        scope = run(problem.prompt + problem.canonical_solution)
        base = scope[re.search(r"^def (\w+)", problem.prompt, re.MULTILINE).group(1)]
        check = run(problem.test)["check"]
        with pytest.raises((AssertionError, TypeError)):
            check(lambda *given, base=base: base(given[0]))


@pytest.mark.parametrize("caller", micro_pro_callers.CALLERS, ids=lambda one: one.name)
def test_callers_call_their_base(caller):
    assert all("{f}" in phrase for phrase in caller.phrases)
    seen = []

    def base(xs):
        seen.append(xs)
        return sum(xs) if caller.folds else list(xs)

    given = {"rows": [[1, 2], [3]], "xs": [1, 2], "a": [1, 2], "b": [3]}
    result = micro_pro_callers.CallerForm(caller=caller).bind(base)(*(given[name] for name in caller.arguments))
    assert seen
    if caller.flat:
        assert all(isinstance(number, int) for number in result)
        total = micro_pro_callers.CallerForm(caller=caller, after=(("sum", None),))
        assert total.bind(base)(*(given[name] for name in caller.arguments)) == sum(result)


def shape(solution):
    """The code without its constants; ``== 0`` and ``== 1`` are even and odd."""
    return re.sub(r"(?<!== )\d", "#", solution)


def test_what_follows_a_call_is_split_too(held_out_pro, training):
    for caller in micro_pro_callers.CALLERS:
        kept, shown = (micro_pro_callers.followers(caller, Grammar(), held_out=held) for held in (True, False))
        assert set(kept).isdisjoint(shown)
        assert set(kept) | set(shown) == (set(PRIMITIVES) if caller.flat else set())
    second = {prompt.rsplit("\n\n\n", 1)[1] + solution for prompt, solution in training if prompt.count("def ") == 2}
    shapes = {shape(one.split('"""\n')[1]) for one in second}
    several = [problem for problem in held_out_pro if "xs = " in problem.canonical_solution]
    assert len(several) > 100
    assert shapes.isdisjoint(shape(problem.canonical_solution) for problem in several)


def test_text_does_not_depend_on_the_hash_seed():
    code = (
        "import hashlib; from trimtab.codeeval import micro_benchmark;"
        "text = repr((list(micro_benchmark.training_samples(count=200, seed=3)), micro_benchmark.problems(count=40), "
        "micro_benchmark.problems(count=20, pro=True)));"
        "print(hashlib.sha256(text.encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("0", "1234")
    }
    assert len(digests) == 1


def test_difficulty_is_a_parameter():
    easy = Grammar(primitives=SMALL.primitives, depth=1, held_out=0.6)
    problems = micro_benchmark.problems(count=10, grammar=easy)
    assert {len(micro_benchmark.composition(one, easy)) for one in problems} == {2}
    assert all(is_fold(micro_benchmark.composition(one, easy)) for one in problems)
    deep = Grammar(primitives=("add", "even", "reverse", "sum"), depth=3, held_out=0.3)
    assert {len(one) for one in micro_benchmark.split(deep).training + micro_benchmark.split(deep).held_out} >= {
        1,
        2,
        3,
    }


def test_evaluation_of_an_instance_by_hand():
    assert evaluate((("above", 2), ("multiply", 3), ("sum", None)), [1, 2, 3, 4]) == 21
    assert evaluate((("distinct", None), ("skip", 1)), [5, 5, 6, 5, 7]) == [6, 7]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"primitives": ("ad",)}, "did you mean 'add'"),
        ({"depth": 4}, "depth must be 1, 2 or 3, got 4"),
        ({"held_out": 1.0}, r"held_out must be in \[0, 1\), got 1.0"),
        ({"pro_share": -0.1}, "pro_share"),
    ],
)
def test_impossible_grammars_are_refused(settings, said):
    with pytest.raises(BenchmarkError, match=said):
        Grammar(**settings)


def test_too_many_problems_are_refused():
    tiny = Grammar(primitives=("even", "sort", "sum"), depth=1, held_out=0.9)
    with pytest.raises(BenchmarkError, match="holds out only"):
        micro_benchmark.problems(count=100, grammar=tiny)
    with pytest.raises(BenchmarkError, match="nothing is held out"):
        micro_benchmark.problems(count=1, grammar=Grammar(held_out=0.0))
