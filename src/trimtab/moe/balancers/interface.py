"""What every balancer can do, and the two families of the research question.

:class:`BiasBalancer` (ALF-LB and kin) adds a bias to the scores that top-k sees, and has no loss. :class:`LossBalancer`
(Switch and kin) has a loss, and no bias. :class:`~trimtab.moe.balancers.Stack` puts one bias and any losses together
(DeepSeek-V3).

Axes: T tokens, E experts, K experts a token. A state is [S] with the bias [E] in front: a rule that remembers more than
a bias keeps it behind. ``select`` and ``update`` work on the last axes, and ``observe`` of a :class:`BiasBalancer` too,
so that a simulator may put others before them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, final

import torch

from trimtab.settings.families import BatchRule, BiasRule, LossRule, Rule
from trimtab.settings.shapes import RouterShape

if TYPE_CHECKING:
    from torch import Tensor

    from trimtab.moe.balancers.layer_pool import LayerPool
    from trimtab.moe.router import Router
    from trimtab.moe.routing import Routing, ScoreFunction
    from trimtab.settings.capacities import Capacity, LoadSignal


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ranked:
    """What top-k saw of a batch.

    Args:
        selected: [..., T, E] what ``select`` returned.
        values, experts: [..., T, K + 1] its largest and whose they are, largest first.
    """

    selected: Tensor
    values: Tensor
    experts: Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Context:
    """What surrounds a routing.

    Args:
        training: Whether this is a training step.
        num_experts_per_tok: K.
        score_function: How scores come from logits.
        logits: [T, E] of the router, for rules that rank them and not the scores.
        valid: [T] whether a token is text; None when all are.
        load_so_far: [E] calls of this optimizer step up to and with this micro-batch, over all processes, by the top-k
            of scores without a bias; None when they are those of this micro-batch.
        sequence: [T] number of the sequence of each token, from 0; None when there is one sequence.
        sizes: Tokens of text in each sequence, where the gate knows them without reading them from the device.
        image: [T] whether a token is one of an image; None when all are text, or no rule asks.
        selection: [T, K] experts that a bias chose, before rerouting, for penalties; None when the routing has them.
        load_signal: Which calls count as load.
        router_weight: [E, H] the rows of the router.
        accumulation: Micro-batches of an optimizer step.
        pool: The layers of this forward pass up to and with this one; only for rules that pool them.
        ranked: What top-k saw, for ``observe``, where it is at hand; None when a rule that needs it is to rank itself.
        notes: What a rule found in ``select`` and need not find again in ``observe``, by rule.
    """

    training: bool
    num_experts_per_tok: int
    score_function: ScoreFunction
    logits: Tensor | None = None
    valid: Tensor | None = None
    load_so_far: Tensor | None = None
    sequence: Tensor | None = None
    sizes: tuple[int, ...] | None = None
    image: Tensor | None = None
    selection: Tensor | None = None
    load_signal: LoadSignal = "routed"
    router_weight: Tensor | None = None
    accumulation: int = 1
    pool: LayerPool | None = None
    ranked: Ranked | None = None
    notes: dict[Balancer, tuple[Tensor, ...]] = field(default_factory=dict)


def shape_of(router: Router) -> RouterShape:
    """Return what of ``router`` decides whether a setting can work on it."""
    return RouterShape(
        name=router.name,
        num_experts=router.num_experts,
        num_experts_per_tok=router.num_experts_per_tok,
        hidden_size=router.weight.shape[1],
        renormalize=bool(router.renormalize),
        groups=None if router.groups is None else (router.groups.chosen, router.groups.count),
    )


class Balancer(Rule, ABC):
    """What a rule does; a subclass of a user's own goes to ``attach`` as it is.

    The rules of :mod:`trimtab.settings.rules` keep what is set in ``settings``; a rule of a user's own is its own
    setting. A balancer equals another with the same settings, and equals these settings.

    ``has_bias`` and ``has_penalty`` say which acts are not the identity, so that a gate can skip them. ``causal`` says
    that, given the state, later tokens of a batch do not change which experts earlier ones get; ``pools`` that a
    penalty is about all layers together; ``cuts_matter`` that what is observed of the same tokens depends on how they
    are cut into micro-batches and processes; ``reads_sequences`` that ``select`` needs whole sequences from their
    start; ``reads_modality`` that it needs to know which tokens are images; ``plain_at_rest`` that with no bias learned
    the selection is that of plain top-k.
    """

    __slots__ = ()
    has_bias: ClassVar[bool] = False
    has_penalty: ClassVar[bool] = False
    causal: ClassVar[bool] = True
    pools: ClassVar[bool] = False
    cuts_matter: ClassVar[bool] = False
    reads_sequences: ClassVar[bool] = False
    reads_modality: ClassVar[bool] = False
    plain_at_rest: ClassVar[bool] = True

    @property
    def adds_only_bias(self) -> bool:
        """Whether, but for what a rule solves for in training, a router that adds the bias itself chooses the same."""
        return True

    @property
    def counts_step(self) -> bool:
        """Whether a penalty reads ``load_so_far``, which costs one reduction over processes a layer and micro-batch."""
        return False

    @property
    def in_cells(self) -> bool:
        """Whether ``update`` takes leading axes as cells of their own, so that layers can learn in one call."""
        return self.settings is not self

    @property
    def settings(self) -> Rule:
        """What is set, without what it does."""
        return self

    def __eq__(self, other: object) -> bool:
        if self.settings is self:
            return self is other
        return self.settings == (other.settings if isinstance(other, Balancer) else other)

    def __hash__(self) -> int:
        return object.__hash__(self) if self.settings is self else hash(self.settings)

    def __repr__(self) -> str:
        return object.__repr__(self) if self.settings is self else repr(self.settings)

    def check(self, router: Router, capacity: Capacity) -> None:
        """Refuse a router or capacity that the rule cannot work with.

        Raises:
            ConfigurationError: With the reason and the way out.
        """
        if self.settings is not self:
            self.settings.check_fit(shape_of(router), capacity)

    def initial(self, num_experts: int) -> Tensor:
        """Return the state [S] before the first step, float32; the bias [E] comes first."""
        return torch.zeros(num_experts)

    def nothing(self, num_experts: int) -> Tensor:
        """Return what :meth:`observe` returns for no tokens at all."""
        return torch.zeros(num_experts, dtype=torch.int64)

    @abstractmethod
    def select(self, scores: Tensor, state: Tensor, context: Context) -> Tensor:
        """Return the scores [T, E] that top-k sees; weights always come from ``scores``."""

    @abstractmethod
    def penalty(self, routing: Routing, context: Context) -> Tensor:
        """Return the loss of this layer and micro-batch, coefficient included: a scalar with a gradient to logits."""

    def observe(self, routing: Routing, state: Tensor, context: Context) -> Tensor:  # noqa: ARG002 - some read it
        """Return what :meth:`update` learns from; the gate adds it up over micro-batches, then processes."""
        return routing.kept_load if context.load_signal == "kept" else routing.load

    @abstractmethod
    def update(self, state: Tensor, observed: Tensor, step: int) -> Tensor:
        """Return the state after optimizer step ``step`` (from 1)."""

    def resting(self, step: int) -> bool:  # noqa: ARG002 - most rules never rest
        """Tell whether the rule means to leave its state alone at ``step``."""
        return not self.has_bias


class BiasBalancer(Balancer, BiasRule):
    """A rule that acts through a bias on the selection alone (arXiv 2408.15664, Eq. 3): no gradient is disturbed."""

    __slots__ = ()
    has_bias: ClassVar[bool] = True

    def select(self, scores: Tensor, state: Tensor, context: Context) -> Tensor:  # noqa: ARG002 - one bias for all
        """Add the bias."""
        return scores + state[..., : scores.shape[-1]]

    @final
    def penalty(self, routing: Routing, context: Context) -> Tensor:  # noqa: ARG002 - the family has none
        """Return 0."""
        return routing.logits.new_zeros(())


class LossBalancer(Balancer, LossRule):
    """A rule that acts through the gradient alone; selection is plain top-k."""

    __slots__ = ()
    has_penalty: ClassVar[bool] = True

    @final
    def select(self, scores: Tensor, state: Tensor, context: Context) -> Tensor:  # noqa: ARG002 - the family has no bias
        """Return the scores as they are."""
        return scores

    @final
    def update(self, state: Tensor, observed: Tensor, step: int) -> Tensor:  # noqa: ARG002 - nothing is learned
        """Return the state as it is."""
        return state


class BatchBalancer(Balancer, BatchRule):
    """A rule that solves for a whole batch before it chooses: balanced at once, and not causal (arXiv 2408.15664, 5.2).

    It has no loss, and in evaluation it is plain top-k of the scores with what bias it has.
    """

    __slots__ = ()
    causal: ClassVar[bool] = False

    @final
    def penalty(self, routing: Routing, context: Context) -> Tensor:  # noqa: ARG002 - the family has none
        """Return 0."""
        return routing.logits.new_zeros(())
