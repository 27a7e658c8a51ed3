"""Streams of router logits: what a layer might be shown, made of a seed.

A stream is a frozen value; ``open`` starts it. Most are a random router: T tokens x ~ N(0, I) in 32 dimensions, E
rows of the same spread, logits x·row of variance 1, and then something that makes balancing hard. The router is drawn
from the seed alone, so that all rules face the same one, and batch n is the same whatever was drawn before.

Axes: T tokens, E experts, H = 32 dimensions of a token.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, final

import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.routing import ScoreFunction  # noqa: TC001 - annotations of settings are resolved
from trimtab.settings.reading import Setting, setting

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

_HIDDEN: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The size of a layer and of its batches: T, E and K."""

    tokens: int = 1024
    num_experts: int = 16
    num_experts_per_tok: int = 2

    def __post_init__(self) -> None:
        if not (self.tokens >= 1 and 1 <= self.num_experts_per_tok < self.num_experts):
            raise ConfigurationError(
                f"{self} needs at least one token and 1 <= num_experts_per_tok < num_experts",
                hint="Shape(tokens=1024, num_experts=16, num_experts_per_tok=2)",
            )


class Stream(Setting, ABC):
    """Where logits come from."""

    __slots__ = ()
    score_function: ClassVar[ScoreFunction] = "sigmoid"

    @abstractmethod
    def open(self, shape: Shape, seed: int) -> Callable[[int], Tensor]:
        """Return the function from the number of a batch (from 1) to its logits [T, E], float32."""

    def floor(self, shape: Shape) -> float:  # noqa: ARG002 - most have none
        """Return the least MaxVio that any bias reaches on this stream for reasons other than sampling."""
        return 0.0


def generator(*parts: int) -> torch.Generator:
    """Return a generator for these numbers, the same in every process."""
    return torch.Generator().manual_seed(hash(parts) % 2**63)  # a tuple of integers hashes alike everywhere


def rows(shape: Shape, seed: int, part: int = 0) -> Tensor:
    """Return a random router [E, H] whose logits have variance 1."""
    drawn = torch.randn(shape.num_experts, _HIDDEN, generator=generator(seed, 1, part))
    return drawn / math.sqrt(_HIDDEN)


def tokens(shape: Shape, seed: int, number: int) -> Tensor:
    """Return the tokens [T, H] of a batch."""
    return torch.randn(shape.tokens, _HIDDEN, generator=generator(seed, 2, number))


@final
@setting
class Stationary(Stream):
    """A random router, the same for the whole run.

    Args:
        skew: Logits added to an eighth of the experts (two of 16), at least one.
        scale: Factor on all logits.
    """

    skew: float = 0.0
    scale: float = 1.0

    def open(self, shape: Shape, seed: int) -> Callable[[int], Tensor]:
        """Start it."""
        router, offset = rows(shape, seed) * self.scale, torch.zeros(shape.num_experts)
        offset[: max(1, shape.num_experts // 8)] = self.skew
        return lambda number: tokens(shape, seed, number) @ router.T + offset


@final
@setting
class Drifting(Stream):
    """A router that turns into others and whose favorites change, at a steady pace.

    Args:
        period: Batches of a full turn.
        swing: Largest logit added to and taken from each expert, in turns.
    """

    period: int = 800
    swing: float = 1.5

    def open(self, shape: Shape, seed: int) -> Callable[[int], Tensor]:
        """Start it."""
        first, second = rows(shape, seed), rows(shape, seed, 1)
        phase = torch.rand(shape.num_experts, generator=generator(seed, 3)) * 2 * math.pi

        def draw(number: int) -> Tensor:
            angle = 2 * math.pi * number / self.period
            router = math.cos(angle) * first + math.sin(angle) * second
            return tokens(shape, seed, number) @ router.T + self.swing * torch.sin(angle + phase)

        return draw


@final
@setting
class Twins(Stream):
    """Half of the router's rows are copies of one: virtual groups, or experts copied with their router (T6).

    Args:
        noise: Spread of what is added to each copy, in units of the spread of a row; 0 is exact.
    """

    noise: float = 0.0

    def open(self, shape: Shape, seed: int) -> Callable[[int], Tensor]:
        """Start it."""
        router, count = rows(shape, seed), shape.num_experts // 2
        router[:count] = router[0] + self.noise * rows(shape, seed, 4)[:count]

        def draw(number: int) -> Tensor:
            logits = tokens(shape, seed, number) @ router.T
            # A matrix product may round equal rows differently; exact twins are exact.
            return logits if self.noise else torch.cat([logits[:, :1].expand(-1, count), logits[:, count:]], 1)

        return draw


@final
@setting
class Atoms(Stream):
    """Logits by token type, types drawn by Zipf's law, as a first layer sees them: no bias splits a type (T3).

    Args:
        types: Size of the vocabulary.
        share: Share of the tokens that are one more type (the space of a byte tokenizer).
    """

    types: int = 512
    share: float = 0.0

    def open(self, shape: Shape, seed: int) -> Callable[[int], Tensor]:
        """Start it."""
        table = torch.randn(self.types + 1, _HIDDEN, generator=generator(seed, 5)) @ rows(shape, seed).T
        frequency = self._frequency()

        def draw(number: int) -> Tensor:
            chance = generator(seed, 2, number)
            return table[torch.multinomial(frequency, shape.tokens, replacement=True, generator=chance)]

        return draw

    def floor(self, shape: Shape) -> float:
        """Return E·f/K − 1 of the most frequent type."""
        most = float(self._frequency().max())
        return max(0.0, shape.num_experts * most / shape.num_experts_per_tok - 1)

    def _frequency(self) -> Tensor:
        zipf = 1 / torch.arange(1, self.types + 1)
        return torch.cat([(1 - self.share) * zipf / zipf.sum(), torch.tensor([self.share])])


@final
@setting
class Fixed(Stream):
    """One batch of logits, shown again and again: the deterministic setting of the theory.

    Args:
        skew: Spread of what is added to each expert's logits.
    """

    skew: float = 1.0

    def open(self, shape: Shape, seed: int) -> Callable[[int], Tensor]:
        """Start it."""
        offset = self.skew * torch.randn(shape.num_experts, generator=generator(seed, 3))
        logits = torch.randn(shape.tokens, shape.num_experts, generator=generator(seed, 2)) + offset
        return lambda _number: logits


@final
@setting
class Jumping(Stream):
    """A router that is another one from a batch on, with other favorites: a change of data, or a restart.

    Args:
        at: The first batch of the second router.
        skew: Spread of what is added to each expert's logits.
    """

    at: int = 300
    skew: float = 1.5

    def open(self, shape: Shape, seed: int) -> Callable[[int], Tensor]:
        """Start it."""
        routers = [rows(shape, seed, part) for part in (0, 1)]
        offsets = [self.skew * torch.randn(shape.num_experts, generator=generator(seed, 3, part)) for part in (0, 1)]

        def draw(number: int) -> Tensor:
            late = int(number >= self.at)
            return tokens(shape, seed, number) @ routers[late].T + offsets[late]

        return draw


@final
@setting
class HeavyTailed(Stream):
    """Logits with the tails of Student's t, in batches of long runs of like tokens: loads are noisier than binomial.

    Args:
        degrees: Degrees of freedom; few are heavy.
        runs: Tokens that share most of their content.
    """

    degrees: int = 3
    runs: int = 4

    def open(self, shape: Shape, seed: int) -> Callable[[int], Tensor]:
        """Start it."""
        router = rows(shape, seed)

        def draw(number: int) -> Tensor:
            own = tokens(shape, seed, number)
            shared = own[:: self.runs].repeat_interleave(self.runs, 0)[: shape.tokens]
            squares = torch.randn(shape.tokens, self.degrees, generator=generator(seed, 6, number)).square().mean(1)
            return (0.8 * shared + 0.6 * own) @ router.T / squares.sqrt()[:, None]

        return draw


@final
@setting
class Walking(Stream):
    """Favorites that walk at random, as those of a router in training do; softmax scores.

    Args:
        pace: Spread of what a batch adds to each expert's logit.
    """

    score_function: ClassVar[ScoreFunction] = "softmax"
    pace: float = 0.03

    def open(self, shape: Shape, seed: int) -> Callable[[int], Tensor]:
        """Start it."""
        router, walked = rows(shape, seed), {0: torch.zeros(shape.num_experts)}

        def offset(number: int) -> Tensor:
            for n in range(max(walked) + 1, number + 1):
                walked[n] = walked[n - 1] + self.pace * torch.randn(shape.num_experts, generator=generator(seed, 7, n))
            return walked[number]

        return lambda number: tokens(shape, seed, number) @ router.T + offset(number)


@final
@setting
class Mixing(Stream):
    """Batches of several domains with favorites of their own, in shares drawn anew for each batch.

    Args:
        domains: How many.
        skew: Spread of what a domain adds to each expert's logits.
    """

    domains: int = 4
    skew: float = 1.0

    def open(self, shape: Shape, seed: int) -> Callable[[int], Tensor]:
        """Start it."""
        router = rows(shape, seed)
        offsets = self.skew * torch.randn(self.domains, shape.num_experts, generator=generator(seed, 3))

        def draw(number: int) -> Tensor:
            chance = generator(seed, 8, number)
            shares = torch.rand(self.domains, generator=chance)
            domain = torch.multinomial(shares, shape.tokens, replacement=True, generator=chance)
            return tokens(shape, seed, number) @ router.T + offsets[domain]

        return draw


@final
@setting
class Sharpening(Stream):
    """Logits whose size grows over a run, as those of a router that learns do; softmax scores.

    Args:
        first, last: Factor on the logits in the first batch and from batch ``by`` on.
        by: When it has grown.
        skew: Spread of what is added to each expert's logits, before the factor.
    """

    score_function: ClassVar[ScoreFunction] = "softmax"
    first: float = 0.1
    last: float = 5.0
    by: int = 300
    skew: float = 0.5

    def open(self, shape: Shape, seed: int) -> Callable[[int], Tensor]:
        """Start it."""
        router, offset = rows(shape, seed), self.skew * torch.randn(shape.num_experts, generator=generator(seed, 3))

        def draw(number: int) -> Tensor:
            scale = float(self.first * (self.last / self.first) ** min(1.0, number / self.by))
            return scale * (tokens(shape, seed, number) @ router.T + offset)

        return draw


@final
@setting
class Relay(Stream):
    """One favorite at a time, another one every so often; √softplus scores.

    Args:
        every: Batches between changes.
        skew: Logits added to the favorite.
    """

    score_function: ClassVar[ScoreFunction] = "sqrtsoftplus"
    every: int = 60
    skew: float = 3.0

    def open(self, shape: Shape, seed: int) -> Callable[[int], Tensor]:
        """Start it."""
        router = rows(shape, seed)

        def draw(number: int) -> Tensor:
            logits = tokens(shape, seed, number) @ router.T
            logits[:, (number - 1) // self.every % shape.num_experts] += self.skew
            return logits

        return draw
