import json

import pytest

from trimtab.errors import RunFolderError
from trimtab.study import sensitivity


@pytest.fixture
def controls_file(synthetic, tmp_path):
    path = tmp_path / "controls.json"
    path.write_text(json.dumps(synthetic.CONTROLS), encoding="utf-8")
    return path


def test_a_failed_positive_control_is_found_by_endpoint_and_factor(controls_file):
    controls = sensitivity.load(controls_file)
    assert len(controls) == 3
    assert [one.measured for one in sensitivity.failed(controls, "micro_pass1", ("expert_init", "capacity"))] == [0.004]
    assert sensitivity.failed(controls, "micro_pass1", ("capacity",)) == ()
    assert sensitivity.failed(controls, "python_loss", ("expert_init", "balancer")) == ()


def test_no_file_means_no_controls(tmp_path):
    assert sensitivity.load(tmp_path / "controls.json") == ()


@pytest.mark.parametrize("change", [{"passed": 1}, {"kind": "maybe"}, {"threshold": "much"}, {"surprise": 1}])
def test_a_malformed_control_is_named(synthetic, controls_file, change):
    synthetic.rewrite(controls_file, lambda record: record["controls"][1].update(change))
    with pytest.raises(RunFolderError, match=r"controls\[1\]"):
        sensitivity.load(controls_file)


@pytest.mark.parametrize("text", ["{}", "[]", '{"schema": 2, "controls": []}', "{"])
def test_a_file_of_another_form_is_refused(controls_file, text):
    controls_file.write_text(text, encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"controls\.json"):
        sensitivity.load(controls_file)


def test_a_failed_control_says_what_was_needed_and_found(synthetic, controls_file):
    synthetic.rewrite(
        controls_file,
        lambda record: record["controls"][1].update(measured=0.155, threshold=0.01, interval=[-0.02, 0.33]),
    )
    control = sensitivity.load(controls_file)[1]
    assert control.sentence().endswith("needed at least +0.01 and an interval above 0, found +0.155 [-0.02, +0.33]")


def test_a_failed_negative_control_fails_its_endpoint_everywhere(synthetic, controls_file):
    synthetic.rewrite(controls_file, lambda record: record["controls"][0].update(kind="negative", passed=False))
    controls = sensitivity.load(controls_file)
    (failed,) = sensitivity.failed(controls, controls[0].endpoint, ("capacity",))
    assert "needed less than" in failed.sentence()


@pytest.mark.parametrize("interval", ["wide", [1.0], ["a", 2.0]])
def test_an_interval_that_is_none_is_named(synthetic, controls_file, interval):
    synthetic.rewrite(controls_file, lambda record: record["controls"][0].update(interval=interval))
    with pytest.raises(RunFolderError, match="interval is two numbers"):
        sensitivity.load(controls_file)
