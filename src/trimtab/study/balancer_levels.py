"""What the balancers in a study file mean: one frozen table a rule, in plain values, named by its key ``rule``.

They say which rule of :mod:`trimtab.moe.balancers` a cell will use, without importing it, so that a study can be read
where there is no torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Literal

from trimtab.errors import StudyError, nearest
from trimtab.study.decode import ADDED_LATER, decode, table_of

if TYPE_CHECKING:
    from trimtab.study.levels import CapacityLevel, ModelLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class NoneLevel:
    """No balancing at all."""

    rule: Literal["none"]
    seed_offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LossFreeLevel:
    """ALF-LB (arXiv 2408.15664, Algorithm 1) and its published variants; ``freeze_at`` is a share of the run."""

    rule: Literal["loss_free", "noaux_tc"]
    bias_update_rate: float
    update: Literal["sign", "proportional", "rms"] = "sign"
    schedule: Literal["constant", "inv_sqrt", "inv"] = "constant"
    centered: bool = False
    clip: float | None = field(default=None, metadata=ADDED_LATER)
    freeze_at: float | None = field(default=None, metadata=ADDED_LATER)
    seed_offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantileLevel:
    """Quantile Balancing (kexue.fm 11619; Megatron-LM PR 5349)."""

    rule: Literal["quantile", "quantile_balancing"]
    ema: float = 0.0
    centered: bool = True
    seed_offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NewtonLevel:
    """Newton balancing, our own rule: nothing to set."""

    rule: Literal["newton"]
    seed_offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BIPLevel:
    """Binary integer programming before each batch (arXiv 2502.15451): not causal."""

    rule: Literal["bip"]
    iterations: int = 4
    seed_offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkhornLevel:
    """S-BASE (arXiv 2202.01169): not causal, plain top-k in evaluation."""

    rule: Literal["sinkhorn"]
    tolerance: float = 1e-4
    max_iterations: int = 100
    seed_offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchLevel:
    """The Switch auxiliary loss (arXiv 2101.03961, Eq. 4), per layer, 1 at balance; its scope: arXiv 2501.11873."""

    rule: Literal["switch"]
    coef: float
    scope: Literal["sequence", "micro", "global"] = "global"
    seed_offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledSwitchLevel:
    """transformers' own auxiliary loss, pooled over layers, k at balance."""

    rule: Literal["pooled_switch", "hf_compat"]
    coef: float
    times_accumulation: bool = False
    seed_offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ZLossLevel:
    """The router z-loss (arXiv 2202.08906, Eq. 5): stability, not balance."""

    rule: Literal["z_loss"]
    coef: float
    seed_offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SimBalLevel:
    """Router rows at right angles (arXiv 2506.14038)."""

    rule: Literal["simbal"]
    coef: float
    seed_offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StackLevel:
    """One bias rule and losses together (arXiv 2412.19437): ``bias`` a table, ``losses`` a list of tables."""

    rule: Literal["stack"]
    bias: BalancerLevel
    losses: tuple[BalancerLevel, ...]
    seed_offset: int = 0


BalancerLevel = (
    NoneLevel
    | LossFreeLevel
    | QuantileLevel
    | NewtonLevel
    | BIPLevel
    | SinkhornLevel
    | SwitchLevel
    | PooledSwitchLevel
    | ZLossLevel
    | SimBalLevel
    | StackLevel
)
_RULES: Final[dict[str, type[Any]]] = {
    "none": NoneLevel,
    "loss_free": LossFreeLevel,
    "noaux_tc": LossFreeLevel,
    "quantile": QuantileLevel,
    "quantile_balancing": QuantileLevel,
    "newton": NewtonLevel,
    "bip": BIPLevel,
    "sinkhorn": SinkhornLevel,
    "switch": SwitchLevel,
    "pooled_switch": PooledSwitchLevel,
    "hf_compat": PooledSwitchLevel,
    "z_loss": ZLossLevel,
    "simbal": SimBalLevel,
    "stack": StackLevel,
}
_BIAS_RULES: Final = (LossFreeLevel, QuantileLevel, NewtonLevel)
_LOSSES: Final = (SwitchLevel, PooledSwitchLevel, ZLossLevel, SimBalLevel)
_READS_SCORES: Final = (QuantileLevel, BIPLevel, SinkhornLevel)
_POSITIVE: Final = ("bias_update_rate", "coef", "clip", "iterations", "tolerance", "max_iterations")


def balancer(table: dict[str, Any], where: str) -> BalancerLevel:
    """Decode ``[balancers.NAME]``: its key ``rule`` says which other keys there are.

    Raises:
        StudyError: The rule is unknown, or a value cannot work.
    """
    if "rule" not in table:
        raise StudyError(f"{where}: missing key 'rule'", hint=nearest("", _RULES))
    rule = table["rule"]
    if rule not in _RULES:
        raise StudyError(f"{where}.rule: unknown balancer {rule!r}", hint=nearest(str(rule), _RULES))
    if rule == "stack":
        return _stack(table, where)
    level: BalancerLevel = decode(_RULES[rule], table, where)
    _check(level, where)
    return level


def check_with(level: BalancerLevel, model: ModelLevel, capacity: CapacityLevel, where: str) -> None:
    """Refuse a rule that cannot balance this model, or under this capacity.

    Raises:
        StudyError: Names what does not go together.
    """
    if isinstance(level, StackLevel):
        for part in (level.bias, *level.losses):
            check_with(part, model, capacity, where)
    if isinstance(level, _READS_SCORES) and capacity.load_signal == "kept":
        raise StudyError(
            f"{where}: {level.rule!r} looks at scores, not at calls, so a capacity's load_signal = 'kept' does nothing",
            hint="leave that combination out with [[select]]",
        )
    if isinstance(level, (*_READS_SCORES, NewtonLevel)) and model.num_experts_per_tok >= model.num_experts:
        raise StudyError(f"{where}: {level.rule!r} has nothing to balance where all experts are chosen")
    if isinstance(level, SimBalLevel) and model.num_experts > model.hidden_size:
        raise StudyError(
            f"{where}: {model.num_experts} router rows in {model.hidden_size} dimensions cannot be at right angles"
        )


def _stack(table: dict[str, Any], where: str) -> StackLevel:
    """Decode a stack, whose parts are tables themselves."""
    names = {one.name for one in fields(StackLevel)}
    for key in table:
        if key not in names:
            raise StudyError(f"{where}: unknown key {key!r}", hint=nearest(key, names))
    for key in ("bias", "losses"):
        if key not in table:
            raise StudyError(f"{where}: missing key {key!r}", hint="bias = {rule = ...}, losses = [{rule = ...}]")
    bias = balancer(table_of(table["bias"], f"{where}.bias"), f"{where}.bias")
    if not isinstance(bias, _BIAS_RULES):
        raise StudyError(
            f"{where}.bias.rule: {bias.rule!r} is no bias rule", hint="'loss_free', 'quantile' or 'newton'"
        )
    if not isinstance(table["losses"], list | tuple) or not table["losses"]:
        raise StudyError(f"{where}.losses: expected a list of tables, got {table['losses']!r}")
    losses = []
    for index, part in enumerate(table["losses"]):
        loss = balancer(table_of(part, f"{where}.losses[{index}]"), f"{where}.losses[{index}]")
        if not isinstance(loss, _LOSSES):
            raise StudyError(f"{where}.losses[{index}].rule: {loss.rule!r} is no loss")
        losses.append(loss)
    offset = table.get("seed_offset", 0)
    if type(offset) is not int:
        raise StudyError(f"{where}.seed_offset: expected int, got {offset!r}")
    return StackLevel(rule="stack", bias=bias, losses=tuple(losses), seed_offset=offset)


def _check(level: BalancerLevel, where: str) -> None:
    for key in _POSITIVE:
        value = getattr(level, key, None)
        if value is not None and not value > 0:
            raise StudyError(f"{where}.{key}: must be positive, got {value!r}")
    if isinstance(level, LossFreeLevel) and level.freeze_at is not None and not 0 < level.freeze_at < 1:
        raise StudyError(f"{where}.freeze_at: {level.freeze_at} is not a share of the run between 0 and 1")
    if isinstance(level, QuantileLevel) and not 0 <= level.ema < 1:
        raise StudyError(f"{where}.ema: {level.ema} is not in [0, 1)")
