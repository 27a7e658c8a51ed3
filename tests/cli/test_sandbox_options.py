"""What isolates programs and what they may use, said on the command line and recorded in each verdict."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from trimtab.cli import sandbox_options
from trimtab.cli.main import main
from trimtab.errors import SandboxUnavailable
from trimtab.sandbox.broker import Sandbox


@pytest.fixture
def judged(tmp_path):
    """Judge bodies of HumanEval/2 with options; return verdicts, and what was printed beside them."""

    def judge(bodies, *options):
        file = tmp_path / "samples.jsonl"
        lines = [{"task_id": "HumanEval/2", "completion": body, "sample_index": at} for at, body in enumerate(bodies)]
        file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        arguments = [str(file), "-b", "humaneval", "-o", str(tmp_path / "out"), *options]
        found = CliRunner().invoke(main, ["judge", *arguments], catch_exceptions=False)
        if found.exit_code:
            return [], found.output
        lines = (tmp_path / "out" / "verdicts.jsonl").read_text().splitlines()
        return [record for line in lines if "outcome" in (record := json.loads(line))], found.output

    return judge


THREADS = """    import concurrent.futures, tempfile
    with tempfile.TemporaryFile('w+') as file, concurrent.futures.ThreadPoolExecutor(2) as pool:
        return next(pool.map(lambda x: x % 1.0, [number]))
"""
NUMPY = "    import numpy as np\n    return np.float64(number) % 1.0\n"


def test_options_reach_the_sandbox_and_each_verdict_records_them(judged):
    limits = ("--time-limit", "2.5", "--memory-limit", "700")
    (verdict,), _ = judged(["    return number % 1.0\n"], "--profile", "pure", "--tier", "C", *limits)
    assert (verdict["tier"], verdict["profile"], verdict["outcome"]) == ("C", "pure", "passed")
    assert verdict["limits"] == {"cpu_s": 2.5, "call_s": 2.5, "memory_mib": 700}


def test_threads_temporary_files_and_numpy_work_by_default_where_tier_a_holds(judged):
    try:
        with Sandbox(tier="A"):
            pass
    except SandboxUnavailable:
        pytest.skip("no namespaces here")
    found, _ = judged(
        [THREADS, NUMPY, "    return exit_or_quit(number)\ndef exit_or_quit(x):\n    return exit and x % 1"]
    )
    assert [verdict["outcome"] for verdict in found] == ["passed"] * 3


def test_what_a_profile_or_the_list_of_packages_refuses_is_said_with_the_option_that_gives_it(judged):
    bodies = [THREADS, NUMPY, "    import nowhere_to_be_found\n"]
    found, _ = judged(bodies, "--profile", "pure", "--packages", "none")
    assert [verdict["outcome"] for verdict in found] == ["error"] * 3
    assert "profile 'pure'" in found[0]["detail"]
    assert "on the command line --packages numpy" in found[1]["detail"]
    assert "nowhere_to_be_found is not installed here" in found[2]["detail"]


def test_a_folder_holds_verdicts_of_one_setting(judged):
    assert judged(["    return number % 1.0\n"])[0]
    verdicts, message = judged(["    return number % 1.0\n"], "--profile", "pure")
    assert not verdicts
    assert "was made with isolation = None, now it is" in message


def test_a_fall_to_a_lower_tier_is_said_with_its_reason(capsys, monkeypatch):
    class Fallen:
        reasons = {"A": {"layer": "namespaces", "errno": 1, "text": "uid_map: Operation not permitted"}}  # noqa: RUF012
        attestation = {"tier": "B", "profile": "pure"}  # noqa: RUF012

    sandbox_options.announce(Fallen())
    said = capsys.readouterr().err
    assert "tier A does not hold here: namespaces: uid_map: Operation not permitted" in said
    assert "tier B, profile pure" in said


def test_a_sound_score_of_one_sample_runs_no_other_reference(judged, monkeypatch):
    from trimtab.codeeval import soundness  # noqa: PLC0415 - to be watched

    monkeypatch.setattr(soundness, "_reason", lambda *_: pytest.fail("a reference ran"))
    found, output = judged(["    return number % 1.0\n"])
    assert found[0]["outcome"] == "passed"
    assert "of 1" in output
