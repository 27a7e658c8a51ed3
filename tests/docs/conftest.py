"""What the pages take for granted: a model, batches, files. Each name that a page's Python reads is one of these."""

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import pytest


def _load(name):
    location = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(location)
    sys.modules[name] = module
    location.loader.exec_module(module)
    return module


page_blocks = _load("page_blocks")


@pytest.fixture(scope="session")
def pages():
    """The module that reads the pages' blocks."""
    return page_blocks


@pytest.fixture
def givens(make_mixture):
    """Names that pages leave to the reader, by name; each call makes a new one."""
    torch = pytest.importorskip("torch")
    model = make_mixture().train()
    draw = torch.Generator().manual_seed(0)

    def batch():
        tokens = torch.randint(0, 250, (2, 48), generator=draw)
        return {"input_ids": tokens, "labels": tokens}

    prompts = torch.randint(0, 250, (2, 5), generator=draw)
    return {
        "model": lambda: model,
        "optimizer": lambda: torch.optim.AdamW(model.parameters(), lr=1e-2),
        "batch": batch,
        "batches": lambda: [batch() for _ in range(12)],
        "prompts": lambda: prompts,
        "mask": lambda: None,
        "rewards": lambda: torch.tensor([1.0, -1.0]),
        "policy_loss": lambda: lambda logits, rewards: -(logits.log_softmax(-1).amax(-1).mean(-1) * rewards).mean(),
        "gates": lambda: _attached(model),
        "rows": lambda: [{"input_ids": list(range(24)), "labels": list(range(24))} for _ in range(32)],
        "tokens": lambda: torch.randint(0, 250, (2, 24), generator=draw),
        "scaler": lambda: torch.amp.GradScaler("cpu"),
        "loss": lambda: model(**batch()).loss,
        "_close": lambda: lambda got, due: repr(got) == repr(due),
        "text": lambda: "def add(a, b):\n    return a + b\n",
        "work": lambda: lambda row: row,
    }


def _attached(model):
    from trimtab import LossFree, attach  # noqa: PLC0415 - needs torch

    return attach(model, balancer=LossFree(bias_update_rate=1e-3))


@pytest.fixture(scope="session")
def reader_folder(tmp_path_factory, mixture_folder, tiny_dense):
    """A folder with the files that the pages' commands name."""
    from trimtab.codeeval import problems  # noqa: PLC0415 - loads only where pages run

    folder = tmp_path_factory.mktemp("reader")
    shutil.copytree(mixture_folder, folder / "MODEL")
    shutil.copytree(tiny_dense, folder / "my-dense-model")
    tasks = problems.load("humaneval").problems[:6]
    for name, wrong in (("samples", 2), ("samples-a", 2), ("samples-b", 3)):
        lines = [
            {"task_id": task.task_id, "completion": "    return None\n" if place < wrong else task.canonical_solution}
            for place, task in enumerate(tasks)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "papers").mkdir()
    table = "| System | HumanEval | MBPP |\n|---|---|---|\n| Kestrel-8B | 71.3 | 64.0 |\n| Merlin-13B | 62.2 | 69.5 |\n"
    (folder / "papers" / "results.md").write_text(f"# Results\n\nTable 1: pass@1 in percent.\n\n{table}")
    sentence = "Kestrel-8B scored 71.3 on HumanEval, 9.1 points more than Merlin-13B.\n"
    for name in ("report.md", "MODEL_CARD.md"):
        (folder / name).write_text(
            f"# A report\n\n{sentence}\n## References\n\n[1] A. Adams. A table of results. 2024.\n"
        )
    (folder / "refs.bib").write_text("@article{a, title={A table of results}, author={Adams, A.}, year={2024}}\n")
    for block in page_blocks.blocks():
        if block.page == "docs/guides/your-own-study.md" and block.text.startswith("name = "):
            (folder / "study.toml").write_text(block.text)
        if block.page == "docs/guides/check-a-report.md" and block.text.startswith("[models."):
            (folder / "names.toml").write_text(block.text)
    for name in ("docs", "studies", "examples"):
        (folder / name).symlink_to(page_blocks.ROOT / name)
    return folder
