"""The gate of one router: what happens between its decision and its experts.

Whatever its family, a router's decision is logits, weights and experts (:mod:`trimtab.moe.ports`); a gate returns the
last two with an added bias applied, calls without room at weight 0, and the gradient of the penalty attached to the
weights. The logits are left alone, because transformers records them.

Counts are plain tensors, never module buffers: DistributedDataParallel would overwrite those with rank 0's. A step is
counted in its first forward pass only; recomputation under activation checkpointing happens inside the backward pass,
and looks up what was decided.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed
from torch.utils._python_dispatch import _disable_current_modes, _get_current_dispatch_mode

from trimtab.moe.balancers import Context
from trimtab.moe.balancers.pooled import Pool
from trimtab.moe.capacity import renormalized
from trimtab.moe.injection import inject
from trimtab.moe.placement import place
from trimtab.moe.router import BIAS_NAME, BiasPlace
from trimtab.moe.routing import Routing, scores_of
from trimtab.moe.tally import Tally

if TYPE_CHECKING:
    from torch import Tensor, nn

    from trimtab.moe.gates import Settings
    from trimtab.moe.router import Router


def in_backward() -> bool:
    """Tell whether a backward pass is running, which is when checkpointing recomputes, reentrant or not."""
    return bool(torch._C._current_graph_task_id() != -1)  # noqa: SLF001 - the one sign that works for both kinds


@dataclass(slots=True, kw_only=True)
class Decision:
    """What a gate decided for its tokens in a forward pass, for its recomputation."""

    tokens: int
    fingerprint: Tensor
    experts: Tensor
    demanded: Tensor | None
    kept: Tensor | None
    load_so_far: Tensor | None


@dataclass(kw_only=True)
class ForwardPass:
    """One forward pass of the model.

    Args:
        rows, columns: Shape of the batch.
        valid: [T] whether a token is text; None when all are, or unknown.
        positions: [rows, columns] position ids, where they were given.
        training: Whether the model is in training mode.
        counted: Whether its load counts: training, with gradients.
        ordinal: Number of the pass within its optimizer step, from 0.
        step: Number of the optimizer step, from 1; 0 in evaluation.
    """

    rows: int
    columns: int
    valid: Tensor | None = None
    positions: Tensor | None = None
    training: bool = False
    counted: bool = False
    ordinal: int = 0
    step: int = 0
    decisions: dict[int, Decision] = field(default_factory=dict)
    pool: Pool | None = None

    @cached_property
    def tokens(self) -> int:
        """T without padding."""
        return self.rows * self.columns if self.valid is None else int(self.valid.sum())

    @cached_property
    def sequence(self) -> Tensor:
        """[T] number of the sequence of each token: rows, cut where position ids do not go on by one."""
        row = torch.arange(self.rows)
        if self.positions is None:
            return row.repeat_interleave(self.columns)
        starts = torch.ones_like(self.positions, dtype=torch.bool)
        starts[:, 1:] = self.positions.diff(dim=1) != 1
        return starts.flatten().cumsum(0) - 1


class Gate:
    """State and hook of one router."""

    def __init__(self, router: Router, settings: Settings) -> None:
        self.router = router
        self.settings = settings
        self.place = self._place()
        self.bias = None if self.place is None else self.place.read()
        self.frozen: bool | None = None
        self.memory = settings.balancer.initial(router.num_experts)[router.num_experts :]
        self.tally = Tally.empty(router.num_experts)
        self.observed = settings.balancer.nothing(router.num_experts)
        self.unbiased_load = torch.zeros(router.num_experts, dtype=torch.int64)
        self.penalty = torch.zeros(())
        self.measured: Tally | None = None
        self.moved = True
        self.passed_on = 0.0

    def _place(self) -> BiasPlace | None:
        """Return where the bias lives: with the router's own, or in a buffer added to the router; always float32."""
        place = self.router.native
        balancer, num_experts = self.settings.balancer, self.router.num_experts
        if place is None and balancer.has_bias:
            place = BiasPlace(owner=self.router.module, name=BIAS_NAME)
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
        return torch.cat([self.bias, self.memory.to(self.bias.device)]) if len(self.memory) else self.bias

    def move(self, step: int) -> None:
        """Let the balancer learn from what was observed since the last step; ``moved`` says whether it did."""
        self.restore_bias()
        balancer = self.settings.balancer
        if self.bias is None or not balancer.has_bias or self.rests:
            return
        after = balancer.update(self.state, self.observed.to(self.bias.device), step)
        self.moved = not torch.equal(after, self.state)
        self.bias.copy_(after[: self.router.num_experts])
        self.memory = after[self.router.num_experts :].clone()

    @property
    def rests(self) -> bool:
        """Whether the bias stays where it is: frozen, or not told otherwise while the router does not learn."""
        return not self.router.weight.requires_grad if self.frozen is None else self.frozen

    def restore_bias(self) -> None:
        """Undo a cast of the bias: a bfloat16 bias stops moving at 0.5.

        ``model.to(...)`` replaces what the model holds. A cast is undone from the tensor held here; values that came
        from elsewhere (another device, a loaded state) are taken over.
        """
        if self.place is None or self.bias is None:
            return
        found = self.place.read()
        if found.dtype == torch.float32 and found.data_ptr() == self.bias.data_ptr():
            return
        # Never an inference tensor, which no later training step could change.
        with torch.inference_mode(mode=False):
            cast_only = found.dtype != torch.float32 and torch.equal(self.bias.to(found), found)
            self.bias = self.bias.to(found.device) if cast_only else found.float().clone()
        self.place.write(self.bias)

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def before(self, _module: nn.Module, _args: Any) -> None:  # noqa: ANN401 - a forward pre-hook
        """Forward pre-hook of the module that holds the bias: it is the one held here, in float32."""
        self.restore_bias()

    def decide(self, logits: Tensor, weights: Tensor, experts: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weights and experts [T, K] that the model goes on with, given its logits [T, E] and its own."""
        # Selective checkpointing replays what it saw by the order of operations, and a recomputation, which looks up
        # what was decided, has fewer of them than its forward pass.
        hidden = nullcontext() if _get_current_dispatch_mode() is None else _disable_current_modes()
        with hidden:
            return self._decide(logits, weights, experts)

    def _decide(self, logits: Tensor, weights: Tensor, experts: Tensor) -> tuple[Tensor, Tensor]:
        current, decision = self.settings.passes.find(self.router.layer, logits)
        context = self._context(current, len(logits))
        if self._reselects(current):
            weights, experts = self._select(logits, (weights, experts), context)
        chosen = self._routing(logits, experts, weights, context)
        routing = self._limit(chosen, current, context) if decision is None else self._again(chosen, decision)
        if decision is None and current.counted:
            decision = self._count(routing, current, context)
        weights = self._limited(routing)
        if current.counted and self.settings.balancer.has_penalty:
            weights = self._penalize(routing, weights, current, decision)
        return weights, routing.experts

    def _context(self, current: ForwardPass, tokens: int) -> Context:
        weight = self.router.weight
        read = self.settings.balancer.has_penalty or self.settings.capacity.scope == "sequence"
        sequence = current.sequence if read and current.rows * current.columns == tokens else None
        return Context(
            training=current.training,
            num_experts_per_tok=self.router.num_experts_per_tok,
            score_function=self.router.score_function,
            valid=current.valid if current.valid is not None and len(current.valid) == tokens else None,
            sequence=None if sequence is None else sequence.to(weight.device),
            load_signal=self.settings.capacity.load_signal,
            router_weight=weight,
            accumulation=self.settings.accumulation,
        )

    def _routing(self, logits: Tensor, experts: Tensor, weights: Tensor, context: Context) -> Routing:
        return Routing(
            logits=logits,
            experts=experts,
            weights=weights,
            score_function=self.router.score_function,
            valid=context.valid,
        )

    def _reselects(self, current: ForwardPass) -> bool:
        """Tell whether the router itself does not choose as the balancer wants: it lacks a bias, or sees no batch."""
        balancer = self.settings.balancer
        alone = self.router.native_bias and balancer.adds_only_bias
        return (balancer.has_bias and not alone) or (current.training and not balancer.causal)

    def _choice(self, logits: Tensor, context: Context) -> Tensor:
        """Return the scores [T, E] that top-k sees, −∞ outside a token's groups."""
        scores = scores_of(logits.detach(), self.router.score_function)
        state, balancer = self.state.to(scores.device), self.settings.balancer
        biased = balancer.select(scores, state, context)
        if self.router.native_bias and not balancer.has_bias and balancer.causal:
            biased = biased + state[: self.router.num_experts]
        return biased if self.router.groups is None else self.router.groups.limit(biased)

    def _select(self, logits: Tensor, own: tuple[Tensor, Tensor], context: Context) -> tuple[Tensor, Tensor]:
        """Choose with the bias, weigh without it (arXiv 2408.15664, Eq. 3)."""
        scores = scores_of(logits, self.router.score_function)
        chosen = self.settings.balancer.select(scores.detach(), self.state.to(scores.device), context)
        if torch.equal(chosen, scores):
            return own  # at rest, to the last bit
        experts = self.router.choose(chosen)
        return self.router.weights_of(scores, experts).to(own[0].dtype), experts

    def _weights(self, logits: Tensor, experts: Tensor) -> Tensor:
        return self.router.weights_of(scores_of(logits, self.router.score_function), experts)

    def _factor(self, current: ForwardPass) -> float | None:
        return self.settings.capacity.factor if current.training else self.settings.eval_factor

    def _limit(self, chosen: Routing, current: ForwardPass, context: Context) -> Routing:
        """Find room for the calls, or drop them; count them where they are measured."""
        limits = self.settings.capacity
        placed, rooms = place(
            chosen,
            limits,
            self._factor(current),
            context.sequence,
            choice=partial(self._choice, chosen.logits, context),
            seed=(limits.seed, current.step, current.ordinal, self.router.layer),
        )
        if placed.demanded is not None:
            weights = self._weights(chosen.logits, placed.experts).to(chosen.weights.dtype)
            placed = replace(placed, weights=weights)
        tally = self.tally if current.counted else None if current.training else self.measured
        if tally is not None:
            tally.add(placed, rooms, reroute=limits.reroute)
        return placed

    def _again(self, chosen: Routing, decision: Decision) -> Routing:
        """Decide in a recomputation as in the forward pass, even where its logits chose otherwise by a hair."""
        same = decision.demanded is None and torch.equal(chosen.experts, decision.experts)
        weights = chosen.weights
        if not same:
            weights = self._weights(chosen.logits, decision.experts).to(weights.dtype)
        return replace(
            chosen, experts=decision.experts, weights=weights, kept=decision.kept, demanded=decision.demanded
        )

    def _limited(self, routing: Routing) -> Tensor:
        if routing.kept is None:
            return routing.weights
        if self.settings.capacity.renormalize:
            return renormalized(routing.weights, routing.kept)
        return routing.weights.masked_fill(~routing.kept, 0)

    def _count(self, routing: Routing, current: ForwardPass, context: Context) -> Decision:
        # Without a graph: checkpointing wants the same tensors saved for backward when this does not run again.
        detached = replace(routing, logits=routing.logits.detach())
        seen = self.settings.balancer.observe(detached, self.state, context)
        self.observed = self.observed + seen.to(self.observed.device)
        if self.settings.balancer.pools:
            if current.pool is None:
                current.pool = Pool(routing.num_experts)
            current.pool.add(self._unbiased(routing))
        decision = Decision(
            tokens=len(routing.logits),
            fingerprint=routing.logits.detach().sum(0),
            experts=routing.experts,
            demanded=routing.demanded,
            kept=routing.kept,
            load_so_far=self._load_so_far(routing) if self.settings.balancer.counts_step else None,
        )
        current.decisions[self.router.layer] = decision
        return decision

    def _load_so_far(self, routing: Routing) -> Tensor:
        """Calls of the step up to this micro-batch, over all processes, as the losses see them (without a bias)."""
        counts = self._unbiased(routing).load
        if self.settings.synchronize and distributed.is_initialized():
            counts = counts.clone()
            distributed.all_reduce(counts)
        self.unbiased_load = self.unbiased_load.to(counts.device) + counts
        return self.unbiased_load

    def _unbiased(self, routing: Routing) -> Routing:
        """Return the routing as losses count it: the top-k of scores without bias (arXiv 2412.19437, Eq. 18)."""
        if not self.settings.balancer.has_bias:
            return routing
        # From detached logits: checkpointing wants the same tensors saved for backward when this runs a second time.
        scores = scores_of(routing.logits.detach(), routing.score_function)
        experts = self.router.choose(scores)
        return replace(routing, experts=experts, kept=None, demanded=None)

    def _penalize(self, routing: Routing, weights: Tensor, current: ForwardPass, decision: Decision | None) -> Tensor:
        context = replace(
            self._context(current, len(weights)),
            load_so_far=None if decision is None else decision.load_so_far,
            pool=current.pool,
        )
        value = self.settings.balancer.penalty(self._unbiased(routing), context)
        share = 1.0 / self.settings.accumulation
        if not in_backward():
            self.penalty = self.penalty.to(value.device) + value.detach() * share
        if not (value.requires_grad and weights.requires_grad):
            return weights
        return inject(weights, value, share * self.settings.loss_scale, partial(self._note, share))

    def _note(self, share: float) -> None:
        self.passed_on += share

    def finish_step(self) -> None:
        """Forget the counts of the step."""
        self.tally = Tally.empty(self.router.num_experts)
        self.observed = torch.zeros_like(self.observed)
        self.unbiased_load = torch.zeros_like(self.unbiased_load)
        self.penalty = torch.zeros_like(self.penalty)
        self.passed_on = 0.0
