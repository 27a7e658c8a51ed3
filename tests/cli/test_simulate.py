"""trimtab simulate prints, writes and refuses."""

import csv
import json

import pytest
from click.testing import CliRunner

from trimtab.cli.main import main

SMALL = ["simulate", "-s", "skewed", "--shape", "64", "8", "2", "--steps", "12", "-r", "NewtonBalancing()"]


def test_a_table_a_csv_and_a_plot(tmp_path):
    rows, plot = tmp_path / "cells.csv", tmp_path / "plot.svg"
    arguments = [*SMALL, "-c", "1.0", "--signal", "routed", "--seed", "1", "--seed", "2"]
    result = CliRunner().invoke(main, [*arguments, "--csv", str(rows), "--plot", str(plot)])
    assert result.exit_code == 0, result.output
    assert result.stdout.count("NewtonBalancing()") == 2
    with rows.open() as file:
        assert [row["seed"] for row in csv.DictReader(file)] == ["1", "2"]
    assert plot.read_text().startswith("<svg")


def test_json_has_every_measure():
    result = CliRunner().invoke(main, [*SMALL, "--json"])
    (cell,) = json.loads(result.stdout)
    assert {"recovery", "tail", "floor", "dropped", "drop_floor", "affinity", "regret"} <= set(cell)


@pytest.mark.parametrize("extra", [["-s", "nothing"], ["-r", "Nothing()"], ["-c", "-1"]])
def test_what_there_is_not_is_refused(extra):
    result = CliRunner().invoke(main, [*SMALL, *extra])
    assert result.exit_code == 2
    assert "error:" in result.stderr
