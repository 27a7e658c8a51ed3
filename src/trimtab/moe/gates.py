"""The gates of a model together: one update a step, its metrics, its state."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from trimtab.errors import ConfigurationError, nearest
from trimtab.moe import layer_records, reduction, saving, stepping
from trimtab.moe.activity import Watch
from trimtab.moe.balancer_state import move
from trimtab.moe.route_sessions import RouteSessions
from trimtab.moe.tally import Tally
from trimtab.settings.capacities import Capacity, check_factor

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from torch import Tensor, nn
    from torch.optim import Optimizer
    from torch.utils.hooks import RemovableHandle

    from trimtab.moe.attachment import Attachment
    from trimtab.moe.balancers import Balancer
    from trimtab.moe.gate import Gate
    from trimtab.moe.router import Router


# Under this name the models around the routers hold their gates, so that a copy of a model has its own.
_GATES: Final = "_trimtab_gates"


class Gates(RouteSessions):
    """The gates of a model; made by :func:`attach`.

    A copy of the whole model (``copy.deepcopy``, an average of weights, a reference model, a pickle) has gates of its
    own, with the biases as they were: :meth:`of` returns them.
    """

    def __init__(
        self, model: nn.Module, gates: list[Gate], attachment: Attachment, undo: list[Callable[[], object]]
    ) -> None:
        self._model = model
        self._gates = gates
        self._attachment = attachment
        self._undo = undo
        for root in attachment.roots:
            root.__dict__[_GATES] = self
        self._metrics: list[dict[str, Any]] = []
        self._loads: dict[int, Tensor] = {}
        self._penalty = torch.zeros(())
        self._watch = Watch()

    @classmethod
    def of(cls, model: nn.Module) -> Gates:
        """Return the gates of an attached model; of a copy, whose gates were copied with it.

        Raises:
            ConfigurationError: Nothing is attached to ``model``.
        """
        gates = cls.held_by(model)
        if not gates:
            raise ConfigurationError(f"nothing is attached to this {type(model).__name__}", hint="attach(model, ...)")
        return gates[0]

    @classmethod
    def held_by(cls, model: nn.Module) -> list[Gates]:
        """Return all gates that ``model`` and the models inside it hold, each once, outermost first."""
        held = (vars(module).get(_GATES) for module in model.modules())
        return list(dict.fromkeys(gates for gates in held if isinstance(gates, cls)))

    @property
    def balancer(self) -> Balancer:
        """The rule."""
        return self._attachment.balancer

    @property
    def capacity(self) -> Capacity:
        """The capacity, as attached."""
        return self._attachment.capacity

    @property
    def accumulation(self) -> int:
        """Micro-batches of an optimizer step, as attached."""
        return self._attachment.accumulation

    @property
    def routers(self) -> tuple[Router, ...]:
        """The routers found, in the order of their layers."""
        return tuple(gate.router for gate in self._gates)

    @property
    def departed(self) -> bool:
        """Whether no router is part of the attached model any longer, because all of their layers were replaced."""
        present = {id(module) for root in self._attachment.roots for module in root.modules()}
        return not any(id(router.module) in present for router in self.routers)

    @property
    def added(self) -> frozenset[str]:
        """Names in the model of the bias buffers that attaching added: ``from_pretrained`` alone drops them."""
        gates = (gate for gate in self._gates if gate.place is not None and not gate.router.native_bias)
        return frozenset(f"{gate.router.name}.{gate.place.name}" for gate in gates if gate.place is not None)

    @property
    def steps(self) -> int:
        """Optimizer steps done."""
        return self._attachment.passes.step - 1

    @property
    def loss_scale(self) -> float:
        """Factor of the penalty's gradient: set it to that of a gradient scaler."""
        return self._attachment.loss_scale

    @loss_scale.setter
    def loss_scale(self, value: float) -> None:
        self._attachment.loss_scale = value

    def biases(self) -> dict[int, Tensor]:
        """Return a copy of the bias [E] of each layer that has one."""
        self._restore_biases()
        return {gate.router.layer: gate.bias.clone() for gate in self._gates if gate.bias is not None}

    @property
    def frozen(self) -> dict[int, bool]:
        """Layers that were told to rest (True) or to move (False) whatever their router does."""
        return {gate.router.layer: gate.frozen for gate in self._gates if gate.frozen is not None}

    def freeze(self, layers: Iterable[int] | None = None) -> None:
        """Let the biases of ``layers`` (all by default) stay where they are; they go on choosing experts.

        Without being told, a bias rests where its router does: where ``requires_grad`` of the router's weight is False,
        as in a frozen base under adapters. Counts and metrics go on.

        Raises:
            ConfigurationError: The model has no router in such a layer.
        """
        self._tell(layers, frozen=True)

    def unfreeze(self, layers: Iterable[int] | None = None) -> None:
        """Let the biases of ``layers`` (all by default) move, also where the router's weight does not learn.

        Raises:
            ConfigurationError: The model has no router in such a layer.
        """
        self._tell(layers, frozen=False)

    def update_after(self, optimizer: Optimizer) -> RemovableHandle:
        """Update after each ``optimizer.step()`` from now on; forget steps whose gradient is not finite.

        A gradient scaler that skips a step does not call the optimizer at all: call :meth:`skip` then.

        Returns:
            A handle; its ``remove()`` ends it.
        """
        return stepping.listen(optimizer, self.update, self.skip)

    @torch.no_grad()
    def update(self, *, short: bool = False) -> None:
        """Move the biases by what was observed since the last call; call once after each optimizer step.

        Args:
            short: Accept fewer micro-batches than ``accumulation``, as at the end of an epoch; the penalty of the step
                has less weight by as much.

        Raises:
            ConfigurationError: The step had another number of micro-batches than ``accumulation``, so that the penalty
                had another coefficient than asked for.
        """
        self._check_accumulation(short=short)
        reduction.over_processes(self._gates)
        step = self._attachment.passes.step
        # Where some processes replay and others count, all of them move.
        resting = self._attachment.passes.only_replayed and not any(int(g.tally.routed.sum()) for g in self._gates)
        move(() if resting else self._gates, self.balancer, step)
        penalties = [gate.penalty for gate in self._gates] if self.balancer.has_penalty else []
        self._penalty = torch.stack(penalties).sum() if penalties else torch.zeros(())
        self._metrics = [] if resting else [layer_records.of_step(gate) for gate in self._gates]
        self._loads = {} if resting else {gate.router.layer: gate.tally.routed for gate in self._gates}
        if not resting:
            self._watch.after_step(self._gates, self.balancer, step)
        self._finish_step()

    def assert_active(self) -> None:
        """Refuse to go on with a balancer that does nothing: call it after the first updates of a run.

        Raises:
            InactiveBalancerError: In the last step a bias did not move, the gradient of a penalty reached no weight,
                its coefficient counted more or less than once, or the model added an auxiliary loss of its own; or a
                bias held here is not the one that the model uses.
        """
        self._watch.assert_active(self._gates, self.balancer)

    def skip(self) -> None:
        """Forget a step that the optimizer did not take, because its gradient was not finite."""
        self._finish_step()
        self._attachment.passes.step -= 1

    def penalty(self) -> Tensor:
        """Return the penalty of the last step, all layers and coefficients included, detached."""
        return self._penalty

    def metrics(self) -> list[dict[str, Any]]:
        """Return the routing of the last step, one record a layer; none of a step that only replayed routes.

        Keys: layer, max_violation, entropy, drop_rate, dead_experts, bias_spread (:mod:`trimtab.moe.routing`);
        unread_masks, the passes in which padding could not be told from text, so that all tokens were counted;
        own_loss, the coefficient of an auxiliary loss that the model added by itself, 0 for none.
        """
        return [dict(line) for line in self._metrics]

    def step_loads(self) -> dict[int, Tensor]:
        """Return the calls [E] of each layer in the last step, over all processes; none of one that only replayed."""
        return dict(self._loads)

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
        before = self._attachment.eval_factor
        self._attachment.eval_factor = factor
        try:
            yield
        finally:
            self._attachment.eval_factor = before

    @contextmanager
    def measure(self) -> Iterator[list[dict[str, Any]]]:
        """Collect routing statistics over all evaluation passes inside; the list is filled at the end.

        One record a layer: layer, max_violation and its floor for that many tokens, entropy, drop_rate and its floor,
        dead_experts, bias_spread, tokens, unread_masks, load.
        """
        lines: list[dict[str, Any]] = []
        for gate in self._gates:
            gate.measured = Tally.empty(gate.router.num_experts)
        try:
            yield lines
        finally:
            lines.extend(layer_records.of_measure(gate) for gate in self._gates)
            for gate in self._gates:
                gate.measured = None

    def state_dict(self) -> dict[str, Tensor]:
        """Return what a resumed run needs: the step, and of each layer its bias and the counts of an open step."""
        self._restore_biases()
        state = {"step": torch.tensor(self._attachment.passes.step)}
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
            gate.restore_bias()
            gate.finish_step()
            prefix = f"layers.{gate.router.layer}"
            if gate.bias is not None:
                gate.bias.copy_(state[f"{prefix}.bias"])
            gate.memory = state.get(f"{prefix}.memory", gate.memory).clone().to(gate.memory)
            gate.observed = state[f"{prefix}.observed"].clone().to(gate.observed.device)
        self._attachment.passes.finish_step()
        self._attachment.passes.step = int(state["step"])

    def save_pretrained(self, folder: str | os.PathLike[str], **options: Any) -> None:  # noqa: ANN401 - transformers'
        """Save the model and what is attached to it; :func:`trimtab.load` brings both back exactly.

        Warns where a bias was added to routers without one, because ``from_pretrained`` alone drops it.

        Args:
            folder: Where to.
            options: For the model's ``save_pretrained``.

        Raises:
            ConfigurationError: The model cannot be saved by itself, has adapters inside, is quantized in a way that
                cannot be written, or would not come back as it is; or a ``state_dict`` among the options is of another
                precision, or has other biases. What an earlier save left in ``folder`` stays.
        """
        model = saving.saved_model(self._model, self._attachment.roots[0])
        self._restore_biases()
        if options.get("push_to_hub"):
            options.setdefault("repo_id", Path(folder).name)
        if options.get("state_dict") is not None:
            saving.refuse_other_numbers(model, options["state_dict"], frozenset(self._bias_names(model)))
        record = self.written(type(model).__name__)
        with saving.part(folder) as place:
            saving.write_weights(model, place, **options)
            if not options.get("is_main_process", True):
                return
            variant = {name: options[name] for name in ("variant",) if name in options}
            saving.verify(model, place, frozenset(self._bias_names(model)), **variant)
            saving.save_attachment(record, place)
        saving.warn_of_added(record)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Save what is attached alone, beside weights or adapters that somebody else saves.

        ``trimtab.moe.loading.restore(gates, folder)`` gives it back to gates attached to the same model.
        """
        Path(folder).mkdir(parents=True, exist_ok=True)
        saving.save_attachment(self.written(type(self._model).__name__), folder)

    def _bias_names(self, model: nn.Module) -> Iterator[str]:
        """Yield the names in ``model`` of the biases, which gates save themselves."""
        names = {id(module): name for name, module in model.named_modules()}
        for gate in self._gates:
            if gate.place is not None and id(gate.place.owner) in names:
                yield f"{names[id(gate.place.owner)]}.{gate.place.name}".strip(".")

    def written(self, model_class: str) -> saving.Record:
        """Return what is written down beside the weights of a model of this class."""
        return saving.Record(
            model_class=model_class,
            balancer=self.balancer,
            capacity=self.capacity,
            accumulation=self.accumulation,
            frozen=self.frozen,
            added=frozenset(self.added),
            state=self.state_dict(),
        )

    def detach(self) -> None:
        """Take the hooks off; the model computes as before, with the native biases as they now are."""
        while self._undo:
            self._undo.pop()()
        for root in self._attachment.roots:
            if root.__dict__.get(_GATES) is self:  # gates attached later may be there instead
                del root.__dict__[_GATES]

    def _restore_biases(self) -> None:
        """See to it that the biases held are those of the model, which may have been cast or lent others for a call."""
        for gate in self._gates:
            if gate.place is not None and hasattr(gate.place.owner, gate.place.name):  # not once it is detached
                gate.restore_bias()

    def _finish_step(self) -> None:
        for gate in self._gates:
            gate.finish_step()
        self._attachment.passes.finish_step()

    def _tell(self, layers: Iterable[int] | None, *, frozen: bool) -> None:
        by_layer = {gate.router.layer: gate for gate in self._gates}
        chosen = list(by_layer if layers is None else layers)
        for layer in chosen:
            if layer not in by_layer:
                raise ConfigurationError(
                    f"the model has no router in layer {layer!r}", hint=f"layers with one: {sorted(by_layer)}"
                )
        for layer in chosen:
            by_layer[layer].frozen = frozen

    def _check_accumulation(self, *, short: bool) -> None:
        seen, promised = self._attachment.passes.ordinal, self._attachment.accumulation
        if self.balancer.has_penalty and seen not in {0, promised} and not (short and seen < promised):
            raise ConfigurationError(
                f"this step had {seen} micro-batches and attach(accumulation={promised}): the penalty counted"
                f" {seen / promised:g} times",
                hint=f"attach(..., accumulation={seen})",
            )
