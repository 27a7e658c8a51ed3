"""inspect's side, where inspect is installed: C, I and unscored, from metadata or from the target."""

import asyncio
import types

import pytest

pytest.importorskip(
    "inspect_ai",
    reason="inspect_ai is no development package: benchmarks/plugins.py installs it and runs this for real",
)

from inspect_ai.scorer import Target

from trimtab.codeeval import inspect_judging, ruling
from trimtab.errors import BenchmarkError

RIGHT = "```python\ndef add(a, b):\n    return a + b\n```"
TARGET = Target(["assert add(1, 2) == 3", "assert add(2, 2) == 4"])


def score(text, target=TARGET, metadata=None, **options):
    state = types.SimpleNamespace(
        output=types.SimpleNamespace(completion=text), metadata=metadata or {}, sample_id="a sample"
    )
    return asyncio.run(inspect_judging.judged(**options)(state, target))


def test_a_right_reply_is_c_and_a_wrong_one_i_with_what_came_back():
    assert score(RIGHT).value == "C"
    wrong = score(RIGHT.replace("a + b", "3"))
    assert (wrong.value, wrong.metadata) == ("I", {"outcome": "wrong", "passed": 0, "total": 2})
    assert "add(2, 2) == 4: got 3" in wrong.explanation
    assert score(RIGHT.replace("a + b", "3"), partial=True).value == 0.5


def test_humaneval_s_metadata_holds_the_tests():
    metadata = {
        "prompt": "def add(a, b):\n",
        "test": "def check(candidate):\n    assert candidate(1, 2) == 3\n",
        "entry_point": "add",
    }
    assert score(RIGHT, Target("    return a + b\n"), metadata).value == "C"
    assert score("    return a + b\n", Target(""), metadata, continues=True).value == "C"


def test_what_could_not_be_judged_is_unscored_and_not_incorrect(monkeypatch):
    monkeypatch.setattr(inspect_judging._workers(), "_rule", lambda *_: ruling.failed("the zygote has gone"))
    found = score(RIGHT)
    assert found.value != found.value
    assert (found.reason, found.explanation) == ("scoring_failed", "the zygote has gone")


def test_a_sample_without_tests_is_named():
    with pytest.raises(BenchmarkError, match="sample a sample: "):
        score(RIGHT, Target("42"))
