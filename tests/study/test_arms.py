"""What studies and run folders of earlier versions hold is read, and cells keep their identity."""

import json
from pathlib import Path

import pytest

from trimtab.errors import StudyError
from trimtab.settings import initializations
from trimtab.settings.capacities import Capacity
from trimtab.settings.model_tables import read_model
from trimtab.settings.reading import encode, read
from trimtab.settings.rules import LossFree, PooledSwitchLoss, QuantileBalancing, Stack, SwitchLoss
from trimtab.settings.runs import CorpusSettings, Evaluation, Schedule
from trimtab.study import arms, spec

STUDIES = Path(__file__).parent.parent.parent / "studies"
# As the version before settings were defined once computed them.
IDS = json.loads(Path(__file__).with_name("cell_ids.json").read_text())
# What that version wrote into the folder of a cell.
CELL = json.loads(Path(__file__).with_name("old_cell.json").read_text())


@pytest.mark.parametrize("name", IDS)
def test_cells_of_studies_that_were_run_keep_their_identity(name):
    assert sorted(cell.id for cell in spec.load(STUDIES / name).cells()) == sorted(IDS[name])


def test_a_cell_of_an_earlier_version_is_read_and_is_the_same_cell():
    settings = CELL["settings"]
    arm = arms.from_table(settings["balancer"], "cell.balancer")
    assert arm.balancer == SwitchLoss(coef=0.01, scope="global")
    assert read(Schedule, settings["training"], "x").steps == 1200
    rewritten = {
        "model": encode(read_model(settings["model"], "x")),
        "balancer": arms.to_table(arm),
        "expert_init": initializations.initialization_table(
            initializations.read_initialization(settings["expert_init"], "x")
        ),
        "capacity": encode(read(Capacity, settings["capacity"], "x")),
        "data": encode(read(CorpusSettings, settings["data"], "x")),
        "training": encode(read(Schedule, settings["training"], "x")),
        "evaluation": encode(read(Evaluation, settings["evaluation"], "x")),
    }
    assert spec.Cell(factors=CELL["factors"], settings=json.loads(json.dumps(rewritten))).id == CELL["id"]


@pytest.mark.parametrize(
    ("table", "rule"),
    [
        ({"rule": "noaux_tc", "bias_update_rate": 0.1, "update": "rms"}, LossFree(bias_update_rate=0.1, update="rms")),
        ({"rule": "quantile_balancing"}, QuantileBalancing()),
        ({"rule": "hf_compat", "coef": 0.1}, PooledSwitchLoss(coef=0.1)),
        ({"rule": "switch", "coef": 0.1}, SwitchLoss(coef=0.1, scope="global")),
    ],
)
def test_an_alias_is_read_and_stays_in_the_cell(table, rule):
    arm = arms.from_table(table, "x")
    assert arm.balancer == rule
    assert arms.to_table(arm)["rule"] == table["rule"]
    assert arms.from_table(arms.to_table(arm), "x") == arm


def test_a_stack_keeps_what_its_parts_say():
    table = {
        "rule": "stack",
        "bias": {"rule": "noaux_tc", "bias_update_rate": 1e-3, "freeze_at": 0.9},
        "losses": [{"rule": "switch", "coef": 1e-4, "scope": "sequence"}],
        "seed_offset": 3,
    }
    arm = arms.from_table(table, "x")
    assert arm.balancer == Stack(
        LossFree(bias_update_rate=1e-3, freeze_at=0.9), SwitchLoss(coef=1e-4, scope="sequence")
    )
    # As it was encoded before: every part with its own name and offset.
    assert arms.to_table(arm) == {
        "rule": "stack",
        "bias": {
            "rule": "noaux_tc", "bias_update_rate": 1e-3, "update": "sign", "schedule": "constant", "centered": False,
            "freeze_at": 0.9, "seed_offset": 0,
        },
        "losses": [{"rule": "switch", "coef": 1e-4, "scope": "sequence", "seed_offset": 0}],
        "seed_offset": 3,
    }  # fmt: skip
    assert arms.from_table(arms.to_table(arm), "x") == arm


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"rule": "stack", "bias": {"rule": "quantile"}, "losses": 3}, "losses: expected a list of tables"),
        ({"rule": "stack", "bias": 3, "losses": []}, "bias: expected a table"),
        ({"rule": "newton", "seed_offset": 0.5}, "seed_offset: expected int, got 0.5"),
        ({"rule": "newton", "seed_ofset": 1}, "unknown key 'seed_ofset'"),
        ({"rule": ["newton"]}, "unknown balancer"),
    ],
)
def test_what_is_no_arm_is_refused_with_its_place(table, message):
    with pytest.raises(StudyError, match=message) as caught:
        arms.from_table(table, "study.balancers.x")
    assert "study.balancers.x" in caught.value.message


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"reroute": True}, "nothing is dropped"),
        ({"eval_factor": 1.0}, r"capacities"),
        ({"factor": "tight"}, "expected float, got 'tight'"),
    ],
)
def test_a_capacity_that_would_do_nothing_is_refused(table, message):
    with pytest.raises(StudyError, match=message):
        arms.capacity_from_table(table, "study.capacities.x")
