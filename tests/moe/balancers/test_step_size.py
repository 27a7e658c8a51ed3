"""Steps that outweigh the scores are pointed out, whatever rule takes them."""

import warnings
from types import SimpleNamespace

import pytest

from trimtab.errors import BalancerWarning
from trimtab.moe.balancers import behavior
from trimtab.settings.capacities import Capacity
from trimtab.settings.rules import SMEBU, LossFree, SoftClippedBias


def router(score_function, num_experts):
    return SimpleNamespace(
        name="gate",
        score_function=score_function,
        num_experts=num_experts,
        num_experts_per_tok=2,
        weight=SimpleNamespace(shape=(num_experts, 16)),
        renormalize=True,
        groups=None,
    )


@pytest.mark.parametrize("kind", [LossFree, SMEBU, SoftClippedBias])
def test_a_step_larger_than_a_mean_softmax_score_is_pointed_out(kind):
    rule = behavior(kind(bias_update_rate=0.02))
    with pytest.warns(BalancerWarning, match="1/64"):
        rule.check(router("softmax", 64), Capacity())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rule.check(router("softmax", 8), Capacity())
        rule.check(router("sigmoid", 64), Capacity())
