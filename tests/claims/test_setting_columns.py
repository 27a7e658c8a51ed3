"""Rows that share a system and differ by a column of settings: a sentence that names head and value selects the row."""

import itertools

import pytest

from trimtab.claims import claim_model, report_claims, setting_columns, verdict_rules
from trimtab.claims.name_registry import Registry
from trimtab.claims.sources import Sources
from trimtab.documents import reader

REGISTRY = Registry.load()
# File, how many columns from the second on say how a row was measured, the table, and how sentences say it.
TABLES = {
    "capacity.md": (
        1,
        """Model,Eval. capacity,MBPP,HumanEval
Arm-A1,2.0,60.0,51.2
Arm-A1,1.25,50.0,44.5
Arm-B1,2.0,58.3,49.4
Arm-B1,1.25,40.1,38.7""",
        (
            "at an evaluation capacity of {0}",
            "with eval capacity {0}",
            "at capacity {0}",
            "with eval_capacity = {0}",
            "(eval. capacity {0})",
        ),
    ),
    "modes.md": (
        1,
        """System,Capacity,MBPP,GSM8K
Kestrel-8B,dropless,60.0,71.5
Kestrel-8B,tight,50.4,66.1
Merlin-13B,dropless,58.1,77.2
Merlin-13B,tight,40.9,59.8""",
        ("with {0} capacity", "with a capacity of {0}", "(capacity: {0})", "under the {0} capacity"),
    ),
    "shots.csv": (
        1,
        """model,shots,mmlu,gsm8k
Owl-2B,0,41.2,22.1
Owl-2B,5,48.8,31.7
Heron-3B,0,50.3,35.4
Heron-3B,5,57.9,44.0""",
        ("with {0} shots", "({0}-shot)", "in the {0}-shot setting", "with shots = {0}"),
    ),
    "seeds.csv": (
        2,
        """run,seed,temperature,humaneval
Swift-1B,1,0.2,31.1
Swift-1B,2,0.2,32.9
Swift-1B,1,0.8,27.4
Swift-1B,2,0.8,28.6
Robin-1B,1,0.2,29.9
Robin-1B,2,0.2,30.5
Robin-1B,1,0.8,25.0
Robin-1B,2,0.8,26.2""",
        (
            "with seed {0} at temperature {1}",
            "at a temperature of {1} with seed {0}",
            "(seed {0}, temperature {1})",
            "with random seed {0} and a sampling temperature of {1}",
        ),
    ),
    "rank.md": (
        1,
        """Method,Rank,MNLI,SST-2
LoRA-XS,4,85.1,93.0
LoRA-XS,16,86.4,94.2
DoRA-S,4,85.9,93.6
DoRA-S,16,87.2,94.9""",
        ("at rank {0}", "with a rank of {0}", "(rank = {0})", "using LoRA rank {0}"),
    ),
    "k.md": (
        1,
        """Model,k,HumanEval,MBPP
Crane-7B,1,40.2,51.0
Crane-7B,10,61.6,70.7
Stork-7B,1,44.5,52.3
Stork-7B,10,66.8,73.9""",
        ("with k = {0}", "at k={0}", "for k of {0}"),
    ),
    "noise.md": (  # no word of ours is in this head
        1,
        """Model,Fog density,CIFAR-10
Net-A2,0.1,91.2
Net-A2,0.4,80.3
Net-B2,0.1,92.5
Net-B2,0.4,83.1""",
        ("at a fog density of {0}", "with fog density {0}", "(fog density {0})"),
    ),
    "prompts.md": (
        2,
        """Model,Prompt,Steps,GSM8K
Ibis-9B,CoT,1000,61.3
Ibis-9B,direct,1000,44.1
Ibis-9B,CoT,4000,70.2
Ibis-9B,direct,4000,52.8
Lark-9B,CoT,1000,59.5
Lark-9B,direct,1000,41.7
Lark-9B,CoT,4000,68.4
Lark-9B,direct,4000,50.6""",
        ("with the {0} prompt after {1} steps", "(prompt: {0}, {1} steps)"),
    ),
    "sparsity.md": (
        1,
        """Model,Sparsity,ImageNet
ViT-B3,50%,80.2
ViT-B3,90%,71.4
Deit-B3,50%,81.0
Deit-B3,90%,73.3""",
        ("at 50% sparsity", "at a sparsity of 90%"),
    ),
}
RUN = """cell_id,model,balancer,capacity,seed,outcome,endpoint,unit,eval_capacity,value,numerator,denominator,folder
toy-aux-tight-s0_1f,toy,aux,tight,0,completed,python_loss,nats/token,dropless,2.4132,4925.3,2041.0,cells/toy-aux
toy-aux-tight-s0_1f,toy,aux,tight,0,completed,python_loss,nats/token,c1.25,2.5317,5167.2,2041.0,cells/toy-aux
toy-aux-tight-s0_1f,toy,aux,tight,0,completed,late_loss,nats/token,dropless,2.2218,4534.7,2041.0,cells/toy-aux
toy-aux-tight-s0_1f,toy,aux,tight,0,completed,late_loss,nats/token,c1.25,2.3409,4777.8,2041.0,cells/toy-aux
toy-aux-tight-s0_1f,toy,aux,tight,0,completed,humaneval_nll,bits/byte,dropless,0.5219,15480.1,29662.0,cells/toy-aux
toy-aux-tight-s0_1f,toy,aux,tight,0,completed,humaneval_nll,bits/byte,c1.25,0.5873,17420.5,29662.0,cells/toy-aux
toy-free-tight-s0_2e,toy,free,tight,0,completed,python_loss,nats/token,dropless,2.4011,4900.6,2041.0,cells/toy-free
toy-free-tight-s0_2e,toy,free,tight,0,completed,python_loss,nats/token,c1.25,2.6104,5327.8,2041.0,cells/toy-free
toy-free-tight-s0_2e,toy,free,tight,0,completed,late_loss,nats/token,dropless,2.2020,4494.3,2041.0,cells/toy-free
toy-free-tight-s0_2e,toy,free,tight,0,completed,late_loss,nats/token,c1.25,2.4026,4903.7,2041.0,cells/toy-free
toy-free-tight-s0_2e,toy,free,tight,0,completed,humaneval_nll,bits/byte,dropless,0.5190,15394.6,29662.0,cells/toy-free
toy-free-tight-s0_2e,toy,free,tight,0,completed,humaneval_nll,bits/byte,c1.25,0.6001,17800.2,29662.0,cells/toy-free
"""


def document(name, text):
    """Write a table of commas as its file's name says, and read it."""
    if name.endswith(".md"):
        head, *rows = (f"| {line.replace(',', ' | ')} |" for line in text.splitlines())
        text = "\n".join([head, "|" + "---|" * (head.count("|") - 1), *rows])
    return reader.read_bytes(text.encode(), name)


WHERE = {
    name: Sources.build([document(name, text)], [], REGISTRY)
    for name, text in {**{name: text for name, (_, text, _) in TABLES.items()}, "table.csv": RUN}.items()
}


def verdict(sentence, where):
    claim = report_claims.claim(sentence, REGISTRY, WHERE[where].vocabulary)
    return verdict_rules.check(claim, WHERE[where])


def said(system, value, benchmark, phrase, turn):
    """Word a result in one of three ways."""
    if turn % 3 == 1 and not phrase.startswith("("):
        return f"{phrase[0].upper()}{phrase[1:]}, {system} reaches {value} on {benchmark}."
    if turn % 3 == 2:
        return f"{system} {phrase} scores {value} on {benchmark}."
    return f"{system} achieves {value} on {benchmark} {phrase}."


def cases():
    """Yield file, sentence, whether it is true: each cell in one wording, with its value and with two others."""
    turn = itertools.count()
    for name, (depth, text, phrases) in TABLES.items():
        head, *rows = (line.split(",") for line in text.splitlines())
        for row, column in itertools.product(rows, range(1 + depth, len(head))):
            at = next(turn)
            phrase = phrases[at % len(phrases)].format(*row[1:])
            if "{" not in phrases[0]:
                phrase = next(one for one in phrases if row[1] in one)
            others = [one[column] for one in rows if one[0] == row[0] and one[column] != row[column]]
            for value, true in ((row[column], True), (others[at % len(others)], False), ("12.7", False)):
                yield name, said(row[0], value, head[column], phrase, at), true
    for line in RUN.splitlines()[1:]:
        at, (cell, *_, endpoint, _, capacity, value) = next(turn), line.split(",")[:10]
        number = capacity.removeprefix("c")
        phrase = (f"at an evaluation capacity of {number}", f"with eval_capacity {capacity}")[at % 2]
        for text, true in ((value, True), (f"{float(value) + 0.0112:.4f}", False)):
            yield "table.csv", said(cell, text, endpoint, phrase, at), true


CASES = list(cases())
TRUE = [(name, sentence) for name, sentence, true in CASES if true]
PLANTED = [(name, sentence) for name, sentence, true in CASES if not true]


def test_there_are_enough_of_both():
    assert min(len(TRUE), len(PLANTED)) >= 40


@pytest.mark.parametrize(("name", "sentence"), TRUE)
def test_a_true_value_of_the_row_that_is_named_is_supported(name, sentence):
    assert verdict(sentence, name).fidelity == "supported"


@pytest.mark.parametrize(("name", "sentence"), PLANTED)
def test_a_value_of_another_row_or_of_none_is_refuted(name, sentence):
    found = verdict(sentence, name)
    assert found.fidelity.fails, (found.fidelity, found.reasons)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("shift", [0, 3.3])
def test_without_the_setting_a_sentence_stays_open_and_is_told_which_column_parts_the_rows(name, shift):
    depth, text, _ = TABLES[name]
    head, *rows = (line.split(",") for line in text.splitlines())
    for row, column in itertools.product(rows, range(1 + depth, len(head))):
        found = verdict(f"{row[0]} scores {float(row[column]) + shift:.1f} on {head[column]}.", name)
        assert found.fidelity in ("partial", "not found")
        reasons = " ".join(found.reasons)
        assert all(
            f"have to say its {head[1]} (" in reasons and f"{label} (" in reasons for label in head[1 : 1 + depth]
        )


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("seeds.csv", "Swift-1B scores 31.1 on humaneval with seed 1."),  # the temperature is not said
        ("seeds.csv", "Swift-1B scores 30.0 on humaneval at temperature 0.2."),
        ("capacity.md", "Arm-A1 scores 48.0 on MBPP at capacity 1.0."),  # no row has it
        ("capacity.md", "Arm-A1 scores 61.0 on MBPP at a training capacity of 2.0."),
        ("capacity.md", "Arm-A1 scores 55.0 on MBPP over capacities of 1.25 and 2.0."),
        ("capacity.md", "Averaged over capacities, Arm-A1 scores 55.0 on MBPP."),
        ("capacity.md", "Arm-A1 scores 49.0 on MBPP at a capacity of less than 2.0."),
        ("capacity.md", "Arm-A1 at capacity 1.25 outperforms Arm-B1 at capacity 2.0 on MBPP."),
        ("capacity.md", "Arm-A1 scores 61.0 on MBPP with seed 3."),  # a column that the table has not
        ("capacity.md", "Arm-A1 loses 10.0 points on MBPP at capacity 1.25."),
        ("shots.csv", "Owl-2B scores 45.5 on mmlu with 3 shots."),
        ("table.csv", "aux reaches a late_loss of 2.3 with seed 0."),
        (
            "table.csv",
            "toy-aux-tight-s0_1f reaches 2.4500 on python_loss with seed 3 at an evaluation capacity of 1.25.",
        ),
    ],
)
def test_what_does_not_select_one_row_accuses_nobody(name, sentence):
    assert verdict(sentence, name).fidelity in ("partial", "not found")


SEEDS = """Model,Eval. capacity,Seed,MBPP,HumanEval
Arm-A1,2.0,0,60.0,51.2
Arm-A1,1.25,0,50.0,44.5
Arm-A1,2.0,1,61.4,52.3
Arm-A1,1.25,1,51.1,45.9
Arm-B1,2.0,0,58.3,49.4
Arm-B1,1.25,0,40.1,38.7"""


@pytest.mark.parametrize(
    "sentence",
    [
        "Arm-A1 and Arm-B1 score 60.0 and 58.3 on MBPP at capacity 2.0 with seed 0.",
        "Arm-A1 at capacity 2.0 (60.0) beats its capacity 1.25 run (50.0) on MBPP with seed 0.",
        "While Arm-A1 has 60.0 at capacity 2.0, Arm-B1 has 40.1 at capacity 1.25 on MBPP with seed 0.",
        "For capacity 1.25 and seed 0 Arm-A1's MBPP is 50.0, versus 60.0 for capacity 2.0.",
        "With seed 0 and capacity 1.25, Arm-A1 loses 10.0 points on MBPP against capacity 2.0.",
        "Arm-A1 averages 60.7 on MBPP at capacity 2.0 over seeds 0 and 1.",
        "Going from seed 0 to seed 1, Arm-A1 gains 1.4 points on MBPP at capacity 2.0.",
        "Arm-A1 scores between 50.0 and 61.4 on MBPP, depending on capacity.",
        "Arm-A1 retrained at capacity 1.25 scores 55.5 on MBPP with seed 0.",
        "Arm-A1 scores 62.0 on MBPP with seeds 2-5 at capacity 2.0.",
        "With a training capacity of 2.0 and seed 0, Arm-A1 scores 55.0 on MBPP.",
        "Arm-A1 with retrieval scores 63.0 on MBPP at capacity 2.0 and seed 0.",
        "Reducing capacity from 2.0 to 1.25 costs Arm-A1 10.0 points on MBPP with seed 0.",
        "At capacity 1.25 with seed 0, Arm-B1 reaches only 40.1 on MBPP, 9.9 points behind Arm-A1.",
        "At capacity 1.25, seeds 0 and 1 give Arm-A1 50.0 and 51.1 on MBPP.",
    ],
)
def test_true_sentences_about_several_rows_are_not_refuted(sentence):
    sources = Sources.build([document("seeds.md", SEEDS)], [], REGISTRY)
    claim = report_claims.claim(sentence, REGISTRY, sources.vocabulary)
    assert not verdict_rules.check(claim, sources).fidelity.fails


def test_a_setting_that_no_row_has_is_named_with_those_that_there_are():
    reasons = " ".join(verdict("Arm-A1 scores 48.0 on MBPP at capacity 1.0.", "capacity.md").reasons)
    assert "no row has capacity 1.0, only 2.0, 1.25" in reasons


@pytest.mark.parametrize(
    ("sentence", "fidelity"),
    [
        ("Arm-A1 outperforms Arm-B1 on MBPP at capacity 2.0.", "supported"),
        ("Arm-B1 outperforms Arm-A1 on MBPP at capacity 2.0.", "contradicted"),
        ("Arm-A1 outperforms Arm-B1 by 9.9 points on MBPP at capacity 1.25.", "supported"),
        ("Arm-A1 outperforms Arm-B1 by 1.7 points on MBPP at capacity 1.25.", "contradicted"),
        ("Arm-A1 is the best on MBPP at capacity 1.25.", "supported"),
        ("Arm-B1 is the best on MBPP at capacity 1.25.", "contradicted"),
        ("Arm-A1 scores 60.0 at capacity 2.0 and 50.0 at capacity 1.25 on MBPP.", "supported"),
        ("Arm-A1 scores 50.0 at capacity 2.0 and 60.0 at capacity 1.25 on MBPP.", "misattributed"),
    ],
)
def test_comparisons_and_lists_are_made_at_the_setting_that_is_named(sentence, fidelity):
    assert verdict(sentence, "capacity.md").fidelity == fidelity


def test_what_holds_at_one_setting_and_not_at_another_is_left_open():
    text = "Model,Capacity,MBPP\nArm-A1,2.0,60.0\nArm-A1,1.25,50.0\nArm-B1,2.0,58.0\nArm-B1,1.25,55.0"
    sources = Sources.build([document("turned.md", text)], [], REGISTRY)
    for sentence in (
        "Arm-A1 outperforms Arm-B1 on MBPP.",
        "Arm-B1 outperforms Arm-A1 on MBPP.",
        "Arm-A1 is the best on MBPP.",
        "Arm-B1 outperforms Arm-A1.",
    ):
        claim = report_claims.claim(sentence, REGISTRY, sources.vocabulary)
        assert verdict_rules.check(claim, sources).fidelity == "partial"


@pytest.mark.parametrize(
    ("text", "heads"),
    [
        (RUN, ["balancer", "eval_capacity"]),
        ("Model,FooRate,Hit rate,MBPP\nA-1,3.1,70.0,60.0\nB-1,3.2,71.0,61.0", []),  # measures, whatever their last word
        ("Model,Params,Context,MBPP\nA-1,7,4096,60.0\nB-1,13,8192,61.0", ["Context"]),
        ("Model,MBPP,Avg. rank\nA-1,60.0,1.2\nB-1,61.0,1.8", []),
        ("Model,Task,Accuracy\nA-1,MBPP,60.0\nA-1,GSM8K,61.0\nB-1,MBPP,62.0\nB-1,GSM8K,63.0", []),
        ("Seed,Model,MBPP\n1,A-1,60.0\n2,A-1,61.0\n1,B-1,62.0\n2,B-1,63.0", ["Seed"]),
        ("Language,Model,MBPP\nfr,A-1,60.0\nde,A-1,61.0\nfr,B-1,62.0\nde,B-1,63.0", []),
        ("Model,Variant,MBPP\nA-1,chat,60.0\nA-1,base,61.0\nB-1,chat,62.0\nB-1,base,63.0", ["Variant"]),
    ],
)
def test_which_columns_say_how_rows_were_measured(text, heads):
    index = Sources.build([document("table.md", text)], [], REGISTRY).readings
    (table,) = index.tables
    assert [column.head for column in table.settings if column.head not in ("capacity", "seed")] == heads


def test_the_systems_may_stand_in_the_columns():
    text = "Capacity factor,Wren-4B,Finch-4B\n1.0,40.3,42.2\n2.0,47.8,49.9"
    sources = Sources.build([document("mbpp.csv", text)], [], REGISTRY)
    fidelities = []
    for value in ("47.8", "40.3", "44.4"):
        sentence = f"Wren-4B reaches {value} on MBPP at a capacity factor of 2.0."
        claim = report_claims.claim(sentence, REGISTRY, sources.vocabulary)
        fidelities.append(str(verdict_rules.check(claim, sources).fidelity.value))
    assert fidelities == ["supported", "misattributed", "contradicted"]


def test_a_claim_with_a_setting_is_written_and_read_back():
    (line,) = claim_model.dump(
        [report_claims.claim("Arm-A1 scores 50.0 on MBPP at capacity 1.25.", REGISTRY, WHERE["capacity.md"].vocabulary)]
    ).splitlines()
    (fact,) = claim_model.parse(line, "here").facts
    assert fact.setting.columns == (claim_model.ColumnSetting(head="capacity", value="1.25"),)
    (plain,) = claim_model.dump([report_claims.claim("Arm-A1 scores 50.0 on MBPP.", REGISTRY)]).splitlines()
    assert "columns" not in plain


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("eval_capacity", "Evaluation capacity", True), ("lr", "Learning rate", True), ("seed", "speed", False)],
)
def test_heads_are_the_same_in_any_spelling(one, other, same):
    assert (setting_columns.words(one) == setting_columns.words(other)) is same
