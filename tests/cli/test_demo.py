"""``trimtab demo`` as it is typed."""

from click.testing import CliRunner

from trimtab.cli.demo import demo


def test_two_steps_print_every_rule_and_leave_a_page(tmp_path):
    ran = CliRunner().invoke(demo, ["-o", str(tmp_path / "shown"), "--steps", "2"])
    assert ran.exit_code == 0, ran.output
    for name in ("no balancing", "auxiliary loss", "ALF-LB", "NewtonBalancing"):
        assert name in ran.output
    assert "What balancing looks like" in (tmp_path / "shown" / "demo.html").read_text()


def test_one_step_and_a_file_for_a_folder_are_refused(tmp_path):
    (tmp_path / "file").write_text("")
    assert CliRunner().invoke(demo, ["--steps", "1"]).exit_code == 2
    ran = CliRunner().invoke(demo, ["-o", str(tmp_path / "file")])
    assert ran.exit_code == 2
    assert "is a file" in ran.output
