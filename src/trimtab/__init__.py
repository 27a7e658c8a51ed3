"""trimtab: how mixture-of-experts load balancing holds up under initialization and capacity stress.

The names below are what a training script needs. They are loaded when first used, so that ``import trimtab`` loads no
torch, and reading a study needs none.
"""

from trimtab import isolation

isolation.leave_working_folder()  # before the first module is searched for on the path

import importlib  # noqa: E402
from typing import TYPE_CHECKING, Any, Final  # noqa: E402

if TYPE_CHECKING:
    from trimtab.moe.attach import attach
    from trimtab.moe.balancers import (
        BIP,
        LossFree,
        NoBalancer,
        PooledSwitchLoss,
        QuantileBalancing,
        RouterZLoss,
        SimBal,
        Sinkhorn,
        Stack,
        SwitchLoss,
    )
    from trimtab.moe.capacity import Capacity
    from trimtab.moe.gates import Gates
    from trimtab.moe.loading import load
    from trimtab.moe.trainer import TrimtabCallback
    from trimtab.moe.upcycle import upcycle

__all__ = [
    "BIP",
    "Capacity",
    "Gates",
    "LossFree",
    "NoBalancer",
    "PooledSwitchLoss",
    "QuantileBalancing",
    "RouterZLoss",
    "SimBal",
    "Sinkhorn",
    "Stack",
    "SwitchLoss",
    "TrimtabCallback",
    "attach",
    "load",
    "upcycle",
]

_HOMES: Final = {
    "attach": "attach",
    "load": "loading",
    "TrimtabCallback": "trainer",
    "Gates": "gates",
    "Capacity": "capacity",
    "BIP": "balancers",
    "PooledSwitchLoss": "balancers",
    "QuantileBalancing": "balancers",
    "SimBal": "balancers",
    "Sinkhorn": "balancers",
    "LossFree": "balancers",
    "NoBalancer": "balancers",
    "RouterZLoss": "balancers",
    "Stack": "balancers",
    "SwitchLoss": "balancers",
    "upcycle": "upcycle",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - PEP 562
    from trimtab.errors import MissingExtraError  # noqa: PLC0415 - nothing is loaded before it is asked for

    if name not in _HOMES:
        raise AttributeError(f"module 'trimtab' has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"trimtab.moe.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("trimtab"):
            raise
        raise MissingExtraError(str(error.name), extra="hf") from error


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
