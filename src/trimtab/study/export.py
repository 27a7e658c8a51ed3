"""A study's cells in the words of the frameworks that train large mixtures.

One table says what each setting is called where. What a framework has no word for is not written, and what it does
otherwise under the same word stands beside it as a comment, because a rate or a coefficient means something else then.
The names are those of the versions in :data:`FRAMEWORKS`; ``benchmarks/exports.py`` holds them against the packages.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from trimtab.errors import ConfigurationError, nearest
from trimtab.settings.fresh_models import FreshModel
from trimtab.settings.rules import LossFree, NoBalancer, RouterZLoss, Sinkhorn, Stack, SwitchLoss

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trimtab.settings.capacities import Capacity
    from trimtab.settings.families import Rule
    from trimtab.study.spec import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Framework:
    """What a framework calls our settings.

    Attributes:
        package: On PyPI, with the version whose names these are.
        names: Our setting → dotted class and field, as ``module:Class.field``.
        constant: Values that hold for every cell, unless a rule says otherwise: what is on there by default is put off.
        scopes: Our scope of the Switch loss → its value there; a scope that is absent cannot be had.
        sigmoid_only: Whether a selection bias needs sigmoid scores.
        notes: Part of a cell that has it → how it differs there.
    """

    package: str
    names: Mapping[str, str]
    constant: Mapping[str, Any] = field(default_factory=dict)
    scopes: Mapping[str, str] = field(default_factory=dict)
    sigmoid_only: bool = False
    notes: Mapping[str, str] = field(default_factory=dict)


_MEGATRON: Final = "megatron.core.transformer.transformer_config:TransformerConfig."
_TITAN_MOE: Final = "torchtitan.models.common.moe:MoE.Config."
_TITAN_ROUTER: Final = "torchtitan.models.common.moe:TokenChoiceTopKRouter.Config."
_OLMO_MOE: Final = "olmo_core.nn.moe.moe:MoEConfig."
_OLMO_ROUTER: Final = "olmo_core.nn.moe.router:MoERouterConfig."
_NEMO: Final = "nemo_automodel.components.moe.config:MoEConfig."

FRAMEWORKS: Final[Mapping[str, Framework]] = {
    "megatron": Framework(
        package="megatron-core==0.16.1",
        names={
            "num_hidden_layers": f"{_MEGATRON}num_layers",
            "hidden_size": f"{_MEGATRON}hidden_size",
            "num_attention_heads": f"{_MEGATRON}num_attention_heads",
            "intermediate_size": f"{_MEGATRON}ffn_hidden_size",
            "moe_intermediate_size": f"{_MEGATRON}moe_ffn_hidden_size",
            "num_experts": f"{_MEGATRON}num_moe_experts",
            "num_experts_per_tok": f"{_MEGATRON}moe_router_topk",
            "initializer_range": f"{_MEGATRON}init_method_std",
            "preset": f"{_MEGATRON}moe_router_score_function",
            "has_bias": f"{_MEGATRON}moe_router_enable_expert_bias",
            "bias_update_rate": f"{_MEGATRON}moe_router_bias_update_rate",
            "scope": f"{_MEGATRON}moe_router_load_balancing_type",
            "coef": f"{_MEGATRON}moe_aux_loss_coeff",
            "z_coef": f"{_MEGATRON}moe_z_loss_coeff",
            "factor": f"{_MEGATRON}moe_expert_capacity_factor",
            "drop_policy": f"{_MEGATRON}moe_token_drop_policy",
        },
        scopes={
            "micro": "aux_loss",
            "sequence": "seq_aux_loss",
            "global": "global_aux_loss",
            "sinkhorn": "sinkhorn",
        },
        constant={"has_bias": False, "scope": "none", "coef": 0.0},
        sigmoid_only=True,
        notes={
            "capacity and bias": "the load that moves the bias is counted after calls were dropped: with padding to"
            " capacity it never moves; here it is counted before (load_signal = 'routed')",
            "bias": "sign rule, not centered; one update a global batch, as here",
            "position": "the kept calls of drop policy 'position' are ties of a top-k, not the first in the batch",
        },
    ),
    "torchtitan": Framework(
        package="torchtitan==0.3.0",
        names={
            "num_experts": f"{_TITAN_MOE}num_experts",
            "num_experts_per_tok": f"{_TITAN_ROUTER}top_k",
            "preset": f"{_TITAN_ROUTER}score_func",
            "renormalize": f"{_TITAN_ROUTER}route_norm",
            "bias_update_rate": f"{_TITAN_MOE}load_balance_coeff",
        },
        constant={"renormalize": True, "bias_update_rate": None},
        notes={"bias": "sign rule whose step is centered: its mean over experts is taken off"},
    ),
    "olmo-core": Framework(
        package="ai2-olmo-core==3.0.0",
        names={
            "num_experts": f"{_OLMO_MOE}num_experts",
            "moe_intermediate_size": f"{_OLMO_MOE}hidden_size",
            "num_experts_per_tok": f"{_OLMO_ROUTER}top_k",
            "preset": f"{_OLMO_ROUTER}gating_function",
            "renormalize": f"{_OLMO_ROUTER}normalize_expert_weights",
            "bias_update_rate": f"{_OLMO_ROUTER}bias_gamma",
            "scope": f"{_OLMO_MOE}lb_loss_granularity",
            "coef": f"{_OLMO_MOE}lb_loss_weight",
            "z_coef": f"{_OLMO_MOE}z_loss_weight",
            "factor": f"{_OLMO_MOE}capacity_factor",
        },
        constant={"renormalize": 1.0, "coef": None},
        scopes={"micro": "local_batch", "sequence": "instance"},
        notes={
            "loss": "the coefficient is divided by the number of layers where scale_loss_by_num_layers is set",
            "capacity": "room is rounded up to a multiple of 8, and whose call is dropped has no defined order",
        },
    ),
    "nemo-automodel": Framework(
        package="nemo-automodel==0.7.0",
        names={
            "hidden_size": f"{_NEMO}dim",
            "intermediate_size": f"{_NEMO}inter_dim",
            "moe_intermediate_size": f"{_NEMO}moe_inter_dim",
            "num_experts": f"{_NEMO}n_routed_experts",
            "num_experts_per_tok": f"{_NEMO}n_activated_experts",
            "preset": f"{_NEMO}score_func",
            "renormalize": f"{_NEMO}norm_topk_prob",
            "bias_update_rate": f"{_NEMO}gate_bias_update_factor",
            "coef": f"{_NEMO}aux_loss_coeff",
            "shared": f"{_NEMO}n_shared_experts",
            "groups": f"{_NEMO}n_expert_groups",
            "open_groups": f"{_NEMO}n_limited_groups",
            "train_gate": f"{_NEMO}train_gate",
            "scale": f"{_NEMO}route_scale",
        },
        constant={
            "renormalize": True,
            "shared": 0,
            "groups": 1,
            "open_groups": 1,
            "train_gate": True,
            "scale": 1.0,
            "bias_update_rate": 0.0,
            "coef": 0.0,
        },
        scopes={"micro": ""},
        notes={
            "bias": "sign rule; a bias that is no DTensor is moved by each process' own load",
            "loss": "the loss takes the micro-batch for one sequence",
        },
    ),
}


class NotExpressibleError(ConfigurationError):
    """A cell that a framework has no words for."""


def export(study: Study, framework: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the text of each cell by its id, and of those that cannot be said there, why.

    Raises:
        ConfigurationError: There is no framework of this name, or the study's models are pretrained.
    """
    if framework not in FRAMEWORKS:
        raise ConfigurationError(f"there is no export to {framework!r}", hint=nearest(framework, FRAMEWORKS))
    texts, refused = {}, {}
    for cell in study.cells():
        levels = {name: str(level) for name, level in cell.factors.items()}
        model = study.models[levels["model"]]
        rule, capacity = study.balancers[levels["balancer"]].balancer, study.capacities[levels["capacity"]]
        if not isinstance(model, FreshModel):
            raise ConfigurationError(f"model {levels['model']!r} is pretrained: only fresh models are exported")
        try:
            values, notes = _settings(FRAMEWORKS[framework], model, rule, capacity)
        except NotExpressibleError as refusal:
            refused[cell.id] = str(refusal)
            continue
        notes += [f"expert_init {levels['expert_init']!r} is a change of fresh weights that no flag makes"]
        texts[cell.id] = _text(FRAMEWORKS[framework], f"cell {cell.id} of study {study.name}", values, notes)
    return texts, refused


def _settings(target: Framework, model: FreshModel, rule: Rule, capacity: Capacity) -> tuple[dict[str, Any], list[str]]:
    """Return our settings by name, and the notes that this cell needs.

    Raises:
        NotExpressibleError: The framework lacks the rule, its scope, or a limit.
    """
    values: dict[str, Any] = {name: getattr(model, name) for name in target.names if hasattr(model, name)}
    values |= target.constant
    notes = []
    parts = (rule.bias, *rule.losses) if isinstance(rule, Stack) else (rule,)
    for part in parts:
        values |= _of_rule(target, part)
        kind = "bias" if isinstance(part, LossFree) else "loss"
        notes += [target.notes[kind]] if kind in target.notes and not isinstance(part, NoBalancer) else []
        if kind == "bias" and target.sigmoid_only and model.preset != "sigmoid":
            raise NotExpressibleError("a selection bias needs sigmoid scores there")
    if capacity.factor is not None:
        values |= _of_capacity(target, capacity)
        has_bias = any(isinstance(part, LossFree) for part in parts)
        keys = ["capacity", "capacity and bias"] if has_bias else ["capacity"]
        notes += [target.notes[key] for key in (*keys, capacity.drop_policy) if key in target.notes]
    return values, notes


def _of_rule(target: Framework, rule: Rule) -> dict[str, Any]:
    if isinstance(rule, NoBalancer):
        return {}
    if isinstance(rule, LossFree) and "bias_update_rate" in target.names:
        if (rule.update, rule.schedule) != ("sign", "constant"):
            raise NotExpressibleError(f"update = {rule.update!r} with schedule = {rule.schedule!r} has no name there")
        marked = {"has_bias": True} if "has_bias" in target.names else {}
        return {"bias_update_rate": rule.bias_update_rate, **marked}
    if isinstance(rule, SwitchLoss) and "coef" in target.names:
        if rule.scope not in target.scopes:
            raise NotExpressibleError(f"a Switch loss of scope {rule.scope!r} has no name there")
        scope = {"scope": target.scopes[rule.scope]} if "scope" in target.names else {}
        return {"coef": rule.coef, **scope}
    if isinstance(rule, RouterZLoss) and "z_coef" in target.names:
        return {"z_coef": rule.coef}
    if isinstance(rule, Sinkhorn) and "sinkhorn" in target.scopes:
        return {"scope": target.scopes["sinkhorn"]}
    raise NotExpressibleError(f"the rule {type(rule).key!r} has no name there")


def _of_capacity(target: Framework, capacity: Capacity) -> dict[str, Any]:
    if "factor" not in target.names:
        raise NotExpressibleError("a capacity has no name there")
    if capacity.reroute or capacity.renormalize or capacity.scope != "batch" or capacity.tokens is not None:
        raise NotExpressibleError("only a capacity of the whole batch that drops is known there")
    if "drop_policy" in target.names:
        if capacity.drop_policy not in {"probs", "position"}:
            raise NotExpressibleError(f"drop policy {capacity.drop_policy!r} has no name there")
        return {"factor": capacity.factor, "drop_policy": capacity.drop_policy}
    return {"factor": capacity.factor}


def _text(target: Framework, title: str, values: Mapping[str, Any], notes: list[str]) -> str:
    """Return a Python literal: configuration class → keyword arguments, as ``ast.literal_eval`` reads it."""
    tables: dict[str, list[str]] = {}
    for name, place in target.names.items():
        if name in values:
            owner, _, key = place.rpartition(".")
            tables.setdefault(owner, []).append(f"        {key!r}: {values[name]!r},")
    lines = [f"# {title}, for {target.package}", *(f"# differs: {note}" for note in dict.fromkeys(notes))]
    lines.append("{")
    for owner, rows in tables.items():
        lines += [f"    {owner!r}: {{", *rows, "    },"]
    return "\n".join([*lines, "}"]) + "\n"
