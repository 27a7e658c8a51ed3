"""The stream of logits that a model's routers gave, from a NumPy file.

:func:`~trimtab.moe.simulate.record.record` writes such files. Axes: N tokens of a file, T tokens of a batch, E experts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np
import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.routing import ScoreFunction  # noqa: TC001 - annotations of settings are resolved
from trimtab.moe.simulate.streams import Stream, generator
from trimtab.settings.reading import setting

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from trimtab.moe.simulate.streams import Shape


@final
@setting
class Dumped(Stream):
    """Logits of a checkpoint, from a NumPy file [N, E]: each batch is a draw of rows.

    A file [steps, T, E], of a model in training, is shown as it is: one batch after the other, to every seed the same,
    and from the first again behind the last.

    Args:
        path: The file, as ``numpy.save`` or :func:`~trimtab.moe.simulate.record.record` writes it.
        scores: How scores come from its logits.
    """

    path: str
    scores: ScoreFunction = "sigmoid"

    @property
    def score_function(self) -> ScoreFunction:  # type: ignore[override] # of the file, not of the class
        """How scores come from logits."""
        return self.scores

    def open(self, shape: Shape, seed: int) -> Callable[[int], Tensor]:
        """Read the file.

        Raises:
            ConfigurationError: It cannot be read, or has not E finite columns; or there are no such scores.
        """
        try:
            table = torch.from_numpy(np.load(self.path, allow_pickle=False)).float()
        except (OSError, ValueError, TypeError) as error:
            raise ConfigurationError(f"{self.path} is no NumPy file of logits: {error}") from error
        fits = table.ndim in {2, 3} and table.shape[-1] == shape.num_experts and bool(torch.isfinite(table).all())
        if not fits or (table.ndim == 3 and table.shape[1] != shape.tokens) or not len(table):
            tokens = f" --tokens {table.shape[1]}" if table.ndim == 3 else ""
            raise ConfigurationError(
                f"{self.path} holds {tuple(table.shape)}; logits [N, {shape.num_experts}] or"
                f" [steps, {shape.tokens}, {shape.num_experts}], all finite, were expected",
                hint=f"--experts {table.shape[-1] if table.ndim else 0}{tokens}",
            )
        if table.ndim == 3:
            return lambda number: table[(number - 1) % len(table)]

        def draw(number: int) -> Tensor:
            return table[torch.randint(len(table), (shape.tokens,), generator=generator(seed, 2, number))]

        return draw
