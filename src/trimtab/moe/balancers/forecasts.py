"""Several forecasts of one moving price, of which the one that has been right lately is believed.

Each step finds a price, noisily. A mean over all steps since the last change is best where nothing moves; a shorter
memory where prices wander, and one with a trend where they go on as they went, as those of a router in training do.
Which of these it is changes within a run. So all of them forecast the next price (Holt's linear method: level and
trend), and each is judged by the load that it would have got wrong: the Laplacian of the experts times the error of the
forecast, squared, averaged over the last steps.

Axes: F forecasts, E experts; leading axes are cells of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Share of an error that the level and its trend take over; the first, the mean since the last change, sets its own.
_GAINS: Final = ((0.0, 0.0), (0.2, 0.0), (0.4, 0.0), (0.7, 0.0), (0.35, 0.1), (0.5, 0.1), (0.35, 0.3))
_LEVEL: Final = np.array([level for level, _ in _GAINS], dtype=np.float32)
_TREND: Final = np.array([level * trend for level, trend in _GAINS], dtype=np.float32)
# Steps over which errors are averaged at most; how many a forecast has to have made; the margin by which another has to
# be better than the mean.
_STEPS, _LEAST, _MARGIN = 16, 3, np.float32(0.9)
_FRESH: Final = np.float32(10)
FORECASTS: Final = len(_GAINS)


@dataclass(slots=True, kw_only=True, eq=False)
class Forecasts:
    """What is remembered of each forecast.

    Args:
        calm: [...] steps since the last change.
        error: [..., F] mean squared error of the load.
        level, trend: [..., F, E] the price and what a step adds to it.
    """

    calm: NDArray[Any]
    error: NDArray[Any]
    level: NDArray[Any]
    trend: NDArray[Any]

    def follow(
        self, found: NDArray[Any], changed: NDArray[Any], steps: NDArray[Any], laplacian: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Learn from the price [..., E] that a step found; return the forecast of the next, and N for the mean.

        Args:
            found: The price.
            changed: [...] whether everything before is void.
            steps: [...] N, what the mean is a mean of, this step included; while another forecast is believed it is
                kept small, so that the mean is fresh when prices stand still again.
            laplacian: [..., E, E] calls a token that a unit of price moves between experts.
        """
        guess = self.level + self.trend
        off = found[..., None, :] - guess
        wrong = np.square(off @ laplacian).sum(-1)
        self.calm = np.where(changed, 0, self.calm + 1).astype(found.dtype)
        pace = 1 / np.minimum(self.calm + 1, np.float32(_STEPS))[..., None]
        forget = changed[..., None]
        self.error = np.where(forget, 0, self.error + (wrong - self.error) * pace)
        gain = np.broadcast_to(_LEVEL, wrong.shape).copy()
        gain[..., 0] = 1 / steps
        self.level = np.where(forget[..., None], found[..., None, :], guess + gain[..., None] * off)
        self.trend = np.where(forget[..., None], 0, self.trend + _TREND[:, None] * off)
        judged = self.error.copy()
        judged[..., 0] *= _MARGIN
        best = np.where(self.calm < _LEAST, 0, judged.argmin(-1))
        forecast = np.take_along_axis(self.level + self.trend, best[..., None, None], -2)[..., 0, :]
        return forecast, np.where(best > 0, np.minimum(steps, _FRESH), steps)
