"""``trimtab submit`` as it is typed on a machine without Slurm, and with a program of that name."""

import os

from click.testing import CliRunner

from trimtab.cli.sharing import submit

STUDY = "studies/tiny.toml"


def test_a_dry_run_prints_the_script_and_submits_nothing(tmp_path):
    ran = CliRunner().invoke(submit, [STUDY, "-o", str(tmp_path / "run"), "--workers", "3", "--dry-run"])
    assert ran.exit_code == 0, ran.output
    assert "#SBATCH --array=0-2" in ran.stdout
    assert (tmp_path / "run" / "slurm.sh").read_text() == ran.stdout
    assert (tmp_path / "run" / "study.toml").exists()


def test_without_sbatch_the_way_out_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    ran = CliRunner().invoke(submit, [STUDY, "-o", str(tmp_path / "run")])
    assert ran.exit_code == 1
    assert "no sbatch on this machine" in str(ran.exception)
    assert "slurm.sh" in str(ran.exception)


def test_the_script_is_handed_to_sbatch_and_its_refusal_is_an_error(tmp_path, monkeypatch):
    sbatch = tmp_path / "sbatch"
    sbatch.write_text(f'#!/bin/bash\necho "$@" > {tmp_path}/asked\nexit ${{REFUSE:-0}}\n')
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    arguments = [STUDY, "-o", str(tmp_path / "run")]
    assert CliRunner().invoke(submit, arguments).exit_code == 0
    assert (tmp_path / "asked").read_text().strip() == str(tmp_path / "run" / "slurm.sh")
    monkeypatch.setenv("REFUSE", "3")
    assert "exit code 3" in str(CliRunner().invoke(submit, arguments).exception)
