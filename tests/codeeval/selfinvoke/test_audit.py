"""Files in HumanEval Pro's schema, and the published sets where they are on this machine."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from trimtab.cli.main import main
from trimtab.codeeval import problems
from trimtab.codeeval.selfinvoke import audit
from trimtab.codeeval.selfinvoke.problem_gates import SOUND, ProblemGate
from trimtab.errors import BenchmarkError

from .conftest import RECORD

SHARED = Path(__file__).parents[4] / "shared" / "data"


def test_a_file_is_audited_record_by_record(tmp_path, lab):
    unnamed = RECORD | {"new_problem": "# Sum.\n", "new_solution": "def total_double(xs):\n    return 1\n", "id": "b"}
    path = tmp_path / "set.json"
    path.write_text(json.dumps([RECORD, unnamed]))
    found = list(audit.audit(audit.read(path), lab))
    assert [one.task_id for one in found] == ["set/0", "set/b"]
    assert [one.sound for one in found] == [True, False]
    assert {
        ProblemGate.NAMED,
        ProblemGate.MENTIONED,
        ProblemGate.CALLED,
        ProblemGate.PASSES,
        ProblemGate.STABLE,
    } <= found[1].failed
    assert audit.failures(found)[ProblemGate.NAMED] == ["set/b"]
    lines = list(audit.summary(found))
    assert "named         1  b" in lines
    assert lines[-1].split() == ["sound", "1"]


def test_json_lines_are_read_as_well(tmp_path):
    path = tmp_path / "set.jsonl"
    for mark in ("", "\ufeff"):
        path.write_text(mark + "".join(json.dumps(RECORD) + "\n" for _ in range(2)), encoding="utf-8")
        assert [p.task_id for p in audit.read(path)] == ["set/0", "set/1"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "neither a JSON array nor JSON Lines"),
        ("[3]", "record 0: expected an object, got int"),
        ('[{"raw_problem": ""}]', "record 0: no field"),
        (json.dumps([RECORD, RECORD | {"new_solution": "    return ("}]), "record 1: not a Python program"),
        (json.dumps([RECORD | {"test_code": "assert 1"}]), "record 0: its tests call no function"),
        (json.dumps([RECORD | {"test_code": 3}]), "record 0: the field 'test_code' is a number, expected text"),
        (json.dumps([RECORD | {"new_problem": None}]), "record 0: the field 'new_problem' is null, expected text"),
        ("[]", "holds no problems"),
        ("", "holds no problems"),
    ],
)
def test_what_is_no_such_file_is_named(tmp_path, content, message):
    path = tmp_path / "set.json"
    path.write_text(content)
    with pytest.raises(BenchmarkError, match=message):
        audit.read(path)
    with pytest.raises(BenchmarkError, match="cannot be read"):
        audit.read(tmp_path / "absent.json")


def test_the_verb_prints_what_fails(tmp_path):
    path = tmp_path / "set.json"
    path.write_text(json.dumps([RECORD, RECORD | {"new_solution": "    return sum(2 * x for x in xs)\n"}]))
    told = CliRunner().invoke(main, ["selfinvoke", "audit", str(path)])
    assert told.exit_code == 0, told.output
    assert "mentioned     1  1" in told.output.splitlines()
    lines = CliRunner().invoke(main, ["selfinvoke", "audit", "--json", str(path)]).stdout.splitlines()
    assert [json.loads(line)["sound"] for line in lines] == [True, False]


@pytest.fixture
def published(monkeypatch):
    def load(name):
        monkeypatch.setenv("TRIMTAB_DATA", os.environ.get("TRIMTAB_DATA") or str(SHARED))
        try:
            return problems.load(name).problems
        except BenchmarkError as error:
            pytest.skip(f"{name} is not on this machine: {error.message}")

    return load


# Tasks of HumanEval Pro that fail, with the gate they fail: a sample of what docs/guides/selfinvoke.md lists.
KNOWN = {
    14: {ProblemGate.NAMED, ProblemGate.CALLED},
    16: {ProblemGate.CALLED},
    32: {ProblemGate.STUBS},
    24: {ProblemGate.CALLED},
    46: {ProblemGate.NAMED},
    1: set(),
}


def test_known_defects_of_humaneval_pro_are_found(published, lab):
    asked = [problem for n, problem in enumerate(published("humaneval-pro")) if n in KNOWN]
    found = {int(one.task_id.split("/")[1]): one.failed for one in audit.audit(asked, lab, only=SOUND)}
    assert found == KNOWN


def test_a_float_sum_of_mbpp_pro_is_found(published, lab):
    (found,) = audit.audit([published("mbpp-pro")[36]], lab, only={ProblemGate.SUMS})
    assert found.failed == {ProblemGate.SUMS}
