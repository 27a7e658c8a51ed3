"""What a balancer has learned about one router: the bias, and whatever else its rule remembers; how they move.

The bias lives in the model, with the router's own or in a buffer added to the router, and stays float32 there.

Axes: E experts, S numbers of a state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from trimtab.moe import wrappers
from trimtab.moe.router import BIAS_NAME, BiasPlace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from trimtab.moe.balancers import Balancer
    from trimtab.moe.router import Router


class BalancerState:
    """The bias of one router and what else its balancer remembers.

    Args:
        router: The router.
        balancer: The rule; it says what the state is at first, and what is observed.
    """

    def __init__(self, router: Router, balancer: Balancer) -> None:
        self.router = router
        self.place = self._bias_place(balancer)
        self.bias = None if self.place is None else self.place.read()
        self.frozen: bool | None = None
        self.memory = balancer.initial(router.num_experts)[router.num_experts :]
        self.observed = balancer.nothing(router.num_experts)
        self.moved = True

    def _bias_place(self, balancer: Balancer) -> BiasPlace | None:
        """Return where the bias lives: with the router's own, or in a buffer added to the router; always float32."""
        place, num_experts = self.router.native, self.router.num_experts
        if place is None and balancer.has_bias:
            place = BiasPlace(owner=self.router.module, name=BIAS_NAME)
            # Never an inference tensor, which no later training step could change.
            with torch.inference_mode(mode=False):
                initial = balancer.initial(num_experts)[:num_experts].clone().to(self.router.weight.device)
            self.router.module.register_buffer(BIAS_NAME, initial)
        elif place is not None and place.read().dtype != torch.float32:
            place.write(place.read().float())
        return place

    @property
    def state(self) -> Tensor:
        """[S] what the balancer has learned: the bias [E], and behind it whatever else the rule remembers."""
        if self.bias is None:
            return torch.zeros(self.router.num_experts)
        if not len(self.memory):
            return self.bias
        self.memory = self.memory.to(self.bias.device)
        return torch.cat([self.bias, self.memory])

    def learn(self, state: Tensor) -> None:
        """Take over a new state [S]."""
        assert self.bias is not None  # noqa: S101 - only gates with a bias move
        self.bias.copy_(state[: self.router.num_experts])
        if len(self.memory):
            self.memory = state[self.router.num_experts :].clone()

    @property
    def rests(self) -> bool:
        """Whether the bias stays where it is: frozen, or not told otherwise while the router does not learn."""
        return not self.router.learns if self.frozen is None else self.frozen

    @property
    def bias_in_use(self) -> Tensor | None:
        """[E] the bias that the router called by the model would use; None where it has none."""
        router, name = wrappers.used(self.router.outer), "" if self.place is None else self.place.name
        if self.place is None or wrappers.reaches(self.router.outer, self.router.module):
            return None if self.place is None else self.place.read()
        held = (getattr(module, name, None) for module in (router, *router.modules(), self.router.block))
        return next((bias.detach().view(-1) for bias in held if isinstance(bias, torch.Tensor)), None)

    def restore_bias(self) -> None:
        """Undo a cast of the bias: a bfloat16 bias stops moving at 0.5.

        ``model.to(...)`` replaces what the model holds. A cast is undone from the tensor held here; values that came
        from elsewhere (another device, a loaded state) are taken over.
        """
        if self.place is None or self.bias is None:
            return
        held: Tensor = getattr(self.place.owner, self.place.name)
        if held.dtype == torch.float32 and held.data_ptr() == self.bias.data_ptr():
            return
        in_model = self.place.read()
        # Never an inference tensor, which no later training step could change.
        with torch.inference_mode(mode=False):
            cast_only = in_model.dtype != torch.float32 and torch.equal(self.bias.to(in_model), in_model)
            self.bias = self.bias.to(in_model.device) if cast_only else in_model.float().clone()
        self.place.write(self.bias)


def move(gates: Sequence[BalancerState], balancer: Balancer, step: int) -> None:
    """Let the balancer learn from what was observed since the last step; ``moved`` says at which gates it did.

    Gates of as many experts on one device learn in one call, because each operation on so few numbers costs as much as
    on many.
    """
    together: dict[tuple[Any, ...], list[BalancerState]] = {}
    for gate in gates:
        gate.restore_bias()
        if gate.bias is not None and balancer.has_bias and not gate.rests:
            alike = (gate.router.num_experts, gate.bias.device)
            together.setdefault(alike if balancer.in_cells else (id(gate),), []).append(gate)
    for group in together.values():
        states = [gate.state for gate in group]
        observed = [gate.observed.to(state.device) for gate, state in zip(group, states, strict=True)]
        if len(group) == 1:
            after: Sequence[Tensor] | Tensor = [balancer.update(states[0], observed[0], step)]
        else:
            after = balancer.update(torch.stack(states), torch.stack(observed), step)
        for gate, before, state in zip(group, states, after, strict=True):
            gate.moved = not torch.equal(state, before)
            gate.learn(state)
