"""The study file: what is accepted, what a cell is, and that every mistake is named before any training."""

import re

import pytest

from trimtab.errors import StudyError
from trimtab.study import spec

GOOD = """
name = "demo"

[factors]
balancer = ["loss_free", "aux_global"]
expert_init = ["random", "skewed"]
capacity = ["dropless", "tight"]
seed = [0, 1]

[reference]
expert_init = "random"
capacity = "dropless"

[contrast]
treatment = "loss_free"
control = "aux_global"

[endpoints]
primary = "python_loss"
secondary = ["micro_pass1"]

[margins]
python_loss = 0.01

[balancers.loss_free]
rule = "loss_free"
bias_update_rate = 0.01

[balancers.aux_global]
rule = "switch"
coef = 0.01

[expert_inits.random]

[expert_inits.skewed]
kind = "skewed_router"

[capacities.dropless]

[capacities.tight]
factor = 1
"""


def test_a_good_file_expands_to_every_combination():
    cells = list(spec.parse(GOOD).cells())
    assert len(cells) == 16
    assert len({cell.id for cell in cells}) == 16
    assert [cell.factors["seed"] for cell in cells] == [0] * 8 + [1] * 8


def test_what_select_leaves_out_need_not_fit():
    bad = GOOD.replace('rule = "switch"\ncoef = 0.01', 'rule = "quantile"').replace(
        "factor = 1\n", 'factor = 1\nload_signal = "kept"\n'
    )
    with pytest.raises(StudyError, match=r"demo.balancers.aux_global: .*kept") as caught:
        spec.parse(bad, where="demo")
    assert caught.value.hint
    chosen = '[[select]]\nbalancer = ["loss_free"]\n[[select]]\ncapacity = ["dropless"]\n'
    assert len(list(spec.parse(bad.replace("[margins]", f"{chosen}[margins]")).cells())) == 12


def test_a_stress_of_routers_on_a_model_without_them_is_refused():
    dense = GOOD.replace("[margins]", '[models.dense]\nfeed_forward = "none"\n[margins]')
    with pytest.raises(StudyError, match=r"demo.expert_inits.skewed: .* because the model 'dense' has no router"):
        spec.parse(dense, where="demo")
    collapsed = dense.replace('kind = "skewed_router"', 'kind = "collapsed_inputs"')
    assert len(list(spec.parse(collapsed).cells())) == 16


def test_a_cell_is_known_by_what_it_does_not_by_the_file():
    commented = "# a remark\n" + GOOD.replace('name = "demo"', 'name = "other"')
    assert [c.id for c in spec.parse(GOOD).cells()] == [c.id for c in spec.parse(commented).cells()]
    changed = GOOD.replace("coef = 0.01", "coef = 0.02")
    same = [a.id == b.id for a, b in zip(spec.parse(GOOD).cells(), spec.parse(changed).cells(), strict=True)]
    assert same == [True] * 4 + [False] * 4 + [True] * 4 + [False] * 4


def test_cell_ids_are_fixed_forever():
    # A run folder made by an earlier version must be found again.
    first = next(iter(spec.parse(GOOD).cells()))
    assert re.fullmatch(r"tiny-loss_free-random-dropless-s0_[0-9a-f]{8}", first.id)
    assert first.settings["capacity"] == {"factor": None, "drop_policy": "probs", "load_signal": "routed"}


def test_integers_stand_where_floats_are_meant():
    assert spec.parse(GOOD).capacities["tight"].factor == 1.0


# old text, new text, what the message says, what the hint says
BAD = {
    "unknown key": ("[factors]", "[factors]\nbalancers = ['x']", "unknown key 'balancers'", "did you mean 'balancer'"),
    "unknown section": ("[margins]", "[margin]", "unknown key 'margin'", "did you mean 'margins'"),
    "unknown rule": ('rule = "switch"', 'rule = "swich"', "unknown balancer 'swich'", "did you mean 'switch'"),
    "unknown parameter": ("coef = 0.01", "coeff = 0.01", "aux_global: unknown key 'coeff'", "did you mean 'coef'"),
    "missing parameter": ("coef = 0.01", "", "missing key 'coef'", "float"),
    "wrong type": ("bias_update_rate = 0.01", 'bias_update_rate = "0.01"', "expected float, got '0.01'", ""),
    "boolean is no number": ("coef = 0.01", "coef = true", "expected float, got True", ""),
    "level not defined": ('"tight"]', '"tigth"]', "level 'tigth' is not defined", "did you mean 'tight'"),
    "capacity": ("factor = 1", "factor = 0", "tight.factor: must be positive, got 0", ""),
    "rate": ("bias_update_rate = 0.01", "bias_update_rate = 0", "bias_update_rate: must be positive", ""),
    "reference": ('capacity = "dropless"', 'capacity = "none"', "reference.capacity: 'none' is not a level", ""),
    "same arms": ('treatment = "loss_free"', 'treatment = "aux_global"', "treatment and control are both", ""),
    "no margin": ("python_loss = 0.01", "", "primary endpoint 'python_loss' has no margin", "largest difference"),
    "negative margin": ("python_loss = 0.01", "python_loss = -1", "a margin must be positive", ""),
    "endpoint": ('primary = "python_loss"', 'primary = "python_los"', "unknown endpoint 'python_los'", "did you mean"),
    "seed twice": ("seed = [0, 1]", "seed = [0, 0]", "names a level twice", ""),
    "missing factor": ("capacity = [", "# [", "missing factor 'capacity'", 'capacity = ["dropless"]'),
    "seed type": ("seed = [0, 1]", 'seed = ["0"]', "expected a list of int", ""),
    "name": ('name = "demo"', 'name = "../demo"', "may hold letters", ""),
    "not toml": ('name = "demo"', "name = demo", "is not TOML", ""),
    "top-k": ("[margins]", "[models.m]\nnum_experts_per_tok = 9\n[margins]", "not between 1 and num_experts = 8", ""),
    "k = 1": ("[margins]", "[models.m]\nnum_experts_per_tok = 1\n[margins]", "gets no gradient", "at least 2"),
    "initialization": ('kind = "skewed_router"', 'kind = "skewed"', "unknown initialization", "'skewed_router'"),
    "other kind's": (
        'kind = "skewed_router"', "shift = 3.0", "skewed: unknown key 'shift'", "kind = 'skewed_router'",
    ),
    "share of columns": (
        'kind = "skewed_router"', 'kind = "drop_upcycled"\ndrop_ratio = 2.0', "must be in [0, 1], got 2.0", "",
    ),
    "groups": ('kind = "skewed_router"', 'kind = "virtual_groups"\ngranularity = 3', "3 does not divide num_exp", ""),
    "twins": ('kind = "skewed_router"', 'kind = "twin_rows"\ngroups = 8', "leave nobody a twin", ""),
    "cosine": ('kind = "skewed_router"', 'kind = "collapsed_inputs"\nsimilarity = 1.0', "between 0 and 1, got 1.0", ""),
    "spread": ('kind = "skewed_router"', 'kind = "biased_router"\nstd = 0.0', "std: must be positive", ""),
    "no shift": ('kind = "skewed_router"', 'kind = "skewed_router"\nshift = 0', "0.0 favors no expert", ""),
    "no scale": (
        'kind = "skewed_router"', 'kind = "scaled_router"\nfactor = 1.0', "1.0 leaves the rows of the model", "",
    ),
    "measured twice": (
        "[margins]", "[evaluation]\ncapacities = [1.0, 1]\n[margins]", "[1.0, 1.0] names a capacity twice", "",
    ),
    "literal": ("factor = 1", 'drop_policy = "prob"', "'prob' is not known", "did you mean 'probs'"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_a_mistake_is_named_with_place_value_and_way_out(case):
    old, new, message, hint = case
    assert GOOD.count(old) >= 1
    with pytest.raises(StudyError) as error:
        spec.parse(GOOD.replace(old, new, 1), where="demo.toml")
    assert "demo.toml" in error.value.message
    assert message in error.value.message
    assert hint in (error.value.hint or "")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StudyError, match=r"nowhere\.toml"):
        spec.load(tmp_path / "nowhere.toml")
