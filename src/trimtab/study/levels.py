"""What the names in a study file mean: one frozen table a factor, in plain values.

They say what :mod:`trimtab.study.run` will build, without importing what it is built with, so that a study can be read,
planned and reported where there is no torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from trimtab.errors import StudyError, nearest
from trimtab.study.decode import ADDED_LATER, decode


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLevel:
    """``[models.NAME]``: a preset of :mod:`trimtab.lm.models` and its dimensions."""

    preset: Literal["sigmoid", "softmax"] = "sigmoid"
    hidden_size: int = 128
    num_hidden_layers: int = 4
    num_attention_heads: int = 4
    intermediate_size: int = 256
    moe_intermediate_size: int = 128
    num_experts: int = 8
    num_experts_per_tok: int = 2
    initializer_range: float = 0.02
    feed_forward: Literal["experts", "none"] = "experts"

    def check(self, where: str) -> None:
        """Refuse impossible dimensions."""
        for name in (
            "hidden_size",
            "num_attention_heads",
            "intermediate_size",
            "moe_intermediate_size",
            "initializer_range",
        ):
            _positive(getattr(self, name), f"{where}.{name}")
        if self.num_hidden_layers < 2:
            raise StudyError(
                f"{where}.num_hidden_layers: {self.num_hidden_layers} leaves no expert layer after layer 0"
            )
        if self.hidden_size % (2 * self.num_attention_heads):
            raise StudyError(
                f"{where}.hidden_size: {self.hidden_size} is not an even multiple of {self.num_attention_heads} heads"
            )
        if not 1 <= self.num_experts_per_tok <= self.num_experts:
            raise StudyError(
                f"{where}.num_experts_per_tok: {self.num_experts_per_tok} is not between 1 and"
                f" num_experts = {self.num_experts}"
            )
        if self.num_experts_per_tok == 1:
            raise StudyError(
                f"{where}.num_experts_per_tok: with 1 expert a token the renormalized weight is always 1,"
                " so the router gets no gradient",
                hint="use at least 2; these presets renormalize",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainInit:
    """A fresh model as it is, identical experts, a dead one, or branches scaled by 1/√L: nothing to set."""

    kind: Literal["random", "identical_experts", "dead_expert", "depth_scaled"] = "random"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaledRouterInit:
    """Router rows times ``factor``."""

    kind: Literal["scaled_router"]
    factor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SkewedRouterInit:
    """A ``share`` of the experts favored by ``shift`` logits at the mean router input."""

    kind: Literal["skewed_router"]
    shift: float = 3.0
    share: float = 0.125


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinRowsInit:
    """Experts in ``groups`` groups of equal router rows, up to ``noise`` row standard deviations."""

    kind: Literal["twin_rows"]
    groups: int
    noise: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BiasedRouterInit:
    """Each expert's mean logit shifted by a draw of spread ``std``."""

    kind: Literal["biased_router"]
    std: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DropUpcycledInit:
    """Copies of one expert, a share ``drop_ratio`` of each one's columns drawn anew (arXiv 2502.19261)."""

    kind: Literal["drop_upcycled"]
    drop_ratio: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualGroupsInit:
    """Shards of one block, ``granularity`` to a group with equal router rows (arXiv 2410.07524)."""

    kind: Literal["virtual_groups"]
    granularity: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class CollapsedInputsInit:
    """Token embeddings whose mean cosine is ``similarity``."""

    kind: Literal["collapsed_inputs"]
    similarity: float = 0.9


InitLevel = (
    PlainInit
    | ScaledRouterInit
    | SkewedRouterInit
    | TwinRowsInit
    | BiasedRouterInit
    | DropUpcycledInit
    | VirtualGroupsInit
    | CollapsedInputsInit
)
_KINDS: Final[dict[str, type[Any]]] = {
    "random": PlainInit,
    "identical_experts": PlainInit,
    "dead_expert": PlainInit,
    "scaled_router": ScaledRouterInit,
    "skewed_router": SkewedRouterInit,
    "twin_rows": TwinRowsInit,
    "depth_scaled": PlainInit,
    "biased_router": BiasedRouterInit,
    "drop_upcycled": DropUpcycledInit,
    "virtual_groups": VirtualGroupsInit,
    "collapsed_inputs": CollapsedInputsInit,
}


def expert_init(table: dict[str, Any], where: str) -> InitLevel:
    """Decode ``[expert_inits.NAME]``: its key ``kind``, "random" if absent, says which other keys there are.

    Raises:
        StudyError: The kind is unknown, or a value cannot work.
    """
    kind = table.get("kind", "random")
    if kind not in _KINDS:
        raise StudyError(f"{where}.kind: unknown initialization {kind!r}", hint=nearest(str(kind), _KINDS))
    level: InitLevel = decode(_KINDS[kind], table, where)
    if isinstance(level, SkewedRouterInit) and not 0 < level.share < 1:
        raise StudyError(f"{where}.share: {level.share} is not between 0 and 1")
    if isinstance(level, ScaledRouterInit):
        _positive(level.factor, f"{where}.factor")
    if isinstance(level, BiasedRouterInit):
        _positive(level.std, f"{where}.std")
    if isinstance(level, VirtualGroupsInit):
        _positive(level.granularity, f"{where}.granularity")
    if isinstance(level, DropUpcycledInit) and not 0 <= level.drop_ratio <= 1:
        raise StudyError(f"{where}.drop_ratio: {level.drop_ratio} is not between 0 and 1")
    if isinstance(level, CollapsedInputsInit) and not 0 < level.similarity < 1:
        raise StudyError(f"{where}.similarity: {level.similarity} is not between 0 and 1")
    return level


def check_init(level: InitLevel, model: ModelLevel, where: str) -> None:
    """Refuse an initialization that this model has no room for.

    Raises:
        StudyError: Names what does not go together.
    """
    if isinstance(level, VirtualGroupsInit):
        for name in ("num_experts", "num_experts_per_tok"):
            if getattr(model, name) % level.granularity:
                raise StudyError(
                    f"{where}.granularity: {level.granularity} does not divide {name} = {getattr(model, name)}"
                )
    if isinstance(level, TwinRowsInit) and not 1 <= level.groups < model.num_experts:
        raise StudyError(f"{where}.groups: {level.groups} groups of {model.num_experts} experts leave nobody a twin")


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityLevel:
    """``[capacities.NAME]``: the room of each expert during training; no ``factor`` means dropless.

    The keys are those of :class:`trimtab.moe.capacity.Capacity`.
    """

    factor: float | None = None
    drop_policy: Literal["probs", "position", "random", "batch_priority"] = "probs"
    load_signal: Literal["routed", "kept"] = "routed"
    min_capacity: int = field(default=1, metadata=ADDED_LATER)
    scope: Literal["batch", "sequence"] = field(default="batch", metadata=ADDED_LATER)
    tokens: int | None = field(default=None, metadata=ADDED_LATER)
    reroute: bool = field(default=False, metadata=ADDED_LATER)
    renormalize: bool = field(default=False, metadata=ADDED_LATER)

    def check(self, where: str) -> None:
        """Refuse a capacity nobody fits in, and settings of a limit that is not there."""
        if self.factor is not None:
            _positive(self.factor, f"{where}.factor")
        elif self != CapacityLevel(load_signal=self.load_signal):
            raise StudyError(f"{where}: without 'factor' nothing is dropped, so its other keys would do nothing")
        if self.min_capacity < 0:
            raise StudyError(f"{where}.min_capacity: {self.min_capacity} is negative")
        if self.tokens is not None:
            _positive(self.tokens, f"{where}.tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """``[data]``: the text a cell learns from (:mod:`trimtab.lm.corpus`)."""

    vocab_size: int = 1024
    python_share: float = 0.5
    row_length: int = 128
    rows: int = 8
    python_weight: float = 0.5
    prompt_weight: float = 0.05
    python_bytes: int = 6_000_000
    heldout_bytes: int = 400_000
    micro_samples: int = 24_000

    def check(self, where: str) -> None:
        """Refuse shares and sizes that make no batch."""
        if not 0 <= self.python_share <= 1:
            raise StudyError(f"{where}.python_share: {self.python_share} is not between 0 and 1")
        for name in ("rows", "row_length", "python_bytes", "heldout_bytes", "micro_samples"):
            _positive(getattr(self, name), f"{where}.{name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """``[training]``: the optimization of every cell (:class:`trimtab.lm.train.Schedule`)."""

    steps: int = 300
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    warmup_steps: int = 40
    decay_fraction: float = 0.5
    max_grad_norm: float = 1.0
    accumulation: int = 1
    checkpoint_every: int = 50
    threads: int = 1

    def check(self, where: str) -> None:
        """Refuse a training that does not move."""
        for name in ("steps", "learning_rate", "max_grad_norm", "accumulation", "checkpoint_every", "threads"):
            _positive(getattr(self, name), f"{where}.{name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """``[evaluation]``: what every trained cell is measured on.

    ``capacities`` are evaluation capacity factors beside the dropless headline. Batch sizes are part of the result,
    because calls compete for an expert's room within a batch. ``benchmarks`` are those whose reference solutions are
    scored and ranked among mutants; all of them, and always HumanEval and MBPP, are kept out of the training text.
    """

    capacities: tuple[float, ...] = ()
    micro_problems: int = 400
    micro_pro_problems: int = 200
    python_windows: int = 200
    generation_batch: int = 400
    scoring_tokens: int = 8192
    max_new_tokens: int = 96
    benchmarks: tuple[Literal["humaneval", "mbpp-sanitized", "humaneval-pro", "mbpp-pro"], ...] = (
        "humaneval",
        "mbpp-sanitized",
    )

    def check(self, where: str) -> None:
        """Refuse sizes that measure nothing."""
        for index, factor in enumerate(self.capacities):
            _positive(factor, f"{where}.capacities[{index}]")
        for name in ("micro_problems", "python_windows", "generation_batch", "scoring_tokens", "max_new_tokens"):
            _positive(getattr(self, name), f"{where}.{name}")


def _positive(value: float, where: str) -> None:
    if not value > 0:
        raise StudyError(f"{where}: must be positive, got {value!r}")
