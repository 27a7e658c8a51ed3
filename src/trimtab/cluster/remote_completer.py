"""Samples of a local model made by a cluster, batch by batch, as one process would make them."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trimtab.errors import ClusterError, ConfigurationError
from trimtab.lm import generate, pretrained, weights

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from trimtab.cluster.portions import PortionHabits, PortionRunner
    from trimtab.codeeval.completion import Completion, Prompt, Sampling

_WORK: Final = f"{__name__}:complete_batch"
_MIB: Final = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterCompleter:
    """A :class:`~trimtab.codeeval.completion.Completer` whose batches are decoded on the nodes of a cluster.

    The driver has the tokenizer only. Which rows share a batch, and the order of batches, are those of one process, so
    the samples are the same bytes where the threads are the same.

    Args:
        runner: The cluster.
        habits: What a batch needs.
        model: See :func:`trimtab.lm.pretrained.load`; a folder or file lies at the same path on all nodes.
        batch_size, device, dtype: See :func:`trimtab.lm.pretrained.load`.
        reader: The model's tokenizer.
    """

    runner: PortionRunner
    habits: PortionHabits
    model: str
    batch_size: int
    device: str
    dtype: str
    reader: generate.PromptReader

    def complete(
        self, prompts: Sequence[Prompt], sampling: Sampling, *, done: Collection[tuple[int, int]] = ()
    ) -> Iterator[Completion]:
        """Yield ``sampling.n`` completions of each prompt without those in ``done``, batch by batch.

        Raises:
            ClusterError: A batch failed, or a node has other weights than another.
            ConfigurationError: A prompt is a chat and the model has no way to read one.
        """
        encoded = [self.reader.read(prompt) for prompt in prompts]
        batches = generate.batches(encoded, sampling.n, self.batch_size)
        wanted = [batch for batch in batches if not set(batch) <= set(done)]
        load = {"batch_size": self.batch_size, "device": self.device, "dtype": self.dtype}
        portions = (
            (
                f"samples of {self.model}",
                {
                    "model": self.model,
                    "load": load,
                    "prompts": {at: prompts[at] for at, _ in batch},
                    "rows": batch,
                    "sampling": sampling,
                },
            )
            for batch in wanted
        )
        first = ""
        for weights_there, completions in self.runner.run(_WORK, portions, self.habits):
            first = first or weights_there
            if weights_there != first:
                raise ClusterError(f"{self.model} is not the same model on all nodes: {first} and {weights_there}")
            for completion in completions:
                if (completion.prompt_index, completion.sample_index) not in done:
                    yield completion


def memory_mib(model: str) -> int:
    """Return the memory a batch is given: what the weights take in float32 as they are read, and room to decode."""
    path = Path(model)
    files = [path] if path.is_file() else list(path.glob("*.safetensors")) if path.is_dir() else []
    size = sum(file.stat().st_size for file in files)
    return 2048 + (8 if path.suffix == ".gguf" else 2) * size // _MIB


def identity(model: str) -> str:
    """Return the SHA-256 of a model's files; nothing for a name on the hub.

    Raises:
        ConfigurationError: There is no such model.
    """
    return weights.identity(Path(model)) if Path(model).exists() else ""


def unfit(model: str, wanted: str) -> str:
    """Say why this node cannot sample from the driver's model; nothing if it can.

    Args:
        model: A folder, a file or a name on the hub.
        wanted: :func:`identity` of it on the driver.
    """
    try:
        there = identity(model)
    except ConfigurationError as error:
        return str(error)
    if wanted and not there:
        return f"it has no model {model}: put it at the same path on all nodes"
    return f"its {model} has other weights than the driver's" if there != wanted else ""


def complete_batch(
    model: str, load: Mapping[str, Any], prompts: Mapping[int, Prompt], rows: list[tuple[int, int]], sampling: Sampling
) -> tuple[str, list[Completion]]:
    """Decode one batch on a node; return what the weights are and the completions."""
    completer = _loaded(model, tuple(sorted(load.items())))
    revision = getattr(completer.model.config, "_commit_hash", None)
    return str(revision), completer.complete_batch(prompts, rows, sampling)


@functools.lru_cache(maxsize=1)
def _loaded(model: str, load: tuple[tuple[str, Any], ...]) -> generate.LocalCompleter:
    return pretrained.load(model, **dict(load))
