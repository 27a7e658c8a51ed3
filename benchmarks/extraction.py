"""Does our extraction find the program that EvalPlus' sanitizer finds, in a model's own replies and in made ones?

    python benchmarks/extraction.py generate MODEL --out replies.jsonl [--forms reply completion] [--problems 32]
    python benchmarks/extraction.py compare replies.jsonl ... [--made 20] [--show]
    python benchmarks/extraction.py growth | marks

``generate`` asks a local model for some of HumanEval, without stop words, so that all it says is kept. ``compare`` also
reads samples of ``trimtab eval``, and adds ``--made`` problems' own solutions in the forms that replies have. For each
reply it asks: is it the same text, the same syntax tree, the same verdict; who passes where they differ; and what each
took. Verdicts are the sandbox's for both. The sanitizer (``pip install evalplus tree-sitter tree-sitter-python`` in an
environment of its own; never a dependency of this project) and every parse of a reply run in a confined process.
"""

from __future__ import annotations

import argparse
import ast
import collections
import concurrent.futures
import multiprocessing
import random
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sandbox_agreement import shut_in
from trimtab import disk
from trimtab.codeeval import extract, judge, problems, prompts, reply_marks, samples
from trimtab.codeeval.completion import Sampling
from trimtab.sandbox.broker import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from trimtab.codeeval.problem import Problem

LONGEST = 200  # lines of a reply that the sanitizer is asked about: 400 take it five seconds
PROSE = "Sure! Here is a function that does what you ask for.\n\n"
AFTER = "\n\nThis function first looks at its input, then returns the result. Let me know if you need anything else!"


class Reply(NamedTuple):
    """What was said, where from, for which problem, and whether it continues the problem's prompt."""

    form: str
    problem: Problem
    text: str
    continues: bool


# What replies look like, from a right program and its parts.
def _fenced(code: str, tag: str = "python", fence: str = "```") -> str:
    return f"{fence}{tag}\n{code.strip(chr(10))}\n{fence}"


def _call(problem: Problem) -> str:
    return f"print({problem.entry_point}())"


def _without_imports(code: str) -> str:
    return "\n".join(line for line in code.split("\n") if not line.startswith(("import ", "from ")))


def _indented(code: str) -> str:
    return "".join(f"    {line}" if line.strip() else line for line in code.splitlines(keepends=True))


WHOLE: dict[str, Callable[[Problem, str], str]] = {
    "a program": lambda _, code: code,
    "a fence": lambda _, code: _fenced(code),
    "a fence without a language": lambda _, code: _fenced(code, ""),
    "a fence of tildes": lambda _, code: _fenced(code, fence="~~~"),
    "prose around a fence": lambda _, code: PROSE + _fenced(code) + AFTER,
    "prose around no fence": lambda _, code: PROSE + code + AFTER,
    "a fence that is not closed": lambda _, code: f"{PROSE}```python\n{code}",
    "a call in a second fence": lambda p, code: f"{PROSE}{_fenced(code)}\n\nUse it so:\n\n{_fenced(_call(p))}{AFTER}",
    "a call in the first fence": lambda p, code: f"You want to call\n\n{_fenced(_call(p))}\n\nso:\n\n{_fenced(code)}",
    "a shell fence first": lambda _, code: f"{_fenced('pip install numpy', 'bash')}\n\n{_fenced(code)}",
    "a fence in a list, indented": lambda _, code: f"1. The function:\n\n{_indented(_fenced(code))}\n\n2. Done.",
    "reasoning before": lambda p, code: f"<think>\ndef {p.entry_point}(): maybe\n</think>\n{_fenced(code)}",
    "carriage returns": lambda _, code: _fenced(code).replace("\n", "\r\n"),
    "a __main__ block": lambda p, code: _fenced(f'{code}\n\nif __name__ == "__main__":\n    {_call(p)}'),
    "a main() that is called": lambda p, code: _fenced(f"{code}\n\ndef main():\n    {_call(p)}\n\nmain()"),
    "a print after": lambda p, code: _fenced(f"{code}\n\n{_call(p)}"),
    "a failing assertion after": lambda p, code: _fenced(f"{code}\n\nassert {p.entry_point} is None"),
    "input() after": lambda _, code: _fenced(f'{code}\n\nn = int(input("n: "))'),
    "without the prompt's imports": lambda _, code: _fenced(_without_imports(code)),
    "a first draft that is wrong": lambda p, code: _fenced(f"def {p.entry_point}(*a):\n    return None\n\n\n{code}"),
    "a second function that is no program": lambda _, code: _fenced(
        f"{code}\n\ndef other(x)\n    return x\n\nother(1)"
    ),
    "cut in the middle of a call after": lambda p, code: f"```python\n{code}\n\nprint({p.entry_point}(",
    "cut in the middle of a second function": lambda _, code: f"```python\n{code}\n\ndef other(x):\n    return [x for",
}
BODY: dict[str, Callable[[Problem, str], str]] = {
    "continued": lambda _, body: body,
    "continued, then a __main__ block": lambda p, body: f'{body}\n\nif __name__ == "__main__":\n    {_call(p)}\n',
    "continued, then a print": lambda p, body: f"{body}\n\n{_call(p)}\n",
    "continued, then prose": lambda _, body: body + AFTER,
    "continued, then a closing fence and prose": lambda _, body: f"{body}\n```{AFTER}",
    "continued, then cut in a function": lambda _, body: f"{body}\n\ndef other(x):\n    return [x for",
    "continued, first line not indented": lambda _, body: body.lstrip(),
    "continued, the program again in a fence": lambda p, body: f"\n{_fenced(p.prompt + body)}",
}


def made(number: int) -> Iterator[Reply]:
    chosen = random.Random(0).sample(problems.load("humaneval").problems, number)
    for problem in chosen:
        for form, whole in WHOLE.items():
            yield Reply(form, problem, whole(problem, problem.prompt + problem.canonical_solution), continues=False)
        for form, body in BODY.items():
            yield Reply(form, problem, body(problem, problem.canonical_solution), continues=True)


def recorded(files: Sequence[Path]) -> Iterator[Reply]:
    known = {problem.task_id: problem for problem in problems.load("humaneval").problems}
    for file in files:
        for one in samples.read(file).samples:
            if one.task_id in known:
                form = f"{file.stem}, {'continued' if one.continues else 'a reply'}"
                yield Reply(form, known[one.task_id], one.completion, continues=one.continues)


def generate(model: str, out: Path, forms: Sequence[str], number: int, tokens: int) -> None:
    from trimtab.lm import pretrained  # noqa: PLC0415 - imports torch

    completer = pretrained.load(model, batch_size=16)
    asked = problems.load("humaneval").problems
    asked = asked[:: max(1, len(asked) // number)][:number]
    with disk.LineLog(out) as log:
        there = {(record["form"], record["task_id"]) for record in log.records}
        for form in forms:
            todo = [problem for problem in asked if (form, problem.task_id) not in there]
            put = [prompts.ask(problem, prompts.PromptForm(form)) for problem in todo]
            for found in completer.complete([one.prompt for one in put], Sampling(max_new_tokens=tokens)):
                kind = "completion" if put[found.prompt_index].continues else "solution"
                row = {"task_id": todo[found.prompt_index].task_id, "form": form, kind: found.text}
                log.append({**row, "finished": found.finished, "new_tokens": found.new_tokens})


def sanitized(text: str, entry_point: str) -> tuple[str, float]:
    """Return what EvalPlus takes out of a text, and the CPU seconds it took."""
    from evalplus.sanitize import sanitize  # noqa: PLC0415 - a peer, measured where it is installed

    start = time.process_time()
    found = str(sanitize(text, entry_point))
    return found, time.process_time() - start


def parts(program: str) -> list[tuple[str, str]] | None:
    """Return kind and dump of each statement at the top level, without docstrings; None for what is no program."""
    try:
        tree = ast.parse(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return [(type(node).__name__, ast.dump(node)) for node in tree.body]


def apart(ours: list[tuple[str, str]] | None, theirs: list[tuple[str, str]] | None) -> str:
    """Say in a few words how two programs differ at their top level."""
    if ours is None or theirs is None:
        return f"{'ours' if ours is None else 'theirs'} is no program" if (ours or theirs) else "neither is a program"
    more = collections.Counter(kind for kind, dump in ours if dump not in {d for _, d in theirs})
    less = collections.Counter(kind for kind, dump in theirs if dump not in {d for _, d in ours})
    if not more and not less:
        return "order, or the same twice"
    told = [f"{who} {', '.join(sorted(kinds))}" for who, kinds in (("ours also", more), ("theirs also", less)) if kinds]
    return "; ".join(told)


def compare(replies: Sequence[Reply], *, show: bool) -> list[dict[str, Any]]:
    found = []
    fork = multiprocessing.get_context("fork")
    with (
        tempfile.TemporaryDirectory() as folder,
        concurrent.futures.ProcessPoolExecutor(1, mp_context=fork, initializer=shut_in, initargs=(folder,)) as other,
    ):
        other.submit(int).result()  # forked before the sandbox has threads
        with Sandbox() as box:
            for reply in replies:
                row = one(reply, box, other)
                found.append(row)
                if show and row["ours"] != row["theirs"]:
                    print(
                        f"--- {row['form']} {row['task_id']}: ours {row['ours']} {row['steps']}, theirs {row['theirs']}"
                    )
                    print(f"{reply.text}\n--- ours\n{row['program']}\n--- theirs\n{row['sanitized']}\n")
    return found


def one(reply: Reply, box: Sandbox, other: concurrent.futures.Executor) -> dict[str, Any]:
    """Extract a program twice and judge both."""
    problem, text = reply.problem, reply.text
    sample = judge.Sample(task_id=problem.task_id, sample_index=0, completion=text, continues=reply.continues)
    start = time.process_time()
    ours = extract.clean(problem, text, continues=reply.continues)
    took = time.process_time() - start
    (verdict,) = judge.judge([sample], [problem], box)
    if verdict.steps != ours.steps:
        guesses = [guess for guess in extract.repairs(problem, ours) if guess.steps == verdict.steps]
        ours = next((guess for guess in guesses if other.submit(parts, guess.program).result() is not None), ours)
    row: dict[str, Any] = {"form": reply.form, "task_id": problem.task_id, "lines": text.count("\n") + 1}
    row |= {"ours": str(verdict.outcome), "raw": str(verdict.raw), "steps": ours.steps, "ours_s": took}
    if row["lines"] > LONGEST:
        return {**row, "theirs": "not asked", "program": ours.program}
    given = f"{problem.prompt}\n{text}" if reply.continues else text  # as its own script puts them together
    program, their_time = other.submit(sanitized, given, problem.entry_point).result()
    kept = judge.Sample(task_id=problem.task_id, sample_index=0, completion=program, continues=False)
    (theirs,) = judge.judge([kept], [problem], box)
    trees = [other.submit(parts, each).result() for each in (ours.program, program)]
    row |= {"theirs": str(theirs.raw), "theirs_s": their_time, "program": ours.program, "sanitized": program}
    same_text = ours.program.strip() == program.strip()
    return {**row, "text": same_text, "tree": trees[0] == trees[1] is not None, "apart": apart(*trees)}


def report(rows: Sequence[dict[str, Any]]) -> None:
    asked = [row for row in rows if row["theirs"] != "not asked"]
    forms = list(dict.fromkeys(row["form"] for row in rows))
    print(f"{'form':44}{'replies':>8}{'text':>6}{'tree':>6}{'verdict':>8}{'ours':>6}{'theirs':>7}{'raw':>5}")
    for form in [*forms, "all"]:
        here = [row for row in asked if form in (row["form"], "all")]
        passed = [(row["ours"] == "passed", row["theirs"] == "passed") for row in here]
        numbers = [
            len(here), sum(row["text"] for row in here), sum(row["tree"] for row in here),
            sum(a == b for a, b in passed), sum(a for a, _ in passed), sum(b for _, b in passed),
            sum(row["raw"] == "passed" for row in here),
        ]  # fmt: skip
        print("{:44}{:8}{:6}{:6}{:8}{:6}{:7}{:5}".format(form, *numbers))
    kinds = collections.Counter(
        (row["form"], "ours" if row["ours"] == "passed" else "theirs", row["apart"], row["ours"], row["theirs"])
        for row in asked
        if (row["ours"] == "passed") != (row["theirs"] == "passed")
    )
    for (form, who, why, ours, theirs), count in sorted(kinds.items()):
        print(f"only {who} passes, {count:3}: {form}: {why} ({ours}, {theirs})")
    kinds = collections.Counter(row["apart"] for row in asked if not row["tree"])
    for why, count in kinds.most_common():
        print(f"other trees, {count:4}: {why}")
    ours_s, theirs_s = (sum(row[f"{who}_s"] for row in asked) for who in ("ours", "theirs"))
    print(f"{len(rows) - len(asked)} replies of more than {LONGEST} lines not asked of the other")
    print(f"CPU s: ours {ours_s:.3f}, theirs {theirs_s:.3f}, ratio {theirs_s / max(ours_s, 1e-9):.0f}")


def growth() -> None:
    """Time both on replies that grow; the sanitizer up to 400 lines."""
    problem = problems.load("humaneval").problems[0]
    code = problem.prompt + problem.canonical_solution
    for lines in (25, 50, 100, 200, 400, 1600, 6400, 12800):
        filler = "".join(f"Step {n}: we look at `x[{n}]` and don't stop there.\n" for n in range(max(0, lines - 24)))
        text = f"{filler}\n{_fenced(code)}\n"
        best = min(_time(lambda text=text: extract.clean(problem, text, continues=False)) for _ in range(3))
        theirs = f"{sanitized(text, problem.entry_point)[1]:9.3f}" if lines <= 2 * LONGEST else f"{'-':>9}"
        print(f"{text.count(chr(10)):6} lines: ours {best:8.4f} CPU s, theirs {theirs}", flush=True)


def _delimited(text: str) -> str:
    return reply_marks.delimited(reply_marks.answer(text).text, "f")


def growth_of_marks() -> None:
    """Time the search for marks on replies of 2,000 and 16,000 of them: linear is 8 times."""
    for piece in ("<think>", "</think>", "x<think>", "a</s>'b' ", "[DONE]x", "<|", "'</s>' ", "`</s>`"):
        seconds = []
        for count in (2_000, 16_000):
            text = f"x {piece * count}"
            seconds.append(min(_time(partial(_delimited, text)) for _ in range(3)))
        short, long = seconds
        print(f"{piece!r:>12}: {short:8.4f} and {long:8.4f} CPU s, {long / short:5.1f} times", flush=True)


def _time(act: Callable[[], object]) -> float:
    start = time.process_time()
    act()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    doing = parser.add_subparsers(dest="do", required=True)
    new = doing.add_parser("generate")
    new.add_argument("model")
    new.add_argument("--out", type=Path, required=True)
    new.add_argument("--forms", nargs="*", default=["reply", "completion"])
    new.add_argument("--problems", type=int, default=32)
    new.add_argument("--tokens", type=int, default=288)
    both = doing.add_parser("compare")
    both.add_argument("files", type=Path, nargs="*")
    both.add_argument("--made", type=int, default=20)
    both.add_argument("--show", action="store_true", help="print replies whose outcomes differ")
    doing.add_parser("growth")
    doing.add_parser("marks")
    options = parser.parse_args()
    if options.do == "generate":
        generate(options.model, options.out, options.forms, options.problems, options.tokens)
    elif options.do == "growth":
        growth()
    elif options.do == "marks":
        growth_of_marks()
    else:
        report(compare([*recorded(options.files), *made(options.made)], show=options.show))


if __name__ == "__main__":
    main()
