"""Which behavior goes with which settings: the one place where the two meet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from trimtab.errors import ConfigurationError
from trimtab.moe.balancers.bip import BIPBalancer
from trimtab.moe.balancers.interface import Balancer
from trimtab.moe.balancers.kimi_quantile import KimiQuantileBalancer
from trimtab.moe.balancers.logit_quantile import LogitQuantileBalancer
from trimtab.moe.balancers.loss_free import LossFreeBalancer
from trimtab.moe.balancers.modality import ModalityBalancer
from trimtab.moe.balancers.moving_quantile import CausalBiasBalancer, MovingQuantileBalancer
from trimtab.moe.balancers.newton import NewtonBalancer
from trimtab.moe.balancers.none import IdleBalancer
from trimtab.moe.balancers.pooled import PooledSwitchBalancer
from trimtab.moe.balancers.quantile import QuantileBalancer
from trimtab.moe.balancers.simbal import SimBalBalancer
from trimtab.moe.balancers.sinkhorn import SinkhornBalancer
from trimtab.moe.balancers.smebu import SMEBUBalancer
from trimtab.moe.balancers.soft_clipped import SoftClippedBalancer
from trimtab.moe.balancers.stack import StackBalancer
from trimtab.moe.balancers.switch import SwitchBalancer
from trimtab.moe.balancers.z_loss import ZLossBalancer
from trimtab.settings import rules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trimtab.settings.families import Rule


def _stacked(settings: rules.Stack) -> StackBalancer:
    return StackBalancer(settings, behavior(settings.bias), tuple(behavior(loss) for loss in settings.losses))


BEHAVIORS: Final[Mapping[type[Rule], Callable[[Any], Balancer]]] = {
    rules.NoBalancer: IdleBalancer,
    rules.LossFree: LossFreeBalancer,
    rules.ModalityLossFree: ModalityBalancer,
    rules.SMEBU: SMEBUBalancer,
    rules.SoftClippedBias: SoftClippedBalancer,
    rules.QuantileBalancing: QuantileBalancer,
    rules.MegatronQuantileBalancing: LogitQuantileBalancer,
    rules.KimiQuantileBalancing: KimiQuantileBalancer,
    rules.MarinQuantileBalancing: LogitQuantileBalancer,
    rules.NewtonBalancing: NewtonBalancer,
    rules.MovingQuantileBalancing: MovingQuantileBalancer,
    rules.CausalBias: CausalBiasBalancer,
    rules.BIP: BIPBalancer,
    rules.Sinkhorn: SinkhornBalancer,
    rules.SwitchLoss: SwitchBalancer,
    rules.PooledSwitchLoss: PooledSwitchBalancer,
    rules.RouterZLoss: ZLossBalancer,
    rules.SimBal: SimBalBalancer,
    rules.Stack: _stacked,
}


def behavior(rule: Rule) -> Balancer:
    """Return what a rule does; a behavior of a user's own is itself.

    Raises:
        ConfigurationError: It is no rule.
    """
    if isinstance(rule, Balancer):
        return rule
    if type(rule) not in BEHAVIORS:
        raise ConfigurationError(
            f"{rule!r} is no balancer",
            hint="a rule of trimtab.settings.rules, or a subclass of trimtab.moe.balancers.Balancer",
        )
    return BEHAVIORS[type(rule)](rule)
