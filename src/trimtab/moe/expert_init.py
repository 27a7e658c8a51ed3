"""Stresses of a fresh model's routers and experts before training, in place and reproducibly.

Initialization reaches a balancer through the rows of the router (how alike they are, how far apart their scores), so
most of these write there; two write the experts. A skew is written *along the mean input of the router*, so that it
scales with each token: a constant offset would be cancelled exactly by a bias, and would test nothing but its travel.

What can be set in each is in :mod:`trimtab.settings.initializations`. Experts as upcycling leaves them are in
:mod:`trimtab.moe.upcycled_init`, what changes the input of the routers in :mod:`trimtab.moe.depth_init`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.expert_layout import expert_layout
from trimtab.settings import initializations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from trimtab.moe.router import Router
    from trimtab.moe.stressed import Stressed


def leave(_init: initializations.Random, _on: Stressed) -> None:
    """Do nothing."""


def scale(init: initializations.ScaledRouter, on: Stressed) -> None:
    """Scale every router's rows, and the bias that its logits have beside them."""
    for router in on.routers:
        on.write(weight_name(router), router.weight, init.factor * router.weight, router.name)
        for name, bias in logit_biases(router):
            on.write(name, bias, init.factor * bias, router.name)


def skew(init: initializations.SkewedRouter, on: Stressed) -> None:
    """Skew every router, the first layer first, since it changes what the next one sees."""
    for router in on.routers:
        favored = on.draw(router, max(1, round(init.share * router.num_experts)))
        _shift_along_mean(on, router, favored, init.shift)


def bias(init: initializations.BiasedRouter, on: Stressed) -> None:
    """Shift every router, the first layer first."""
    for router in on.routers:
        shifts = init.std * torch.randn(router.num_experts, 1, generator=on.generator)
        _shift_along_mean(on, router, torch.arange(router.num_experts), shifts)


def prompt(init: initializations.PromptRouter, on: Stressed) -> None:
    """Give each router rows that point to the mean inputs of the sample's texts."""
    for router in on.routers:
        inputs = _inputs(on, router)
        texts = inputs.view(len(on.sample_batch), -1, inputs.shape[-1])
        rows = router.weight.clone()
        pieces = -(-router.num_experts // len(texts))
        if pieces > texts.shape[1]:
            raise ConfigurationError(
                f"{init!r}: {router.name} has {router.num_experts} experts, and the sample {texts.shape[0]} texts of"
                f" {texts.shape[1]} tokens, which is less than one an expert",
                hint="a sample of more or longer texts",
            )
        for expert in range(router.num_experts):
            # Further experts than texts get a later piece of a text; chunk() may cut into fewer than it is asked for.
            text, piece = expert % len(texts), expert // len(texts)
            cut = texts[text].chunk(pieces)
            mean = (cut if len(cut) == pieces else texts[text].tensor_split(pieces))[piece].mean(0)
            rows[expert] = (init.norm * mean / mean.norm()).to(rows)
        on.write(weight_name(router), router.weight, rows, router.name)


def twin(init: initializations.TwinRows, on: Stressed) -> None:
    """Give each group the row of its first member, and its bias; which experts form a group is drawn."""
    for router in on.routers:
        rows = router.weight
        order = torch.randperm(router.num_experts, generator=on.generator)
        group = torch.empty_like(order)
        group[order] = torch.arange(len(order)) % init.groups
        first = torch.stack([rows[order[index]] for index in range(init.groups)])
        noise = torch.randn(rows.shape, generator=on.generator).to(rows) * rows.std() * init.noise
        on.write(weight_name(router), rows, first[group.to(rows.device)] + noise, router.name)
        for name, per_expert in per_expert_vectors(router):
            on.write(name, per_expert, per_expert[order[group].to(per_expert.device)], router.name)


def copy_first(init: initializations.IdenticalExperts, on: Stressed) -> None:
    """Copy the first expert over the others, whatever the layout."""
    for router in on.routers:
        layout = expert_layout(router)
        if layout.count < router.num_experts:
            raise ConfigurationError(
                f"{init!r}: {router.num_experts - layout.count} of the {router.num_experts} experts beside"
                f" {router.name} have no weights, so that they cannot be copies"
            )
        for name, parts in layout.pieces.items():
            for expert, part in enumerate(parts):
                on.write(f"{layout.full_name(name)}[{expert}]", part, parts[0], router.name)


def kill(init: initializations.DeadExpert, on: Stressed) -> None:
    """Silence one drawn expert of each layer: the last linear map and its bias."""
    for router in on.routers:
        layout = expert_layout(router)
        dead = on.draw(router, 1, among=layout.count)
        for name, parts in layout.output.items():
            part = parts[int(dead)]
            on.write(f"{layout.full_name(name)}[{int(dead)}]", part, torch.zeros_like(part), router.name)
        _shift_along_mean(on, router, dead, init.shift)


def weight_name(router: Router) -> str:
    """Return the name of the router's weight, as of the model."""
    return f"{router.name}.{router.weight_name}"


def logit_biases(router: Router) -> Iterator[tuple[str, Tensor]]:
    """Yield the bias [E] that is added to the rows' logits, beside the weight in the same module; most have none."""
    owner, _, own = router.weight_name.rpartition(".")
    module = router.module.get_submodule(owner)
    bias_E = getattr(module, "bias", None)
    if own == "weight" and isinstance(bias_E, torch.Tensor) and bias_E.shape == (router.num_experts,):
        yield f"{router.name}.{owner}.bias".replace("..", "."), bias_E.detach()


def per_expert_vectors(router: Router) -> Iterator[tuple[str, Tensor]]:
    """Yield every vector [E] that treats experts apart: biases of logits and of selection, factors of weights."""
    seen: set[int] = set()
    vectors = [*router.module.named_parameters(), *router.module.named_buffers()]
    if router.native is not None:
        vectors.append((router.native.name, router.native.read()))
    for name, tensor in vectors:
        flat = tensor.detach().view(-1) if tensor.numel() == router.num_experts else None
        if flat is not None and flat.is_floating_point() and flat.data_ptr() not in seen:
            seen.add(flat.data_ptr())
            yield f"{router.name}.{name}", flat


def _shift_along_mean(on: Stressed, router: Router, experts: Tensor, shift: float | Tensor) -> None:
    """Shift the mean logits of ``experts`` by ``shift``, one number or [experts, 1]."""
    mean = _mean_input(on, router)
    rows = router.weight
    amount = shift if isinstance(shift, float) else shift.to(mean)
    shifted = rows.clone()
    shifted[experts.to(rows.device)] += (amount * mean / mean.square().sum()).to(rows)
    on.write(weight_name(router), rows, shifted, router.name)


def _mean_input(on: Stressed, router: Router) -> Tensor:
    """Mean [H] over the tokens of the sample of what the router's weight is multiplied with.

    Raises:
        ConfigurationError: The mean is 0, so that no direction is along it.
    """
    mean = _inputs(on, router).mean(0)
    if not mean.isfinite().all() or not mean.any():
        raise ConfigurationError(
            f"{on.init!r}: the mean input of {router.name} on the sample is"
            f" {'zero' if mean.isfinite().all() else 'not finite'}, so there is no shift along it"
        )
    return mean


def _inputs(on: Stressed, router: Router) -> Tensor:
    """What the router's weight is multiplied with on the sample, [T, H].

    Raises:
        ConfigurationError: The router is not called.
    """
    owner = router.module.get_submodule(router.weight_name.rpartition(".")[0])
    seen: dict[nn.Module, Tensor] = {}
    handles = [module.register_forward_pre_hook(partial(_note, seen)) for module in {router.module, owner}]
    training = on.model.training
    on.model.eval()
    try:
        on.model(input_ids=on.sample_batch, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
        on.model.train(training)
    if router.module not in seen:
        raise ConfigurationError(
            f"{on.init!r}: {router.name} was not called on the sample, so that its input is not known",
            hint="a sample_batch that reaches it",
        )
    # A weight within may be used without its module being called.
    return seen.get(owner, seen[router.module]).flatten(0, -2).float()


def _note(seen: dict[nn.Module, Tensor], module: nn.Module, arguments: tuple[Any, ...]) -> None:
    """Keep the input of the first call."""
    seen.setdefault(module, arguments[0])


def __getattr__(name: str) -> Any:  # noqa: ANN401 - PEP 562
    if name in initializations.BY_CLASS:
        return initializations.BY_CLASS[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
