"""A number only where a set of at least 50 items gives one."""

import json
from dataclasses import replace

import pytest

from trimtab.claims import calibration, report_claims, verdict_rules
from trimtab.claims.calibration import LabelledPath
from trimtab.claims.certainty import Grading
from trimtab.claims.name_registry import Registry
from trimtab.claims.sources import Sources
from trimtab.documents import reader
from trimtab.errors import ClaimError

REGISTRY = Registry.load()
PATH = "supported > all sources > cell"


def test_the_interval_is_wilson_s_and_the_set_is_named(tmp_path):
    path = tmp_path / "labelled.jsonl"
    items = [{"path": PATH, "true": index >= 4} for index in range(40)] + [{"path": "other", "true": False}] * 20
    path.write_text("\n".join(map(json.dumps, items)))
    found = calibration.load(path).confidence(PATH)
    assert (found.items, found.bin, found.right, found.estimate) == (60, 40, 36, 0.9)
    # Wilson's interval of 36 of 40 at 95 %, by its closed form.
    assert (found.low, found.high) == pytest.approx((0.7695, 0.9604), abs=1e-4)
    assert found.calibration.startswith("labelled.jsonl (")


def test_under_fifty_items_there_is_no_number():
    few = calibration.fit([LabelledPath(path=PATH, true=True)] * 49, "few", "")
    assert few.confidence(PATH) is None
    assert calibration.fit([LabelledPath(path=PATH, true=True)] * 50, "enough", "").confidence(PATH) is not None


def test_a_path_the_set_does_not_hold_has_none():
    assert calibration.fit([LabelledPath(path="other", true=True)] * 60, "x", "").confidence(PATH) is None


def test_errors_are_of_items_predicted_without_themselves():
    """Of two alternating items each is predicted by the other, so the histogram is wrong every time."""
    found = calibration.fit([LabelledPath(path="a", true=true) for true in (True, False)], "x", "")
    assert (found.ece, found.brier) == (1.0, 1.0)
    assert calibration.fit([LabelledPath(path="a", true=True)] * 10, "x", "").ece == 0.0


@pytest.mark.parametrize("line", ["{", '{"path": 1, "true": true}', '{"path": "a", "true": "yes"}', "[]"])
def test_a_line_that_is_no_item(tmp_path, line):
    path = tmp_path / "labelled.jsonl"
    path.write_text(line)
    with pytest.raises(ClaimError):
        calibration.load(path)


def test_what_is_there_and_is_no_set_is_left_as_it_is(tmp_path):
    path = tmp_path / "set.jsonl"
    path.write_text('{"path": 1}\n')
    with pytest.raises(ClaimError, match="line 1: expected"):
        calibration.extend(path, [LabelledPath(path=PATH, true=True)])
    assert path.read_text() == '{"path": 1}\n'


def test_a_model_s_reading_is_calibrated_by_itself():
    """The rules decide on both; how often they were right on sentences they read themselves says nothing of a model."""
    sources = Sources.build(
        [reader.read_bytes(b"| System | HumanEval |\n|---|---|\n| GPT-4o | 90.2 |\n", "paper.md")], [], REGISTRY
    )
    claim = report_claims.claim("GPT-4o achieves 90.2% on HumanEval.", REGISTRY)
    read = replace(claim, extractor="model/fake")
    path = "supported > all sources > cell > value equal"
    labelled = calibration.fit(
        [LabelledPath(path=path, true=True)] * 50
        + [LabelledPath(path=path.replace("> all", "> a model's reading > all"), true=False)] * 10, "set", ""
    )  # fmt: skip
    own, other = (verdict_rules.check(each, sources, grading=Grading(labelled=labelled)) for each in (claim, read))
    assert (own.rule_path[0], own.confidence.bin, own.confidence.right) == ("all sources", 50, 50)
    assert (other.rule_path[0], other.confidence.bin, other.confidence.right) == ("a model's reading", 10, 0)
