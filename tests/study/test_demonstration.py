"""What ``trimtab demo`` trains: every rule starts from the same model and the same batch, and every call is counted."""

import pytest

from trimtab.moe.routing import max_violation_floor
from trimtab.study import demonstration


@pytest.fixture(scope="module")
def shown():
    seen = []
    result = demonstration.run(steps=12, seed=3, show=seen.append)
    assert tuple(seen) == result.moments
    return result


def test_every_rule_takes_every_step(shown):
    for rule in demonstration.RULES:
        assert [moment.step for moment in shown.of(rule)] == list(range(1, 13))


def test_the_calls_of_a_step_are_all_tokens_times_experts_a_token(shown):
    tokens = demonstration.TEXT.rows * demonstration.TEXT.row_length
    assert {sum(moment.calls) for moment in shown.moments} == {tokens * demonstration.MODEL.num_experts_per_tok}
    assert shown.floor == max_violation_floor(tokens, 8, 2)


def test_max_violation_is_that_of_the_calls(shown):
    for moment in shown.moments:
        mean = sum(moment.calls) / len(moment.calls)
        assert moment.max_violation == pytest.approx(max(moment.calls) / mean - 1)


def test_rules_start_from_the_same_skewed_model_and_part_ways(shown):
    first = {shown.of(rule)[0].calls for rule in demonstration.RULES}
    assert len(first) == 1
    (calls,) = first
    busiest = sorted(calls)[-2:]
    assert sum(busiest) > 0.8 * sum(calls)  # two of eight experts are favored
    last = {rule: shown.of(rule)[-1].max_violation for rule in demonstration.RULES}
    assert last["ALF-LB"] < last["no balancing"]
    assert last["NewtonBalancing"] < last["no balancing"]
