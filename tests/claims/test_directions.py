"""Better and worse are judged in the direction of the metric; higher and lower by the number alone."""

import pytest

from trimtab.claims import report_claims, verdict_rules
from trimtab.claims.name_registry import Registry
from trimtab.claims.sources import Sources
from trimtab.documents import reader
from trimtab.errors import ClaimError

REGISTRY = Registry.load()
PAPER = """# Results

Table 1: Held-out text and code.

| Model | Perplexity | NLL | MBPP | MaxVio | Drops | Latency \u2193 |
|---|---|---|---|---|---|---|
| Arm-A1 | 11.2 | 2.41 | 61.0 | 0.31 | 4.1 | 12 |
| Arm-B1 | 12.7 | 2.54 | 58.5 | 0.84 | 7.9 | 15 |
| Arm-C1 | 14.0 | 2.64 | 40.5 | 0.99 | 9.5 | 19 |
"""
CSV = "arm,humaneval_nll,python_loss,humaneval_pass1\narm-a1,0.91,2.31,0.61\narm-b1,0.97,2.45,0.52\n"


def sources(text, name):
    return Sources.build([reader.read_bytes(text.encode(), name)], [], REGISTRY)


PAPER_SOURCES, CSV_SOURCES = sources(PAPER, "paper.md"), sources(CSV, "table.csv")


def verdict(statement, where):
    return verdict_rules.check(report_claims.claim(statement, REGISTRY, where.vocabulary), where)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("Arm-A1 outperforms Arm-B1 in perplexity.", "Arm-B1 outperforms Arm-A1 in perplexity."),
        ("Arm-A1 has better perplexity than Arm-B1.", "Arm-B1 has better perplexity than Arm-A1."),
        ("Arm-B1 is worse than Arm-A1 in NLL.", "Arm-A1 is worse than Arm-B1 in NLL."),
        ("Arm-A1 beats Arm-B1 on MaxVio.", "Arm-B1 beats Arm-A1 on MaxVio."),
        ("Arm-A1 is better than Arm-B1 on drops.", "Arm-B1 is better than Arm-A1 on drops."),
        ("Arm-A1 outperforms Arm-B1 on Latency.", "Arm-B1 outperforms Arm-A1 on Latency."),
        ("Arm-A1 outperforms Arm-B1 in perplexity by 1.5.", "Arm-A1 outperforms Arm-B1 in perplexity by 2.5."),
        ("Arm-B1 underperforms Arm-A1 in perplexity by 1.5.", "Arm-B1 outperforms Arm-A1 in perplexity by 1.5."),
        # The number, whatever is better.
        ("Arm-B1 has higher perplexity than Arm-A1.", "Arm-A1 has higher perplexity than Arm-B1."),
        ("Arm-A1 has lower NLL than Arm-B1.", "Arm-B1 has lower NLL than Arm-A1."),
        ("Arm-B1 exceeds Arm-A1 in MaxVio.", "Arm-A1 exceeds Arm-B1 in MaxVio."),
        # More is better.
        ("Arm-A1 outperforms Arm-B1 on MBPP.", "Arm-B1 outperforms Arm-A1 on MBPP."),
        ("Arm-B1 is worse than Arm-A1 on MBPP.", "Arm-A1 is worse than Arm-B1 on MBPP."),
        ("Arm-A1 outperforms Arm-B1 on MBPP by 2.5 points.", "Arm-B1 outperforms Arm-A1 on MBPP by 2.5 points."),
        # Although the sentence names a loss, the comparison is about MBPP.
        (
            "Although its loss is no issue, Arm-A1 outperforms Arm-B1 on MBPP.",
            "Although its loss is no issue, Arm-B1 outperforms Arm-A1 on MBPP.",
        ),
        # Of a column.
        ("Arm-A1 has the best score on Latency.", "Arm-C1 has the best score on Latency."),
        ("Arm-C1 has the highest value on Latency.", "Arm-A1 has the highest value on Latency."),
        ("Arm-A1 has the lowest value on Latency.", "Arm-C1 has the lowest value on Latency."),
        ("Arm-C1 has the worst score on Latency.", "Arm-A1 has the worst score on Latency."),
        ("Arm-A1 surpasses all other models on MBPP.", "Arm-C1 surpasses all other models on MBPP."),
    ],
)
def test_better_in_the_direction_of_the_metric(right, wrong):
    assert verdict(right, PAPER_SOURCES).fidelity == "supported"
    assert verdict(wrong, PAPER_SOURCES).fidelity == "contradicted"


@pytest.mark.parametrize("benchmark", ["humaneval_nll", "python_loss", "humaneval_pass1"])
def test_columns_of_a_study_are_read_in_their_direction(benchmark):
    assert verdict(f"arm-a1 outperforms arm-b1 on {benchmark}.", CSV_SOURCES).fidelity == "supported"
    assert verdict(f"arm-b1 outperforms arm-a1 on {benchmark}.", CSV_SOURCES).fidelity == "contradicted"


def test_the_reader_is_told_in_which_direction():
    (evidence,) = [one for one in verdict("Arm-B1 beats Arm-A1 on MaxVio.", PAPER_SOURCES).evidence if one.fact == 0]
    assert evidence.why.endswith("0.84 \u2212 0.31 = 0.53, where lower is better")


@pytest.mark.parametrize(
    ("head", "caption", "better"),
    [
        ("Score", "Scores.", "Arm-B1"),
        ("Score \u2193", "Scores.", "Arm-A1"),
        ("Score (lower is better)", "Scores.", "Arm-A1"),
        ("Score", "Scores; lower is better.", "Arm-A1"),
        ("Score \u2191", "Losses; lower is better.", "Arm-B1"),
        ("Score", "Lower is better but for MBPP, where higher is better.", "Arm-B1"),
    ],
)
def test_a_table_can_say_what_is_better(head, caption, better):
    text = f"Table 1: {caption}\n\n| Model | {head} |\n|---|---|\n| Arm-A1 | 1.2 |\n| Arm-B1 | 2.7 |\n"
    where = sources(text, "paper.md")
    other = {"Arm-A1": "Arm-B1", "Arm-B1": "Arm-A1"}[better]
    assert verdict(f"{better} outperforms {other} on Score.", where).fidelity == "supported"
    assert verdict(f"{other} outperforms {better} on Score.", where).fidelity == "contradicted"


def test_a_metric_alone_refutes_only_where_one_number_can_be_meant():
    text = "Table 1: F1.\n\n| Model | SQuAD F1 | QuAC F1 |\n|---|---|---|\n| Arm-A1 | 91.2 | 72.7 |\n"
    where = sources(text, "paper.md")
    assert verdict("Arm-A1 reaches 91.2 F1.", where).fidelity == "supported"
    assert verdict("Arm-A1 reaches 80.0 F1.", where).fidelity == "not found"
    assert verdict("Arm-A1 reaches a perplexity of 11.2.", PAPER_SOURCES).fidelity == "supported"
    assert verdict("Arm-A1 reaches a perplexity of 11.3.", PAPER_SOURCES).fidelity == "contradicted"
    assert verdict("Arm-A1 reaches 61.3% accuracy.", PAPER_SOURCES).fidelity == "not found"


@pytest.mark.parametrize(("text", "found"), [("Accuracy drops by 5 points.", []), ("fewer drops, lower loss", [0, 1])])
def test_the_verb_is_no_metric(text, found):
    names = [one.id for one in REGISTRY.find(text, ("metrics",))]
    assert names == (["drops", "loss"] if found else ["accuracy"])


def test_a_file_of_names_says_lower_or_higher(tmp_path):
    path = tmp_path / "names.toml"
    path.write_text('[metrics.wait]\nnames = ["waiting time"]\nbetter = "lower"\n')
    assert Registry.load(path).better("wait", "metrics") == "lower"
    path.write_text('[metrics.wait]\nnames = ["waiting time"]\nbetter = "less"\n')
    with pytest.raises(ClaimError, match="better is 'less', expected one of higher, lower"):
        Registry.load(path)
