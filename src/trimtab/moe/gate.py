"""The gate of one router: what happens between its decision and its experts.

Whatever its family, a router's decision is logits, weights and experts (:mod:`trimtab.moe.ports`); a gate returns the
last two with an added bias applied, calls without room at weight 0, and the gradient of the penalty attached to the
weights. The logits are left alone, because transformers records them.

Counts are plain tensors, never module buffers: DistributedDataParallel would overwrite those with rank 0's. A step is
counted in its first forward pass only; recomputation under activation checkpointing happens inside the backward pass,
and looks up what was decided.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed

from trimtab.moe import capacity as capacities
from trimtab.moe.balancers import Context
from trimtab.moe.router import BIAS_NAME, BiasPlace
from trimtab.moe.routing import Routing, expected_drops, scores_of

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
    kept: Tensor | None
    load_so_far: Tensor


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


@dataclass(slots=True)
class Tally:
    """Calls counted over some passes: ``routed`` and ``kept`` [E], tokens, drops expected of a uniform router."""

    routed: Tensor
    kept: Tensor
    tokens: int = 0
    expected_drops: float = 0.0

    @classmethod
    def empty(cls, num_experts: int) -> Tally:
        """Return a tally of nothing."""
        return cls(torch.zeros(num_experts, dtype=torch.int64), torch.zeros(num_experts, dtype=torch.int64))

    def add(self, routing: Routing, tokens: int, room: int | None) -> None:
        """Count a routing."""
        self.routed = self.routed + routing.load.to(self.routed.device)
        self.kept = self.kept + routing.kept_load.to(self.kept.device)
        self.tokens += tokens
        self.expected_drops += expected_drops(tokens, routing.num_experts, routing.num_experts_per_tok, room)


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
        """Let the balancer learn from what was observed since the last step."""
        self.restore_bias()
        balancer = self.settings.balancer
        if self.bias is None or not balancer.has_bias or self.rests:
            return
        after = balancer.update(self.state, self.observed.to(self.bias.device), step)
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
        current, decision = self.settings.passes.find(self.router.layer, logits)
        valid = current.valid if current.valid is not None and len(current.valid) == len(logits) else None
        if self.settings.balancer.has_bias and not self.router.native_bias:
            weights, experts = self._select(logits, (weights, experts), self._context(current, valid))
        routing = self._limit(logits, (weights, experts, valid), current, decision)
        if decision is None:
            decision = self._count(routing, current)
        if routing.kept is not None:
            weights = weights.masked_fill(~routing.kept, 0)
        if current.counted and self.settings.balancer.has_penalty:
            weights = self._penalize(routing, weights, current, decision)
        return weights, experts

    def _context(self, current: ForwardPass, valid: Tensor | None, load_so_far: Tensor | None = None) -> Context:
        return Context(
            training=current.training,
            num_experts_per_tok=self.router.num_experts_per_tok,
            score_function=self.router.score_function,
            valid=valid,
            load_so_far=load_so_far,
            load_signal=self.settings.capacity.load_signal,
            router_weight=self.router.weight,
            accumulation=self.settings.accumulation,
        )

    def _select(self, logits: Tensor, own: tuple[Tensor, Tensor], context: Context) -> tuple[Tensor, Tensor]:
        """Choose with the bias, weigh without it (arXiv 2408.15664, Eq. 3)."""
        scores = scores_of(logits, self.router.score_function)
        chosen = self.settings.balancer.select(scores.detach(), self.state.to(scores.device), context)
        if torch.equal(chosen, scores):
            return own  # at rest, to the last bit
        experts = self.router.choose(chosen)
        return self.router.weights_of(scores, experts).to(own[0].dtype), experts

    def _limit(
        self,
        logits: Tensor,
        chosen: tuple[Tensor, Tensor, Tensor | None],
        current: ForwardPass,
        decision: Decision | None,
    ) -> Routing:
        weights, experts, valid = chosen
        kept = decision.kept if decision is not None else self._keep(weights, experts, valid, current)
        return Routing(
            logits=logits,
            experts=experts,
            weights=weights,
            score_function=self.router.score_function,
            kept=kept,
            valid=valid,
        )

    def _room(self, current: ForwardPass, tokens: int) -> int | None:
        limits = self.settings.capacity
        return capacities.room(
            limits.factor if current.training else self.settings.eval_factor,
            tokens=tokens,
            num_experts=self.router.num_experts,
            num_experts_per_tok=self.router.num_experts_per_tok,
            min_capacity=limits.min_capacity,
        )

    def _keep(self, weights: Tensor, experts: Tensor, valid: Tensor | None, current: ForwardPass) -> Tensor | None:
        tokens = len(experts) if valid is None else current.tokens
        slots, limits = self._room(current, tokens), self.settings.capacity
        generator = None
        if slots is not None and limits.drop_policy == "random":
            generator = torch.Generator().manual_seed(self._drop_seed(current))
        with torch.no_grad():
            return capacities.keep(
                experts, weights, valid, slots=slots, drop_policy=limits.drop_policy, generator=generator
            )

    def _drop_seed(self, current: ForwardPass) -> int:
        """Return a seed of this layer and pass, so that a resumed run drops the same calls."""
        parts = (self.settings.capacity.seed, current.step, current.ordinal, self.router.layer)
        return hash(parts) % 2**63  # a tuple of integers hashes the same in every process

    def _count(self, routing: Routing, current: ForwardPass) -> Decision | None:
        tokens = len(routing.experts) if routing.valid is None else current.tokens
        if not current.training and self.measured is not None:
            self.measured.add(routing, tokens, self._room(current, tokens))
        if not current.counted:
            return None
        self.tally.add(routing, tokens, self._room(current, tokens))
        context = self._context(current, routing.valid)
        seen = self.settings.balancer.observe(routing, self.state, context)
        self.observed = self.observed + seen.to(self.observed.device)
        decision = Decision(
            tokens=len(routing.logits),
            fingerprint=routing.logits.detach().sum(0),
            kept=routing.kept,
            load_so_far=self._load_so_far(routing),
        )
        current.decisions[self.router.layer] = decision
        return decision

    def _load_so_far(self, routing: Routing) -> Tensor:
        """Calls of the step up to this micro-batch, over all processes, as the losses see them (without a bias)."""
        balancer = self.settings.balancer
        if not balancer.has_penalty:
            return self.tally.routed
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
        return Routing(
            logits=routing.logits,
            experts=scores.topk(routing.num_experts_per_tok, dim=-1).indices,
            weights=routing.weights,
            score_function=routing.score_function,
            valid=routing.valid,
        )

    def _penalize(self, routing: Routing, weights: Tensor, current: ForwardPass, decision: Decision | None) -> Tensor:
        so_far = self.tally.routed if decision is None else decision.load_so_far
        context = self._context(current, routing.valid, so_far)
        if current.rows * current.columns == len(weights):
            context = replace(context, sequence=current.sequence.to(weights.device))
        value = self.settings.balancer.penalty(self._unbiased(routing), context)
        share = 1.0 / self.settings.accumulation
        if not in_backward():
            self.penalty = self.penalty.to(value.device) + value.detach() * share
        if not (value.requires_grad and weights.requires_grad):
            return weights
        attached: Tensor = _AttachLoss.apply(weights, value, share * self.settings.loss_scale)
        return attached

    def finish_step(self) -> None:
        """Forget the counts of the step."""
        self.tally = Tally.empty(self.router.num_experts)
        self.observed = torch.zeros_like(self.observed)
        self.unbiased_load = torch.zeros_like(self.unbiased_load)
        self.penalty = torch.zeros_like(self.penalty)


class _AttachLoss(torch.autograd.Function):
    """The identity on ``weights`` that adds ``scale`` · ``loss`` to whatever is being minimized."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, loss: Tensor, scale: float) -> Tensor:  # noqa: ANN401
        ctx.scale, ctx.loss = scale, (loss.dtype, loss.device)
        return weights.view_as(weights)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:  # noqa: ANN401
        dtype, device = ctx.loss
        return grad, torch.full((), ctx.scale, dtype=dtype, device=device), None
