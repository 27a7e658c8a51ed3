"""What is attached to a model: the rule, the capacity and the passes, which all of its gates share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trimtab.moe.passes import Passes

if TYPE_CHECKING:
    from torch import nn

    from trimtab.moe.balancers import Balancer
    from trimtab.moe.route_recording import RouteRecorder
    from trimtab.moe.route_replay import RouteReplay
    from trimtab.settings.capacities import Capacity


@dataclass(slots=True, kw_only=True)
class Attachment:
    """What all gates of a model share.

    Args:
        balancer: The rule.
        capacity: The capacity.
        eval_factor: Its factor in evaluation, as it is just now.
        accumulation: Micro-batches of an optimizer step.
        loss_scale: Factor of the penalty's gradient.
        synchronize: Whether counts of a step under way are added up over processes.
        passes: The forward passes of the step.
        roots: The models around the routers, which say what a pass is about.
        recorder: Takes note of what is chosen, while routes are recorded.
        replay: Says what is chosen, while routes are replayed.
    """

    balancer: Balancer
    capacity: Capacity
    eval_factor: float | None
    accumulation: int
    loss_scale: float = 1.0
    synchronize: bool = True
    passes: Passes = field(default_factory=Passes)
    roots: list[nn.Module] = field(default_factory=list)
    recorder: RouteRecorder | None = None
    replay: RouteReplay | None = None
