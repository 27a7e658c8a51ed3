"""A header that stands in a sentence as it is printed is that header, whatever marks, numbers and words are in it."""

import pytest

from trimtab.claims import report_claims, verdict_rules
from trimtab.claims.name_registry import Registry
from trimtab.claims.sources import Sources
from trimtab.documents import reader

REGISTRY = Registry.load()

MARKS = """| Variant | KL(ai\u2016human) | KL(human\u2016ai) | F-score@0.05 | H=16 mean \
| \u03bb\u0302 = \u03a3 p\u1d62 | \u4e2d\u6587\u8bed\u8a00 |
|---|---|---|---|---|---|---|
| WildChat | 0.053 | 0.030 | 0.839 | 18.3 | 82.5 | 7.22 |
| ShareGPT (stripped) | 0.042 | 0.028 | 0.825 | 12.1 | 77.6 | 6.08 |
| v1: no gate, bottleneck only | 0.061 | 0.035 | 0.801 | 11.9 | 70.1 | 5.90 |
"""
BITS = """| Method | Bits | HellaSwag | Needle |
|---|---|---|---|
| Turbo (4-bit) | 4.44 | 40.0 | 91.5 |
| Turbo (3-bit) | 3.44 | 37.0 | 90.2 |
| Outlier (3.5-bit) | 3.94 | 38.5 | 90.9 |
"""
# Rows are what was measured, and columns are the systems' versions: no header is a model's name.
TOPICS = """| Topic | Baseline | RAG v1 |
|---|---|---|
| generics | 2.74 | 2.98 |
| lifetimes | 1.25 | 1.90 |
| structs | 4.02 | 4.15 |
"""
TWO_MEASURES = """Table 2: Perplexity and retrieval.

| Method | Short-Ctx PPL | NN R@1 |
|---|---|---|
| Outlier-A | 5.56 | 48.2 |
| Outlier-B | 6.01 | 29.8 |
"""


def fidelity(sentence, table):
    sources = Sources.build([reader.read_bytes(table.encode(), "t.md")], [], REGISTRY)
    return verdict_rules.check(report_claims.claim(sentence, REGISTRY, sources.vocabulary), sources).fidelity


@pytest.mark.parametrize(
    ("sentence", "table"),
    [
        ("WildChat scores {0.053} on KL(ai\u2016human).", MARKS),
        ("The KL(human\u2016ai) of ShareGPT (stripped) is {0.028}.", MARKS),
        ("WildChat reaches {0.839} on F-score@0.05.", MARKS),
        ("On H=16 mean, ShareGPT (stripped) achieves {12.1}.", MARKS),
        ("WildChat scores {82.5} on \u03bb\u0302 = \u03a3 p\u1d62, compared with 77.6 for ShareGPT (stripped).", MARKS),
        ("v1: no gate, bottleneck only scores {0.801} on F-score@0.05.", MARKS),
        ("WildChat scores {7.22} on \u4e2d\u6587\u8bed\u8a00.", MARKS),
        ("Turbo (4-bit) reaches {40.0} on HellaSwag.", BITS),
        ("Turbo (4-bit) ({40.0}) outperforms Outlier (3.5-bit) (38.5) on HellaSwag.", BITS),
        ("generics reaches {2.98} on RAG v1.", TOPICS),
        ("structs beats lifetimes on Baseline by {2.77}.", TOPICS),
        ("The Baseline of structs is {4.02}.", TOPICS),
        ("Outlier-A beats Outlier-B on NN R@1 by {18.4}.", TWO_MEASURES),
    ],
)
def test_a_header_as_printed(sentence, table):
    before, value, after = sentence.partition("{")[0], *sentence.partition("{")[2].split("}")
    assert fidelity(f"{before}{value}{after}", table) == "supported"
    last = str((int(value[-1]) + 4) % 10)
    assert fidelity(f"{before}{value[:-1]}{last}{after}", table) in ("contradicted", "misattributed")


@pytest.mark.parametrize(
    ("sentence", "table", "right"),
    [
        # The caption's perplexity is the first column's: of recall more is better.
        ("Outlier-A outperforms Outlier-B on NN R@1.", TWO_MEASURES, "supported"),
        ("Outlier-A outperforms Outlier-B on Short-Ctx PPL.", TWO_MEASURES, "supported"),
        ("Outlier-B outperforms Outlier-A on NN R@1.", TWO_MEASURES, "contradicted"),
        # Outside the name a word still says what it says.
        ("Only WildChat scores 0.053 on KL(ai\u2016human).", MARKS, "partial"),
        ("Turbo (4-bit) reaches 41.0 on HellaSwag with retrieval.", BITS, "partial"),
    ],
)
def test_what_stands_beside_a_header(sentence, table, right):
    assert fidelity(sentence, table) == right
