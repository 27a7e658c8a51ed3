"""Write down what is attached to a model, beside its weights.

A folder of ``save_pretrained`` gets two more files. ``trimtab_config.json`` holds the balancer and the capacity as
plain values, the versions that wrote it, and what happens without it; it is written last: a folder with it is whole.
``trimtab_gates.safetensors`` holds what a resumed run needs, the biases in float32 whatever the dtype of the model.
:func:`trimtab.load` reads both.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from safetensors.torch import save_file

from trimtab.settings.reading import encode
from trimtab.settings.rule_tables import to_record

if TYPE_CHECKING:
    import os

    from torch import Tensor

    from trimtab.moe.balancers import Balancer
    from trimtab.settings.capacities import Capacity

CONFIG: Final = "trimtab_config.json"
STATE: Final = "trimtab_gates.safetensors"
FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Record:
    """What is written down of an attachment.

    Args:
        model_class: Name of the model's class.
        balancer, capacity, accumulation: As attached.
        frozen: Layers that were told to rest (True) or to move (False).
        added: Qualified names of the buffers that were added.
        state: What a resumed run needs, by name.
    """

    model_class: str
    balancer: Balancer
    capacity: Capacity
    accumulation: int
    frozen: dict[int, bool]
    added: frozenset[str]
    state: dict[str, Tensor]


def withdraw(folder: str | os.PathLike[str]) -> None:
    """Take back what an earlier save said about ``folder``, whose weights are about to change."""
    (Path(folder) / CONFIG).unlink(missing_ok=True)


def save_attachment(record: Record, folder: str | os.PathLike[str]) -> None:
    """Write the two files into ``folder``, which holds the weights of the model already."""
    place = Path(folder)
    withdraw(place)
    state = {name: tensor.cpu().contiguous() for name, tensor in record.state.items()}
    save_file(state, place / STATE)
    temporary = place / f"{CONFIG}.part"
    temporary.write_text(json.dumps(_config(record), indent=2, allow_nan=False) + "\n", encoding="utf-8")
    temporary.replace(place / CONFIG)


def warn_of_added(record: Record, stacklevel: int = 3) -> None:
    """Say that ``from_pretrained`` alone loses the added biases, where there are any."""
    note = _note(record)
    if note is not None:
        warnings.warn(note, UserWarning, stacklevel)


def _config(record: Record) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "note": _note(record) or "The weights alone route as they did in training; trimtab.load(folder) re-attaches.",
        "versions": {name: version(name) for name in ("trimtab", "transformers", "torch")},
        "model_class": record.model_class,
        "balancer": to_record(record.balancer.settings),
        "capacity": encode(record.capacity),
        "accumulation": record.accumulation,
        "frozen": {str(layer): frozen for layer, frozen in record.frozen.items()},
        "added_biases": sorted(record.added),
    }


def _note(record: Record) -> str | None:
    added = len(record.added)
    if not added:
        return None
    return (
        f"{added} of the routers have a selection bias that trimtab added, because this family has none of its own:"
        " from_pretrained alone (and every serving engine) drops it and chooses other experts."
        " Load this folder with trimtab.load(folder)."
    )
