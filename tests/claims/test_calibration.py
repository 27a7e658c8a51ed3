"""A number only where a set of at least 50 items gives one."""

import json

import pytest

from trimtab.claims import calibration
from trimtab.claims.claim_verdict import ClaimVerdict, Fidelity
from trimtab.errors import ClaimError

VERDICT = ClaimVerdict(claim="c", fidelity=Fidelity.SUPPORTED, rule_path=("all sources", "cell"))
PATH = "supported > all sources > cell"


def test_the_interval_is_wilson_s_and_the_set_is_named(tmp_path):
    path = tmp_path / "labelled.jsonl"
    items = [{"path": PATH, "true": index >= 4} for index in range(40)] + [{"path": "other", "true": False}] * 20
    path.write_text("\n".join(map(json.dumps, items)))
    found = calibration.load(path).mark(VERDICT).confidence
    assert (found.items, found.bin, found.right, found.estimate) == (60, 40, 36, 0.9)
    # Wilson's interval of 36 of 40 at 95 %, by its closed form.
    assert (found.low, found.high) == pytest.approx((0.7695, 0.9604), abs=1e-4)
    assert found.calibration.startswith("labelled.jsonl (")


def test_under_fifty_items_there_is_no_number():
    few = calibration.fit([(PATH, True)] * 49, "few", "")
    assert few.confidence(VERDICT) is None
    assert calibration.fit([(PATH, True)] * 50, "enough", "").confidence(VERDICT) is not None


def test_a_path_the_set_does_not_hold_has_none():
    assert calibration.fit([("other", True)] * 60, "x", "").confidence(VERDICT) is None


def test_errors_are_of_items_predicted_without_themselves():
    """Of two alternating items each is predicted by the other, so the histogram is wrong every time."""
    found = calibration.fit([("a", True), ("a", False)], "x", "")
    assert (found.ece, found.brier) == (1.0, 1.0)
    assert calibration.fit([("a", True)] * 10, "x", "").ece == 0.0


@pytest.mark.parametrize("line", ["{", '{"path": 1, "true": true}', '{"path": "a", "true": "yes"}', "[]"])
def test_a_line_that_is_no_item(tmp_path, line):
    path = tmp_path / "labelled.jsonl"
    path.write_text(line)
    with pytest.raises(ClaimError):
        calibration.load(path)
