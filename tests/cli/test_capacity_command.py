"""trimtab capacity on a saved checkpoint: table, plot, JSON, and what is refused."""

import json

import pytest
from click.testing import CliRunner

from trimtab.cli.main import main


@pytest.fixture(scope="module")
def arguments(mixture_folder):
    file = mixture_folder / "capacity.jsonl"
    lines = [{"prompt": f"def f{n}(x):\n", "completion": f"    return x * {n}\n"} for n in range(12)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return ["capacity", str(mixture_folder), "--text", str(file), "--batch-tokens", "128", "--batch-rows", "4"]


def test_a_table_a_plot_and_json(arguments, tmp_path):
    plot = tmp_path / "new" / "plan.svg"
    several = ["-c", "0.5,1,dropless", "--phase", "prefill", "--phase", "batched_decoding", "--policy", "position"]
    result = CliRunner().invoke(main, [*arguments, *several, "--plot", str(plot), "--json"])
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert [row["factor"] for row in record["settings"]] == [0.5, 1.0, None] * 2
    assert plot.read_text().startswith("<svg")
    plain = CliRunner().invoke(main, [*arguments, "-c", "1,dropless"])
    assert "shuffled: all texts in one random order" in plain.stdout
    assert "bits a byte" in plain.stdout


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["-c", "0"], "capacity"),
        (["-c", "much"], "'much' is no capacity factor"),
        (["-c", "1,0"], "'0' is no capacity factor"),
        (["-c", "-1"], "'-1' is no capacity factor"),
        (["-c", "inf"], "'inf' is no capacity factor"),
        (["--batch-tokens", "99999"], "fewer than one batch of 99999"),
    ],
)
def test_what_is_refused(arguments, extra, message):
    result = CliRunner().invoke(main, [*arguments, *extra])
    assert result.exit_code == 2
    assert message in result.stderr
