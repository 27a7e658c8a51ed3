"""The builder, end to end: proposals, ground truth by execution, gates, resumption, review."""

import dataclasses
import json

import pytest
from click.testing import CliRunner

from trimtab.cli.main import main
from trimtab.codeeval import micro_benchmark, problems
from trimtab.codeeval.completion import Completion, Sampling
from trimtab.codeeval.judge import Sample, judge
from trimtab.codeeval.selfinvoke import audit, base_problem, build, proposal_prompt
from trimtab.codeeval.selfinvoke.build_folder import BuildFolder
from trimtab.codeeval.selfinvoke.completer import AsChat, TemplateCompleter
from trimtab.codeeval.selfinvoke.funnel import funnel
from trimtab.codeeval.selfinvoke.problem_gates import ProblemGate
from trimtab.errors import RunFolderError
from trimtab.sandbox.broker import Sandbox
from trimtab.sandbox.verdict import Outcome

GOOD = {
    "entry_point": "total_truncated",
    "new_problem": "# total_truncated gives the sum of all decimal parts.\ndef total_truncated(numbers):\n",
    "new_solution": "    return sum(truncate_number(x) for x in numbers)\n",
    "test_inputs": ["[3.5, 1.25]", "[]", "[1.33, 123.456]", "[0.5]", "[2.75]"],
}  # fmt: skip


class Scripted:
    """A completer that gives the next of its answers to every prompt, and keeps the prompts."""

    def __init__(self, *answers):
        self.answers, self.prompts = list(answers), []

    def complete(self, prompts, sampling, *, done=()):
        assert not done
        self.prompts += prompts
        text = self.answers[sampling.seed]
        for index in range(len(prompts)):
            yield Completion(prompt_index=index, sample_index=0, text=text, finished="stop")


@pytest.fixture(scope="module")
def truncate(lab):
    return base_problem.observe(2, problems.load("humaneval").problems[2], lab)


def run(bases, completer, lab, path, attempts=3):
    folder = BuildFolder(path, {"for": "a test"})
    return folder, list(build.build(bases, completer, lab, folder, Sampling(), attempts))


def test_a_proposal_becomes_a_problem_whose_tests_its_results_wrote(truncate, lab, tmp_path):
    folder, (made,) = run([truncate], Scripted(json.dumps(GOOD)), lab, tmp_path / "out")
    assert (made.stage, made.reason) == ("accepted", "")
    assert made.inputs == (5, 5, 5)
    assert "assert abs(total_truncated([3.5, 1.25]) - 0.75) <= 1e-06" in made.fields["test_code"]
    assert folder.publish() == 1
    (record,) = json.loads((tmp_path / "out" / "problems.json").read_text())
    assert list(record) == ["id", "raw_problem", "raw_solution", "new_problem", "new_solution", "test_code"]
    assert record["id"] == 2
    (again,) = audit.audit(audit.read(tmp_path / "out" / "problems.json"), lab)
    assert again.failed == set(), "what was built is read back by anybody's reader and goes through the same gates"


@pytest.mark.parametrize(
    ("change", "stage", "reason"),
    [
        ({"entry_point": "truncate_number"}, "reply", "not a name of its own"),
        ({"test_inputs": "[1.5]"}, "reply", "must be a list of strings"),
        ({"extra": 1}, "reply", "the keys are"),
        ({"new_solution": "    return (\n"}, "run", "the solution does not run: SyntaxError"),
        ({"new_solution": "    return object()\n"}, "run", "not data"),
        ({"new_solution": "    return truncate_number(numbers)\n"}, "run", "raised"),
        ({"new_solution": "    return list({str(x) for x in range(9)})\n"}, "run", "does not give the same result"),
        ({"test_inputs": ["__import__('os')", "x", "f("]}, "run", "not literal"),
        ({"new_solution": "    return sum(x % 1 for x in numbers)\n"}, "gates", "mentioned"),
        ({"new_problem": GOOD["new_problem"] + "    #" + GOOD["new_solution"]}, "gates", "leak"),
    ],
)  # fmt: skip
def test_a_faulty_proposal_is_refused_with_its_reason(truncate, lab, change, stage, reason):
    made = build.examine(truncate, json.dumps(GOOD | change), 0, lab)
    assert made.stage == stage
    assert reason in made.reason


def test_a_failed_attempt_is_told_to_the_next_one(truncate, lab, tmp_path):
    scripted = Scripted("I would suggest", "```json\n" + json.dumps(GOOD) + "\n```")
    folder, made = run([truncate], scripted, lab, tmp_path)
    assert [one.stage for one in made] == ["reply", "accepted"]
    assert "refused" not in scripted.prompts[0]
    assert "An earlier answer was refused: not JSON" in scripted.prompts[1]
    assert funnel(folder.attempts())[:2] == [("asked", 2, 1), ("1 proposed", 1, 1)]


def test_the_same_problem_is_not_built_twice(truncate, lab, tmp_path):
    twin = dataclasses.replace(truncate, number=3, problem=dataclasses.replace(truncate.problem, task_id="twin"))
    renamed = json.loads(json.dumps(GOOD).replace("total_truncated", "sum_of_parts"))
    _, made = run([truncate, twin], Scripted(json.dumps(GOOD), json.dumps(renamed)), lab, tmp_path, attempts=2)
    assert [one.stage for one in made] == ["accepted", "gates", "gates"]
    assert made[2].reason.startswith(f"{ProblemGate.NEW}: as HumanEval/2")


def test_a_killed_build_goes_on_and_gives_the_same(lab, tmp_path):
    bases = [base_problem.observe(n, p, lab) for n, p in enumerate(micro_benchmark.problems(count=6))]
    whole, _ = run(bases, TemplateCompleter(), lab, tmp_path / "whole")
    folder = BuildFolder(tmp_path / "cut", {"for": "a test"})
    going = build.build(bases, TemplateCompleter(), lab, folder, Sampling(), 3)
    for _ in range(3):
        next(going)
    going.close()
    with (tmp_path / "cut" / "attempts.jsonl").open("a") as file:
        file.write('{"base": "torn')
    resumed, _ = run(bases, TemplateCompleter(), lab, tmp_path / "cut")
    whole.publish(), resumed.publish()
    one, other = ((folder.path / "problems.json").read_text() for folder in (whole, resumed))
    assert one == other
    kept = [[{**row, "found": sorted(row["found"])} for row in folder.attempts()] for folder in (whole, resumed)]
    assert kept[0] == kept[1]
    with pytest.raises(RunFolderError, match="other settings: for"):
        BuildFolder(tmp_path / "cut", {"for": "another"})


def test_templates_on_the_micro_benchmark_and_its_review(tmp_path):
    path = tmp_path / "out"
    call = CliRunner().invoke
    built = call(main, ["selfinvoke", "micro", "-m", "template", "-o", str(path), "--limit", "4", "-j", "1"])
    assert built.exit_code == 0, built.output
    records = json.loads((path / "problems.json").read_text())
    assert len(records) == 4
    with Sandbox() as box:
        built_problems = audit.read(path / "problems.json")
        samples = [Sample(task_id=p.task_id, sample_index=0, completion=p.canonical_solution) for p in built_problems]
        assert all(v.outcome is Outcome.PASSED for v in judge(samples, built_problems, box))
    assert call(main, ["selfinvoke", "review", str(path), "--list"]).stdout.split() == [f"micro/{n}" for n in range(4)]
    told = call(main, ["selfinvoke", "review", str(path), "--reviewer", "ann"], input="a\nr\nunclear\ns\nq\n")
    assert told.exit_code == 0, told.output
    assert [r["id"] for r in json.loads((path / "problems.json").read_text())] == [0, 2, 3]
    reviews = [json.loads(line)["review"] for line in (path / "provenance.jsonl").read_text().splitlines()]
    assert [r["decision"] for r in reviews] == ["accept", "awaited", "awaited"]
    assert call(main, ["selfinvoke", "review", str(path), "--list"]).stdout.split() == ["micro/2", "micro/3"]
    wrong = call(main, ["selfinvoke", "review", str(path), "--accept", "micro/99"])
    assert wrong.exit_code == 2
    assert "micro/99" in wrong.output


def test_an_mbpp_program_is_split_at_its_header():
    problem = problems.Problem(
        task_id="Mbpp/1",
        prompt='"""\nDouble it.\nassert f(1) == 2\n"""\n',
        entry_point="f",
        canonical_solution="\nimport math\ndef f(x):\n  return 2 * x\n",
        test="def check(candidate):\n    assert f(1) == 2\n",
        benchmark="mbpp-378",
        description="Double it.",
    )
    assert base_problem.split(problem) == ("# Double it.\nimport math\ndef f(x):\n", "  return 2 * x\n")


def test_the_prompt_shows_what_was_observed(truncate):
    text = proposal_prompt.write(truncate)
    assert truncate.raw_problem in text
    assert proposal_prompt.facts(text)["calls"][0] == ["3.5", "0.5"]


def test_a_chat_model_is_asked_as_a_user_would():
    scripted = Scripted("{}")
    (reply,) = AsChat(scripted).complete(["Write it."], Sampling())
    assert reply.text == "{}"
    assert scripted.prompts[0].user == "Write it."


def test_no_model_no_completer(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    told = CliRunner().invoke(main, ["selfinvoke", "humaneval", "-m", str(tmp_path / "absent")])
    assert told.exit_code == 2
    assert "absent" in told.output
