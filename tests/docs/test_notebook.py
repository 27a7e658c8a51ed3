"""The notebook runs from top to bottom in a fresh kernel, and balancing balances in it."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "examples" / "balance_a_mixture.ipynb"


@pytest.mark.filterwarnings("ignore")
def test_the_notebook_runs_and_the_rule_balances(tmp_path):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = "".join(output["text"] for output in notebook.cells[-2].outputs if output.get("name") == "stdout")
    plain, *balanced = (float(end) for end in re.findall(r"([\d.]+) at the end", printed))
    assert len(balanced) == 2
    assert max(balanced) < 0.7 * plain


def test_the_notebook_is_committed_with_what_it_printed():
    lines = nbformat.read(NOTEBOOK, as_version=4).cells[-2].outputs[0]["text"].splitlines()
    assert [line.split("MaxVio")[0].strip() for line in lines] == ["no rule", "ALF-LB", "NewtonBalancing"]
