"""Claims survive a round trip, their schema accepts them, and a line that is none is refused by place."""

import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.claims import claim_model, report_claims
from trimtab.claims.claim_model import Claim, Kind, MeasurementSetting, Quantity
from trimtab.claims.name_registry import Registry
from trimtab.errors import ClaimError

REGISTRY = Registry.load()
SCHEMA = jsonschema.Draft202012Validator(claim_model.schema())


@settings(max_examples=50, deadline=None)
@given(st.text(min_size=1, max_size=200))
def test_any_statement_makes_a_claim_that_comes_back(text):
    made = report_claims.claim(text, REGISTRY)
    line = claim_model.dump([made])
    SCHEMA.validate(json.loads(line))
    assert claim_model.parse(line, "here") == made


def test_a_file_of_claims(tmp_path):
    path = tmp_path / "claims.jsonl"
    made = [Claim(id=f"c{i}", statement="GPT-4o is good", kind=Kind.OPINION) for i in range(3)]
    path.write_text(claim_model.dump(made) + "\n")
    assert claim_model.load(path) == tuple(made)
    path.write_text(claim_model.dump([made[0], made[0]]))
    with pytest.raises(ClaimError, match="line 2: the id 'c0' is used twice"):
        claim_model.load(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1: the line: Invalid JSON"),
        ('{"id": "a", "statement": "b"}', "line 1: kind: Field required"),
        ('{"id": "a", "statement": "b", "kind": "guess"}', "line 1: kind: Input should be"),
        ('{"id": "a", "statement": "b", "kind": "method", "color": 1}', "line 1: color: "),
        (
            '{"id": "a", "statement": "b", "kind": "numeric", "facts": [{"subject": "x", "value": 3}]}',
            r"facts\.0\.value",
        ),
    ],
)
def test_a_line_that_is_no_claim(tmp_path, line, message):
    path = tmp_path / "claims.jsonl"
    path.write_text(line)
    with pytest.raises(ClaimError, match=message):
        claim_model.load(path)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(ClaimError, match="cannot be read"):
        claim_model.load(tmp_path)


@pytest.mark.parametrize("text", ["", "many", "nan", "inf", "1.2.3"])
def test_a_value_is_a_number_as_written(text):
    with pytest.raises(ClaimError, match="must be a number"):
        Quantity(text=text)


def test_precision_is_what_is_written():
    assert [Quantity(text=text).decimals for text in ("96", "96.20", "-0.5")] == [0, 2, 1]


def test_settings_conflict_only_where_both_speak():
    one, other = MeasurementSetting(shots=0, k=1), MeasurementSetting(shots=1, problems=164)
    assert one.conflicts(other) == ("shots",)
    assert one.conflicts(MeasurementSetting()) == ()
