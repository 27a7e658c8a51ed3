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
| Finch-3B | 30.1 | 40.0 |
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

COMPARED = """\
Kestrel-8B used to outperform Merlin-13B on MBPP.
On long inputs, Kestrel-8B outperforms Merlin-13B on MBPP.
Kestrel-8B outperforms Merlin-13B on MBPP in Rust.
Kestrel-8B outperforms Merlin-13B on MBPP per dollar.
Kestrel-8B outperforms Merlin-13B in speed on MBPP.
Kestrel-8B is faster than Merlin-13B on MBPP.
Kestrel-8B is cheaper than Merlin-13B on MBPP.
Kestrel-8B outperforms the original Merlin-13B on MBPP.
Kestrel-8B with retrieval outperforms Merlin-13B on MBPP.
Kestrel-8B outperforms Merlin-13B without tools on MBPP.
Kestrel-8B is the best open model on MBPP.
Kestrel-8B is the best 8B model on MBPP.
Kestrel-8B is the best small model on MBPP.
Kestrel-8B is the best dense model on MBPP.
Kestrel-8B has the highest gains on MBPP.
Kestrel-8B has the highest throughput on MBPP.
Kestrel-8B has the best pass@10 on MBPP.
Kestrel-8B has the best calibration on MBPP.
Kestrel-8B is best on MBPP when sampled.
Kestrel-8B is second best on MBPP.
Kestrel-8B is among the best on MBPP.
Kestrel-8B is the best of ours on MBPP.
Kestrel-8B is the best open-weights model under 8B on MBPP.
Kestrel-8B was the best on MBPP in 2023.
Kestrel-8B was state of the art on MBPP at release.
At release, Kestrel-8B was the best model on MBPP.
Kestrel-8B improves most on MBPP.
Kestrel-8B improves over its predecessor on MBPP.
Kestrel-8B improves over Merlin-13B on MBPP after tuning.
Kestrel-8B is better than Merlin-13B on MBPP for short prompts.
Kestrel-8B would outperform Merlin-13B on MBPP.
Kestrel-8B may outperform Merlin-13B on MBPP.
Kestrel-8B outperforms Merlin-13B on MBPP+.
Kestrel-8B outperforms Merlin-13B on MBPP Pro.
Kestrel-8B outperforms Merlin-13B on a subset of MBPP.
Kestrel-8B outperforms Merlin-13B on half of MBPP.
Kestrel-8B outperforms Merlin-13B on MBPP problems with loops.
Kestrel-8B outperforms Merlin-13B on some MBPP problems.
Kestrel-8B outperforms Merlin-13B on MBPP in our reproduction.
Kestrel-8B outperforms Merlin-13B on MBPP in terms of latency.
Kestrel-8B outperforms Merlin-13B-Base on MBPP.
Kestrel-8B-Instruct outperforms Merlin-13B on MBPP.
Kestrel-8B's successor outperforms Merlin-13B on MBPP.
The successor of Kestrel-8B outperforms Merlin-13B on MBPP.
Models like Kestrel-8B outperform Merlin-13B on MBPP.
Kestrel-8B outperforms Merlin-13B on MBPP, if given more samples.
Given more samples, Kestrel-8B outperforms Merlin-13B on MBPP.
Kestrel-8B outperforms Merlin-13B on MBPP at equal cost.
Kestrel-8B outperforms Merlin-13B on MBPP by using tools.
Kestrel-8B and Merlin-13B differ by 5.0 points on MBPP across seeds.
Kestrel-8B gains 5.0 points on MBPP from voting.
Kestrel-8B gains 5.0 points on MBPP over its base.
Kestrel-8B loses 5.0 points on MBPP when quantized.
Kestrel-8B drops 5.0 points on MBPP.
Kestrel-8B drops by 5.0 points on MBPP compared to HumanEval.
The gap to Merlin-13B on MBPP narrows by 5.0 points.
Kestrel-8B closes 5.0 points of the gap to Merlin-13B on MBPP.
Kestrel-8B beats Merlin-13B by 5.0 points on MBPP's hard split.
Kestrel-8B beats Merlin-13B by 5 points on MBPP in human ratings.
Kestrel-8B does not outperform Merlin-13B on HumanEval in Java.
Kestrel-8B does not outperform Merlin-13B on HumanEval when sampled once.
Kestrel-8B never outperformed Merlin-13B on HumanEval in early training.
It is not clear that Kestrel-8B outperforms Merlin-13B on MBPP.
We do not claim that Kestrel-8B outperforms Merlin-13B on MBPP.
There is no evidence that Kestrel-8B outperforms Merlin-13B on MBPP.
One may think that Kestrel-8B outperforms Merlin-13B on MBPP.
We expected Kestrel-8B to outperform Merlin-13B on MBPP.
Reviewers asked whether Kestrel-8B outperforms Merlin-13B on MBPP.
It is false that Kestrel-8B outperforms Merlin-13B on MBPP.
The claim that Kestrel-8B outperforms Merlin-13B on MBPP is wrong.
Contrary to the claim that Kestrel-8B outperforms Merlin-13B on MBPP, it is behind.
Kestrel-8B is said to outperform Merlin-13B on MBPP.
Finch et al. report that Kestrel-8B outperforms Merlin-13B on MBPP.
To outperform Merlin-13B on MBPP, Kestrel-8B needs more data.
Kestrel-8B tries to outperform Merlin-13B on MBPP.
Kestrel-8B aims to outperform Merlin-13B on MBPP.
Kestrel-8B nearly outperforms Merlin-13B on MBPP.
Kestrel-8B almost outperforms Merlin-13B on MBPP.
Kestrel-8B outperforms neither Merlin-13B nor others on MBPP.
Until Merlin-13B, Kestrel-8B was the best on MBPP.
Except for Merlin-13B, Kestrel-8B is the best on MBPP.
Apart from Merlin-13B, Kestrel-8B beats all others on MBPP.
Kestrel-8B ranks first on MBPP among 8B models.
Kestrel-8B ranks first in MBPP downloads.
Kestrel-8B is the most cited on MBPP.
Kestrel-8B tops the MBPP leaderboard of last year.
Kestrel-8B leads on MBPP early in training.
Kestrel-8B trails Finch-3B on MBPP until step 1000.
Kestrel-8B is worse than Finch-3B on MBPP at 4 bits.
Kestrel-8B outperforms Merlin-13B on all benchmarks we did not list.
Kestrel-8B outperforms Merlin-13B on all coding benchmarks.
Kestrel-8B outperforms Merlin-13B on all English benchmarks.
Kestrel-8B outperforms Merlin-13B on all other benchmarks.
Kestrel-8B outperforms Merlin-13B on every benchmark in Table 7.
Kestrel-8B outperforms Merlin-13B on every benchmark of the appendix.
On the dev sets, Kestrel-8B outperforms Merlin-13B on all benchmarks.
Kestrel-8B outperforms Merlin-13B on most benchmarks.
Kestrel-8B outperforms Merlin-13B on two of five benchmarks.
Kestrel-8B outperforms Merlin-13B on one of two code benchmarks.
Kestrel-8B consistently outperforms Merlin-13B.
Kestrel-8B outperforms Merlin-13B in human evaluation.
Kestrel-8B is comparable to Merlin-13B on MBPP.
Kestrel-8B matches Merlin-13B on MBPP at k=10.
Kestrel-8B scores 60.0 to 62.3 on MBPP.
Kestrel-8B scores between 58 and 62 on MBPP.
Kestrel-8B scores 61.2 ± 0.4 on MBPP over seeds.
Kestrel-8B needs 61.2 seconds on MBPP.
Kestrel-8B costs 61.2 dollars on MBPP.
Kestrel-8B refuses 6.1% of MBPP.
Kestrel-8B solves 61 of 100 sampled MBPP problems.
Kestrel-8B times out on 2.3% of MBPP.
Kestrel-8B fails on 40.0% of MBPP.
Kestrel-8B writes 61.2 tokens on MBPP.
Kestrel-8B has 61.2% syntax errors on MBPP.
Kestrel-8B has a 61.2% chance to pass MBPP.
61.2% of Kestrel-8B's MBPP answers compile.
Kestrel-8B reaches 61.2% coverage on MBPP.
Kestrel-8B agrees with Merlin-13B on 61.2% of MBPP.
Kestrel-8B passes 61.2% of the MBPP tests.
The MBPP loss of Kestrel-8B is 1.2.
The MBPP perplexity of Kestrel-8B is 5.1.
The MBPP share of Kestrel-8B's data is 61.2%.
MBPP makes up 61.2% of Kestrel-8B's tests.
Kestrel-8B saw 61.2% of MBPP in training.
Kestrel-8B has 61.2% contamination on MBPP."""

# Each is true or of something else than the cell that it names.
ELSEWHERE = """\
Kestrel-8B scores 71.3 on HumanEval over 7 seeds.
Within 3 hours, Kestrel-8B scores 71.3 on HumanEval.
Kestrel-8B scores 71.3 on HumanEval with 4,000 examples.
On 2 nodes, Kestrel-8B scores 71.3 on HumanEval.
Kestrel-8B scores 71.3 on 80 problems of HumanEval.
Kestrel-8B (30M) scores 71.3 on HumanEval.
Kestrel-8B with 30M parameters scores 71.3 on HumanEval.
Kestrel-8B scores 71.3 on HumanEval at 512 px.
Merlin-13B (3 epochs) beats Kestrel-8B on HumanEval.
Merlin-13B beats Kestrel-8B (0321) on HumanEval.
Kestrel-8B had scored 71.3 on HumanEval.
Until then, Kestrel-8B reached 71.3 on HumanEval.
Merlin-13B reaches 76.5% of Kestrel-8B on HumanEval.
Merlin-13B reaches 76.5% of the score of Kestrel-8B on HumanEval.
Kestrel-8B scores 71.3 on HumanEval, 20 % of it.
The advantage of Kestrel-8B on HumanEval is 18.8.
The gap between Kestrel-8B and Merlin-13B on HumanEval is 18.8.
Kestrel-8B is +18.8 on HumanEval.
Kestrel-8B brings us 18.8 on HumanEval.
Kestrel-8B has a rank of 1 on HumanEval.
Kestrel-8B is 18.8 pass@1 better than Merlin-13B on HumanEval.
On HumanEval, Kestrel-8B gains 49.8 over Finch-3B and Merlin-13B 31.0.
Kestrel-8B beats the record of 78.2 on HumanEval.
Merlin-13B distilled from Kestrel-8B scores 71.3 on HumanEval.
Merlin-13B, initialized from Kestrel-8B, scores 71.3 on HumanEval.
Kestrel-8B drops to 71.3 on HumanEval.
Merlin-13B climbs to 71.3 on HumanEval.
Kestrel-8B collapses to 71.3 on HumanEval, which reviewers noticed.
Kestrel-8B drops by 8.6 points on HumanEval, to 71.3.
Kestrel-8B scores 71.3 on HumanEval (Finch et al., 2023).
Kestrel-8B scores 71.3 on HumanEval (Meta, 2024).
Merlin-13B beats Kestrel-8B on HumanEval (Finch et al., 2023)."""
# Each says of the right value what the table does not: a rank, a difference, another system.
MORE = """\
With 12 graders, Kestrel-8B scores 79.9 on HumanEval.
Merlin-13B scores 61.1 on HumanEval and wins.
Merlin-13B is in the lead on HumanEval with 61.1.
Merlin-13B holds the record on HumanEval with 61.1.
Merlin-13B comes first on HumanEval with 61.1.
Merlin-13B scores 61.1 on HumanEval, a new record.
The lead of Kestrel-8B on HumanEval is 79.9.
Kestrel-8B shows +79.9 on HumanEval.
Kestrel-8B gains 79.9 on HumanEval.
Kestrel-8B has a rank of 79.9 on HumanEval.
Kestrel-8B distilled from Merlin-13B scores 79.9 on HumanEval."""
SPLITS = """Table 1: Scores on the validation sets.

| Model | RTE (Acc) | CoLA (Mcc) | MRPC (F1) |
|---|---|---|---|
| Kestrel-8B | 79.9 | 60.0 | 88.1 |
| Merlin-13B | 61.1 | 70.0 | 84.2 |
"""


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


@pytest.mark.parametrize("sentence", COMPARED.splitlines())
def test_a_comparison_or_a_number_of_something_else_accuses_nobody(sentence, sources):
    assert not fidelity(sentence, sources).fails


@pytest.mark.parametrize("sentence", ELSEWHERE.splitlines())
def test_a_number_of_another_amount_time_share_system_or_work_accuses_nobody(sentence, sources):
    assert not fidelity(sentence, sources).fails


@pytest.mark.parametrize("sentence", MORE.splitlines())
def test_a_right_value_with_more_than_the_table_says_is_not_supported(sentence, sources):
    assert fidelity(sentence, sources) in ("partial", "not found")


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Kestrel-8B scores 77.9 on the RTE test set.", "not found"),
        ("On the test set, Kestrel-8B scores 77.9 on RTE.", "not found"),
        ("Kestrel-8B scores 77.9 on RTE (test).", "not found"),
        ("Kestrel-8B scores 79.9 on RTE (test).", "not found"),
        ("Kestrel-8B scores 79.9 on RTE (dev).", "supported"),
        ("The accuracy of Kestrel-8B on MRPC is 85.1.", "not found"),
        ("Kestrel-8B has an accuracy of 82.0 on CoLA.", "not found"),
        ("Kestrel-8B has an accuracy of 60.0 on CoLA.", "not found"),
        ("Kestrel-8B has an F1 of 88.1 on MRPC.", "supported"),
        ("Kestrel-8B has an F1 of 85.1 on MRPC.", "contradicted"),
        ("Kestrel-8B has an accuracy of 79.9 on RTE.", "supported"),
        ("Kestrel-8B has an accuracy of 77.9 on RTE.", "contradicted"),
    ],
)
def test_a_cell_of_another_split_or_measure_decides_nothing(sentence, expected):
    where = Sources.build([reader.read_bytes(SPLITS.encode(), "glue.md")], [], REGISTRY)
    assert fidelity(sentence, where) == expected


@pytest.mark.parametrize("place", ["In Table 9,", "In Figure 3,"])
def test_a_sentence_about_another_table_is_held_against_none(place, sources):
    assert not fidelity(f"{place} Kestrel-8B scores 71.3 on HumanEval.", sources).fails
    captioned = Sources.build([reader.read_bytes(f"Table 9: Results\n\n{TABLE}".encode(), "paper.md")], [], REGISTRY)
    assert fidelity(f"{place} Kestrel-8B scores 71.3 on HumanEval.", captioned).fails is ("9" in place)


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
