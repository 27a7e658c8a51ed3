"""Attach a balancer and a capacity to a transformers model, and take them off again.

::

    gates = attach(model, balancer=LossFree(bias_update_rate=1e-3), capacity=Capacity(factor=1.25))
    loss = model(**batch).loss
    loss.backward(); optimizer.step(); optimizer.zero_grad()
    gates.update()

Nothing is subclassed or replaced: forward hooks on the routers decide (:mod:`trimtab.moe.gate`), one on the model says
which tokens are text. A penalty needs no term in the loss, because its gradient enters at the routing weights, under
either kind of activation checkpointing. A router's own bias buffer (DeepSeek-V3, GLM-4-MoE) is moved in place and stays
with the model; a softmax router gets a bias that lives here, and in :meth:`Gates.state_dict`.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

import torch

from trimtab.errors import ConfigurationError, UnsupportedModelError, nearest
from trimtab.moe import reduction, routing
from trimtab.moe.balancers import Balancer, NoBalancer
from trimtab.moe.capacity import Capacity, check_factor
from trimtab.moe.gate import Decision, ForwardPass, Gate, Tally, in_backward
from trimtab.moe.router import Router, find_routers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor, nn

_ATTACHED: WeakSet[nn.Module] = WeakSet()
_MOST_PASSES: Final = 256


class Passes:
    """The forward passes of the current step, the one under way first."""

    def __init__(self) -> None:
        self._open: list[ForwardPass] = []
        # Bounded for loops that never call update().
        self._counted: deque[ForwardPass] = deque(maxlen=_MOST_PASSES)
        self.ordinal = 0
        self.step = 1

    def begin(self, module: nn.Module, args: Any, kwargs: Mapping[str, Any]) -> None:  # noqa: ANN401
        """Forward pre-hook of the model."""
        if in_backward():
            return
        tokens = kwargs.get("input_ids")
        tokens = tokens if tokens is not None else kwargs.get("inputs_embeds", args[0] if args else None)
        mask = kwargs.get("attention_mask", args[1] if len(args) > 1 else None)
        positions = kwargs.get("position_ids")
        rows, columns = (1, 0) if tokens is None else tokens.shape[:2]
        counted = module.training and torch.is_grad_enabled()
        self._open.append(
            ForwardPass(
                rows=rows,
                columns=columns,
                valid=_valid(mask, columns),
                positions=positions if positions is not None and tuple(positions.shape) == (rows, columns) else None,
                training=module.training,
                counted=counted,
                ordinal=self.ordinal if counted else 0,
                step=self.step if counted else 0,
            )
        )
        if counted:
            self._counted.append(self._open[-1])
            self.ordinal += 1

    def end(self, _module: nn.Module, _args: Any, _output: Any) -> None:  # noqa: ANN401
        """Forward hook of the model, called even when it failed."""
        if not in_backward() and self._open:
            self._open.pop()

    def find(self, layer: int, logits: Tensor) -> tuple[ForwardPass, Decision | None]:
        """Return the pass that a router call belongs to, and what was decided in it if this is its recomputation."""
        if not in_backward():
            if self._open:
                return self._open[-1], None
            # A block called by itself: every token is text, and nothing is counted.
            return ForwardPass(rows=1, columns=len(logits)), None
        known = [(one, one.decisions[layer]) for one in self._counted if layer in one.decisions]
        known = [pair for pair in known if pair[1].tokens == len(logits)]
        if not known:
            return ForwardPass(rows=1, columns=len(logits)), None
        if len(known) == 1:
            return known[0]
        # Recomputed logits are equal to those of their forward pass, up to what the hardware rounds.
        mine = logits.detach().sum(0)
        return min(known, key=lambda pair: float((pair[1].fingerprint - mine).abs().sum()))

    def finish_step(self) -> None:
        """Forget the passes of the step."""
        self._counted.clear()
        self.ordinal = 0
        self.step += 1


@dataclass(slots=True, kw_only=True)
class Settings:
    """What all gates of a model share."""

    balancer: Balancer
    capacity: Capacity
    eval_factor: float | None
    accumulation: int
    loss_scale: float = 1.0
    synchronize: bool = True
    passes: Passes = field(default_factory=Passes)


class Gates:
    """The gates of a model; made by :func:`attach`."""

    def __init__(self, gates: list[Gate], settings: Settings, handles: list[Any]) -> None:
        self._gates = gates
        self._settings = settings
        self._handles = handles
        self._metrics: list[dict[str, Any]] = []
        self._penalty = torch.zeros(())

    @property
    def balancer(self) -> Balancer:
        """The rule."""
        return self._settings.balancer

    @property
    def capacity(self) -> Capacity:
        """The capacity, as attached."""
        return self._settings.capacity

    @property
    def routers(self) -> tuple[Router, ...]:
        """The routers found, in the order of their layers."""
        return tuple(gate.router for gate in self._gates)

    @property
    def steps(self) -> int:
        """Optimizer steps done."""
        return self._settings.passes.step - 1

    @property
    def loss_scale(self) -> float:
        """Factor of the penalty's gradient: set it to that of a gradient scaler."""
        return self._settings.loss_scale

    @loss_scale.setter
    def loss_scale(self, value: float) -> None:
        self._settings.loss_scale = value

    def biases(self) -> dict[int, Tensor]:
        """Return a copy of the bias [E] of each layer that has one."""
        return {gate.router.layer: gate.bias.clone() for gate in self._gates if gate.bias is not None}

    @torch.no_grad()
    def update(self) -> None:
        """Move the biases by what was observed since the last call; call once after each optimizer step.

        Raises:
            ConfigurationError: The step had another number of micro-batches than ``accumulation``, so that the penalty
                had another coefficient than asked for.
        """
        self._check_accumulation()
        reduction.over_processes(self._gates)
        step = self._settings.passes.step
        for gate in self._gates:
            gate.move(step)
        self._penalty = torch.stack([gate.penalty for gate in self._gates]).sum() if self._gates else torch.zeros(())
        self._metrics = [_step_line(gate) for gate in self._gates]
        self._finish_step()

    def skip(self) -> None:
        """Forget a step that the optimizer did not take, because its gradient was not finite."""
        self._finish_step()
        self._settings.passes.step -= 1

    def penalty(self) -> Tensor:
        """Return the penalty of the last step, all layers and coefficients included, detached."""
        return self._penalty

    def metrics(self) -> list[dict[str, Any]]:
        """Return the routing of the last step, one record a layer.

        Keys: layer, max_violation, entropy, drop_rate, dead_experts, bias_spread (:mod:`trimtab.moe.routing`).
        """
        return [dict(line) for line in self._metrics]

    def loads(self) -> dict[int, Tensor]:
        """Return the calls [E] counted in each layer since the last update, before drops."""
        return {gate.router.layer: gate.tally.routed.clone() for gate in self._gates}

    @contextmanager
    def eval_capacity(self, factor: float | None) -> Iterator[None]:
        """Evaluate with another capacity factor; None is dropless.

        Raises:
            ConfigurationError: ``factor`` is not positive and finite.
        """
        check_factor(factor, "eval_capacity(...)")
        before = self._settings.eval_factor
        self._settings.eval_factor = factor
        try:
            yield
        finally:
            self._settings.eval_factor = before

    @contextmanager
    def measure(self) -> Iterator[list[dict[str, Any]]]:
        """Collect routing statistics over all evaluation passes inside; the list is filled at the end.

        One record a layer: layer, max_violation and its floor for that many tokens, entropy, drop_rate and its floor,
        dead_experts, bias_spread, tokens, load.
        """
        lines: list[dict[str, Any]] = []
        for gate in self._gates:
            gate.measured = Tally.empty(gate.router.num_experts)
        try:
            yield lines
        finally:
            lines.extend(_measured_line(gate) for gate in self._gates)
            for gate in self._gates:
                gate.measured = None

    def state_dict(self) -> dict[str, Tensor]:
        """Return what a resumed run needs: the step, and of each layer its bias and the counts of an open step."""
        state = {"step": torch.tensor(self._settings.passes.step)}
        for gate in self._gates:
            prefix = f"layers.{gate.router.layer}"
            if gate.bias is not None:
                state[f"{prefix}.bias"] = gate.bias.detach().clone()
            if len(gate.memory):
                state[f"{prefix}.memory"] = gate.memory.clone()
            state[f"{prefix}.observed"] = gate.observed.clone()
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take back what :meth:`state_dict` returned.

        Raises:
            ConfigurationError: ``state`` is of another model or balancer.
        """
        own = self.state_dict()
        if state.keys() != own.keys():
            wrong = min(state.keys() ^ own.keys())
            raise ConfigurationError(f"gates state: {wrong!r} is not on both sides", hint=nearest(wrong, own))
        for name, tensor in own.items():
            if state[name].shape != tensor.shape:
                raise ConfigurationError(
                    f"gates state: {name!r} has shape {tuple(state[name].shape)}, the model {tuple(tensor.shape)}"
                )
        for gate in self._gates:
            gate.restore_native_bias()
            gate.finish_step()
            prefix = f"layers.{gate.router.layer}"
            if gate.bias is not None:
                gate.bias.copy_(state[f"{prefix}.bias"])
            gate.memory = state.get(f"{prefix}.memory", gate.memory).clone().to(gate.memory)
            gate.observed = state[f"{prefix}.observed"].clone().to(gate.observed.device)
        self._settings.passes.finish_step()
        self._settings.passes.step = int(state["step"])

    def detach(self) -> None:
        """Take the hooks off; the model computes as before, with the native biases as they now are."""
        for handle in self._handles:
            handle.remove()
        for gate in self._gates:
            _ATTACHED.discard(gate.router.module)

    def _finish_step(self) -> None:
        for gate in self._gates:
            gate.finish_step()
        self._settings.passes.finish_step()

    def _check_accumulation(self) -> None:
        seen, told = self._settings.passes.ordinal, self._settings.accumulation
        if self.balancer.has_penalty and seen not in {0, told}:
            raise ConfigurationError(
                f"this step had {seen} micro-batches and attach(accumulation={told}): the penalty counted"
                f" {seen / told:g} times",
                hint=f"attach(..., accumulation={seen})",
            )


def attach(
    model: nn.Module,
    *,
    balancer: Balancer,
    capacity: Capacity | None = None,
    accumulation: int = 1,
) -> Gates:
    """Attach ``balancer`` and ``capacity`` to every router of a transformers model.

    Args:
        model: The model; families are recognized by the interface of their routers.
        balancer: The rule.
        capacity: The capacity; dropless by default.
        accumulation: Micro-batches of an optimizer step, each of which gets an equal share of the penalty.

    Raises:
        UnsupportedModelError: The model has no router to attach to, or one that cannot be read.
        ConfigurationError: The model is already attached to, or the combination cannot work.
    """
    limits = Capacity() if capacity is None else capacity
    if accumulation < 1:
        raise ConfigurationError(f"attach(accumulation={accumulation}) must be at least 1")
    routers = find_routers(model)
    _check(routers, balancer, limits)
    settings = Settings(balancer=balancer, capacity=limits, eval_factor=limits.eval_factor, accumulation=accumulation)
    gates = [Gate(router, settings) for router in routers]
    base = getattr(model, "base_model", model)
    handles = [
        base.register_forward_pre_hook(settings.passes.begin, with_kwargs=True, prepend=True),
        base.register_forward_hook(settings.passes.end, always_call=True),
    ]
    for gate in gates:
        # First of its hooks, so that whatever transformers records or others do comes after it.
        handles.append(gate.router.module.register_forward_pre_hook(gate.before, prepend=True))
        handles.append(gate.router.module.register_forward_hook(gate.after, prepend=True))
        _ATTACHED.add(gate.router.module)
    return Gates(gates, settings, handles)


def _check(routers: list[Router], balancer: Balancer, limits: Capacity) -> None:
    asked = not isinstance(balancer, NoBalancer) or limits.factor is not None or limits.eval_factor is not None
    if not routers and asked:
        raise UnsupportedModelError(
            f"the model has no router, so {balancer!r} with {limits!r} would do nothing",
            hint="attach NoBalancer() without a capacity to a dense model",
        )
    for router in routers:
        balancer.check(router)
        if router.module in _ATTACHED:
            raise ConfigurationError(f"{router.name} is attached already", hint="call detach() on its gates first")
        if router.renormalize and router.num_experts_per_tok == 1:
            raise ConfigurationError(
                f"{router.name} renormalizes the weight of 1 expert a token: it is always 1, so the router learns"
                " nothing",
                hint="num_experts_per_tok of 2 or more, or norm_topk_prob=False",
            )


def _valid(mask: Any, columns: int) -> Tensor | None:  # noqa: ANN401 - whatever a model accepts
    """[T] from an attention mask [B, ≥ columns]; None for no mask, or for one that does not speak of single tokens."""
    if not isinstance(mask, torch.Tensor) or mask.ndim != 2 or columns == 0:
        return None
    valid = mask[:, -columns:].bool()
    return None if bool(valid.all()) else valid.flatten()


def _step_line(gate: Gate) -> dict[str, Any]:
    tally = gate.tally
    return {
        "layer": gate.router.layer,
        "max_violation": routing.max_violation(tally.routed),
        "entropy": routing.entropy(tally.routed),
        "drop_rate": routing.drop_rate(tally.routed, tally.kept),
        "dead_experts": routing.dead_experts(tally.routed),
        "bias_spread": routing.bias_spread(gate.bias),
    }


def _measured_line(gate: Gate) -> dict[str, Any]:
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
        "load": tally.routed.tolist(),
    }
