"""Rules and streams are read, never evaluated."""

import pytest

from trimtab.errors import ConfigurationError
from trimtab.moe.simulate import names
from trimtab.moe.simulate.streams import Stationary
from trimtab.settings.rules import LossFree, NewtonBalancing


def test_what_python_would_write_is_understood():
    assert names.rule("LossFree(bias_update_rate=1e-3, update='proportional')") == LossFree(
        bias_update_rate=1e-3, update="proportional"
    )
    assert names.rule("NewtonBalancing()") == names.rule("NewtonBalancing") == NewtonBalancing()
    assert names.stream("skewed") == names.stream("Stationary(skew=3)") == Stationary(skew=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("LosFree(bias_update_rate=1)", "no rule"),
        ("LossFree(1e-3)", "by name"),
        ("LossFree(rate=1e-3)", "rate"),
        ("LossFree(bias_update_rate=-1)", "positive"),
        ("LossFree(bias_update_rate=__import__('os'))", "malformed"),
        ("__import__('os')", "no rule"),
        ("Balancer()", "no rule"),
        ("SwitchLoss(coef=1.0)", "gradient"),
        ("1 +", "no rule"),
    ],
)
def test_what_is_no_rule_is_refused_with_the_way_out(text, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        names.rule(text)
    assert caught.value.hint


def test_a_wrong_stream_brings_the_nearest_one():
    with pytest.raises(ConfigurationError) as caught:
        names.stream("skewd")
    assert "'skewed'" in caught.value.hint
