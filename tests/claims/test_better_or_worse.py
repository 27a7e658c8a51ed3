"""Which way is better, among which systems, and on which of the columns that a comparison names."""

import pytest

from trimtab.claims import report_claims, verdict_rules
from trimtab.claims.name_registry import Registry
from trimtab.claims.sources import Sources
from trimtab.documents import reader

REGISTRY = Registry.load()

# What stands above the table says of all its columns but one that less is better.
ATTACKS = """# Attacks

Share of attacks that succeed (%; lower is better), and over-refusal.

| Model | GCG | TAP | Over-refusal \u2193 |
|---|---|---|---|
| Finch-7B | 62.0 | 58.3 | 3.6 |
| Wren-13B | 14.9 | 2.0 | 29.6 |
"""
# Only one of its measures is better when it is lower, and the caption says so of that one.
RUNS = """Table 1: BPB: bits per byte (lower is better).

| Run | Peak memory (GiB) | Pile BPB | LAMBADA accuracy | GFLOPs | Throughput |
|---|---|---|---|---|---|
| dense-1B | 21.3 | 0.912 | 51.6 | 257 | 1105 |
| dense-3B | 17.8 | 0.831 | 61.7 | 136 | 1480 |
"""
VOICES = """| System | MOS | WER (%) \u2193 | UTMOS \u2191 | IS\u2191 |
|---|---|---|---|---|
| Ground truth | 4.41 | 2.1 | 4.08 | 9.9 |
| VITS | 3.72 | 4.9 | 3.64 | 7.1 |
| Style-2 | 4.15 | 3.3 | 4.02 | 8.0 |
| Natural-3 | 4.24 | 2.6 | 3.96 | 7.5 |
"""
ORACLES = """| Model | MOS |
|---|---|
| Oracle-7B | 4.3 |
| Wren-2B | 4.0 |
| Oracle | 4.9 |
"""
RETURNS = """| Environment | PPO | SAC | TD3 |
|---|---|---|---|
| Hopper-v4 | 2410 | 2754 | 3265 |
| Walker-v4 | 3127 | 4518 | 4682 |
| Humanoid-v4 | 586 | 5311 | 5098 |
"""


def fidelity(sentence, table):
    sources = Sources.build([reader.read_bytes(table.encode(), "t.md")], [], REGISTRY)
    return verdict_rules.check(report_claims.claim(sentence, REGISTRY, sources.vocabulary), sources).fidelity


@pytest.mark.parametrize(
    ("sentence", "table", "right"),
    [
        # Of these columns it may be meant, so neither is decided.
        ("Wren-13B beats Finch-7B on TAP.", ATTACKS, "not found"),
        ("Finch-7B beats Wren-13B on TAP.", ATTACKS, "not found"),
        ("Finch-7B is the best on GCG.", ATTACKS, "not found"),
        ("Finch-7B has a higher TAP than Wren-13B.", ATTACKS, "supported"),
        ("Finch-7B beats Wren-13B on over-refusal.", ATTACKS, "supported"),
        ("Wren-13B beats Finch-7B on over-refusal.", ATTACKS, "contradicted"),
        ("dense-1B beats dense-3B in peak memory.", RUNS, "not found"),
        ("dense-3B beats dense-1B in peak memory.", RUNS, "not found"),
        ("dense-3B is better than dense-1B in GFLOPs.", RUNS, "not found"),
        # An accuracy is better when it is higher, whatever the caption says of another measure.
        ("dense-3B beats dense-1B on LAMBADA accuracy.", RUNS, "supported"),
        ("dense-1B beats dense-3B on LAMBADA accuracy.", RUNS, "contradicted"),
    ],
)
def test_which_way_is_better(sentence, table, right):
    assert fidelity(sentence, table) == right


@pytest.mark.parametrize(
    ("sentence", "right"),
    [
        ("Natural-3 beats VITS in MOS and WER.", "supported"),
        ("Natural-3 beats VITS in both WER and UTMOS.", "supported"),
        ("Natural-3 beats Style-2 in MOS and UTMOS.", "contradicted"),
        ("Natural-3 beats Style-2 in WER and IS.", "contradicted"),
        ("Style-2 is better than VITS in UTMOS, IS and WER.", "supported"),
        ("Natural-3 has the best MOS and WER.", "supported"),
        # The best of the systems is not held against the truth.
        ("Natural-3 outperforms all other models in MOS.", "supported"),
        ("Style-2 has the best UTMOS.", "supported"),
        ("VITS has the best UTMOS.", "contradicted"),
    ],
)
def test_each_column_of_a_list_is_asked(sentence, right):
    assert fidelity(sentence, VOICES) == right


@pytest.mark.parametrize(
    ("sentence", "right"),
    [
        ("TD3 outperforms all other methods on Hopper-v4.", "supported"),
        ("SAC outperforms all other methods on Humanoid-v4.", "supported"),
        ("PPO outperforms all other methods on Walker-v4.", "contradicted"),
        ("SAC beats TD3 on Humanoid-v4.", "supported"),
        ("SAC beats TD3 on Hopper-v4.", "contradicted"),
        ("TD3 reaches 4682 on Walker-v4.", "supported"),
    ],
)
def test_systems_in_columns_under_what_was_measured_in_rows(sentence, right):
    assert fidelity(sentence, RETURNS) == right


PRUNED = """| Method | Retained | MMLU |
|---|---|---|
| Chance | 6 | 59.4 |
| Chance | 4 | 38.8 |
| Reap | 6 | 67.8 |
| Reap | 4 | 58.3 |
"""


@pytest.mark.parametrize(
    "sentence",
    [
        "Reap with 4 experts beats Chance with 6 experts on MMLU.",
        "Reap (4 experts) beats Chance (6 experts) on MMLU.",
    ],
)
def test_two_sides_in_two_settings_are_left_open(sentence):
    assert fidelity(sentence, PRUNED) in ("partial", "not found")
    assert fidelity("Reap beats Chance on MMLU.", PRUNED) == "supported"


VARIANTS = """| Method | NQ |
|---|---|
| Fusion (full) | 51.4 |
| w/ oracle passages | 68.0 |
| w/o reranker | 47.9 |
"""


@pytest.mark.parametrize(
    "sentence",
    [
        "With oracle passages, Fusion scores 68.0 on NQ.",
        "Without reranker, Fusion scores 47.9 on NQ.",
        "Fusion gets 68.0 on NQ with oracle passages.",
    ],
)
def test_a_row_that_says_with_what_is_a_row_of_the_system(sentence):
    assert fidelity(sentence, VARIANTS) not in ("contradicted", "misattributed")


SPEECH = """# Speech

Word error rate (WER, %, lower is better).

| Model | LibriSpeech test-other | AMI |
|---|---|---|
| Parrot-1B | 2.6 | 11.3 |
| Canary-1B | 2.9 | 13.9 |
"""
SPOKEN = SPEECH.replace("Word error rate (WER, %, lower is better).", "WER (lower is better) and naturalness.").replace(
    "AMI", "Naturalness"
)
FOOTNOTES = """| Model | HumanEval\u00b9 | R\u00b2 |
|---|---|---|
| Finch-7B\u00b2 | 61.5 | 0.81 |
| Wren-9B | 66.1 | 0.77 |
"""
LATENCY = """| Engine | TTFT (ms) \u2193 | Throughput (tok/s) \u2191 |
|---|---|---|
| vLane | 188 | 829.0 |
| Tensor-RX | 141 | 909.1 |
"""
BOXES = """| Model | AP | AP50 |
|---|---|---|
| DINO | 50.9 | 69.0 |
| Yolo-L | 52.9 | 69.8 |
| Rt-L | 53.0 | 71.3 |
"""


@pytest.mark.parametrize(
    ("sentence", "table", "right"),
    [
        # A line above that names the one measure of all columns says which way is better.
        ("Parrot-1B outperforms Canary-1B on LibriSpeech test-other.", SPEECH, "supported"),
        ("Canary-1B outperforms Parrot-1B on AMI.", SPEECH, "contradicted"),
        # One that names two measures may be meant of either column.
        ("Canary-1B outperforms Parrot-1B on Naturalness.", SPOKEN, "not found"),
        ("Parrot-1B outperforms Canary-1B on Naturalness.", SPOKEN, "not found"),
        # Raised digits are marks of footnotes, but for that of one letter.
        ("Finch-7B scores 61.5 on HumanEval.", FOOTNOTES, "supported"),
        ("Finch-7B scores 66.5 on HumanEval.", FOOTNOTES, "contradicted"),
        ("Wren-9B reaches 0.77 on R\u00b2.", FOOTNOTES, "supported"),
        ("vLane has a TTFT of 188 ms.", LATENCY, "supported"),
        ("vLane has a TTFT of 198 ms.", LATENCY, "contradicted"),
        ("Tensor-RX has a throughput of 909.1 tok/s.", LATENCY, "supported"),
        ("Tensor-RX beats vLane by 47 ms in TTFT.", LATENCY, "supported"),
        ("vLane has a throughput of 829.0 ms.", LATENCY, "not found"),  # another unit
        ("DINO reaches 50.9 AP.", BOXES, "supported"),
        ("DINO reaches 59.0 AP.", BOXES, "contradicted"),
    ],
)
def test_units_and_what_a_line_above_says(sentence, table, right):
    assert fidelity(sentence, table) == right


def test_names_right_before_their_values_are_in_order():
    sentence = "Rt-L and Yolo-L are both fast enough for us; Rt-L outperforms Yolo-L in AP50 (71.3 vs. 69.8)."
    sources = Sources.build([reader.read_bytes(BOXES.encode(), "t.md")], [], REGISTRY)
    verdict = verdict_rules.check(report_claims.claim(sentence, REGISTRY, sources.vocabulary), sources)
    assert not verdict.worth_a_look


def test_a_model_called_oracle_is_a_model():
    assert fidelity("Oracle-7B has the best MOS.", ORACLES) == "supported"
    assert fidelity("Wren-2B has the best MOS.", ORACLES) == "contradicted"


def test_a_system_that_another_one_is_evaluated_by_is_not_told_of():
    assert fidelity("Robin-3B evaluated by Wren-9B reaches 60.1 on HumanEval.", FOOTNOTES) not in (
        "contradicted",
        "misattributed",
    )
