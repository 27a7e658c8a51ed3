"""A model reads what the rules did not understand, over HTTP; the rules decide, and what it makes up is dropped."""

import json

import pytest
from click.testing import CliRunner

from trimtab.cli.main import main
from trimtab.review.llm.asker import Asker
from trimtab.review.llm.sentence_readings import SentenceReader
from trimtab.review.report_check import Options, check

TABLE = """| System | HumanEval | MBPP |
|---|---|---|
| Kestrel-8B | 71.3 | 64.0 |
| Merlin-13B | 62.2 | 69.5 |
"""
STRANGE = "Kestrel-8B bags a juicy {} on HumanEval."
VALUE = {"system": "Kestrel-8B", "benchmark": "HumanEval", "value": "71.3"}


@pytest.fixture
def run(tmp_path, endpoint):
    """Check one sentence with a model that answers by ``reply``; return its verdict, claim and what was read."""

    def go(sentence, *assertions, conditions=()):
        (tmp_path / "sources").mkdir(exist_ok=True)
        (tmp_path / "sources" / "paper.md").write_text(TABLE)
        (tmp_path / "report.md").write_text(sentence + "\n")
        reply = json.dumps({"assertions": assertions, "conditions": conditions})
        serving = endpoint(lambda _body: reply)
        reader = SentenceReader(asker=Asker(**serving.named))
        found = check(tmp_path / "report.md", tmp_path / "sources", Options(reader=reader))
        ((claim, verdict),) = found.checked
        return claim, verdict, reader.readings, serving.asked

    return go


def test_without_a_model_the_sentence_is_partly_read(tmp_path):
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "paper.md").write_text(TABLE)
    (tmp_path / "report.md").write_text(STRANGE.format("71.3") + "\n")
    ((claim, verdict),) = check(tmp_path / "report.md", tmp_path / "sources").checked
    assert verdict.fidelity == "partial"
    assert "bags" in " ".join(claim.unread)


@pytest.mark.parametrize(("value", "word"), [("71.3", "supported"), ("74.3", "contradicted")])
def test_the_rules_decide_on_what_a_model_read(run, value, word):
    claim, verdict, readings, asked = run(STRANGE.format(value), VALUE | {"value": value})
    assert verdict.fidelity == word
    assert verdict.rule_path[0] == "a model's reading"
    assert claim.extractor.startswith("model/fake at http://127.0.0.1:")
    assert readings[0].facts == (f"Kestrel-8B on HumanEval: {value}",)
    assert json.loads(asked[0][1]["messages"][1]["content"]) == {"sentence": STRANGE.format(value)}


def test_a_comparison_is_computed(run):
    sentence = "Kestrel-8B dwarfs Merlin-13B on HumanEval to the tune of 9.1 points."
    sides = {"system": "Kestrel-8B", "benchmark": "HumanEval", "comparator": "Merlin-13B", "relation": "better"}
    assert run(sentence, sides | {"value": "9.1"})[1].fidelity == "supported"
    assert run(sentence.replace("9.1", "4.1"), sides | {"value": "4.1"})[1].fidelity == "contradicted"


@pytest.mark.parametrize(
    ("assertion", "reason"),
    [
        (VALUE | {"system": "Merlin-13B"}, "'Merlin-13B'"),
        (VALUE | {"value": "62.2"}, "'62.2'"),
        (VALUE | {"value": "8"}, "not one number"),
        (VALUE | {"value": ""}, "neither a value nor a comparator"),
        (VALUE | {"relation": "better"}, "needs a comparator"),
        (VALUE | {"system": ""}, "names no system"),
    ],
)
def test_what_the_sentence_does_not_say_throws_the_reading_away_and_is_not_asked_again(run, assertion, reason):
    _, verdict, readings, asked = run(STRANGE.format("71.3"), assertion)
    assert verdict.fidelity == "partial"
    assert reason in readings[0].reason
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("sentence", "conditions"),
    [
        ("Kestrel-8B bags a juicy 74.3 on HumanEval when quantized to a smidgen.", ("when quantized to a smidgen",)),
        ("Kestrel-8B would bag a juicy 74.3 on HumanEval.", ()),
        ("Kestrel-8B bags a juicy 74.3 on HumanEval, unless tools are banned.", ()),
        ("Kestrel-8B bags a juicy 74.3 on HumanEval, never 60.1.", ()),
    ],
)
def test_conditions_other_numbers_and_words_that_turn_a_sentence_keep_it_open(run, sentence, conditions):
    _, verdict, readings, _ = run(sentence, VALUE | {"value": "74.3"}, conditions=conditions)
    assert verdict.fidelity == "partial"
    assert readings[0].facts


def test_a_sentence_that_was_understood_is_not_sent(run):
    _, verdict, readings, asked = run("Kestrel-8B scores 71.3 on HumanEval.", VALUE)
    assert verdict.fidelity == "supported"
    assert not readings
    assert not asked


def test_the_command_asks_and_keeps_what_was_read(tmp_path, endpoint):
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "paper.md").write_text(TABLE)
    (tmp_path / "report.md").write_text(STRANGE.format("74.3") + "\n")
    serving = endpoint(lambda _body: json.dumps({"assertions": [VALUE | {"value": "74.3"}]}))
    arguments = ["--sources", tmp_path / "sources", "--llm", serving.named["completer"].url, "--llm-model", "fake"]
    arguments += ["-o", tmp_path / "out"]
    result = CliRunner().invoke(main, ["evidence", "check", str(tmp_path / "report.md"), *map(str, arguments)])
    assert result.exit_code == 1, result.output
    assert "the table has 71.3" in result.output
    (line,) = (tmp_path / "out" / "readings.jsonl").read_text().splitlines()
    assert json.loads(line)["facts"] == ["Kestrel-8B on HumanEval: 74.3"]
