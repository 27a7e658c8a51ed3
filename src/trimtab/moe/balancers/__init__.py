"""The rules that keep experts evenly loaded, one file an idea; every name is here.

A balancer is a frozen value of hyper-parameters with pure methods (:mod:`~trimtab.moe.balancers.interface`). What it
has learned, the state of a layer, is held by the gate (:mod:`trimtab.moe.gate`).

Units: a bias is in units of score; a loss is per layer, 1 at perfect balance before its coefficient (Megatron's
normalization), added over layers. Errors of load are relative, (mean − load) / mean, so that a step size means the same
for any batch.
"""

from trimtab.moe.balancers.bip import BIP
from trimtab.moe.balancers.interface import Balancer, BatchBalancer, BiasBalancer, Context, LossBalancer
from trimtab.moe.balancers.loss_free import LossFree
from trimtab.moe.balancers.newton import NewtonBalancing
from trimtab.moe.balancers.none import NoBalancer
from trimtab.moe.balancers.pooled import PooledSwitchLoss
from trimtab.moe.balancers.quantile import QuantileBalancing
from trimtab.moe.balancers.simbal import SimBal
from trimtab.moe.balancers.sinkhorn import Sinkhorn
from trimtab.moe.balancers.stack import Stack
from trimtab.moe.balancers.switch import SwitchLoss
from trimtab.moe.balancers.z_loss import RouterZLoss

__all__ = [
    "BIP",
    "Balancer",
    "BatchBalancer",
    "BiasBalancer",
    "Context",
    "LossBalancer",
    "LossFree",
    "NewtonBalancing",
    "NoBalancer",
    "PooledSwitchLoss",
    "QuantileBalancing",
    "RouterZLoss",
    "SimBal",
    "Sinkhorn",
    "Stack",
    "SwitchLoss",
]
