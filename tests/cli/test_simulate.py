"""trimtab simulate prints, writes and refuses."""

import csv
import json

import pytest
from click.testing import CliRunner

from trimtab.cli.main import main
from trimtab.cli.simulate import _TABLES
from trimtab.moe.simulate.tables import TABLES

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


def test_the_capacity_table_of_the_docs_in_one_command():
    result = CliRunner().invoke(main, ["simulate", "--table", "capacity", "--steps", "8"])
    assert result.exit_code == 0, result.output
    head, rule, *rows = result.stdout.strip().splitlines()
    assert "LossFree(1e-3), padded" in head
    assert rule.count("---") == head.count("|") - 1
    assert [row.split("|")[2].strip() for row in rows] == ["\N{EN DASH}", "2", "1.25", "1", "0.8", "0.5"]
    assert all(row.split("|")[5].split(" · ")[-1].strip() == "+0.000" for row in rows[1:])  # padded never moves


def test_every_table_is_offered_and_can_be_narrowed():
    assert sorted(TABLES) == sorted(_TABLES)
    narrow = ["-s", "relay", "--shape", "64", "8", "2", "--steps", "8", "--seed", "1", "-r", "NewtonBalancing()"]
    result = CliRunner().invoke(main, ["simulate", "--table", "held-out", *narrow])
    assert result.stdout.strip().splitlines()[-1].startswith("| relay | \N{EN DASH} |")
