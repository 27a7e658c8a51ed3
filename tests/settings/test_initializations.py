"""What a study may do to a fresh model is read, or refused before anything runs."""

import dataclasses

import pytest

from trimtab.errors import SettingError, StudyError
from trimtab.settings.initializations import (
    INITIALIZATIONS,
    DeadExpert,
    Random,
    SkewedRouter,
    TwinRows,
    VirtualGroups,
    initialization_table,
    read_initialization,
)
from trimtab.settings.shapes import RouterShape

ROUTER = RouterShape(name="mlp.gate", num_experts=8, num_experts_per_tok=2, hidden_size=32, renormalize=True)
NEEDED = {"scaled_router": {"factor": 2.0}, "twin_rows": {"groups": 2}}


@pytest.mark.parametrize("kind", INITIALIZATIONS, ids=lambda kind: kind.key)
def test_every_kind_has_a_table(kind):
    init = kind(**NEEDED.get(kind.key, {}))
    assert read_initialization(initialization_table(init), "x") == init
    assert initialization_table(init)["kind"] == kind.key


def test_no_kind_is_a_random_one_and_what_came_later_is_left_out():
    assert read_initialization({}, "x") == Random()
    assert initialization_table(DeadExpert()) == {"kind": "dead_expert"}
    assert read_initialization({"kind": "dead_expert", "shift": -2.0}, "x") == DeadExpert(shift=-2.0)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"kind": "scaled"}, "kind: unknown initialization 'scaled'"),
        ({"kind": "random", "factor": 1.0}, "unknown key 'factor'"),
        ({"kind": "scaled_router"}, "missing key 'factor'"),
        ({"kind": "scaled_router", "factor": -1.0}, "factor: must be positive"),
        ({"kind": "skewed_router", "share": 1.0}, "share: must be between 0 and 1"),
        ({"kind": "skewed_router", "shift": float("inf")}, "shift: must be finite, got inf"),
        ({"kind": "dead_expert", "shift": float("nan")}, "shift: must be finite"),
        ({"kind": "twin_rows", "groups": 2, "noise": -0.1}, "noise: must be not negative"),
        ({"kind": "twin_rows", "groups": 0}, "groups: must be at least 1"),
        ({"kind": "biased_router", "std": 0.0}, "std: must be positive"),
        ({"kind": "drop_upcycled", "drop_ratio": 1.1}, r"drop_ratio: must be in \[0, 1\]"),
        ({"kind": "virtual_groups", "granularity": 0}, "granularity: must be at least 1"),
        ({"kind": "collapsed_inputs", "similarity": 1.0}, "similarity: must be between 0 and 1"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(table, message):
    with pytest.raises(StudyError, match=message) as caught:
        read_initialization(table, "study.expert_inits.x")
    assert "study.expert_inits.x" in caught.value.message


def test_a_router_without_room_is_refused():
    SkewedRouter().check_fit(ROUTER)
    with pytest.raises(SettingError, match="nobody a twin"):
        TwinRows(groups=8).check_fit(ROUTER)
    with pytest.raises(SettingError, match="3 does not divide num_experts = 8"):
        VirtualGroups(granularity=3).check_fit(ROUTER)
    with pytest.raises(SettingError, match="4 does not divide num_experts_per_tok = 2"):
        VirtualGroups(granularity=4).check_fit(ROUTER)
    with pytest.raises(SettingError, match="do not sum to 1"):
        VirtualGroups().check_fit(dataclasses.replace(ROUTER, renormalize=False))
