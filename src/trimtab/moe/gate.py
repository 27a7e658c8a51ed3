"""The gate of one router: what happens between its decision and its experts.

Whatever its family, a router's decision is logits, weights and experts (:mod:`trimtab.moe.ports`); a gate returns the
last two with an added bias applied, calls without room at weight 0, and the gradient of the penalty attached to the
weights. The logits are left alone, because transformers records them.

Counts are plain tensors, never module buffers: DistributedDataParallel would overwrite those with rank 0's. A step is
counted in its first forward pass only; recomputation under activation checkpointing happens inside the backward pass,
and looks up what was decided.

Axes: T tokens, E experts, K experts a token.
"""

from __future__ import annotations

import copy
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed
from torch.utils._python_dispatch import _disable_current_modes, _get_current_dispatch_mode

from trimtab.errors import ConfigurationError, UnsupportedModelError
from trimtab.moe.balancer_state import BalancerState
from trimtab.moe.balancers import Context
from trimtab.moe.balancers.layer_pool import LayerPool
from trimtab.moe.capacity import renormalized
from trimtab.moe.injection import inject
from trimtab.moe.passes import Decision, in_backward
from trimtab.moe.placement import place
from trimtab.moe.routing import Routing
from trimtab.moe.tally import Tally, zeros

if TYPE_CHECKING:
    from torch import Tensor, nn

    from trimtab.moe.attachment import Attachment
    from trimtab.moe.masks import TextTokens
    from trimtab.moe.passes import ForwardPass
    from trimtab.moe.router import Router


class Gate(BalancerState):
    """State and hook of one router.

    A gate is copied with its model. Where only a part of a model is copied, its counts and passes stay behind: the copy
    of the gate is ``lost``, and refuses to decide.
    """

    lost = ""

    def __init__(self, router: Router, attachment: Attachment) -> None:
        super().__init__(router, attachment.balancer)
        self.attachment = attachment
        self.tally = Tally.empty(router.num_experts)
        self.unbiased_load = zeros(router.num_experts)
        self.penalty = torch.zeros(())
        self.measured: Tally | None = None
        self.passed_on = 0.0

    def __deepcopy__(self, memo: dict[int, Any]) -> Gate:
        """Copy the gate with its model; without its model, leave a gate that refuses."""
        other = type(self).__new__(type(self))
        memo[id(self)] = other
        if not self.lost and any(id(root) in memo for root in self.attachment.roots):
            other.__dict__ = copy.deepcopy(self.__dict__, memo)
        else:
            other.lost = self.lost or self.router.name
        return other

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def before(self, _module: nn.Module, _args: Any) -> None:  # noqa: ANN401 - a forward pre-hook
        """Forward pre-hook of the module that holds the bias: it is the one held here, in float32."""
        if not self.lost:
            self.restore_bias()

    def decide(self, logits_TE: Tensor, weights_TK: Tensor, experts_TK: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weights and experts [T, K] that the model goes on with, given its logits [T, E] and its own."""
        # Selective checkpointing replays what it saw by the order of operations, and a recomputation, which looks up
        # what was decided, has fewer of them than its forward pass.
        hidden = nullcontext() if _get_current_dispatch_mode() is None else _disable_current_modes()
        with hidden:
            return self._decide(logits_TE, weights_TK, experts_TK)

    def _decide(self, logits_TE: Tensor, weights_TK: Tensor, experts_TK: Tensor) -> tuple[Tensor, Tensor]:
        if self.lost:
            raise ConfigurationError(
                f"{self.lost} was copied out of an attached model, and its gate stayed there",
                hint="copy a model as a whole, or detach() first; attach(...) to what holds the copy. PEFT copies what"
                " modules_to_save names: attach after get_peft_model",
            )
        if experts_TK.shape[-1] != self.router.num_experts_per_tok:
            raise ConfigurationError(
                f"{self.router.name} chose {experts_TK.shape[-1]} experts a token, and"
                f" {self.router.num_experts_per_tok} when it was attached to",
                hint="detach(), set it, and attach(...) again; gates.state_dict() keeps the biases",
            )
        current, decision = self.attachment.passes.find(self.router.layer, logits_TE)
        context = self._context(current, logits_TE)
        routing = Routing(
            logits=logits_TE,
            experts=experts_TK,
            weights=weights_TK,
            score_function=self.router.score_function,
            valid=context.valid,
        )
        if self._reselects(current):
            routing = self._select(routing, context)
        if decision is not None:
            routing = self._again(routing, decision)
        else:
            routing = self._routed(routing, current)
            routing = self._place(routing, current, context)
            decision = self._count(routing, current, context) if current.counted else None
        weights_TK = self._served(routing)
        if current.counted and not current.replayed and self.attachment.balancer.has_penalty:
            load_so_far = None if decision is None else decision.load_so_far
            weights_TK = self._penalize(
                routing, weights_TK, replace(context, load_so_far=load_so_far, pool=current.pool)
            )
        return weights_TK, routing.experts

    def _context(self, current: ForwardPass, logits_TE: Tensor) -> Context:
        balancer, capacity, text = self.attachment.balancer, self.attachment.capacity, current.text
        read = balancer.has_penalty or balancer.reads_sequences or capacity.scope == "sequence"
        here = text.rows * text.columns == len(logits_TE)
        if balancer.reads_sequences:
            self._refuse_parts(text, here=here)
        sequence = text.sequence if read and here else None
        image = self.attachment.passes.note_images(current) if balancer.reads_modality else None
        if image is not None and len(image) != len(logits_TE):
            raise ConfigurationError(
                f"{self.router.name} sees {len(logits_TE)} tokens, and the model was called with {len(image)} ids:"
                " which of its tokens are images is not known",
                hint="LossFree(...) has one bias for all",
            )
        return Context(
            training=current.training,
            num_experts_per_tok=self.router.num_experts_per_tok,
            score_function=self.router.score_function,
            logits=logits_TE,
            valid=text.valid if here else None,
            sequence=None if sequence is None else sequence.to(logits_TE.device, non_blocking=True),
            sizes=None if sequence is None else text.sizes(by_sequence=True),
            image=image,
            load_signal=capacity.load_signal,
            router_weight=self.router.weight if balancer.has_penalty else None,
            accumulation=self.attachment.accumulation,
        )

    def _refuse_parts(self, text: TextTokens, *, here: bool) -> None:
        """Refuse tokens that are not whole sequences, for a rule that reads them from their start.

        Raises:
            ConfigurationError: Earlier tokens lie in a cache, or it is not known which token is of which sequence.
        """
        if text.past or not here:
            reason = (
                f"{text.past} earlier tokens lie in a cache" if text.past else "its tokens are not those of the call"
            )
            raise ConfigurationError(
                f"{self.router.name}: {self.attachment.balancer!r} reads sequences from their start, and {reason}",
                hint="call the model with use_cache=False",
            )

    def _reselects(self, current: ForwardPass) -> bool:
        """Tell whether the router itself does not choose as the balancer wants: it lacks a bias, or sees no batch."""
        balancer = self.attachment.balancer
        alone = self.router.native_bias and balancer.adds_only_bias
        return (balancer.has_bias and not alone) or (current.training and not balancer.causal)

    def _select(self, routing: Routing, context: Context) -> Routing:
        """Choose with the bias, weigh without it (arXiv 2408.15664, Eq. 3)."""
        router, balancer, state = self.router, self.attachment.balancer, self.state
        scores_TE = routing.scores
        biased_TE = balancer.select(scores_TE.detach(), state.to(scores_TE.device), context)
        allowed_TE = biased_TE if router.groups is None else router.groups.limit(biased_TE)
        experts_TK = allowed_TE.topk(router.num_experts_per_tok, dim=-1).indices
        weights_TK = router.weights_of(scores_TE, experts_TK).to(routing.weights.dtype)
        # At rest the router's own decision stands, to the last bit; a GPU is not waited for to know it.
        rests_T = (biased_TE == scores_TE).all(-1, keepdim=True)
        return routing.changed(
            experts=torch.where(rests_T, routing.experts, experts_TK),
            weights=torch.where(rests_T, routing.weights, weights_TK),
        )

    def _routed(self, routing: Routing, current: ForwardPass) -> Routing:
        """Put the experts of recorded routes in place of those chosen, where some are replayed; note what is chosen."""
        attachment = self.attachment
        if in_backward() or (attachment.replay is None and attachment.recorder is None):
            return routing
        if attachment.passes.current is None:
            raise ConfigurationError(
                f"{self.router.name} is called by itself, and routes are those of a forward pass of the model",
                hint="call the model inside of record() and replay(...)",
            )
        if attachment.replay is not None:
            current.replayed = True
            routing = self._with(routing, attachment.replay.choose(self.router, current.text, routing.experts))
        if attachment.recorder is not None:
            attachment.recorder.note(self.router, current.text, routing.experts)
        return routing

    def _with(self, routing: Routing, experts_TK: Tensor) -> Routing:
        """Return the routing with these experts, weighed as the router weighs; to the last bit where it chose them."""
        same_T = (routing.experts == experts_TK).all(1, keepdim=True)
        if bool(same_T.all()):
            return routing
        if self.router.formula is None:
            raise UnsupportedModelError(
                f"{self.router.name} weighs its experts in a way of its own, and chose others than were recorded for"
                f" {int((~same_T).sum())} of {len(same_T)} tokens: what they would weigh is not defined",
                hint="routes of such a model are replayed in evaluation, where it draws nothing",
            )
        weights_TK = torch.where(same_T, routing.weights, self._weights(routing, experts_TK))
        return routing.changed(experts=experts_TK, weights=weights_TK)

    def _preferences(self, scores_TE: Tensor, context: Context) -> Tensor:
        """Return the scores [T, E] that decided, whoever chose: −∞ outside a token's groups."""
        balancer, state = self.attachment.balancer, self.state.to(scores_TE.device)
        biased_TE = balancer.select(scores_TE, state, context)
        if self.router.native_bias and not balancer.has_bias and balancer.causal:
            biased_TE = biased_TE + state[: self.router.num_experts]
        return biased_TE if self.router.groups is None else self.router.groups.limit(biased_TE)

    def _place(self, routing: Routing, current: ForwardPass, context: Context) -> Routing:
        """Find room for the calls, or drop them; count them where they are measured."""
        limits = self.attachment.capacity
        factor = limits.factor if current.training else self.attachment.eval_factor
        rooms = None
        here = current.text.rows * current.text.columns == len(routing.experts)
        if factor is None and routing.valid is None:
            placed = routing  # everybody has room
        else:
            detached = routing.detached()
            placed, rooms = place(
                detached,
                limits,
                factor,
                context.sequence,
                choice=lambda: self._preferences(detached.scores, context),
                seed=(limits.seed, current.step, current.ordinal, self.router.layer),
                sizes=current.text.sizes(by_sequence=limits.scope == "sequence") if here else None,
            )
        tally = self.tally if current.counted else None if current.training else self.measured
        if current.counted and current.replayed:
            tally = None
        unread = self._unread(current, len(routing.experts))
        if tally is not None:
            tokens = current.text.count if here else len(routing.experts)
            tally.add(placed, rooms, tokens=tokens, reroute=limits.reroute, unread=bool(unread))
        if placed.demanded is None:
            return routing if placed.kept is None else routing.changed(kept=placed.kept)
        return routing.changed(
            experts=placed.experts,
            weights=self._weights(routing, placed.experts),
            kept=placed.kept,
            demanded=placed.demanded,
        )

    def _unread(self, current: ForwardPass, tokens: int) -> str:
        """Say why it is not known which tokens are padding; empty where it is."""
        text = current.text
        reason = text.unread
        if text.valid is not None and len(text.valid) != tokens:
            reason = f"a mask of {len(text.valid)} tokens, where {self.router.name} sees {tokens}"
        if reason:
            self.attachment.passes.say_once(
                f"{reason} does not say which tokens are padding: all are counted, balanced and given room as text."
                " Pass attention_mask as [batch, tokens] for counts without padding"
            )
        return reason

    def _again(self, routing: Routing, decision: Decision) -> Routing:
        """Decide in a recomputation as in the forward pass, even where its logits chose otherwise by a hair."""
        if decision.demanded is None:
            routing = self._with(routing, decision.experts)
        else:
            routing = routing.changed(experts=decision.experts, weights=self._weights(routing, decision.experts))
        return routing.changed(kept=decision.kept, demanded=decision.demanded)

    def _weights(self, routing: Routing, experts_TK: Tensor) -> Tensor:
        return self.router.weights_of(routing.scores, experts_TK).to(routing.weights.dtype)

    def _served(self, routing: Routing) -> Tensor:
        """Return the weights [T, K], 0 where a call found no room."""
        if routing.kept is None:
            return routing.weights
        if self.attachment.capacity.renormalize:
            return renormalized(routing.weights, routing.kept)
        return routing.weights.masked_fill(~routing.kept, 0)

    def _count(self, routing: Routing, current: ForwardPass, context: Context) -> Decision:
        balancer = self.attachment.balancer
        # Without a graph: checkpointing wants the same tensors saved for backward when this does not run again.
        routing = routing.detached()
        counts = not current.replayed
        if counts:
            seen = balancer.observe(routing, self.state, context)
            self.observed = self.observed.to(seen.device) + seen
        if counts and balancer.pools:
            if current.pool is None:
                current.pool = LayerPool(routing.num_experts)
            current.pool.add(self._unbiased(routing))
        decision = Decision(
            tokens=len(routing.logits),
            fingerprint=routing.logits.sum(0),
            experts=routing.experts,
            demanded=routing.demanded,
            kept=routing.kept,
            load_so_far=self._load_so_far(routing) if counts and balancer.counts_step else None,
        )
        current.decisions.setdefault(self.router.layer, []).append(decision)
        return decision

    def _load_so_far(self, routing: Routing) -> Tensor:
        """Calls of the step up to this micro-batch, over all processes, as the losses see them (without a bias)."""
        counts = self._unbiased(routing).load
        if self.attachment.synchronize and distributed.is_initialized():
            counts = counts.clone()
            distributed.all_reduce(counts)
        self.unbiased_load = self.unbiased_load.to(counts.device) + counts
        return self.unbiased_load

    def _unbiased(self, routing: Routing) -> Routing:
        """Return the routing as losses count it: the top-k of scores without bias (arXiv 2412.19437, Eq. 18)."""
        if not self.attachment.balancer.has_bias:
            return routing
        # From detached scores: checkpointing wants the same tensors saved for backward when this runs a second time.
        experts_TK = self.router.choose(routing.detached().scores)
        return routing.changed(experts=experts_TK, kept=None, demanded=None)

    def _penalize(self, routing: Routing, weights_TK: Tensor, context: Context) -> Tensor:
        """Return the weights [T, K] through which the gradient of the penalty enters."""
        if self.attachment.balancer.has_bias:
            chosen = routing.experts if routing.demanded is None else routing.demanded
            context = replace(context, selection=chosen)
        value = self.attachment.balancer.penalty(self._unbiased(routing), context)
        share = 1.0 / self.attachment.accumulation
        if not in_backward():
            self.penalty = self.penalty.to(value.device) + value.detach() * share
        if not (value.requires_grad and weights_TK.requires_grad):
            return weights_TK
        return inject(weights_TK, value, share * self.attachment.loss_scale, partial(self._note, share))

    def _note(self, share: float) -> None:
        self.passed_on += share

    def finish_step(self) -> None:
        """Forget the counts of the step."""
        self.tally = Tally.empty(self.router.num_experts)
        self.observed = torch.zeros_like(self.observed)
        if self.attachment.balancer.has_penalty:
            self.unbiased_load = zeros(self.router.num_experts)
            self.penalty = torch.zeros_like(self.penalty)
            self.passed_on = 0.0
