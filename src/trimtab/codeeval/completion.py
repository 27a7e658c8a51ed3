"""Where a model meets code evaluation: prompts in, completions out.

Anything that continues text is a :class:`Completer`: a local model, a server, a file of samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How to sample: ``n`` completions a prompt; temperature 0 is greedy; text is cut before the first stop string."""

    n: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    max_new_tokens: int = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One continuation of one prompt; ``finished`` is "stop", "eos" or "length"."""

    prompt_index: int
    sample_index: int
    text: str
    finished: str


class Completer(Protocol):
    """Continues prompts."""

    def complete(self, prompts: Sequence[str], sampling: Sampling) -> Iterator[Completion]:
        """Yield ``sampling.n`` completions of each prompt, in any order."""
