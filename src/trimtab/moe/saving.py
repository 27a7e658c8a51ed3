"""Write down what is attached to a model, beside its weights.

A folder of ``save_pretrained`` gets two more files. ``trimtab_config.json`` holds the balancer and the capacity as
plain values, the versions that wrote it, and what happens without it; it is written last: a folder with it is whole.
``trimtab_gates.safetensors`` holds what a resumed run needs, the biases in float32 whatever the dtype of the model.
:func:`trimtab.load` reads both.
"""

from __future__ import annotations

import json
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from safetensors.torch import save_file

from trimtab.moe import plain_values

if TYPE_CHECKING:
    import os

    from torch import nn

    from trimtab.moe.gates import Gates

CONFIG: Final = "trimtab_config.json"
STATE: Final = "trimtab_gates.safetensors"
FORMAT: Final = 1


def withdraw(folder: str | os.PathLike[str]) -> None:
    """Take back what an earlier save said about ``folder``, whose weights are about to change."""
    (Path(folder) / CONFIG).unlink(missing_ok=True)


def save_attachment(gates: Gates, model: nn.Module, folder: str | os.PathLike[str]) -> None:
    """Write the two files into ``folder``, which holds the weights of ``model`` already."""
    place = Path(folder)
    withdraw(place)
    state = {name: tensor.cpu().contiguous() for name, tensor in gates.state_dict().items()}
    save_file(state, place / STATE)
    temporary = place / f"{CONFIG}.part"
    temporary.write_text(json.dumps(_config(gates, model), indent=2, allow_nan=False) + "\n", encoding="utf-8")
    temporary.replace(place / CONFIG)


def warn_of_added(gates: Gates, stacklevel: int = 3) -> None:
    """Say that ``from_pretrained`` alone loses the added biases, where there are any."""
    note = _note(gates)
    if note is not None:
        warnings.warn(note, UserWarning, stacklevel)


def _config(gates: Gates, model: nn.Module) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "note": _note(gates) or "The weights alone route as they did in training; trimtab.load(folder) re-attaches.",
        "versions": {name: version(name) for name in ("trimtab", "transformers", "torch")},
        "model_class": type(model).__name__,
        "balancer": plain_values.of_balancer(gates.balancer),
        "capacity": plain_values.of_capacity(gates.capacity),
        "accumulation": gates.accumulation,
        "frozen": {str(layer): frozen for layer, frozen in gates.frozen.items()},
        "added_biases": sorted(gates.added),
    }


def _note(gates: Gates) -> str | None:
    added = len(gates.added)
    if not added:
        return None
    return (
        f"{added} of the routers have a selection bias that trimtab added, because this family has none of its own:"
        " from_pretrained alone (and every serving engine) drops it and chooses other experts."
        " Load this folder with trimtab.load(folder)."
    )
