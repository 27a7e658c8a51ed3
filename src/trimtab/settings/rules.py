"""The balancing rules: what can be set in each, and on which routers it can work.

What a rule does with tensors is its behavior (:mod:`trimtab.moe.balancers.behaviors`); a rule of a user's own is a
behavior that is its own setting. Rules are named by their class in Python, and by ``key`` in a study file.

Units: a bias is in units of score; a loss is per layer, 1 at perfect balance before its coefficient (Megatron's
normalization), added over layers. Errors of load are relative, (mean − load) / mean.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping  # noqa: TC003 - annotations of settings are resolved
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal

from pydantic import Field

from trimtab.errors import ConfigurationError
from trimtab.settings.families import BatchRule, BiasRule, LossRule, Rule, refuse_other_choices, refuse_unsolvable
from trimtab.settings.modality_rules import ModalityLossFree as ModalityLossFree
from trimtab.settings.quantile_forms import KimiQuantileBalancing as KimiQuantileBalancing
from trimtab.settings.quantile_forms import MarinQuantileBalancing as MarinQuantileBalancing
from trimtab.settings.quantile_forms import MegatronQuantileBalancing as MegatronQuantileBalancing
from trimtab.settings.reading import Count, InnerShare, Positive, later, setting
from trimtab.settings.sequence_rules import CausalBias as CausalBias
from trimtab.settings.sequence_rules import MovingQuantileBalancing as MovingQuantileBalancing
from trimtab.settings.soft_rules import SMEBU as SMEBU
from trimtab.settings.soft_rules import SoftClippedBias as SoftClippedBias

if TYPE_CHECKING:
    from trimtab.settings.capacities import Capacity
    from trimtab.settings.shapes import RouterShape


@setting
class NoBalancer(LossRule):
    """No balancing: the control arm."""

    key: ClassVar[str] = "none"
    not_simulated: ClassVar[str] = ""


@setting
class LossFree(BiasRule):
    """ALF-LB (arXiv 2408.15664, Algorithm 1), with the step sizes of its theory (arXiv 2512.03915).

    With e = (mean − load) / mean, once a step: b ← b + u_n · sign(e) (``"sign"``), b + u_n · e (``"proportional"``: the
    gradient of the dual), or b + u_n · e / RMS(e) (``"rms"``, kexue.fm 10757). A bias can travel at most Σ u_n under
    ``"sign"``, so ``bias_update_rate`` × steps is the setting that counts in a short run.

    Assumes scores whose differences are large beside u: on softmax scores, a mean score 1/E below u brings a warning.

    Args:
        bias_update_rate: u, in units of score a step.
        update: What a step follows.
        schedule: u_n = u, u/√n or u/n at step n from 1.
        centered: Take the mean off each step (torchtitan), so that the biases keep their mean; changes no selection.
        clip: Largest absolute bias; None for no limit.
        freeze_at: Share of the run after which the bias rests, 0 to 1 (arXiv 2412.19437: its last 3 %).
        total_steps: Optimizer steps of the run, which ``freeze_at`` needs; a study and the simulator know theirs.

    Raises:
        ConfigurationError: A value cannot work.
    """

    bias_update_rate: Positive
    update: Literal["sign", "proportional", "rms"] = "sign"
    schedule: Literal["constant", "inv_sqrt", "inv"] = "constant"
    centered: bool = False
    clip: Positive | None = later(None)
    freeze_at: InnerShare | None = later(None)
    total_steps: Count | None = later(None)

    key: ClassVar[str] = "loss_free"
    aliases: ClassVar[tuple[str, ...]] = ("noaux_tc",)
    renamed: ClassVar[Mapping[str, str]] = {"rule": "update"}

    def check_together(self) -> None:
        """Refuse a length of the run that nothing asks for."""
        if self.total_steps is not None and self.freeze_at is None:
            raise self.refused(
                f"total_steps={self.total_steps!r} does nothing without freeze_at", hint="freeze_at is a share of it"
            )

    def for_run(self, steps: int) -> LossFree:
        """Return the rule with the length of the run, where ``freeze_at`` needs it."""
        return self if self.freeze_at is None or self.total_steps else dataclasses.replace(self, total_steps=steps)


@setting
class QuantileBalancing(BiasRule):
    """Quantile Balancing (Su 2026, kexue.fm 11619; Megatron-LM PR 5349): one coordinate step on the dual of ALF-LB.

    α_i = (K+1)-th largest of s_i + b, q_j = (⌊KT/E⌋+1)-th largest over tokens of s_ij + b_j − α_i, b ← b − q: had the
    other biases stayed, expert j would have got exactly its share. There is no step size.

    Margins are counted in a histogram that adds up over micro-batches and processes; the published forms, to the
    letter, are :mod:`~trimtab.settings.quantile_forms`.

    Assumes nothing of the scores' range. Refuses K = E (no expert is ever not chosen), group-limited routing (α_i is
    not the threshold there) and ``load_signal="kept"`` (it does not count calls).

    Args:
        ema: Share of the old bias that is kept, 0 ≤ ema < 1 (Megatron's option); 0 is the published rule.
        centered: Take the mean off the bias; changes no selection.

    Raises:
        ConfigurationError: ``ema`` is out of range.
    """

    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    centered: bool = True

    key: ClassVar[str] = "quantile"
    aliases: ClassVar[tuple[str, ...]] = ("quantile_balancing",)

    def check_fit(self, router: RouterShape, capacity: Capacity) -> None:
        """Refuse what the class docstring says."""
        refuse_unsolvable(self, router, capacity)


@setting
class NewtonBalancing(BiasRule):
    """Newton steps on the dual of the assignment, averaged over a memory that grows until the scores change.

    While the load is within its noise: b ← b − H⁺(A/T − K/E) / N, with N the steps since the last change, so that on a
    stationary stream the error of the bias falls as 1/√N (arXiv 2512.03915 for why 1/N). When a residual is too large
    for chance, by the bound of Laurent and Massart (2000, Eq. 4.3) on χ², over one step or over a window of them, N
    falls: to the window, or, for an error that a single batch shows, to 1 with one step to the quantile of margins that
    would have given each expert its share (Quantile Balancing's step, kexue.fm 11619). The longer the rule has been
    right, the more evidence it wants: a level of 1/eN.

    There is nothing to tune: scores of any range, runs of any length. It counts routed calls whatever the capacity. Its
    memory is 2E² + 8E + 4 numbers a layer. Refuses K = E and group-limited routing, where neither the margins nor the
    calls it counts are the ones that decide. It is a bias, so repeated tokens (T3) stay as indivisible as for any, and
    so do exact twins (T6) unless they are told apart by a dither.

    Args:
        dither: Up to how much is added to and taken from the scores that are compared, of each token by a fixed
            function of its own scores (:mod:`~trimtab.moe.balancers.dither`). 0 for none; 1e-3 shares tokens among
            experts with equal rows. A model trained with one chooses so only while it is attached.

    Raises:
        ConfigurationError: ``dither`` is negative or not finite.
    """

    dither: Annotated[float, Field(ge=0)] = later(0.0)

    key: ClassVar[str] = "newton"

    def check_fit(self, router: RouterShape, capacity: Capacity) -> None:  # noqa: ARG002 - it counts routed calls under any
        """Refuse what the class docstring says."""
        refuse_other_choices(self, router)


@setting
class BIP(BatchRule):
    """Balancing by binary integer programming (arXiv 2502.15451), the same assignment with ≤ for =.

    From the q of the step before, ``iterations`` times: p_i = max(0, (K+1)-th largest of s_i − q), q_j = max(0,
    (⌊KT/E⌋+1)-th largest over tokens of s_ij − p_i); then top-k of s − q routes this same batch. Balanced from the
    first step, but not causal: in training a token's experts depend on later tokens. In evaluation the last q is fixed.

    The state is −q, so that it adds like any bias; q of several micro-batches or processes is averaged by their tokens.
    Assumes scores that are not negative. Refuses K = E, group-limited routing and ``load_signal="kept"``.

    Args:
        iterations: Steps of the solver before each batch.

    Raises:
        ConfigurationError: ``iterations`` is not positive.
    """

    iterations: Count = 4

    key: ClassVar[str] = "bip"

    def check_fit(self, router: RouterShape, capacity: Capacity) -> None:
        """Refuse what the class docstring says."""
        refuse_unsolvable(self, router, capacity)


@setting
class Sinkhorn(BatchRule):
    """S-BASE (arXiv 2202.01169, section 3; Megatron's ``sinkhorn``): top-k of d₁ · exp(logits) · d₀.

    d₀ and d₁ make all rows sum to 1/T and all columns to 1/E; alternately, until no log of d₁ moves by more than
    ``tolerance``. In log space, so that large logits do not overflow. Not causal, and different in evaluation, where
    plain top-k routes: a known mismatch of the method. Weights come from the router's own scores, not from the plan.

    Refuses K = E, group-limited routing and ``load_signal="kept"``.

    Args:
        tolerance: When to stop.
        max_iterations: When to stop at the latest.

    Raises:
        ConfigurationError: A value is not positive.
    """

    tolerance: Positive = 1e-4
    max_iterations: Count = 100

    key: ClassVar[str] = "sinkhorn"

    def check_fit(self, router: RouterShape, capacity: Capacity) -> None:
        """Refuse what the class docstring says."""
        refuse_unsolvable(self, router, capacity)


@setting
class SwitchLoss(LossRule):
    """The auxiliary loss of Switch Transformers (arXiv 2101.03961, Eq. 4) for top-k, per layer, 1 at balance.

    coef · E · Σ_e f_e·P_e, with f_e the share of calls that went to e (counted, before drops) and P_e the mean score.
    Sigmoid scores are first divided by their sum over experts (arXiv 2412.19437, Eq. 19). Where a bias moves the
    selection (in a :class:`Stack`), ``count`` says what f counts.

    Args:
        coef: Coefficient α.
        scope: Whose calls f counts: each ``"sequence"`` for itself (then the mean over sequences), the ``"micro"``
            batch, or ``"global"``, the optimizer step so far over all micro-batches and processes (arXiv 2501.11873).
        count: Beside a bias, f is counted from the top-k of the ``"scores"`` without it (DeepSeek-V3, arXiv 2412.19437,
            Eq. 18) or from the ``"selection"`` with it, before drops and rerouting (Trinity, arXiv 2602.17004, Eq. 30).

    Raises:
        ConfigurationError: ``coef`` is not positive and finite, or the selection is to be counted over a whole step.
    """

    coef: Positive
    scope: Literal["sequence", "micro", "global"] = "global"
    count: Literal["scores", "selection"] = later("scores")

    key: ClassVar[str] = "switch"

    def check_together(self) -> None:
        """Refuse a count of the selection over a step, which no source defines."""
        if self.count == "selection" and self.scope == "global":
            raise self.refused(
                "count='selection' is defined for a sequence or a micro-batch, got scope='global'",
                hint="SwitchLoss(coef=1e-4, scope='sequence', count='selection')",
            )


@setting
class PooledSwitchLoss(LossRule):
    """The auxiliary loss of transformers (``load_balancing_loss_func``), for runs that are to be reproduced.

    coef · E · Σ_e f_e·P_e, with f (calls per token) and P (mean softmax score, of sigmoid routers too) taken over *all
    layers at once*: K at balance, and also K where collapsed layers cancel. Layers report their shares of the value one
    after the other; each gradient uses the f of the whole forward pass, which is known by the time of the backward one.

    Args:
        coef: transformers' ``router_aux_loss_coef``.
        times_accumulation: Give every micro-batch the whole coefficient, as transformers' Trainer 5.17 does, so that
            the strength grows with gradient accumulation (transformers issue 48690).

    Raises:
        ConfigurationError: ``coef`` is not positive and finite.
    """

    coef: Positive
    times_accumulation: bool = False

    key: ClassVar[str] = "pooled_switch"
    aliases: ClassVar[tuple[str, ...]] = ("hf_compat",)


@setting
class RouterZLoss(LossRule):
    """The router z-loss (arXiv 2202.08906, Eq. 5): coef · mean of logsumexp(logits)². Stability, not balance.

    Args:
        coef: Coefficient.
    """

    coef: Positive

    key: ClassVar[str] = "z_loss"


@setting
class SimBal(LossRule):
    """Similarity-preserving router balancing (arXiv 2506.14038): coef · ‖RᵀR − I‖₁, R [H, E] the router's weight.

    The sum of absolute entries. It is about the rows of the router and not about the load, so that its control of the
    load is weak, and its least value is not 1 but 0. Its gradient goes to the router's weight alone.

    Assumes the router's logits are hidden states times its weight. Refuses E > H, where no E rows are at right angles.

    Args:
        coef: Coefficient.

    Raises:
        ConfigurationError: ``coef`` is not positive and finite.
    """

    coef: Positive

    key: ClassVar[str] = "simbal"

    def check_fit(self, router: RouterShape, capacity: Capacity) -> None:  # noqa: ARG002 - capacity is nothing to it
        """Refuse more experts than hidden dimensions."""
        if router.num_experts > router.hidden_size:
            raise ConfigurationError(
                f"{router.name} has {router.num_experts} rows in {router.hidden_size} dimensions: they cannot all be"
                " at right angles",
                hint="SwitchLoss(...) or LossFree(...) ask nothing of the rows",
            )


@setting
class Stack(Rule):
    """One bias rule and any losses together, as DeepSeek-V3 does (arXiv 2412.19437, section 2.1.2).

    ``Stack(LossFree(...), SwitchLoss(...), ...)``; in a study file ``bias`` is a table and ``losses`` a list of tables.
    DeepSeek-V3 is ``Stack(LossFree(bias_update_rate=1e-3), SwitchLoss(coef=1e-4, scope="sequence"))``, Trinity Large
    ``Stack(SMEBU(), SwitchLoss(coef=1e-4, scope="sequence", count="selection"))``.

    Args:
        bias: The bias rule.
        losses: The losses.

    Raises:
        ConfigurationError: The first is no bias rule, another is no loss, or there is no loss.
    """

    bias: BiasRule
    losses: tuple[LossRule, ...]

    key: ClassVar[str] = "stack"
    not_simulated: ClassVar[str] = "adds losses to a bias rule, and frozen scores have no gradient"

    if TYPE_CHECKING:

        def __init__(self, bias: BiasRule, *losses: LossRule) -> None: ...

    @classmethod
    def by_position(cls, *parts: object) -> dict[str, object]:
        """Return the parts by name: the bias rule first, then the losses."""
        return {"bias": parts[0], "losses": parts[1:]}

    def check_together(self) -> None:
        """Refuse a stack of one."""
        if not self.losses:
            raise self.refused("takes losses after its bias rule", hint="Stack(LossFree(...), SwitchLoss(...))")

    def check_fit(self, router: RouterShape, capacity: Capacity) -> None:
        """Refuse what any part refuses."""
        for part in (self.bias, *self.losses):
            part.check_fit(router, capacity)

    def for_run(self, steps: int) -> Stack:
        """Return the stack for a run of ``steps`` optimizer steps."""
        bias = self.bias.for_run(steps)
        return self if bias is self.bias or not isinstance(bias, BiasRule) else Stack(bias, *self.losses)

    def __repr__(self) -> str:
        return f"Stack({', '.join(map(repr, (self.bias, *self.losses)))})"


RULES: Final[tuple[type[Rule], ...]] = (
    NoBalancer,
    LossFree,
    ModalityLossFree,
    SMEBU,
    SoftClippedBias,
    QuantileBalancing,
    MegatronQuantileBalancing,
    KimiQuantileBalancing,
    MarinQuantileBalancing,
    NewtonBalancing,
    MovingQuantileBalancing,
    CausalBias,
    BIP,
    Sinkhorn,
    SwitchLoss,
    PooledSwitchLoss,
    RouterZLoss,
    SimBal,
    Stack,
)
BY_KEY: Final[Mapping[str, type[Rule]]] = {name: rule for rule in RULES for name in (rule.key, *rule.aliases)}
BY_NAME: Final[Mapping[str, type[Rule]]] = {rule.__name__: rule for rule in RULES}
