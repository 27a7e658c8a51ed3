"""Write docs/reference/families.md: every mixture-of-experts family of the installed transformers, tried.

Each is built tiny from its configuration, attached to, and run; what the table says is what happened. `make docs`
writes it, a test checks that it is current, and the parity test runs over the same models.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import re
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers

from trimtab.errors import ConfigurationError, TrimtabError, UnsupportedModelError
from trimtab.moe.attach import attach, refuse
from trimtab.moe.balancers import behavior
from trimtab.moe.discovery import find_routers
from trimtab.moe.loading import load
from trimtab.settings import initializations, rules
from trimtab.settings.capacities import Capacity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import nn

    from trimtab.moe.gates import Gates
    from trimtab.moe.router import Router
    from trimtab.settings.families import Rule

TARGET = Path(__file__).parent / "reference" / "families.md"
_MODELS = Path(transformers.__file__).parent / "models"
# Sizes by the names that configurations use for them; each takes those it has.
_SIZES: dict[str, Any] = {
    **dict.fromkeys(("vocab_size", "max_position_embeddings", "max_seq_len", "vocab_size_per_layer_input"), 64),
    **dict.fromkeys(("hidden_size", "d_model", "intermediate_size", "ffn_hidden_size"), 32),
    **dict.fromkeys(("head_dim", "global_head_dim", "kv_channels", "v_head_dim", "index_head_dim", "mamba_d_head"), 16),
    **dict.fromkeys(("moe_intermediate_size", "expert_ffn_hidden_size", "shared_expert_intermediate_size"), 16),
    **dict.fromkeys(("shared_intermediate_size", "moe_shared_expert_intermediate_size", "router_hidden_size"), 16),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 8),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "sliding_window"), 8),
    **dict.fromkeys(("linear_key_head_dim", "linear_value_head_dim", "linear_head_dim", "index_topk"), 8),
    **dict.fromkeys(("mamba_d_state", "ssm_state_size"), 8),
    **dict.fromkeys(("mamba_n_heads", "mamba_num_heads"), 4),
    **dict.fromkeys(("num_hidden_layers", "n_layers", "num_layers"), 3),
    **dict.fromkeys(("num_attention_heads", "n_heads", "num_heads", "num_key_value_heads", "index_n_heads"), 2),
    **dict.fromkeys(("num_experts_per_tok", "moe_topk", "top_k_experts", "mamba_expand", "zero_expert_num"), 2),
    **dict.fromkeys(("linear_num_key_heads", "linear_num_value_heads", "linear_num_heads"), 2),
    **dict.fromkeys(("n_shared_experts", "num_shared_experts", "moe_num_shared_experts", "num_dense_layers"), 1),
    **dict.fromkeys(("n_group", "topk_group", "first_k_dense_replace", "decoder_sparse_step", "n_groups"), 1),
    "mamba_head_dim": 16,
    "mamba_n_groups": 1,
    "hidden_size_per_layer_input": 0,
    "enable_moe_block": True,
    "mlp_only_layers": [],
    "initializer_range": 0.2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_ROPE = {"rope_type": "default", "rope_theta": 1e4}
_DBRX_FFN = {"moe_num_experts": 8, "moe_top_k": 2, "ffn_hidden_size": 16, "hidden_size": 32}
# What a family insists on beyond the above.
_OWN: dict[str, dict[str, Any]] = {
    "dbrx": {
        "attn_config": {"kv_n_heads": 2, "rope_theta": 1e4, "clip_qkv": 8.0},
        "ffn_config": {**_DBRX_FFN, "ffn_act_fn": {"name": "silu"}},
    },
    "deepseek_ocr2": {"mlp_layer_types": ["dense", "sparse", "sparse"]},
    "deepseek_v2": {"n_group": 4, "topk_group": 1, "topk_method": "group_limited_greedy"},
    "deepseek_v3": {"n_group": 4, "topk_group": 2},
    "deepseek_v4": {"num_hidden_layers": 5},
    "ernie4_5_vl_moe": {"moe_intermediate_size": [16, 16], "rope_parameters": {**_ROPE, "mrope_section": [2, 2, 4]}},
    "glm4v_moe": {"rope_parameters": {**_ROPE, "mrope_section": [2, 1, 1], "partial_rotary_factor": 0.5}},
    "glm5_next": {"index_topk": 16, "qk_rope_head_dim": 0, "mlp_layer_types": ["dense", "sparse", "sparse"]},
    "lfm2_moe": {"layer_types": ["full_attention"] * 3},
    "longcat_flash": {"head_dim": 8},
    "mimo_v2_flash": {"layer_types": ["full_attention"] * 3},
    "mistral4": {"n_group": 4, "topk_group": 2},
    "step3p7": {"mlp_layer_types": ["dense", "sparse", "sparse"]},
    "vitpose_backbone": {"num_experts": 6, "part_features": 8, "image_size": [16, 16], "patch_size": [8, 8]},
    "zaya": {"num_experts_per_tok": 1},
}
_ABOUT = (
    "Each family is built tiny and random, its routers are found by their interface, and a parity test attaches to it."
    " Counts, capacity and losses work in the first"
)
_LEGEND = (
    "*Bias*: `native` is moved in place and saved with the model; `added` is a buffer beside the router that"
    " `save_pretrained` writes and a plain `from_pretrained` drops: attach, then load the weights; `refused` means that"
    " the router's weights are defined for its own choice alone. *Port*: how the router is heard."
)
_RULES = (
    rules.NoBalancer(),
    rules.LossFree(bias_update_rate=1e-3),
    rules.SMEBU(),
    rules.SoftClippedBias(bias_update_rate=1e-3),
    rules.QuantileBalancing(),
    rules.MegatronQuantileBalancing(),
    rules.KimiQuantileBalancing(),
    rules.MarinQuantileBalancing(),
    rules.NewtonBalancing(),
    rules.MovingQuantileBalancing(),
    rules.CausalBias(rate=1e-2),
    rules.BIP(),
    rules.Sinkhorn(),
    rules.SwitchLoss(coef=1e-2),
    rules.PooledSwitchLoss(coef=1e-2),
    rules.RouterZLoss(coef=1e-3),
    rules.SimBal(coef=1e-3),
)
_REFUSES = (
    "*Refuses*: rules that `attach` refuses on the model as it was built here, asked one by one: of routers limited to"
    " groups, those whose margins are not the ones that decide there (`LossFree` and the losses count what was chosen,"
    " within groups, and work); of routers with weights of their own, those that choose other experts. *Layers without*"
    " a router found, from 0: dense ones, those that route by a hash (DeepSeek-V4), those that only attend or scan."
    " They are no part of any count or loss."
)
_EXPERTS = re.compile(r"^class \w*(Experts|MoE|Moe|TopKRouter|TopKGating)\w*\(", re.MULTILINE)
_NOT_TEXT = re.compile("PreTrained|Vision|Audio|Classif|Embed|Question|_VL_Moe|Predictor|2Wav")


def families() -> list[str]:
    """Return the folders of transformers with a mixture of experts in them."""
    paths = sorted(_MODELS.glob("*/modeling_*.py"))
    return sorted({path.parent.name for path in paths if _EXPERTS.search(path.read_text(encoding="utf-8"))})


def build(family: str) -> nn.Module:
    """Return a tiny random model of ``family``, in evaluation mode."""
    cls = _model_class(family)
    config = cls.config_class
    known = set(inspect.signature(config.__init__).parameters) | set(getattr(config, "__dataclass_fields__", {}))
    sizes = {name: value for name, value in _SIZES.items() if name in known} | _OWN.get(family, {})
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        model: nn.Module = cls(config(**sizes)).eval()
    return model


def _model_class(family: str) -> Any:  # noqa: ANN401 - a class of transformers
    """Return the causal language model of ``family``, else its text model, else its model."""
    file = next(iter(sorted(_MODELS.glob(f"{family}/modeling_{family}.py"))))
    module = importlib.import_module(f"transformers.models.{family}.{file.stem}")
    classes = [
        value
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, transformers.PreTrainedModel) and not _NOT_TEXT.search(name)
    ]
    own = [value for value in classes if value.__module__ == module.__name__]
    endings = ("ForCausalLM", "TextModel", "Model", "Backbone")
    return next(cls for ending in endings for cls in own if cls.__name__.endswith(ending))


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found of a family: its routers, or why not."""

    family: str
    routers: tuple[Router, ...] = ()
    reason: str = ""
    layers: int = 0

    @property
    def without(self) -> list[int]:
        """Layers without a router."""
        return sorted(set(range(self.layers)) - {router.layer for router in self.routers})


def survey() -> Iterator[Finding]:
    """Yield what is found of each family."""
    for family in families():
        try:
            model = build(family)
            routers = tuple(find_routers(model))
            reason = "" if routers else "has no module 'experts' with a router beside it"
            yield Finding(family=family, routers=routers, reason=reason, layers=_layers(model, routers))
        except UnsupportedModelError as error:
            yield Finding(family=family, reason=re.sub(r"^\S+ \((\w+)\)", r"`\1`", error.message))


def render(trials: Mapping[str, str] | None = None, parities: Mapping[str, str] | None = None) -> str:
    """Return the page; ``trials`` and ``parities`` are rows of its later tables by family, tried anew where missing."""
    found = list(survey())
    good = [finding for finding in found if finding.routers]
    lines = [
        "# Families",
        "",
        f"Generated by `make docs` from transformers {transformers.__version__}. {_ABOUT} {len(good)} of them.",
        "",
        _LEGEND,
        "",
        _REFUSES,
        "",
        "| family | scores | weights | bias | port | layers without | refuses |",
        "|---|---|---|---|---|---|---|",
        *(_row(finding) for finding in good),
        "",
        "## What was tried",
        "",
        _TRIED,
        "",
        f"| family | {' | '.join(TRIALS)} |",
        f"|---|{'---|' * len(TRIALS)}",
        *((trials or {}).get(finding.family) or tried(finding.family) for finding in good),
        "",
        "## Parity",
        "",
        _PARITY,
        "",
        f"| family | {' | '.join(_parity().MEASURES)} |",
        f"|---|{'---|' * len(_parity().MEASURES)}",
        *((parities or {}).get(finding.family) or parity(finding.family) for finding in good),
        "",
        "## Not supported",
        "",
        "| family | because |",
        "|---|---|",
        *(f"| {finding.family} | {finding.reason} |" for finding in found if not finding.routers),
    ]
    return "\n".join(lines) + "\n"


def _row(finding: Finding) -> str:
    router = finding.routers[-1]
    formula = router.formula
    weights = "its own" if formula is None else ("renormalized" if formula.renormalize else "as scored")
    if formula is not None and formula.per_expert:
        weights += ", times a factor per expert"
    if router.groups is not None:
        weights += f", groups by {router.groups.by}"
    added = "added" if router.takes_bias else "refused"
    bias = f"native `{router.native.name}`" if router.native is not None else added
    without = ", ".join(map(str, finding.without)) or "none"
    refused = ", ".join(type(rule).__name__ for rule in _RULES if _refused(finding.routers, rule)) or "none"
    words = finding.family, router.score_function, weights, bias, type(router.port).__name__, without, refused
    return f"| {' | '.join(words)} |"


def tried(family: str) -> str:
    """Return the row of a family in the table of what was tried."""
    cells = []
    for trial in TRIALS.values():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                cells.append(trial(family))
            except TrimtabError as error:
                cells.append(f"refused: {re.sub(r'[^ ]*[.][^ ]* ', '', error.message, count=1).split(':')[0]}")
    return f"| {family} | {' | '.join(cells)} |"


def parity(family: str) -> str:
    """Return the row of a family in the table of parity."""
    found: dict[str, Mapping[str, float | None]] = {}
    for implementation in ("eager", "grouped_mm"):
        with contextlib.suppress(LookupError):  # an implementation of experts that the family does not have
            found[implementation] = _parity().parity(family, implementation)
    return parity_row(family, found)


def parity_row(family: str, found: Mapping[str, Mapping[str, float | None]]) -> str:
    """Return the row of a family, given the difference in each measure under each implementation of its experts."""
    cells = []
    for measure in _parity().MEASURES:
        same = [name for name, values in found.items() if values[measure] == 0]
        apart = [f"{name.upper()} DIFFERS BY {value:.2g}" for name, v in found.items() if (value := v[measure])]
        cells.append(", ".join(same + apart) or "none")
    return f"| {family} | {' | '.join(cells)} |"


@functools.cache
def _parity() -> Any:  # noqa: ANN401 - a module
    """Return ``benchmarks/moe_parity.py``, which compares an attached model with the plain one."""
    sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))
    return importlib.import_module("moe_parity")


def _text() -> torch.Tensor:
    return torch.randint(3, 64, (2, 8), generator=torch.Generator().manual_seed(0))


def _out(model: nn.Module) -> torch.Tensor:
    torch.manual_seed(0)
    out = model(input_ids=_text(), use_cache=False)
    found: torch.Tensor = out.logits if "logits" in out else out.last_hidden_state
    return found


def _step(model: nn.Module, gates: Gates | None) -> dict[int, torch.Tensor]:
    """Train a step without an optimizer; return the loads."""
    model.train()
    _out(model).float().square().mean().backward()
    loads = {} if gates is None else gates.loads()
    if gates is not None:
        gates.update()
    model.eval()
    return loads


def _attach(family: str) -> str:
    model = build(family)
    with torch.no_grad():
        before = _out(model)
        attach(model, balancer=rules.NoBalancer())
        return "same logits" if torch.equal(before, _out(model)) else "OTHER LOGITS"


def _bias(family: str) -> str:
    model = build(family)
    if family in _OWN_WEIGHTS:
        return "refused: weighs experts in a way of its own"
    gates = attach(model, balancer=rules.LossFree(bias_update_rate=1e-3))
    before = gates.biases()
    loads = _step(model, gates)
    after = gates.biases()
    moved = all(not torch.equal(before[layer], after[layer]) for layer, load in loads.items() if load.any())
    return "moves" if moved else "RESTS"


def _capacity(family: str) -> str:
    model = build(family)
    gates = attach(model, balancer=rules.NoBalancer(), capacity=Capacity(factor=0.5))
    _step(model, gates)
    return "drops" if all(line["drop_rate"] > 0 for line in gates.metrics() if line["entropy"] < 1) else "KEEPS"


def _penalty(family: str) -> str:
    gradients = []
    for rule in (rules.NoBalancer(), rules.SwitchLoss(coef=1.0)):
        model = build(family)
        gates = attach(model, balancer=rule)
        loads = _step(model, gates)
        used = next(router for router in gates.routers if loads[router.layer].any())
        gradients.append(used.module.get_parameter(used.weight_name).grad)
    return "reaches the router" if not torch.equal(*gradients) else "DOES NOTHING"


def _initialization(family: str) -> str:
    refused = []
    for init in _INITIALIZATIONS:
        try:
            init.apply(build(family), _text(), torch.Generator().manual_seed(0))
        except TrimtabError:
            refused.append(type(init).__name__)
    return "all" if not refused else f"all but {', '.join(refused)}"


def _save(family: str) -> str:
    model = build(family)
    gates = attach(model, balancer=rules.NoBalancer() if family in _OWN_WEIGHTS else _MOVES)
    _step(model, gates)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        gates.save_pretrained(folder)
        loaded, again = load(folder)
        # Where a weight lies in memory decides how a product rounds.
        same = torch.allclose(_out(model), _out(loaded.eval()), rtol=0, atol=1e-5)
    pairs = [(gates.biases(), again.biases()), (model.state_dict(), loaded.state_dict())]
    same = same and all(torch.equal(value, right[key]) for left, right in pairs for key, value in left.items())
    return "exact" if same else "DIFFERS"


def _lora(family: str) -> str:
    """Adapters on attention and on experts, put in before attaching: the logits stay, and every call is counted."""
    works = []
    for name in ("attention", "experts"):
        model = build(family)
        try:
            adapted = _adapted(model, name)
        except ValueError:  # nothing of the kind to adapt, or nothing that PEFT can
            continue
        with torch.no_grad():
            before = _out(adapted)
        gates = attach(adapted, balancer=rules.NoBalancer())
        with torch.no_grad():
            same = torch.equal(before, _out(adapted))
        calls = _text().numel() * gates.routers[0].num_experts_per_tok
        loads = [int(load.sum()) for load in _step(adapted, gates).values() if load.any()]
        works.append(name if same and loads and set(loads) == {calls} else f"{name.upper()} DIFFERS")
    return ", ".join(works) or "nothing to adapt"


def _adapted(model: nn.Module, name: str) -> nn.Module:
    from peft import LoraConfig, get_peft_model  # noqa: PLC0415 - for this column alone

    experts = [key for key, value in model.named_parameters() if ".experts." in key and value.ndim == 3]
    targets: dict[str, Any] = {"target_modules": r".*\b(q_proj|v_proj|Wqkv|q_a_proj|q_b_proj|kv_b_proj)"}
    if name == "experts":
        targets = {"target_modules": [], "target_parameters": sorted({".".join(k.split(".")[-2:]) for k in experts})}
    torch.manual_seed(0)
    adapted: nn.Module = get_peft_model(model, LoraConfig(r=2, init_lora_weights=False, **targets)).eval()
    return adapted


_OWN_WEIGHTS = {"phimoe"}
_MOVES = rules.LossFree(bias_update_rate=1e-3)
_INITIALIZATIONS = (
    initializations.ScaledRouter(factor=10.0),
    initializations.SkewedRouter(shift=3.0, share=0.25),
    initializations.TwinRows(groups=2),
    initializations.IdenticalExperts(),
    initializations.DeadExpert(),
)
TRIALS = {
    "attach": _attach,
    "bias": _bias,
    "capacity": _capacity,
    "penalty": _penalty,
    "initialization": _initialization,
    "save, load": _save,
    "LoRA": _lora,
}
_TRIED = (
    "Each cell is what happened on the tiny model. *Attach*: the logits are those of the plain model to the last bit."
    " *Bias*: `LossFree` moved the bias of every layer that was called. *Capacity*: half the room drops calls."
    " *Penalty*: the gradient of a Switch loss reaches the router. *Initialization*: of a scaled and a skewed router,"
    " twin rows, identical experts and a dead expert, those that could be written; the others are refused."
    " *Save, load*: weights and biases come back to the last bit, logits within 1e-5. *LoRA*: with PEFT's adapters on"
    " attention and on experts, the logits are those of the adapted model and every call is counted."
)


_PARITY = (
    "A model with `NoBalancer` attached beside the plain one: the implementations of experts under which both are equal"
    " to the last bit. *Evaluation* and *training*: loss and logits; *three steps*: parameters after three of AdamW;"
    " *generation*: five tokens chosen greedily; *save and load*: what each computes once it was. *None*: the plain"
    " model by itself cannot do it here. A difference would stand in capitals."
)


def _layers(model: nn.Module, routers: tuple[Router, ...]) -> int:
    """Count the layers of the list that the routers are in."""
    lists = {re.split(r"\.\d+\.", router.name)[0] for router in routers}
    return max((len(list(model.get_submodule(name).children())) for name in lists), default=0)


def _refused(routers: tuple[Router, ...], rule: Rule) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            refuse(list(routers), behavior(rule), Capacity())
    except (ConfigurationError, UnsupportedModelError):
        return True
    return False


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    TARGET.write_text(render(), encoding="utf-8")
