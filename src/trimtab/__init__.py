"""trimtab: how mixture-of-experts load balancing holds up under initialization and capacity stress.

What a training script needs, and every setting there is, by its name. Names are loaded when first used, so that
``import trimtab`` loads no torch, and settings need none.
"""

from trimtab import isolation

isolation.leave_working_folder()  # before the first module is searched for on the path

import importlib  # noqa: E402
from typing import TYPE_CHECKING, Any, Final  # noqa: E402

if TYPE_CHECKING:
    from trimtab.moe.attach import attach as attach
    from trimtab.moe.expert_upcycle import expand_optimizer as expand_optimizer
    from trimtab.moe.expert_upcycle import upcycle_experts as upcycle_experts
    from trimtab.moe.gates import Gates as Gates
    from trimtab.moe.loading import load as load
    from trimtab.moe.stresses import initialize as initialize
    from trimtab.moe.trainer import TrimtabCallback as TrimtabCallback
    from trimtab.moe.upcycle import upcycle as upcycle
    from trimtab.settings.capacities import Capacity as Capacity
    from trimtab.settings.initializations import *  # noqa: F403 - every one of them
    from trimtab.settings.rules import *  # noqa: F403 - every one of them

_HOMES: Final = {
    "attach": "moe.attach",
    "load": "moe.loading",
    "TrimtabCallback": "moe.trainer",
    "Gates": "moe.gates",
    "initialize": "moe.stresses",
    "upcycle": "moe.upcycle",
    "upcycle_experts": "moe.expert_upcycle",
    "expand_optimizer": "moe.expert_upcycle",
    "Capacity": "settings.capacities",
}
_CATALOGS: Final = {"RULES": "settings.rules", "INITIALIZATIONS": "settings.initializations"}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - PEP 562
    from trimtab.errors import MissingExtraError  # noqa: PLC0415 - nothing is loaded before it is asked for

    if name == "__all__":
        return _names()
    try:
        if name in _HOMES:
            return getattr(importlib.import_module(f"trimtab.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("trimtab"):
            raise
        raise MissingExtraError(str(error.name), extra="hf") from error
    # Settings are classes. Python also asks for `disk` here, for each "from trimtab import disk".
    if name[:1].isupper() and name in (settings := _settings()):
        return settings[name]
    raise AttributeError(f"module 'trimtab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_names()})


def _names() -> list[str]:
    return sorted({*_HOMES, *_settings()})


def _settings() -> dict[str, type]:
    """Return every rule and every initialization by its name."""
    catalogs = [getattr(importlib.import_module(f"trimtab.{home}"), name) for name, home in _CATALOGS.items()]
    return {kind.__name__: kind for catalog in catalogs for kind in catalog}
