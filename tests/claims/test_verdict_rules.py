"""The seed report's ten claims get the statuses that were established by hand (EVIDENCE.md, section 0)."""

import json

import jsonschema
import pytest

from trimtab.claims import claim_verdict, report_claims, verdict_rules
from trimtab.claims.claim_model import Claim, Kind
from trimtab.claims.name_registry import Registry
from trimtab.claims.sources import Sources
from trimtab.documents import reader

REGISTRY = Registry.load()
SEED = {
    "c01": ("verbatim", "contested", {"granularity"}),
    "c02": ("supported", "none", set()),
    "c03": ("supported", "none", set()),
    "c04": ("supported", "none", {"citation year"}),
    "c05": ("partial", "none", set()),
    "c06": ("supported", "none", set()),
    "c07": ("supported", "none", set()),
    "c08": ("misattributed", "disagrees", {"granularity"}),
    "c09": ("misattributed", "disagrees", {"granularity"}),
    "c10": ("misattributed", "disagrees", {"granularity"}),
}


@pytest.fixture(scope="module")
def seed(evidence_data):
    report = reader.read(evidence_data / "seed_report.txt")
    documents = [reader.read(evidence_data / name) for name in ("2412.21199v2.md", "evalpro_leaderboard.csv")]
    sources = Sources.build([*documents, report], [], REGISTRY, report)
    claims = report_claims.claims(report, REGISTRY, sources.vocabulary)
    return sources, {claim.id: (claim, verdict_rules.check(claim, sources, ["arxiv:2412.21199"])) for claim in claims}


def test_the_report_lists_ten_claims(seed):
    assert list(seed[1]) == list(SEED)


@pytest.mark.parametrize("name", SEED)
def test_seed(seed, name):
    verdict = seed[1][name][1]
    assert (verdict.fidelity, verdict.agreement, {flag.name for flag in verdict.flags}) == SEED[name]


@pytest.mark.parametrize(
    ("name", "row"),
    [("c08", "Qwen2.5Coder-7B-base"), ("c09", "Qwen2.5Coder-7B-instruct"), ("c10", "DeepseekCoder-33B-i")],
)
def test_misattributed_values_are_sent_home(seed, name, row):
    homes = [home.location for home in seed[1][name][1].homes]
    assert len(homes) == 2
    assert all(home.startswith(f"Table 5, row {row}") for home in homes)
    assert [home.split("column ")[1].split(" (")[0] for home in homes] == ["BCB-Lite", "BCB-Lite Pro"]


def test_the_wrong_year_is_named(seed):
    (flag,) = seed[1]["c04"][1].flags
    assert flag.text == "cited as Zheng et al., 2021; the source says Zheng et al., 2023"


def test_the_contested_value_shows_both_sides(seed):
    evidence = [one for one in seed[1]["c01"][1].evidence if one.fact == 0]
    assert {one.stance.value for one in evidence} == {"refutes"}
    assert {"Table 2", "evalpro"} <= {one.target.location.split(",")[0] for one in evidence} | {
        "evalpro" if "evalpro" in one.target.document else "" for one in evidence
    }
    assert all("97.6" in one.why for one in evidence)


def test_every_place_is_exact(seed):
    sources, found = seed
    documents = {document.sha256: document for document in sources.documents}
    for _, verdict in found.values():
        assert verdict.rule_path
        for target in (one.target for one in verdict.evidence if one.target):
            document = documents[target.sha256]
            if target.kind == "cell":
                cell = next(
                    c for c in document.cells if (c.table, c.row, c.column) == (target.table, target.row, target.column)
                )
                assert cell.text == target.quote
            else:
                assert document.text[target.start : target.end] in target.quote or "…" in target.quote


def test_verdicts_come_back_and_fit_their_schema(seed):
    for _, verdict in seed[1].values():
        line = claim_verdict.dump([verdict])
        jsonschema.validate(json.loads(line), claim_verdict.schema())
        assert claim_verdict.parse(line) == verdict


def test_the_report_is_never_its_own_source(seed, evidence_data, tmp_path):
    report = reader.read(evidence_data / "seed_report.txt")
    copy = tmp_path / "copy.md"
    copy.write_text("# A copy\n\n" + report.text.replace("\n", "\n\n"))
    sources = Sources.build([reader.read(copy)], [], REGISTRY, report)
    assert sources.documents == ()
    assert "repeats" in sources.left_out[0].reason


TABLE = """# Paper arXiv 2401.00001

Table 1: pass@1 (%), greedy

| Model | HumanEval | HumanEval+ | HumanEval Pro (0-shot) | HumanEval Pro (1-shot) | MBPP |
|---|---|---|---|---|---|
| GPT-4o | 90.2 | 86.0 | 75.0 | 77.4 | 86.8 |
| GPT-4-Turbo | 90.2 | 86.6 | 72.0 | 76.2 | 85.7 |
| Yi-Coder-9B-base | 53.7 | 46.3 | 42.7 | 50.0 | 78.3 |
| Yi-Coder-9B-chat | 85.4 | 74.4 | 59.8 | 64.0 | 81.5 |

The bias update rate is not decreased during training in any of our runs.
"""


@pytest.fixture(scope="module")
def paper():
    return Sources.build([reader.read_bytes(TABLE.encode(), "paper.md")], [], REGISTRY)


@pytest.mark.parametrize(
    ("statement", "fidelity"),
    [
        ("GPT-4o achieves 75.0% on HumanEval Pro.", "supported"),
        ("GPT-4o achieves 77.4% on HumanEval Pro.", "supported"),
        ("GPT-4o achieves 75% on HumanEval Pro.", "supported"),
        ("GPT-4o achieves over 70% on HumanEval Pro.", "supported"),
        ("GPT-4o achieves 77.4% on HumanEval Pro (0-shot).", "misattributed"),
        ("GPT-4o achieves 86.0% on HumanEval.", "misattributed"),
        ("Yi-Coder-9B-base achieves 85.4% on HumanEval.", "misattributed"),
        ("GPT-4o achieves 75.3% on HumanEval Pro.", "contradicted"),
        ("Yi-Coder-9B achieves 53.7% on HumanEval.", "not found"),
        ("GPT-4o achieves 75.0% on HumanEval Pro with pass@10.", "not found"),
        ("GPT-4o outperforms GPT-4-Turbo on HumanEval Pro (0-shot) by 3.0 points.", "supported"),
        ("GPT-4o outperforms GPT-4-Turbo on HumanEval Pro (0-shot) by 4.0 points.", "contradicted"),
        ("GPT-4o outperforms GPT-4-Turbo on HumanEval+.", "contradicted"),
        ("Yi-Coder-9B-chat is better than Yi-Coder-9B-base on MBPP.", "supported"),
        ("Yi-Coder-9B-base is better than Yi-Coder-9B-chat on MBPP.", "contradicted"),
        ("GPT-4o has the highest score on HumanEval Pro (0-shot).", "supported"),
        ("GPT-4-Turbo has the highest score on HumanEval Pro (0-shot).", "contradicted"),
        ("GPT-4o scores higher on HumanEval than on MBPP.", "supported"),
        ("GPT-4o scores lower on HumanEval than on MBPP.", "contradicted"),
        ("GPT-4o scores 90.2 and 80.0 on HumanEval and GSM8K.", "partial"),
        # A passage that differs accuses nobody: only a cell does.
        ("The bias update rate is decreased during training in any of our runs.", "not found"),
        ("The bias update rate is not decreased during training in any of our runs.", "verbatim"),
        ("The bias update rate is not increased during training in any of our runs.", "not found"),
        ("We believe that this is a promising direction.", "not checkable"),
    ],
)
def test_rules(paper, statement, fidelity):
    claim = report_claims.claim(statement, REGISTRY, paper.vocabulary)
    assert verdict_rules.check(claim, paper).fidelity == fidelity


def test_a_cited_work_that_is_not_here(paper):
    claim = report_claims.claim(
        "GPT-4o achieves 75.0% on HumanEval Pro (arXiv:2501.12345).", REGISTRY, paper.vocabulary
    )
    verdict = verdict_rules.check(claim, paper)
    assert verdict.fidelity == "source not available"
    assert "arxiv:2501.12345" in verdict.reasons[0]
    here = report_claims.claim("GPT-4o achieves 75.0% on HumanEval Pro (arXiv:2401.00001).", REGISTRY, paper.vocabulary)
    assert verdict_rules.check(here, paper).fidelity == "supported"


def test_no_sources_refute_nothing():
    empty = Sources.build([], [], REGISTRY)
    assert verdict_rules.check(Claim(id="c", statement="x", kind=Kind.METHOD), empty).fidelity == "source not available"


def test_another_work_that_says_otherwise_disagrees(paper):
    other = reader.read_bytes(b"Model,HumanEval\nGPT-4o,91.0\n", "board.csv")
    both = Sources.build([*paper.documents, other], [], REGISTRY)
    claim = report_claims.claim("GPT-4o achieves 90.2% on HumanEval.", REGISTRY, both.vocabulary)
    verdict = verdict_rules.check(claim, both, ["arxiv:2401.00001"])
    assert (verdict.fidelity, verdict.agreement) == ("supported", "disagrees")


def test_an_arm_of_a_study_is_a_subject_though_its_name_holds_a_metric():
    table = b"arm,held-out Python\nloss_free-random-s0,4.2000\naux_global-tight-s1,4.3000\n"
    sources = Sources.build([reader.read_bytes(table, "study.csv")], [], REGISTRY)
    for value, fidelity in (("4.2000", "supported"), ("4.3000", "misattributed"), ("4.2500", "contradicted")):
        claim = report_claims.claim(
            f"loss_free-random-s0 achieves {value} on held-out Python.", REGISTRY, sources.vocabulary
        )
        assert verdict_rules.check(claim, sources).fidelity == fidelity


@pytest.mark.parametrize(("name", "word"), [("results.csv", "contradicted"), ("paper.md", "not found")])
def test_a_file_that_is_one_table_may_be_the_table_of_any_number(name, word):
    rows = ["model,HumanEval,MBPP", "Foo-7B,71.3,64.0", "Bar-13B,62.2,69.5"]
    if name == "paper.md":
        rows = [f"| {row.replace(',', ' | ')} |" for row in (rows[0], "---,---,---", *rows[1:])]
    sources = Sources.build([reader.read_bytes("\n".join(rows).encode(), name)], [], REGISTRY)
    claim = report_claims.claim("Foo-7B scores 58.1 on HumanEval, as Table 2 shows.", REGISTRY, sources.vocabulary)
    assert verdict_rules.check(claim, sources).fidelity == word
