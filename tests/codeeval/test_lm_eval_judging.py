"""lm-eval's side: the metric in its callers' forms, the tasks' files, and, where lm-eval is installed, a run of it."""

import importlib

import pytest
import yaml

from trimtab.codeeval import benchmark_registry, lm_eval_judging
from trimtab.errors import BenchmarkError

RIGHT = "def add(a, b):\n    return a + b\n"
WRONG = "def add(a, b):\n    return a\n"
HUMANEVAL = "def check(candidate):\n    assert candidate(1, 2) == 3\n\ncheck(add)"
MBPP = "assert add(1, 2) == 3\nassert add(2, 2) == 4\n"


def test_pass_at_k_is_called_as_lm_eval_s_code_tasks_call_theirs():
    found = lm_eval_judging.pass_at_k(
        references=[HUMANEVAL], predictions=[[RIGHT, WRONG, f"```python\n{RIGHT}```"]], k=[1, 2]
    )
    assert found == {"pass@1": pytest.approx(2 / 3), "pass@2": 1.0}
    assert lm_eval_judging.pass_at_1([MBPP], [[WRONG]]) == 0.0
    assert lm_eval_judging.pass_at_1(MBPP, [RIGHT]) == 1.0
    with pytest.raises(BenchmarkError, match="pass@2 of 1 programs"):
        lm_eval_judging.pass_at_k([MBPP], [[RIGHT]], 2)


def test_the_tasks_name_benchmarks_and_functions_that_there_are():
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))
    files = {path.stem: yaml.load(path.read_text(), Loader) for path in lm_eval_judging.TASKS.glob("*.yaml")}  # noqa: S506
    tasks = {name: task for name, task in files.items() if not name.startswith("_")}
    assert len(tasks) == 6
    for name, task in tasks.items():
        assert task["task"] == name
        assert task["dataset_kwargs"]["benchmark"] in benchmark_registry.BENCHMARKS
        base = files[task["include"].removesuffix(".yaml")]
        for function in (
            base["custom_dataset"],
            base["process_results"],
            base["filter_list"][0]["filter"][0]["filter_fn"],
        ):
            module, _, attribute = function.rpartition(".")
            assert callable(getattr(importlib.import_module(module), attribute))


def test_repeats_are_judged_each_and_none_is_dropped():
    doc = {"benchmark": "humaneval", "task_id": "HumanEval/2"}
    body = "    return number - int(number)\n"
    assert lm_eval_judging.whole([[body, "x"]], [doc]) == [[body, "x"]]
    assert lm_eval_judging.judge_completions(doc, [[body, "    return 0\n"]]) == {"pass@1": 0.5}
    reply = f"```python\ndef truncate_number(number):\n{body}```"
    assert lm_eval_judging.judge_replies(doc, [reply]) == {"pass@1": 1.0}
    assert lm_eval_judging.judge_replies(doc, [[reply, "no"]]) == {"pass@1": 0.5}
