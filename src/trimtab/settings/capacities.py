"""Capacity: how much room an expert has and who gets it; what that means is in :mod:`trimtab.moe.capacity`."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from trimtab.errors import ConfigurationError, SettingError
from trimtab.settings.reading import Count, NotNegative, Positive, Setting, later, setting

DropPolicy = Literal["probs", "position", "random", "batch_priority"]
LoadSignal = Literal["routed", "kept"]
CapacityScope = Literal["batch", "sequence"]


@setting
class Capacity(Setting):
    """Room of an expert, and who gets it.

    Args:
        factor: Capacity factor C in training; None is dropless.
        eval_factor: The same in evaluation.
        drop_policy: Whose calls come first. ``"probs"``: those of largest weight (Megatron). ``"position"``: the first
            in the order of the batch, row after row. ``"random"``: a seeded draw that leaves the global random state
            alone. ``"batch_priority"``: all first choices before all second ones, each in the order of the token's
            largest weight (V-MoE, arXiv 2106.05974).
        load_signal: What a balancer counts: calls ``"routed"`` (before drops and rerouting) or ``"kept"``.
        min_capacity: Least slots of an expert.
        scope: Among whose calls there is competition, and whose tokens T counts: the whole ``"batch"`` of a forward
            pass, or each ``"sequence"`` for itself.
        tokens: Count this many tokens as T, whatever the batch: a fixed room.
        reroute: Offer a call without room to the token's next best expert that has not turned it down yet, until one
            has room or, by ``drop_policy``, makes room for it.
        renormalize: Give the weight of a token's dropped calls to those it keeps, in proportion.
        seed: Of the random policy.

    Raises:
        ConfigurationError: A factor is not positive and finite, a name is unknown, or a number is negative.
    """

    factor: Positive | None = None
    eval_factor: Positive | None = later(None)
    drop_policy: DropPolicy = "probs"
    load_signal: LoadSignal = "routed"
    min_capacity: NotNegative = later(1)
    scope: CapacityScope = later("batch")
    tokens: Count | None = later(None)
    reroute: bool = later(default=False)
    renormalize: bool = later(default=False)
    seed: int = later(0)

    hints: ClassVar[dict[str, str]] = {
        "factor": "None means dropless",
        "eval_factor": "None means dropless",
        "tokens": "None counts the tokens there are",
    }

    @property
    def prefix_stable(self) -> bool:
        """Whether no later token and no other sequence changes what happens to a call: served in order, fixed room."""
        return self.drop_policy == "position" and self.scope == "sequence" and self.tokens is not None

    @property
    def idle(self) -> bool:
        """Whether it sets what only a limit would use, and there is no limit."""
        unlimited = self.factor is None and self.eval_factor is None
        return unlimited and self != Capacity(load_signal=self.load_signal)


def check_factor(factor: Any, where: str) -> None:  # noqa: ANN401 - whatever was given
    """Refuse a capacity factor nobody fits in.

    Raises:
        ConfigurationError: ``factor`` is neither None nor positive and finite.
    """
    try:
        Capacity(factor=factor)
    except SettingError as refusal:
        raise ConfigurationError(f"{where}: {refusal.sentence}", hint=refusal.hint) from refusal
