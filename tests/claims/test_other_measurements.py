"""What a sentence says besides names and value may make another number of the value: then nobody is accused."""

import pytest

from trimtab.claims import report_claims, verdict_rules
from trimtab.claims.name_registry import Registry
from trimtab.claims.sources import Sources
from trimtab.documents import reader

REGISTRY = Registry.load()
TABLE = """| Model | HumanEval | MBPP |
|---|---|---|
| Kestrel-8B | 79.9 | 60.0 |
| Merlin-13B | 61.1 | 70.0 |
"""
SPEECH = """| System | Clean WER |
|---|---|
| Wren-L | 2.1 |
| Heron | 2.6 |
"""
OPENINGS = """Earlier,|Last year,|Before the fix,|On the validation set,|During training,|For the smaller variant,
Internally,|At release,|Originally,|In our reproduction,|After five epochs,
Halfway through training,|Two months ago,|Back then,|In version 1,|On a different seed,
Under greedy decoding,|Historically,|At step 1000,|At its peak,|According to its authors,
By their own account,|As of 2023,|Until recently,|Per the model card,|Via the API,|On CPU,
Without tricks,|Zero-shot,|Excluding duplicates,|On the leaderboard,|Out of the box,
With a different prompt,|Depending on the prompt,|In one run,|Later,|Soon after,|Previously,
Formerly,|Once deduplicated,|Rescored,|Normalized,|In production,|Supposedly,|In theory,|Ideally,
A year ago,|In Japanese,|On long inputs,|Locally,|Privately,|Among the seeds,|By ensembling,
By voting,|Unofficially,|Their|The released|A later|Each|Everyone but|Competitors of|A version of
The teacher of|A run of"""
ENDINGS = """, in an earlier draft|, before we fixed the parser|, on the validation part|, which is its dev score
, zero-shot|, its score a year ago|, per language|, macro-averaged|, at 8 bits|, as first reported
, half of it by luck|(5-shot)|in the best run|as a baseline|in 2023|overall|each|per task|on average
at first|for the base checkpoint|(their number)|[old version]|- old number|for now|when sampled
at step 1000|latency|BLEU|-like tasks|under attack"""


@pytest.fixture(scope="module")
def sources():
    return Sources.build([reader.read_bytes(TABLE.encode(), "paper.md")], [], REGISTRY)


def fidelity(sentence, sources):
    claim = report_claims.claim(sentence, REGISTRY, sources.vocabulary)
    return verdict_rules.check(claim, sources).fidelity


def items(text):
    return [item.strip() for item in text.replace("\n", "|").split("|")]


@pytest.mark.parametrize("opening", items(OPENINGS))
def test_an_opening_that_may_make_another_number_of_a_value(opening, sources):
    assert not fidelity(f"{opening} Kestrel-8B scores 71.3 on HumanEval.", sources).fails


@pytest.mark.parametrize("ending", items(ENDINGS))
def test_an_ending_that_may_make_another_number_of_a_value(ending, sources):
    space = "" if ending.startswith((",", "-like")) else " "
    assert not fidelity(f"Kestrel-8B scores 71.3 on HumanEval{space}{ending}.", sources).fails


@pytest.mark.parametrize(
    "sentence",
    [
        "Kestrel-8B scores 71.3 on HumanEval.",
        "Overall accuracy aside, Kestrel-8B scores 79.9 on HumanEval, whereas Merlin-13B scores 71.3.",
        "Impressively, Kestrel-8B scores 71.3 on HumanEval.",
        "In this paper, Kestrel-8B clearly reaches 71.3 on HumanEval.",
        "We introduce Kestrel-8B, which scores 71.3 on HumanEval.",
        "Kestrel-8B scores 71.3 on HumanEval, surpassing Merlin-13B.",
    ],
)
def test_a_plain_sentence_with_a_wrong_value_is_contradicted(sentence, sources):
    assert fidelity(sentence, sources).fails


def test_a_character_error_rate_is_no_word_error_rate():
    where = Sources.build([reader.read_bytes(SPEECH.encode(), "speech.md")], [], REGISTRY)
    assert not fidelity("Heron has a CER of 1.3.", where).fails
    assert fidelity("Heron has a WER of 2.6.", where).holds
