"""Upcycle a mixture of E experts to one of more, with its function or by the published recipe.

::

    larger, receipt = upcycle_experts(model, multiple=2, tokens=ids)
    assert receipt.exact
    optimizer = expand_optimizer(optimizer, model, larger, receipt)

* ``copies``: each expert m times, side by side, and m times as many for a token. The copies of an expert have one
  score, so that top-(m·K) takes exactly the copies of the top-K, and the weights of its copies sum to its own; where a
  family's weights would not, the last projection of each expert is divided by m. Copies that start equal and are
  always taken together get equal gradients and stay equal: ``noise_std`` on the router rows tells them apart, at a
  price that the receipt states.
* ``bias_only`` (arXiv 2604.19835): E experts more, copies of the ones of largest weight norm, up to three of each; K as
  it is; where the choice has a bias, the copies' bias gets noise. Top-K then takes twins in place of different experts,
  and **the function changes**: the receipt says by how much.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import torch

from trimtab.errors import ConfigurationError, UnsupportedModelError, nearest
from trimtab.moe.discovery import find_routers
from trimtab.moe.expert_layout import expert_layout
from trimtab.moe.expert_selection import ExpertSelection
from trimtab.moe.preservation import tolerance
from trimtab.moe.upcycled_init import doubling_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from torch.optim import Optimizer
    from transformers import PreTrainedModel

    from trimtab.moe.router import Router

ExpertMethod = Literal["copies", "bias_only"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertReceipt:
    """What upcycling experts did to a model's function.

    Attributes:
        method: ``copies`` or ``bias_only``.
        num_experts: E before and after.
        num_experts_per_tok: K before and after.
        sources: By layer, the expert before that each expert after is a copy of.
        tokens: Tokens on which the errors were measured.
        layers: Relative output error of each block with experts, given the input that it had before.
        logits: Relative error of the logits.
        tolerance: Largest error that is rounding at the model's precision.
        exact: Whether no error exceeds ``tolerance``.
    """

    method: str
    num_experts: tuple[int, int]
    num_experts_per_tok: tuple[int, int]
    sources: dict[int, tuple[int, ...]]
    tokens: int
    layers: tuple[float, ...]
    logits: float
    tolerance: float
    exact: bool

    def __str__(self) -> str:
        verdict = "exact" if self.exact else "not exact"
        return (
            f"{self.method} (E={self.num_experts[0]} → {self.num_experts[1]}, k={self.num_experts_per_tok[0]} →"
            f" {self.num_experts_per_tok[1]}): {verdict}; blocks differ by at most {max(self.layers):.2g}, logits by"
            f" {self.logits:.2g} (relative, {self.tokens} tokens)"
        )


def upcycle_experts(  # noqa: PLR0913 - one keyword for each choice
    model: PreTrainedModel,
    *,
    tokens: Tensor,
    multiple: int = 2,
    method: ExpertMethod = "copies",
    noise_std: float = 0.0,
    bias_noise: float = 0.01,
    seed: int = 0,
) -> tuple[PreTrainedModel, ExpertReceipt]:
    """Make a mixture of the same family with more experts; ``model`` stays as it is.

    Args:
        model: A mixture of a family whose routers can be read; nothing attached to it is taken over.
        tokens: [B, S] token ids on which the receipt is measured: real text, no padding.
        multiple: Experts after over experts before, m; ``bias_only`` knows 2.
        method: ``copies`` or ``bias_only``.
        noise_std: Of ``copies``: noise on the router rows of all copies but the first, in standard deviations of the
            rows. 0 is exact.
        bias_noise: Of ``bias_only``: noise on the copies' selection bias, in sample standard deviations of what was
            copied. Without such a bias, or with a constant one, there is none.
        seed: Of every draw.

    Returns:
        The larger mixture, on the device and in the precision and mode of ``model``, and its receipt.

    Raises:
        UnsupportedModelError: The family cannot have other numbers of experts, or ``copies`` would not be exact in it.
        ConfigurationError: The numbers do not fit each other.
    """
    routers = find_routers(model)
    _check(model, routers, method, multiple)
    generator = torch.Generator().manual_seed(seed)
    sources = {router.layer: _sources(router, method, multiple) for router in routers}
    top_k = routers[0].num_experts_per_tok
    after_k = multiple * top_k if method == "copies" else top_k
    larger = ExpertSelection(model, routers, sources, after_k if method == "copies" else None).build()
    with torch.no_grad():
        for router, before in zip(find_routers(larger), routers, strict=True):
            if method == "bias_only":
                _shake_bias(router, before.num_experts, bias_noise, generator)
                continue
            _keep_size(router, multiple)
            if noise_std:
                copies = torch.arange(router.num_experts) % multiple != 0
                rows = router.weight[copies.to(router.weight.device)]
                noise = torch.randn(rows.shape, generator=generator).to(rows)
                router.weight[copies.to(router.weight.device)] = rows + noise_std * rows.std() * noise
    layers, logits = _errors(model, larger, routers, tokens)
    limit = tolerance(model.dtype)
    receipt = ExpertReceipt(
        method=method,
        num_experts=(routers[0].num_experts, len(sources[routers[0].layer])),
        num_experts_per_tok=(top_k, after_k),
        sources={layer: tuple(experts.tolist()) for layer, experts in sources.items()},
        tokens=tokens.numel(),
        layers=layers,
        logits=logits,
        tolerance=limit,
        exact=all(error <= limit for error in (*layers, logits)),
    )
    if method == "copies" and not noise_std and not receipt.exact:
        raise UnsupportedModelError(
            f"copies of experts should be exact in a {model.config.model_type} model and are not: blocks differ by up"
            f" to {max(layers):.1%}, logits by {logits:.1%} (rounding explains {limit:.1g})",
            hint="rows of different experts that are equal make top-k ambiguous",
        )
    return larger, receipt


def _check(model: PreTrainedModel, routers: Sequence[Router], method: str, multiple: int) -> None:
    where = f"upcycle_experts(multiple={multiple}, method={method!r})"
    if method not in get_args(ExpertMethod):
        raise ConfigurationError(f"{where}: {nearest(method, get_args(ExpertMethod))}")
    if not routers:
        raise UnsupportedModelError(f"{type(model).__name__} is dense", hint="trimtab.upcycle makes a mixture of it")
    if multiple < 2 or (method == "bias_only" and multiple != 2):
        raise ConfigurationError(f"{where}: a whole number from 2 on, and 2 alone for bias_only")
    for router in routers:
        if method == "copies" and router.formula is None:
            raise UnsupportedModelError(f"{router.name} weighs its experts in a way of its own")
        if method == "copies" and router.groups is not None and router.groups.by == "top2":
            raise UnsupportedModelError(
                f"{router.name} ranks groups by the sum of their two best scores, which copies would change",
                hint="method='bias_only', which is not exact anyway",
            )
        if expert_layout(router).count < router.num_experts:
            raise UnsupportedModelError(f"some experts beside {router.name} have no weights to be copied")


def _sources(router: Router, method: str, multiple: int) -> Tensor:
    """Return the expert [E'] that each new one is a copy of."""
    experts = torch.arange(router.num_experts)
    if method == "copies":
        return experts.repeat_interleave(multiple)
    layout = expert_layout(router)
    inward = [parts for name, parts in layout.pieces.items() if name not in layout.output and parts[0].ndim >= 2]
    squares = torch.stack([torch.stack([part.float().square().sum() for part in parts]) for parts in inward]).sum(0)
    return torch.cat([experts, doubling_order(squares.sqrt().cpu())])


def _shake_bias(router: Router, before: int, scale: float, generator: torch.Generator) -> None:
    """Put noise on the selection bias of the new experts; none where it is constant or missing."""
    if router.native is None:
        return
    bias = router.native.read()
    copied = bias[before:]
    noise = torch.randn(copied.shape, generator=generator).to(copied)
    bias[before:] = copied + noise * copied.std() * scale


def _keep_size(router: Router, multiple: int) -> None:
    """Divide what experts give by m where the weights of m copies sum to m times the weight of one."""
    if router.renormalize or router.score_function == "softmax":
        return
    for parts in expert_layout(router).output.values():
        for part in parts:
            part.div_(multiple)


@torch.no_grad()
def _errors(
    before: Any,  # noqa: ANN401 - any two models with as many blocks
    after: Any,  # noqa: ANN401 - as above
    routers: Sequence[Router],
    tokens: Tensor,
) -> tuple[tuple[float, ...], float]:
    """Return the relative errors of each block with experts, given its input before, and of the logits."""
    seen: dict[int, tuple[Any, Any, Tensor]] = {}
    handles = [
        router.block.register_forward_hook(
            lambda _block, args, kwargs, output, layer=router.layer: seen.update(
                {layer: (args, kwargs, _first(output))}
            ),
            with_kwargs=True,
        )
        for router in routers
    ]
    modes = before.training, after.training
    before.eval(), after.eval()
    try:
        given = tokens.to(before.device)
        expected = before(input_ids=given, use_cache=False).logits
        for handle in handles:
            handle.remove()
        layers = []
        for router in find_routers(after):
            if router.layer in seen:
                args, kwargs, output = seen[router.layer]
                layers.append(_relative(_first(router.block(*args, **kwargs)), output))
        return tuple(layers), _relative(after(input_ids=given, use_cache=False).logits, expected)
    finally:
        before.train(modes[0]), after.train(modes[1])


def _first(output: Any) -> Tensor:  # noqa: ANN401 - a block's own
    found: Tensor = output[0] if isinstance(output, tuple) else output
    return found


def _relative(result: Tensor, expected: Tensor) -> float:
    size = float(torch.linalg.vector_norm(expected.double()))
    return float(torch.linalg.vector_norm(result.double() - expected.double())) / max(size, _TINY)


_TINY: Final = torch.finfo(torch.float64).tiny


def expand_optimizer(
    optimizer: Optimizer,
    before: PreTrainedModel,
    after: PreTrainedModel,
    receipt: ExpertReceipt,
    *,
    moments: Literal["copy", "reset"] = "copy",
) -> Optimizer:
    """Return an optimizer of the same class and groups over the parameters of the larger model.

    Args:
        optimizer: Over parameters of ``before``.
        before: What :func:`upcycle_experts` was given.
        after: What it returned.
        receipt: What it returned with that.
        moments: ``copy`` gives each copy the state of its expert; ``reset`` starts experts and routers from nothing.
            Everything else keeps its state.

    Raises:
        ConfigurationError: The optimizer holds a parameter that ``before`` does not have.
    """
    names = {id(parameter): name for name, parameter in before.named_parameters()}
    parameters = dict(after.named_parameters())
    for group in optimizer.param_groups:
        if any(id(parameter) not in names for parameter in group["params"]):
            raise ConfigurationError("the optimizer holds parameters that the model before does not have")
    selection = ExpertSelection(
        before, find_routers(before), {layer: torch.tensor(experts) for layer, experts in receipt.sources.items()}
    )
    shapes = {name: parameter.shape for name, parameter in parameters.items()}
    renamed = {name: [*selection.select({name: p.detach()}, shapes)] for name, p in before.named_parameters()}
    groups = [
        {**group, "params": [parameters[new] for p in group["params"] for new in renamed[names[id(p)]]]}
        for group in optimizer.param_groups
    ]
    # Groups hold every option; defaults are for what a class insists on, and hold some that it does not take.
    taken = inspect.signature(type(optimizer)).parameters
    options = {name: value for name, value in optimizer.defaults.items() if name in taken}
    expanded: Optimizer = type(optimizer)(groups, **options)
    for parameter, state in optimizer.state.items():
        name = names[id(parameter)]
        for new in renamed[name]:
            resized = parameters[new].shape != parameter.shape or len(renamed[name]) > 1
            if resized and moments == "reset":
                continue
            expanded.state[parameters[new]] = {
                key: selection.select({name: value}, shapes)[new].clone()
                if isinstance(value, torch.Tensor) and value.shape == parameter.shape
                else (value.clone() if isinstance(value, torch.Tensor) else value)
                for key, value in state.items()
            }
    return expanded
