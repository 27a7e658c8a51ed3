"""A setting is one everywhere: importable, in a study, in the simulator, documented, bound, the same defaults."""

import dataclasses
import importlib
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import trimtab
from trimtab.errors import ConfigurationError
from trimtab.lm.models import build
from trimtab.moe import balancers, capacity, depth_init, expert_init, stresses, upcycled_init
from trimtab.moe.attach import attach
from trimtab.moe.balancers.behaviors import BEHAVIORS
from trimtab.moe.simulate import names
from trimtab.settings import families, initializations, rules
from trimtab.settings.capacities import Capacity
from trimtab.settings.fresh_models import FreshModel
from trimtab.settings.model_tables import MODELS, read_model
from trimtab.settings.pools import PlaceEvaluation, PoolSettings
from trimtab.settings.reading import encode, hints_of, is_required, read
from trimtab.settings.rule_tables import from_record, to_record
from trimtab.settings.runs import CorpusSettings, Evaluation, Schedule
from trimtab.study import arms

ROOT = Path(__file__).parent.parent.parent
# One of each, with what has no default.
NEEDED = {
    rules.LossFree: {"bias_update_rate": 1e-3},
    rules.SoftClippedBias: {"bias_update_rate": 1e-3},
    rules.CausalBias: {"rate": 1e-2},
    rules.SwitchLoss: {"coef": 0.1},
    rules.PooledSwitchLoss: {"coef": 0.1},
    rules.RouterZLoss: {"coef": 0.1},
    rules.SimBal: {"coef": 0.1},
    initializations.ScaledRouter: {"factor": 2.0},
    initializations.TwinRows: {"groups": 2},
}
STACK = rules.Stack(rules.NewtonBalancing(dither=1e-3), rules.SwitchLoss(coef=0.1))
RULES = [STACK if kind is rules.Stack else kind(**NEEDED.get(kind, {})) for kind in rules.RULES]
INITS = [kind(**NEEDED.get(kind, {})) for kind in initializations.INITIALIZATIONS]
SECTIONS = [Capacity, CorpusSettings, Schedule, Evaluation, PoolSettings, PlaceEvaluation, *MODELS]


def subclasses(kind):
    """Names, because a class with slots is made twice."""
    return {name for sub in kind.__subclasses__() for name in (*subclasses(sub), sub.__name__) if _is_setting(sub)}


def _is_setting(kind):
    return dataclasses.is_dataclass(kind) or kind.__subclasses__()


def name_of(value):
    return type(value).__name__


def test_none_is_left_out():
    catalog = {kind.__name__ for kind in rules.RULES}
    assert {name for name in subclasses(families.Rule) if name in vars(rules)} - vars(families).keys() == catalog
    assert set(BEHAVIORS) == set(rules.RULES)
    inits = {kind.__name__ for kind in initializations.INITIALIZATIONS}
    assert subclasses(initializations.Initialization) == inits
    assert set(stresses.STRESSES) == set(initializations.INITIALIZATIONS)
    keys = [name for kind in rules.RULES for name in (kind.key, *kind.aliases)]
    assert len(set(keys)) == len(keys) == len(rules.BY_KEY)


@pytest.mark.parametrize("value", [*RULES, *INITS, Capacity()], ids=name_of)
def test_it_is_importable_and_the_old_places_have_it_too(value):
    kind = type(value)
    assert getattr(trimtab, kind.__name__) is kind
    assert kind.__name__ in trimtab.__all__
    old = {families.Rule: [balancers], initializations.Initialization: [expert_init, depth_init, upcycled_init]}
    for place in next((places for family, places in old.items() if issubclass(kind, family)), [capacity]):
        assert getattr(place, kind.__name__) is kind


@pytest.mark.parametrize("rule", RULES, ids=name_of)
def test_a_rule_is_the_same_in_a_study_an_attachment_and_on_a_model(rule):
    table = arms.to_table(arms.from_table(_table(rule), "x"))
    for name in (type(rule).key, *type(rule).aliases):
        assert arms.from_table({**json.loads(json.dumps(table)), "rule": name}, "x").balancer == rule
    assert from_record(json.loads(json.dumps(to_record(rule))), "x") == rule
    model = build(
        FreshModel(hidden_size=32, intermediate_size=32, moe_intermediate_size=16, num_hidden_layers=2), seed=0
    )
    gates = attach(model, balancer=rule)
    assert gates.balancer == rule
    assert gates.balancer.settings is rule
    gates.detach()


@pytest.mark.parametrize("rule", RULES, ids=name_of)
def test_a_rule_is_simulated_or_refused_with_the_reason(rule):
    if not rule.not_simulated:
        assert names.rule(repr(rule)) == rule
        return
    with pytest.raises(ConfigurationError) as caught:
        names.rule(repr(rule))
    assert rule.not_simulated in caught.value.message


@pytest.mark.parametrize("kind", [*rules.RULES, *initializations.INITIALIZATIONS, *SECTIONS], ids=lambda k: k.__name__)
def test_every_field_is_documented_in_its_class_and_on_the_page(kind):
    specification = importlib.util.spec_from_file_location("make_settings", ROOT / "docs" / "make_settings.py")
    page = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(page)
    told = page.descriptions(kind)
    assert set(told) == set(hints_of(kind))
    assert all(told.values())
    assert inspect.getdoc(kind)


@pytest.mark.parametrize("kind", [*rules.RULES, *initializations.INITIALIZATIONS, *SECTIONS], ids=lambda k: k.__name__)
def test_defaults_have_one_home(kind):
    """A value with nothing given, read from nothing given, and its encoded form read back are the same."""
    if kind is rules.Stack:
        pytest.skip("its parts have no default")
    needed = NEEDED.get(kind, {})
    value = kind(**needed)
    assert value == read(kind, needed, "x") == read(kind, json.loads(json.dumps(encode(value))), "x")
    assert {field.name for field in dataclasses.fields(kind) if is_required(field)} == set(needed)


def test_models_are_read_by_their_preset():
    for model in MODELS:
        for preset in model.presets:
            assert read_model({"preset": preset}, "x") == model(preset=preset)


def test_newton_with_a_dither_works_from_everywhere():
    rule = trimtab.NewtonBalancing(dither=1e-3)
    assert arms.from_table({"rule": "newton", "dither": 1e-3}, "x").balancer == rule
    assert names.rule("NewtonBalancing(dither=1e-3)") == rule
    assert from_record(to_record(rule), "x") == rule
    assert not balancers.behavior(rule).adds_only_bias


def test_settings_load_without_torch():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import trimtab\nfrom trimtab import *\n"
        "print(NewtonBalancing(dither=1e-3), TwinRows(groups=2))"
    )
    names_of_settings = "from trimtab import NewtonBalancing, TwinRows, Capacity"
    code = code.replace("from trimtab import *", names_of_settings)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "NewtonBalancing(dither=0.001) TwinRows(groups=2, noise=0.0)"


def test_no_second_list_of_rules_is_left():
    """No file but the catalog, the bindings, other frameworks' words and pages for readers names five rules or more."""
    allowed = {"rules.py", "behaviors.py", "export.py"}
    for path in (ROOT / "src" / "trimtab").rglob("*.py"):
        found = {kind.__name__ for kind in rules.RULES if re.search(rf"\b{kind.__name__}\b", path.read_text())}
        assert len(found) < 5 or path.name in allowed, path


def _table(rule):
    if isinstance(rule, rules.Stack):
        return {"rule": "stack", "bias": _table(rule.bias), "losses": [_table(loss) for loss in rule.losses]}
    return {"rule": rule.key, **encode(rule)}
