"""Initializations that change what enters the routers: how unlike the hidden states of tokens are, layer by layer.

A random router spreads tokens over experts only as far as their hidden states differ; in deep pre-norm models they
become alike (OpenReview 2PAe0L8PME, whose abstract was read).
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.expert_layout import UNWRAP, expert_layout, wrappers
from trimtab.settings import initializations

if TYPE_CHECKING:
    from torch import Tensor, nn

    from trimtab.moe.stressed import Stressed

# The last linear map of a residual branch, by the names in use for it, with its bias if it has one.
_OUTPUT: Final = re.compile(
    r"(?:^|\.)(?:o_proj|o_b_proj|out_proj|down_proj|output_linear|c_proj|w2|fc2)(?:_bias|\.bias|\.weight)?$"
)


def scale_by_depth(_init: initializations.DepthScaled, on: Stressed) -> None:
    """Scale every output projection: of attention, scans and blocks by their names, of experts by their layout."""
    name, layers = _layers(on)
    factor = 1 / math.sqrt(len(layers))
    experts = {id(router.experts): router for router in on.routers}
    heard: list[nn.Module] = []
    for number, layer in enumerate(layers):
        part, names = f"{name}.{number}", {}
        for router in (experts[id(module)] for module in layer.modules() if id(module) in experts):
            layout = expert_layout(router)
            heard.append(router.experts)
            for tensor, parts in layout.output.items():
                for expert, piece in enumerate(parts):
                    on.write(f"{layout.full_name(tensor)}[{expert}]", piece, piece * factor, part)
            names.update(dict.fromkeys(map(id, router.experts.parameters()), router.name))
        _refuse_unknown(on, layer, part, set(names))
        for tensor, parameter in layer.named_parameters():
            if id(parameter) not in names and _OUTPUT.search(tensor):
                on.write(f"{part}.{tensor}", parameter, parameter * factor, part)
                heard.append(layer.get_submodule(tensor.rpartition(".")[0]))
    if on.rehearsal:
        _refuse_norms_behind(on, layers[0], heard, factor)


def _layers(on: Stressed) -> tuple[str, nn.ModuleList]:
    """Return the name of the list of layers, and the list.

    Raises:
        ConfigurationError: There is none of the length that the configuration says.
    """
    depth = getattr(getattr(on.model, "config", None), "num_hidden_layers", None)
    lists = [(n, m) for n, m in on.model.named_modules() if isinstance(m, torch.nn.ModuleList) and len(m) == depth]
    if not lists:
        raise ConfigurationError(f"{on.init!r}: {type(on.model).__name__} has no list of {depth} layers")
    return lists[0]


def _refuse_unknown(on: Stressed, layer: nn.Module, where: str, of_experts: set[int]) -> None:
    """Refuse a layer with a branch whose last map is not known: scaling the others alone would not be what it says."""
    routers = {id(router.module) for router in on.routers}
    branches = [
        (f"{name}.{inner}".strip("."), module)
        for name, child in layer.named_children()
        for inner, module in (child.named_children() if isinstance(child, torch.nn.ModuleList) else [("", child)])
    ]
    for name, branch in branches:
        if wrapped := wrappers(branch):
            raise ConfigurationError(f"{on.init!r}: {where}.{name} is wrapped by {wrapped}", hint=UNWRAP)
        matrices = [parameter for parameter in branch.parameters() if parameter.ndim >= 2]
        known = any(id(p) in of_experts or _OUTPUT.search(n) for n, p in branch.named_parameters())
        if matrices and not known and id(branch) not in routers and "Norm" not in type(branch).__name__:
            raise ConfigurationError(
                f"{on.init!r}: {where}.{name} ({type(branch).__name__}) has no output projection of a known name",
                hint="o_proj, out_proj, down_proj, output_linear, c_proj, w2 or fc2, or experts of a known layout",
            )


def _refuse_norms_behind(on: Stressed, layer: nn.Module, outputs: list[nn.Module], factor: float) -> None:
    """Refuse a model whose norms take the factor out again: measured, by scaling what the projections return."""
    plain = _contribution(on, layer)
    handles = [module.register_forward_hook(lambda _module, _args, out: out * factor) for module in set(outputs)]
    try:
        scaled = _contribution(on, layer)
    finally:
        for handle in handles:
            handle.remove()
    if scaled > 1.2 * factor * plain:
        raise ConfigurationError(
            f"{on.init!r}: the first layer adds {scaled / plain:.2f} of what it added and not {factor:.2f}: a norm"
            " behind its projections takes the factor out again",
            hint="it is for pre-norm models",
        )


def _contribution(on: Stressed, layer: nn.Module) -> float:
    """Return the norm of what a layer adds to the residual stream on the sample."""
    effects: list[float] = []

    def note(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:  # noqa: ANN401
        before = args[0] if args else kwargs["hidden_states"]
        after = output[0] if isinstance(output, tuple) else output
        effects.append(float((after - before).double().norm()))

    handle = layer.register_forward_hook(note, with_kwargs=True)
    training = on.model.training
    on.model.eval()
    try:
        on.model(input_ids=on.sample_batch, use_cache=False)
    finally:
        handle.remove()
        on.model.train(training)
    return effects[0]


def collapse(init: initializations.CollapsedInputs, on: Stressed) -> None:
    """Add the direction to every embedding."""
    embeddings = on.model.get_input_embeddings()  # type: ignore[operator] # of a transformers model
    if wrapped := wrappers(embeddings):
        raise ConfigurationError(f"{init!r}: the embeddings are wrapped by {wrapped}", hint=UNWRAP)
    weight: Tensor = embeddings.weight
    direction = torch.randn(weight.shape[1], generator=on.generator).to(weight)
    length = weight.square().sum(1).mean() * init.similarity / (1 - init.similarity)
    on.write("embeddings", weight, weight + direction * (length / direction.square().sum()).sqrt(), "the embeddings")


def __getattr__(name: str) -> type[initializations.Initialization]:
    if name in initializations.BY_CLASS:
        return initializations.BY_CLASS[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
