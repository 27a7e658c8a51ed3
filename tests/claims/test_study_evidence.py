"""A study with known effects, as evidence."""

import importlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from trimtab.claims import report_claims, study_evidence, verdict_rules
from trimtab.claims.name_registry import Registry
from trimtab.claims.sources import Sources
from trimtab.study.table import StudyTable

REGISTRY = Registry.load()


@pytest.fixture
def ask(synthetic, tmp_path):
    def asked(statement, **settings):
        study = synthetic.Synthetic(**settings).write(tmp_path / "run")
        table = StudyTable.load(tmp_path / "run", study)
        claim = report_claims.claim(statement, REGISTRY)
        return claim, study_evidence.look_up(claim, [table], REGISTRY)

    return asked


LOSES = {"python_loss": {"loss_free": (0.0, 0.08)}}


@pytest.mark.parametrize(
    ("statement", "extra", "stance"),
    [
        ("ALF-LB degrades more than the auxiliary loss under tight capacity.", LOSES, "supports"),
        ("ALF-LB is more robust than the auxiliary loss under tight capacity.", LOSES, "refutes"),
        ("The auxiliary loss is more robust than ALF-LB under tight capacity.", LOSES, "supports"),
        ("ALF-LB degrades more than the auxiliary loss under tight capacity.", {}, "equivalent"),
        ("ALF-LB is as robust as the auxiliary loss under tight capacity.", {}, "supports"),
        ("ALF-LB is as robust as the auxiliary loss under tight capacity.", LOSES, "refutes"),
        ("ALF-LB loses 0.2 nats more than the auxiliary loss under tight capacity.", LOSES, "refutes"),
        ("ALF-LB loses 0.08 nats more than the auxiliary loss under tight capacity.", LOSES, "supports"),
        (
            "At 16B parameters ALF-LB degrades more than the auxiliary loss under tight capacity.",
            LOSES,
            "not comparable",
        ),
        (
            "With 256 experts ALF-LB degrades more than the auxiliary loss under tight capacity.",
            LOSES,
            "not comparable",
        ),
        ("ALF-LB degrades more than the auxiliary loss at capacity 1.25.", LOSES, "not comparable"),
        (
            "ALF-LB degrades more in pass@1 on HumanEval than the auxiliary loss under tight capacity.",
            LOSES,
            "not comparable",
        ),
    ],
)
def test_known_effects(ask, statement, extra, stance):
    _, (found,) = ask(statement, extra=extra)
    assert found.stance == stance, found.why
    assert found.target.kind == "run"
    assert len(found.target.beside) == 20
    assert bool(found.mismatches) == (stance == "not comparable")


def test_much_noise_is_inconclusive_and_says_how_many_seeds(ask):
    _, (found,) = ask("ALF-LB degrades more than the auxiliary loss under tight capacity.", cell_sd=0.05, extra=LOSES)
    assert found.stance == "inconclusive"
    assert "seeds would settle it" in found.why


def test_a_claim_about_something_else_asks_nothing(ask):
    assert ask("GPT-4o achieves 75.0% on HumanEval Pro.")[1] == ()


def test_a_small_study_does_not_move_agreement_against_a_large_one(ask):
    claim, found = ask(
        "At 16B parameters ALF-LB is more robust than the auxiliary loss under tight capacity.", extra=LOSES
    )
    verdict = verdict_rules.check(claim, Sources.build([], [], REGISTRY), measured=found)
    assert verdict.agreement == "none"
    assert "not comparable (scale" in verdict.reasons[-1]


def test_seeds_to_settle_have_the_power_they_promise():
    """Simulated: with the seeds named, about four t tests in five find the effect."""
    rng = np.random.default_rng(5)
    values = np.array([-1.0, 0.0, 1.0, 2.0]) * 1.0 + 0.3
    seeds = study_evidence.seeds_to_settle(values, None)
    effect, spread = values.mean(), values.std(ddof=1)
    draws = rng.normal(effect, spread, size=(4000, seeds))
    t = draws.mean(axis=1) / (draws.std(axis=1, ddof=1) / np.sqrt(seeds))
    from scipy.special import stdtrit  # noqa: PLC0415

    assert 0.77 < (np.abs(t) > stdtrit(seeds - 1, 0.975)).mean() < 0.86
    assert study_evidence.seeds_to_settle([1.0, -1.0, 1.0, -1.0], None) is None


@pytest.fixture
def study_draws(monkeypatch):
    """tests/study_draws.py, which the benchmark shares."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    return importlib.import_module("study_draws")


@pytest.mark.parametrize(("effect", "spread"), [(0.0, 0.01), (0.02, 0.004), (0.03, 0.01)])
def test_words_come_at_their_exact_rates(study_draws, effect, spread):
    """150 studies against the probabilities of t test and TOST; 1,000 are in benchmarks/study_verdicts.py."""
    studies, claim = study_draws.Studies(), report_claims.claim(study_draws.STATEMENT, REGISTRY)
    found = Counter(
        study_evidence.look_up(claim, [studies.draw(effect, spread, number)], REGISTRY)[0].stance.value
        for number in range(150)
    )
    for word, chance in study_draws.exact(effect, spread).items():
        assert binomtest(found[word], 150, min(1.0, max(0.0, chance))).pvalue > 1e-4, word


def test_the_exact_rates_are_those_of_the_noncentral_t(study_draws):
    for effect in (0.03, 0.05):  # far outside the margin equivalence takes next to nothing away
        assert study_draws.exact(effect, 0.01)["supports"] == pytest.approx(
            study_draws.t_power(effect, 0.01)[0], abs=2e-3
        )
        assert sum(study_draws.exact(effect, 0.01).values()) == pytest.approx(1)
