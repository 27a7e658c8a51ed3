"""trimtab prune: a table, a reusable file of scores, a smaller checkpoint, and what is refused."""

import json

import pytest
from click.testing import CliRunner

from trimtab.cli.main import main
from trimtab.inspection.inspected_model import load


@pytest.fixture(scope="module")
def arguments(mixture_folder):
    file = mixture_folder / "prune.jsonl"
    lines = [{"prompt": f"def f{n}(x):\n", "completion": f"    return x * {n}\n"} for n in range(12)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return ["prune", str(mixture_folder), "--text", f"code={file}"]


def test_a_table_with_baselines_and_scores_that_are_used_again(arguments, tmp_path):
    scores = tmp_path / "new" / "scores.json"
    result = CliRunner().invoke(main, [*arguments, "--remove", "2,4", "--random-draws", "2", "--scores", str(scores)])
    assert result.exit_code == 0, result.output
    assert result.stdout.count("random ") == 4
    assert "the same ones" in result.stdout
    written = scores.read_text()
    again = CliRunner().invoke(main, [*arguments, "--remove", "2", "--scores", str(scores), "--json"])
    record = json.loads(again.stdout)
    assert scores.read_text() == written
    assert [row["method"] for row in record["trials"]] == ["reap", "frequency", *["random"] * 3]
    assert {len(gone) for row in record["trials"] for gone in row["removed"].values()} == {2}


def test_a_smaller_checkpoint_that_can_be_looked_into(arguments, tmp_path):
    chosen = ["--method", "reap", "--remove", "3", "-o", str(tmp_path / "pruned")]
    result = CliRunner().invoke(main, [*arguments, *chosen])
    assert result.exit_code == 0, result.output
    assert [router.num_experts for router in load(str(tmp_path / "pruned")).routers] == [5, 5]


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--remove", "7", "--method", "reap"], "7 of 8 experts cannot be removed"),
        (["--remove", "some"], "whole numbers"),
        (["-o", "x"], "--output writes one checkpoint, and 5 trials were named"),
    ],
)
def test_what_is_refused(arguments, extra, message):
    result = CliRunner().invoke(main, [*arguments, *extra])
    assert result.exit_code == 2
    assert message in result.stderr
