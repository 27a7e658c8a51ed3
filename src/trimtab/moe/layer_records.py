"""What is told of a layer: one record of a training step, one of an evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trimtab.moe import routing

if TYPE_CHECKING:
    from trimtab.moe.gate import Gate


def of_step(gate: Gate) -> dict[str, Any]:
    """Return what a gate counted in the step that ends."""
    tally = gate.tally
    return {
        "layer": gate.router.layer,
        "max_violation": routing.max_violation(tally.routed),
        "entropy": routing.entropy(tally.routed),
        "drop_rate": routing.drop_rate(tally.routed, tally.kept),
        "dead_experts": routing.dead_experts(tally.routed),
        "bias_spread": routing.bias_spread(gate.bias),
        "unread_masks": tally.unread,
        "own_loss": gate.attachment.passes.own_loss,
    }


def of_measure(gate: Gate) -> dict[str, Any]:
    """Return what a gate counted in the evaluation passes of a measurement."""
    tally, router = gate.measured, gate.router
    assert tally is not None  # noqa: S101 - set by the caller
    calls = tally.tokens * router.num_experts_per_tok
    return {
        "layer": router.layer,
        "max_violation": routing.max_violation(tally.routed),
        "max_violation_floor": routing.max_violation_floor(
            tally.tokens, router.num_experts, router.num_experts_per_tok
        ),
        "entropy": routing.entropy(tally.routed),
        "drop_rate": routing.drop_rate(tally.routed, tally.kept),
        "drop_floor": tally.expected_drops / calls if calls else 0.0,
        "dead_experts": routing.dead_experts(tally.routed),
        "bias_spread": routing.bias_spread(gate.bias),
        "tokens": tally.tokens,
        "unread_masks": tally.unread,
        "load": tally.routed.tolist(),
    }
