"""Training steps in TensorBoard, Weights & Biases, trackio or MLflow, by accelerate's trackers; off unless asked for.

A tracker that is asked for and not installed is an error before the first step: accelerate would leave it out with a
line in the log. Everything is written below one folder, and nothing is sent anywhere unless the tracker's own
environment variables say so.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
from collections.abc import Mapping  # noqa: TC003 - read at run time by dataclasses
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path  # noqa: TC003 - as above
from typing import TYPE_CHECKING, Any, Final

from trimtab.errors import ConfigurationError, TrimtabError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from accelerate import Accelerator

TRACKERS: Final = ("mlflow", "tensorboard", "trackio", "wandb")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """Which trackers follow a training, and under which name.

    Attributes:
        names: Of :data:`TRACKERS`.
        project: What the runs of a study have in common.
        run: The name of this run.
        config: What the run was asked to do, by dotted names.
        folder: Where trackers that write files write them.
    """

    names: Sequence[str]
    project: str
    run: str
    config: Mapping[str, str | int | float | bool]
    folder: Path


@contextmanager
def followed(tracking: Tracking | None, accelerator: Accelerator) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Open the run in each tracker; yield what writes the line of a step; close it, however the training ends.

    Args:
        tracking: None for a function that does nothing.
        accelerator: Made with the names of the trackers; every process must come here.
    """
    if tracking is None:
        yield lambda _: None
        return
    tracking.folder.mkdir(parents=True, exist_ok=True)
    with (tracking.folder / ".opening").open("w") as turn:  # two that make MLflow's tables at once fail
        fcntl.flock(turn, fcntl.LOCK_EX)
        _open(tracking, accelerator)
    try:
        yield partial(_write, accelerator)
    finally:
        for tracker in accelerator.trackers:  # accelerate's own end of a training would end the process group, too
            tracker.finish()


def _open(tracking: Tracking, accelerator: Accelerator) -> None:
    folder = tracking.folder
    os.environ.setdefault("WANDB_MODE", "offline")
    os.environ.setdefault("TRACKIO_DIR", str(folder / "trackio"))
    os.environ.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
    own: dict[str, dict[str, Any]] = {
        "mlflow": {"run_name": tracking.run, "logging_dir": str(folder / "mlflow")},
        "tensorboard": {},
        "trackio": {"name": tracking.run},
        "wandb": {"name": tracking.run, "dir": str(folder)},
    }
    opened: list[Any] = []
    for name in tracking.names:  # one by one, because to TensorBoard the project is the folder of the run
        accelerator.log_with, accelerator.trackers = [name], []
        project = tracking.run if name == "tensorboard" else tracking.project
        accelerator.init_trackers(project, config=dict(tracking.config), init_kwargs={name: own[name]})
        opened += accelerator.trackers
    accelerator.trackers = opened


def _write(accelerator: Accelerator, line: Mapping[str, Any]) -> None:
    """Write a step: its numbers, and the statistics of its layers put into one number each."""
    from trimtab.moe.training_log import summary  # noqa: PLC0415 - whoever only asks what is installed has no torch

    numbers = {f"train/{key}": value for key, value in line.items() if key not in {"layers", "step"}}
    if line["layers"]:
        numbers |= summary(line["layers"])
    accelerator.log(numbers, step=line["step"])


def require(names: Sequence[str]) -> None:
    """Refuse trackers that are unknown or not installed.

    Raises:
        ConfigurationError: There is no tracker of this name.
        TrimtabError: It is not installed; the hint is the command that installs it.
    """
    for name in names:
        if name not in TRACKERS:
            raise ConfigurationError(f"there is no tracker {name!r}", hint=nearest(name, TRACKERS))
        if importlib.util.find_spec(name) is None:
            raise TrimtabError(f"the tracker {name!r} is not installed", hint=f"pip install {name}")
