"""Attach a balancer and a capacity to a transformers model, and take them off again.

::

    gates = attach(model, balancer=LossFree(bias_update_rate=1e-3), capacity=Capacity(factor=1.25))
    loss = model(**batch).loss
    loss.backward(); optimizer.step(); optimizer.zero_grad()
    gates.update()

Nothing is subclassed or replaced: forward hooks on the routers decide (:mod:`trimtab.moe.gate`), those on the models
around them say which tokens are text. A penalty needs no term in the loss, because its gradient enters at the routing
weights, under either kind of activation checkpointing. A router's own bias buffer (DeepSeek-V3, GLM-4-MoE) is moved in
place and stays with the model; a softmax router gets a bias that lives here, and in :meth:`Gates.state_dict`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from transformers import PreTrainedModel

from trimtab.errors import ConfigurationError, UnsupportedModelError
from trimtab.moe.attachment import Attachment
from trimtab.moe.balancers import Balancer, behavior
from trimtab.moe.discovery import find_routers
from trimtab.moe.gate import Gate
from trimtab.moe.gates import Gates
from trimtab.moe.lookout import Lookout
from trimtab.moe.passes import PassHook
from trimtab.settings.capacities import Capacity
from trimtab.settings.families import Rule
from trimtab.settings.rules import NoBalancer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

    from trimtab.moe.router import Router


def attach(
    model: nn.Module,
    *,
    balancer: Rule,
    capacity: Capacity | None = None,
    accumulation: int = 1,
) -> Gates:
    """Attach ``balancer`` and ``capacity`` to every router of a transformers model.

    Earlier gates whose routers have all left the model, because its expert layers were replaced, are detached.

    Args:
        model: The model; families are recognized by the interface of their routers.
        balancer: The rule.
        capacity: The capacity; dropless by default.
        accumulation: Micro-batches of an optimizer step, each of which gets an equal share of the penalty.

    Raises:
        UnsupportedModelError: The model has no router to attach to, or one that cannot be read.
        ConfigurationError: The model is already attached to, or the combination cannot work.
    """
    limits = Capacity() if capacity is None else capacity
    if accumulation < 1:
        raise ConfigurationError(f"attach(accumulation={accumulation}) must be at least 1")
    if not isinstance(balancer, Rule):
        raise ConfigurationError(
            f"attach(balancer={balancer!r}) is no balancer: a router hands on exactly K experts a token, and this does"
            " not rank them",
            hint="rules of trimtab.settings.rules; `trimtab simulate -r` also runs those that are no top-k",
        )
    routers = find_routers(model)
    acting = behavior(balancer)
    refuse(routers, acting, limits)
    for earlier in Gates.held_by(model):
        if earlier.departed:
            earlier.detach()
    attachment = Attachment(balancer=acting, capacity=limits, eval_factor=limits.eval_factor, accumulation=accumulation)
    gates = [Gate(router, attachment) for router in routers]
    attachment.roots = _roots(model, routers)
    lookout = Lookout(routers, attachment)
    undo: list[Callable[[], object]] = []
    for root in attachment.roots:
        hook = PassHook(attachment.passes, root, lookout.look, lookout.look_back)
        undo.append(root.register_forward_pre_hook(hook.begin, with_kwargs=True, prepend=True).remove)
        undo.append(root.register_forward_hook(hook.end, always_call=True).remove)
    for gate in gates:
        undo += _listen(gate)
    return Gates(model, gates, attachment, undo)


def _roots(model: nn.Module, routers: Sequence[Router]) -> list[nn.Module]:
    """Return the models of transformers around routers, outermost first; ``model`` too where a router is in none.

    All of them, because any may be called: PEFT calls one or another by its task type.
    """
    inner = {id(router.module) for router in routers}
    models = [module for module in model.modules() if isinstance(module, PreTrainedModel)]
    around = [module for module in models if any(id(part) in inner for part in module.modules())]
    covered = {id(part) for module in around for part in module.modules()}
    return [*around] if around and inner <= covered else [model, *around]


def _listen(gate: Gate) -> list[Callable[[], object]]:
    """Put ``gate`` behind its router; return what takes it off, to be undone from the last."""
    router = gate.router
    undo: list[Callable[[], object]] = []
    if gate.place is not None:
        undo.append(gate.place.owner.register_forward_pre_hook(gate.before, prepend=True).remove)
        if not router.native_bias:
            undo.append(partial(delattr, gate.place.owner, gate.place.name))
    undo.append(router.port.listen(router.module, gate.decide))
    return undo


def _forget_lost(router: Router) -> None:
    """Take off what a partial copy of an attached model brought along: hooks of gates that refuse."""
    for hooks in (router.module._forward_hooks, router.module._forward_pre_hooks):  # noqa: SLF001 - torch names no way
        for number, hook in list(hooks.items()):
            gate = getattr(getattr(hook, "decide", hook), "__self__", None)
            if isinstance(gate, Gate) and gate.lost:
                del hooks[number]


def is_attached(router: Router) -> bool:
    """Tell whether a balancer is attached to ``router``."""
    listeners = [getattr(decide, "__self__", None) for decide in router.port.listeners(router.module)]
    return any(isinstance(gate, Gate) and not gate.lost for gate in listeners)


def refuse(routers: list[Router], balancer: Balancer, limits: Capacity) -> None:
    """Refuse what cannot be attached to these routers, before anything is.

    Raises:
        UnsupportedModelError: There is no router, or one cannot choose what the rule or the capacity asks for.
        ConfigurationError: The rule refuses a router or the capacity, or a router is attached already.
    """
    acts = not isinstance(balancer.settings, NoBalancer) or limits.factor is not None or limits.eval_factor is not None
    if not routers and acts:
        raise UnsupportedModelError(
            f"the model has no router, so {balancer!r} with {limits!r} would do nothing",
            hint="attach NoBalancer() without a capacity to a dense model",
        )
    for router in routers:
        balancer.check(router, limits)
        _forget_lost(router)
        if is_attached(router):
            raise ConfigurationError(
                f"{router.name} is attached already",
                hint="call detach() on its gates first; those of a copied or unpickled model are Gates.of(model)",
            )
        if not _can_choose(router, balancer, limits):
            raise UnsupportedModelError(
                f"{router.name} ({type(router.module).__name__}) weighs its experts in a way of its own,"
                f" so {balancer!r} with {limits!r} cannot choose others",
                hint="a balancer that acts through a loss, without rerouting, works on it",
            )
        if router.renormalize and router.num_experts_per_tok == 1:
            raise ConfigurationError(
                f"{router.name} renormalizes the weight of 1 expert a token: it is always 1, so the router learns"
                " nothing",
                hint="num_experts_per_tok of 2 or more, or norm_topk_prob=False",
            )


def _can_choose(router: Router, balancer: Balancer, limits: Capacity) -> bool:
    """Tell whether calls can go where balancer and capacity want them."""
    weighs_known = router.formula is not None
    if limits.reroute and not weighs_known:
        return False
    if not (balancer.causal and balancer.adds_only_bias):
        return router.plain and weighs_known
    return router.takes_bias or not balancer.has_bias
