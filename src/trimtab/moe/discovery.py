"""Find the routers of a transformers model by their interface, and learn what each computes by asking it.

A mixture-of-experts block holds ``experts`` and a router (``gate`` or ``router``). No list of families is kept: each
router is probed (:mod:`trimtab.moe.router_probe`), and one that cannot be understood is refused with the reason. The
families of the installed transformers are listed, with what works in each, in ``docs/reference/families.md``, by code.
"""

from __future__ import annotations

import inspect
import itertools
import operator
import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import torch

from trimtab.errors import UnsupportedModelError
from trimtab.moe.ports import CHOICE_METHOD, DensePort, MethodPort, Port, TuplePort
from trimtab.moe.router import BiasPlace, Formula, Groups, Router
from trimtab.moe.router_probe import TOKENS, Probe, probe
from trimtab.moe.routing import ScoreFunction, scores_of
from trimtab.moe.wrappers import adapted, adapter_parameters, used, used_modules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

_ROUTER_NAMES: Final = ("gate", "router")
_SCORES: Final[tuple[ScoreFunction, ...]] = ("sigmoid", "softmax", "sqrtsoftplus")


def find_routers(model: nn.Module) -> list[Router]:
    """Return the routers of ``model`` in the order of its layers; none for a dense model.

    A router that reads token ids (the hash layers of DeepSeek-V4) has nothing to balance, and is left out.

    Raises:
        UnsupportedModelError: A block has experts, but its router cannot be read.
    """
    names = {id(module): name for name, module in model.named_modules()}
    routers = [
        _read(names.get(id(used(getattr(block, child))), where), block, child)
        for where, block, child in _candidates(model)
    ]
    layers = [_layer_number(router.name) for router in routers]
    if None in layers or len(set(layers)) < len(layers):
        return [replace(router, layer=index) for index, router in enumerate(routers)]
    return routers


def _candidates(model: nn.Module) -> Iterator[tuple[str, nn.Module, str]]:
    """Yield the name of each router, its block and its attribute there; one that several names reach, once."""
    seen: set[int] = set()
    for name, block in used_modules(model):
        experts = getattr(block, "experts", None)
        child = next((child for child in _ROUTER_NAMES if isinstance(getattr(block, child, None), torch.nn.Module)), "")
        gate = used(getattr(block, child, None))
        where = f"{name}.{child}".strip(".")
        if not isinstance(experts, torch.nn.Module):
            if isinstance(gate, torch.nn.Module) and hasattr(gate, "num_experts") and hasattr(gate, "top_k"):
                raise UnsupportedModelError(f"{where} ({type(gate).__name__}) has no module 'experts' beside it")
        elif not isinstance(gate, torch.nn.Module):
            raise UnsupportedModelError(
                f"{name} ({type(block).__name__}) has experts but no router named {' or '.join(_ROUTER_NAMES)}"
            )
        elif "input_ids" not in inspect.signature(gate.forward).parameters and id(gate) not in seen:
            seen.add(id(gate))
            yield where, block, child


def _read(name: str, block: nn.Module, child: str) -> Router:
    gate, experts = used(getattr(block, child)), used(block.experts)
    where = f"{name} ({type(gate).__name__})"
    if hasattr(gate, "expert_capacity"):
        raise UnsupportedModelError(f"{where} returns masks of a capacity of its own (expert_capacity)")
    probed = probe(where, gate, block)
    output = probed.run()
    ports = [*_ports(output, gate, (block, experts))]
    if not ports:
        raise UnsupportedModelError(f"{where} does not return logits [T, E], weights [T, K] and experts [T, K]")
    understood, reasons = [], []
    for port in ports:
        try:
            understood.append(_understand(probed, port, name, (gate, block, child)))
        except UnsupportedModelError as error:
            reasons.append(error)
        if understood and understood[-1].formula is not None:
            return understood[-1]
    if not understood:
        raise reasons[0]
    return understood[0]


def _ports(output: Any, gate: nn.Module, holders: tuple[nn.Module, nn.Module]) -> Iterator[Port]:  # noqa: ANN401
    """Yield the ways in which ``output`` can be read, the likeliest first."""
    if isinstance(output, torch.Tensor):
        yield from _methods(output, holders)
        return
    if not isinstance(output, tuple):
        return
    tables = {
        index: tensor
        for index, tensor in enumerate(output)
        if isinstance(tensor, torch.Tensor) and tensor.ndim == 2 and len(tensor) == TOKENS
    }
    yield from _tuples(tables, gate)
    yield from _dense(tables)


def _tuples(tables: dict[int, Tensor], gate: nn.Module) -> Iterator[Port]:
    """Yield the readings in which one table holds experts [T, K], one their weights, and one perhaps logits."""
    floats = [index for index, tensor in tables.items() if tensor.is_floating_point()]
    for chosen in tables.keys() - set(floats):
        alike = [index for index in floats if tables[index].shape == tables[chosen].shape]
        for weights, logits in itertools.product(alike, floats):
            if logits != weights and tables[logits].shape[1] >= tables[chosen].shape[1]:
                for probabilities in (False, True):
                    yield TuplePort(weights=weights, experts=chosen, logits=logits, probabilities=probabilities)
        name = _weight_name(gate, 1)
        # With an adapter inside, its weight does not make the logits.
        if len(floats) == 1 and alike and name and not adapted(gate):
            rows = partial(operator.attrgetter(name), gate)
            yield TuplePort(weights=alike[0], experts=chosen, logits=None, rows=rows)


def _dense(tables: dict[int, Tensor]) -> Iterator[Port]:
    """Yield the readings in which one of two tables [T, E] has as many entries in every row, and zeros elsewhere."""
    if len(tables) != 2 or not all(tensor.is_floating_point() for tensor in tables.values()):
        return
    for weights, logits in itertools.permutations(tables):
        counts = (tables[weights] != 0).sum(1)
        if bool((counts == counts[0]).all()) and 0 < int(counts[0]) < tables[weights].shape[1]:
            yield DensePort(weights=weights, logits=logits, num_experts_per_tok=int(counts[0]))


def _methods(logits: Tensor, holders: tuple[nn.Module, nn.Module]) -> Iterator[Port]:
    for owner in (holder for holder in holders if hasattr(holder, CHOICE_METHOD)):
        names = list(inspect.signature(getattr(type(owner), CHOICE_METHOD)).parameters)[1:]
        pair = getattr(type(owner), CHOICE_METHOD)(owner, *(logits for _ in names))
        if isinstance(pair, tuple) and len(pair) == 2 and logits.ndim == 2:
            experts = 0 if not pair[0].is_floating_point() else 1
            yield MethodPort(owner=owner, logits=len(names) - 1, weights=1 - experts, experts=experts)


def _understand(probed: Probe, port: Port, name: str, held: tuple[nn.Module, nn.Module, str]) -> Router:
    """Return the router that explains what was seen through ``port``.

    Raises:
        UnsupportedModelError: None does.
    """
    gate, block, child = held
    read = _reader(port, probed)
    logits, weights, chosen = read((probed.tokens,), probed.run())
    num_experts, per_token = logits.shape[1], chosen.shape[1]
    if int(chosen.max()) >= num_experts or bool((chosen.sort(1).values.diff(dim=1) == 0).any()):
        raise UnsupportedModelError(f"{probed.where} does not return experts [T, K] that differ")
    weight_name = _weight_name(gate, num_experts)
    if weight_name is None:
        raise UnsupportedModelError(f"{probed.where} has no weight [{num_experts} experts, {probed.hidden} hidden]")
    bias = probed.find_bias(read, num_experts)
    score_function, formula = _formula(probed, (logits, weights, chosen))
    if formula is None and bias is not None:
        score_function = _score_by_choice(probed, read, bias, num_experts)
    groups, plain = _choice(gate, scores_of(logits, score_function), chosen)
    if formula is None and not plain:
        raise UnsupportedModelError(f"{probed.where}: neither its choice nor its weights follow from its logits")
    return Router(
        name=name, layer=_layer_number(name) or 0, module=gate, block=block, attribute=child,
        experts=used(block.experts), port=port, weight_name=weight_name,
        num_experts=num_experts, num_experts_per_tok=per_token, score_function=score_function, formula=formula,
        groups=groups, plain=plain, native=None if bias is None else _place(gate, block, bias, probed),
    )  # fmt: skip


def _reader(port: Port, probed: Probe) -> Any:  # noqa: ANN401 - a function of arguments and output
    """Return how to read a probe through ``port``: with the stand-in weights; a method on the logits returned."""
    if isinstance(port, TuplePort) and port.rows is not None:
        return replace(port, rows=lambda: next(v for v in probed.values.values() if v.ndim == 2)).read
    if not isinstance(port, MethodPort):
        return port.read

    def read(_arguments: tuple[Any, ...], logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        arguments = (logits,) * (port.logits + 1)
        return port.read(arguments, getattr(type(port.owner), CHOICE_METHOD)(port.owner, *arguments))

    return read


def _formula(probed: Probe, seen: tuple[Tensor, Tensor, Tensor]) -> tuple[ScoreFunction, Formula | None]:
    """Return the score function and formula that reproduce the weights seen; the formula is None when none does."""
    logits, weights, chosen = seen
    factors: list[str | None] = [
        None,
        *(n for n, v in probed.values.items() if v.shape == (logits.shape[1],) and v.any()),
    ]
    for score_function, renormalize, factor in itertools.product(_SCORES, (False, True), factors):
        formula = Formula(renormalize=renormalize, per_expert=factor)
        made = formula.weights(scores_of(logits, score_function), chosen, probed.values[factor] if factor else None)
        scale = float(weights.double().sum() / made.double().sum())
        if torch.allclose(made * scale, weights.float(), rtol=1e-4, atol=1e-6):
            return score_function, replace(formula, scale=float(f"{scale:.5g}"))
    return "softmax", None


def _score_by_choice(probed: Probe, read: Any, bias: str, num_experts: int) -> ScoreFunction:  # noqa: ANN401
    """Return the score function to which a random bias was added before top-k."""
    shift = 0.5 * torch.randn(num_experts, generator=torch.Generator().manual_seed(2))
    logits, _, chosen = read(
        (probed.tokens,), probed.run(**{bias: shift.view_as({**probed.values, **probed.extra}[bias])})
    )
    for score_function in _SCORES:
        if _same(scores_of(logits, score_function) + shift, chosen, None):
            return score_function
    raise UnsupportedModelError(f"{probed.where} adds its bias to neither a softmax nor a sigmoid of its logits")


def _choice(gate: nn.Module, scores: Tensor, chosen: Tensor) -> tuple[Groups | None, bool]:
    """Return the groups within which the experts seen are the top-k, and whether there is such an explanation."""
    if _same(scores, chosen, None):
        return None, True
    count = next(
        (int(getattr(gate, n)) for n in ("num_group", "n_group") if isinstance(getattr(gate, n, None), int)), 1
    )
    allowed = getattr(gate, "topk_group", None) or 1
    if count < 2 or scores.shape[1] % count:
        return None, False
    for by in ("max", "top2"):
        groups = Groups(count=count, chosen=allowed, by="max" if by == "max" else "top2")
        if _same(scores, chosen, groups):
            return groups, True
    return None, False


def _same(scores: Tensor, chosen: Tensor, groups: Groups | None) -> bool:
    limited = scores if groups is None else groups.limit(scores)
    return torch.equal(limited.topk(chosen.shape[1], dim=-1).indices.sort(1).values, chosen.long().sort(1).values)


def _place(gate: nn.Module, block: nn.Module, name: str, probed: Probe) -> BiasPlace:
    if name in probed.extra:
        return BiasPlace(owner=block, name=name)
    path, _, attribute = name.rpartition(".")
    return BiasPlace(owner=gate.get_submodule(path), name=attribute)


def _weight_name(gate: nn.Module, num_experts: int) -> str | None:
    """Return the name of the matrix with at least ``num_experts`` rows, the longest way round for one inside."""
    adapters = adapter_parameters(gate)
    names = [
        name
        for name, tensor in gate.named_parameters()
        if tensor.ndim == 2 and len(tensor) >= num_experts and name not in adapters
    ]
    return names[0] if len(names) == 1 else None


def _layer_number(name: str) -> int | None:
    numbers = re.findall(r"(?<=\.)\d+(?=\.)", name)
    return int(numbers[0]) if numbers else None
