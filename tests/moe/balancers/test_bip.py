"""BIP against its loops typed in, and the linear program it approximates."""

import pytest
import torch
from scipy.optimize import linprog

from trimtab.moe.balancers import behavior
from trimtab.moe.routing import max_violation
from trimtab.settings.rules import BIP


def published(scores, prices, top_k, iterations):
    """Alternating duals of max Σ s·x with at most K experts a token and at most KT/E tokens an expert."""
    tokens, experts = scores.shape
    for _ in range(iterations):
        p = [max(0.0, float((row - prices).sort(descending=True).values[top_k])) for row in scores]
        shifted = scores - torch.tensor(p)[:, None]
        rank = tokens * top_k // experts
        prices = torch.tensor([max(0.0, float(column.sort(descending=True).values[rank])) for column in shifted.t()])
    return prices


def test_prices_are_those_of_the_loops(route, context_of, draw):
    routing, start = route(draw(40, skew=2.0)), torch.linspace(0, 0.2, 8)
    rule = behavior(BIP(iterations=3))
    seen = rule.select(routing.scores, -start, context_of(routing))
    assert torch.allclose(routing.scores - seen, published(routing.scores, start, 2, 3).expand(40, 8), atol=1e-6)


def test_a_batch_is_solved_once_to_route_and_to_learn(route, context_of, draw):
    routing, rule = route(draw(64, skew=2.0)), behavior(BIP())
    context = context_of(routing)
    rule.select(routing.scores, torch.zeros(8), context)
    (_, _, prices) = context.notes[rule]
    observed = rule.observe(routing, torch.zeros(8), context)
    assert context.notes[rule][2] is prices
    assert torch.equal(observed[:-1], prices.double() * 64)


def after(iterations, skew, route, context_of, draw):
    routing = route(draw(1024, skew=skew))
    seen = behavior(BIP(iterations=iterations)).select(routing.scores, torch.zeros(8), context_of(routing))
    selected = torch.bincount(seen.topk(2).indices.flatten(), minlength=8)
    return max_violation(routing.load), max_violation(selected)


def test_the_first_batch_is_balanced_already(route, context_of, draw):
    before, now = after(8, 1.0, route, context_of, draw)
    assert before > 0.5
    assert now < 0.1


def test_prices_that_cannot_fall_below_zero_are_slow_to_help_the_poor(route, context_of, draw):
    """A property of the method (kexue.fm 11619): prices only rise, one alternation at a time."""
    values = [after(iterations, 4.0, route, context_of, draw)[1] for iterations in (8, 30, 100)]
    assert values[0] > 0.5
    assert values[0] > values[1] > values[2]


def test_what_it_selects_is_worth_nearly_the_linear_programs_optimum(route, context_of, draw):
    routing = route(draw(48, skew=2.0).double())
    tokens, experts, top_k = 48, 8, 2
    rows = torch.kron(torch.eye(tokens), torch.ones(1, experts)).numpy()
    columns = torch.kron(torch.ones(1, tokens), torch.eye(experts)).numpy()
    program = linprog(
        -routing.scores.flatten().numpy(),
        A_ub=columns,
        b_ub=[tokens * top_k / experts] * experts,
        A_eq=rows,
        b_eq=[top_k] * tokens,
        bounds=(0, 1),
    )
    seen = behavior(BIP(iterations=30)).select(routing.scores, torch.zeros(8, dtype=torch.float64), context_of(routing))
    chosen = seen.topk(top_k).indices
    prices = (routing.scores - seen)[0]
    load = torch.bincount(chosen.flatten(), minlength=experts)
    # Weak duality for any prices: what they select, corrected for its imbalance, bounds the optimum from above.
    bound = float(routing.scores.gather(1, chosen).sum() - (prices * (load - tokens * top_k / experts)).sum())
    assert bound >= -program.fun - 1e-9
    assert bound == pytest.approx(-program.fun, rel=0.02)


def test_prices_of_several_processes_are_averaged_by_tokens(route, context_of, draw):
    rule, state = behavior(BIP(iterations=2)), torch.zeros(8)
    parts = [route(draw(tokens, seed=tokens)) for tokens in (30, 90)]
    seen = [rule.observe(part, state, context_of(part)) for part in parts]
    prices = [-rule.update(state, one, 1) for one in seen]
    assert torch.allclose(-rule.update(state, seen[0] + seen[1], 1), (30 * prices[0] + 90 * prices[1]) / 120, atol=1e-6)


def test_evaluation_uses_the_last_prices(route, context_of, draw):
    routing, state = route(draw()), torch.linspace(-0.2, 0.0, 8)
    seen = behavior(BIP()).select(routing.scores, state, context_of(routing, training=False))
    assert torch.equal(seen, routing.scores + state)
