"""Our tasks in lm-eval and our scorer in inspect, run by the real packages, offline, on replies whose score is known.

    python benchmarks/plugins.py [lm-eval | inspect]

Neither is a dependency. Where one is not installed, this makes an environment over the present one in a temporary
folder, installs lm_eval==0.4.13 or inspect_ai==0.3.285 there, and runs itself in it. A model of ours answers with
HumanEval's and MBPP+'s published solutions in several forms, and with wrong ones: each score must be the one that the
replies have by construction. Exits with 1 where one is not.
"""

# ruff: noqa: PLC0415 - harnesses are imported only where they are installed

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from trimtab.codeeval import problems

PACKAGES = {"lm-eval": ("lm_eval", "lm_eval==0.4.13"), "inspect": ("inspect_ai", "inspect_ai==0.3.285")}
HERE = Path(__file__).resolve().parents[1]


def again(requirement: str, what: str) -> int:
    """Run this file in an environment that has a package; what it pins otherwise it gets there."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "bin", "python")
        site = next(Path(folder, "lib").glob("python*")) / "site-packages"
        ours = next(path for path in sys.path if path.endswith("site-packages"))
        Path(site, "present.pth").write_text(f"{ours}\n{HERE / 'src'}\n")
        pins = (HERE / "constraints.txt").read_text().splitlines()
        constraints = Path(folder, "constraints.txt")
        # inspect and its storage want their own versions of these.
        own = ("fsspec", "python-dateutil")
        constraints.write_text("\n".join(pin for pin in pins if not pin.startswith(own)))
        install = [str(python), "-m", "pip", "install", "-q", "-c", str(constraints), requirement]
        # Constraints of the shell, which hold the pin that was just left out, would come on top.
        free = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}
        subprocess.run(install, check=True, env=free)
        return subprocess.run([str(python), __file__, what], check=False).returncode


def reply(task, number: int) -> tuple[str, bool]:
    """Return a reply to a problem, one of five forms, and whether it is right."""
    program = task.prompt + task.canonical_solution
    forms = [
        (f"Here it is:\n```python\n{program}\n```\nIt works because it does.", True),
        (f"<think>def {task.entry_point}(): wrong</think>\n```python\n{program}\n```", True),
        (f"```python\n{program}\nprint({task.entry_point})\n```", True),
        (f"```python\ndef {task.entry_point}(*args):\n    return NotImplemented\n```", False),
        ("I cannot do that.", False),
    ]
    return forms[number % 5]


def in_lm_eval() -> int:
    from lm_eval import simple_evaluate
    from lm_eval.api.model import LM
    from lm_eval.tasks import TaskManager

    from trimtab.codeeval import lm_eval_judging

    class Known(LM):
        """A model that answers the n-th problem in the n-th form, or continues it right or wrong in turn."""

        def generate_until(self, requests, **_):
            texts = []
            for request in requests:
                doc = request.doc
                task = known[doc["task_id"]]
                at = list(known).index(doc["task_id"])
                if request.args[0] == task.prompt:
                    texts.append(task.canonical_solution if at % 2 else "    return NotImplemented\n")
                else:
                    texts.append(reply(task, at)[0])
            return texts

        def loglikelihood(self, requests):
            raise AssertionError(requests)

        loglikelihood_rolling = loglikelihood

    bad = 0
    manager = TaskManager(include_path=str(lm_eval_judging.TASKS), include_defaults=False)
    for name, limit in (("humaneval", 50), ("humaneval_instruct", 50), ("mbpp_plus_instruct", 30)):
        benchmark = name.removesuffix("_instruct").replace("_", "-")
        known = {task.task_id: task for task in problems.load(benchmark).problems}
        known_here = list(known.values())[:limit]
        right = [
            reply(task, at)[1] if name.endswith("instruct") else bool(at % 2) for at, task in enumerate(known_here)
        ]
        found = simple_evaluate(
            model=Known(), tasks=[f"trimtab_{name}"], task_manager=manager, limit=limit, bootstrap_iters=0
        )
        scores = found["results"][f"trimtab_{name}"]
        score = next(value for key, value in scores.items() if key.startswith("pass@1"))
        by_problem = [sample["pass@1"] == 1 for sample in found["samples"][f"trimtab_{name}"]]
        wrong = sum(a != b for a, b in zip(by_problem, right, strict=True))
        bad += wrong
        print(
            f"lm-eval 0.4.13, trimtab_{name}: {limit} problems, pass@1 {score:.3f}, by construction "
            f"{sum(right) / limit:.3f}, {wrong} problems otherwise"
        )
    return int(bad > 0)


def in_inspect() -> int:
    import inspect_ai
    from inspect_ai import Task
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import ModelOutput, ModelUsage, get_model

    from trimtab.codeeval import inspect_judging, ruling
    from trimtab.codeeval.inspect_judging import judged

    def said(text: str) -> ModelOutput:
        output = ModelOutput.from_content("mockllm/model", text)
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)  # else it counts, with a download
        return output

    bad = 0
    tasks = {
        "HumanEval": [
            Sample(
                id=task.task_id,
                input=task.prompt,
                target=task.canonical_solution,
                metadata={"prompt": task.prompt, "test": task.test, "entry_point": task.entry_point},
            )
            for task in problems.load("humaneval").problems[:50]
        ],
        "MBPP": [
            Sample(id=task.task_id, input=task.description, target=list(task.assertions))
            for task in problems.load("mbpp-378").problems[:50]
        ],
    }
    known = {t.task_id: t for name in ("humaneval", "mbpp-378") for t in problems.load(name).problems}
    for name, samples in tasks.items():
        answers = [reply(known[sample.id], at) for at, sample in enumerate(samples)]
        outputs = [said(text) for text, _ in answers]
        task = Task(dataset=MemoryDataset(samples), scorer=judged())
        right = [correct for _, correct in answers]
        with tempfile.TemporaryDirectory() as folder:
            model = get_model("mockllm/model", custom_outputs=outputs)
            log = inspect_ai.eval(task, model=model, log_dir=folder, display="none", max_samples=1)[0]
            by_id = {sample.id: next(iter(sample.scores.values())).value == "C" for sample in log.samples}
        wrong = sum(a != b for a, b in zip((by_id[sample.id] for sample in samples), right, strict=True))
        accuracy = log.results.scores[0].metrics["accuracy"].value
        bad += wrong + (log.status != "success")
        print(
            f"inspect_ai 0.3.285, {name}: {log.status}, {len(samples)} samples, accuracy {accuracy:.3f}, by "
            f"construction {sum(right) / len(right):.3f}, {wrong} samples otherwise"
        )
    whole, judge = inspect_judging._workers(), ruling.rule  # noqa: SLF001 - a failure is not had otherwise
    calls = iter(range(100))
    whole._rule = lambda request, _: (  # noqa: SLF001
        ruling.failed("the zygote has gone") if next(calls) % 5 == 0 else judge(request, whole._sandbox)  # noqa: SLF001
    )
    with tempfile.TemporaryDirectory() as folder:
        model = get_model("mockllm/model", custom_outputs=[said(answers[0][0]) for _ in range(10)])
        ten = Task(dataset=MemoryDataset([samples[0].model_copy(update={"id": n}) for n in range(10)]), scorer=judged())
        log = inspect_ai.eval(ten, model=model, log_dir=folder, display="none", max_samples=1)[0]
    accuracy = log.results.scores[0].metrics["accuracy"].value
    print(
        f"two of ten right samples not judged: {log.status}, accuracy {accuracy:.3f}, "
        f"unscored {log.results.scores[0].unscored_samples}"
    )
    return int(bad > 0 or accuracy != 1.0)


def main() -> int:
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    chosen = sys.argv[1:] or list(PACKAGES)
    status = 0
    for what in chosen:
        module, requirement = PACKAGES[what]
        if importlib.util.find_spec(module) is None:
            status |= again(requirement, what)
        else:
            status |= in_lm_eval() if what == "lm-eval" else in_inspect()
    return status


if __name__ == "__main__":
    sys.exit(main())
