"""The room of an expert: what can be set, and what would do nothing."""

import pytest

from trimtab.errors import ConfigurationError
from trimtab.settings.capacities import Capacity, check_factor
from trimtab.settings.reading import encode, read


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"factor": 0.0}, "factor=...): must be positive, got 0.0"),
        ({"factor": float("inf")}, "must be positive and finite, got inf"),
        ({"eval_factor": -1.0}, "eval_factor"),
        ({"min_capacity": -1}, "not negative"),
        ({"tokens": 0}, "at least 1"),
        ({"drop_policy": "prob"}, "'prob' is not known"),
        ({"load_signal": "all"}, "'all' is not known"),
        ({"scope": "micro"}, "'micro' is not known"),
    ],
)
def test_a_room_nobody_fits_in_is_refused(settings, message):
    with pytest.raises(ConfigurationError) as caught:
        Capacity(**settings)
    assert message in caught.value.message
    assert caught.value.hint or "negative" in message


def test_every_setting_comes_back():
    limits = Capacity(
        factor=1.1, eval_factor=2.0, drop_policy="random", load_signal="kept", min_capacity=4, scope="sequence",
        tokens=64, reroute=True, renormalize=True, seed=7,
    )  # fmt: skip
    assert read(Capacity, encode(limits), "here") == limits
    assert encode(Capacity()) == {"factor": None, "drop_policy": "probs", "load_signal": "routed"}


def test_what_only_a_limit_would_use_is_idle_without_one():
    assert Capacity(reroute=True).idle
    assert Capacity(seed=3).idle
    assert not Capacity(load_signal="kept").idle
    assert not Capacity(factor=1.0, reroute=True).idle
    assert not Capacity(eval_factor=1.0, reroute=True).idle


def test_served_in_order_in_a_fixed_room_no_later_token_counts():
    assert Capacity(factor=1.0, drop_policy="position", scope="sequence", tokens=64).prefix_stable
    assert not Capacity(factor=1.0, drop_policy="position", scope="sequence").prefix_stable


def test_a_factor_alone_is_checked_in_the_same_words():
    check_factor(None, "--capacity")
    check_factor(2, "--capacity")
    with pytest.raises(ConfigurationError, match=r"--capacity: must be positive, got -1.0"):
        check_factor(-1.0, "--capacity")
