"""What a model is given has the published structure, and what it may continue is a program."""

from __future__ import annotations

import pytest

from trimtab.codeeval import problems, prompts
from trimtab.codeeval.prompts import PromptForm
from trimtab.errors import BenchmarkError


def test_humaneval_is_continued_as_it_is():
    task = problems.load("humaneval").problems[0]
    asked = prompts.ask(task, PromptForm.COMPLETION)
    assert (asked.prompt, asked.continues) == (task.prompt, True)
    assert {"\ndef ", "\nclass ", "\nif ", "\nprint"} <= set(asked.stop)
    chat = prompts.ask(task, PromptForm.CHAT)
    assert task.prompt.strip() in chat.prompt.user
    assert chat.prompt.prefix.endswith("```python\n")
    assert not chat.continues
    assert prompts.ask(task, PromptForm.REPLY).prompt.prefix == ""
    assert asked.digest != chat.digest
    with pytest.raises(BenchmarkError, match="without examples only"):
        prompts.ask(task, PromptForm.COMPLETION, shots=1)


def test_mbpp_shows_three_others(published):
    found = published("mbpp-378")
    assert [p.task_id for p in found.examples[:3]] == ["Mbpp/2", "Mbpp/3", "Mbpp/4"]
    for task in found.problems[:4]:
        asked = prompts.ask(task, PromptForm.COMPLETION, shots=3, examples=found.examples)
        assert asked.prompt.count("[BEGIN]") == 4
        assert asked.prompt.count("[DONE]") == 3
        assert asked.stop == ("[DONE]",)
        assert task.canonical_solution.strip() not in asked.prompt
        assert all(line in asked.prompt for line in task.assertions)
    assert prompts.default_shots("mbpp-test") == 3
    assert prompts.default_shots("mbpp-378") == 0


@pytest.mark.parametrize("name", ["humaneval-pro", "mbpp-pro"])
def test_a_self_invoking_problem_shows_both_problems_and_one_test_at_one_shot(published, name):
    for task in published(name).problems[::40]:
        for form in (PromptForm.COMPLETION, PromptForm.CHAT):
            none, one = prompts.ask(task, form), prompts.ask(task, form, shots=1)
            text = none.prompt if form is PromptForm.COMPLETION else none.prompt.user + none.prompt.prefix
            more = one.prompt if form is PromptForm.COMPLETION else one.prompt.user
            assert none.continues
            assert text.endswith(task.pro.raw_problem)
            assert task.pro.new_problem.strip() in text
            assert task.assertions[0] in more
        with pytest.raises(BenchmarkError, match="0 or 1"):
            prompts.ask(task, PromptForm.CHAT, shots=2)
