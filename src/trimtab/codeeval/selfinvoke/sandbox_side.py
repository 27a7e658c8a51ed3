"""What runs beside a program inside the sandbox: this file's text is appended to the program's own.

Nothing here is trusted: the program shares the interpreter. All it returns is data about the program, for a builder
that asks; a verdict comes from the sandbox's own judge. Names are prefixed, because they share the program's namespace.
"""

# ruff: noqa: ANN001, ANN002, ANN003, ANN201, ANN202, PLC0415, S102, BLE001 - text that is appended stays short
# mypy: ignore-errors


def trimtab_observe(entry_point, test, limit):
    """Run ``check`` of ``test`` and return the different calls it makes, in order: [arguments, result] each."""
    import copy

    names, seen, depth = globals(), {}, [0]
    function = names[entry_point]

    def recorder(*args, **kwargs):
        depth[0] += 1
        try:
            before = copy.deepcopy(args)
            value = function(*args, **kwargs)
        finally:
            depth[0] -= 1
        if depth[0] == 0 and not kwargs and len(seen) < limit and trimtab_plain([before, value]):
            seen.setdefault(repr(before), [before, copy.deepcopy(value)])
        return value

    names[entry_point] = recorder
    exec(test, names)
    names["check"](recorder)
    return list(seen.values())


def trimtab_evaluate(entry_point, inputs):
    """Return [how it went, arguments, result] of each call; an input is the text between a call's parentheses."""
    import ast
    import copy

    results = []
    for text in inputs:
        try:
            args = ast.literal_eval(f"({text},)") if text.strip() else ()
        except Exception as error:
            results.append(["not literal", (), f"{type(error).__name__}: {error}"[:200]])
            continue
        try:
            value = globals()[entry_point](*copy.deepcopy(args))
        except Exception as error:
            results.append(["raised", args, f"{type(error).__name__}: {error}"[:200]])
            continue
        plain = trimtab_plain(value)
        results.append(["returned", args, value] if plain else ["not data", args, type(value).__name__])
    return results


def trimtab_calls(test, first, last, functions):
    """Run ``test`` and count the calls of functions that lines ``first`` to ``last`` of the program define."""
    import sys

    here, count, error = trimtab_calls.__code__.co_filename, 0, ""

    def watch(frame, event, _):
        nonlocal count
        code = frame.f_code
        if event == "call" and code.co_filename == here and code.co_name in functions:
            count += first <= code.co_firstlineno <= last

    try:
        compiled = compile(test, "test.py", "exec", dont_inherit=True)
        sys.setprofile(watch)
        exec(compiled, globals())
    except Exception as failure:
        error = f"{type(failure).__name__}: {failure}"[:200]
    finally:
        sys.setprofile(None)
    return [count, error]


def trimtab_plain(value):
    """Tell whether a value is data that a literal can write: builtin types throughout, and finite floats."""
    kind = type(value)
    if kind is float:
        return value - value == 0
    if kind in (list, tuple, set, frozenset):
        return all(map(trimtab_plain, value))
    if kind is dict:
        return all(trimtab_plain(part) for pair in value.items() for part in pair)
    return value is None or kind in (bool, int, str, bytes)
