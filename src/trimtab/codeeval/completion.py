"""Where a model meets code evaluation: prompts in, completions out.

Anything that continues text is a :class:`Completer`: a local model, a server, a file of samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence


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
class Chat:
    """A prompt for a model that was taught to talk.

    Attributes:
        user: What is asked.
        system: What it is told about itself; empty for nothing.
        prefix: How its reply begins. A completer that can put words into a model's mouth lets it go on from there, and
            the completion does not repeat them; one that cannot refuses a prompt with a prefix.
    """

    user: str
    system: str = ""
    prefix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormChat(Chat):
    """A chat whose reply has to fit a form. A completer that cannot be held to a form takes it as any other chat.

    Attributes:
        schema: JSON Schema of the reply.
    """

    schema: Mapping[str, Any]


Prompt = str | Chat


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One continuation of one prompt.

    Attributes:
        prompt_index: Which prompt.
        sample_index: Which of its samples.
        text: What came, without the stop string.
        finished: "stop", "eos" or "length".
        prompt_tokens: Tokens read, as the completer counts them.
        new_tokens: Tokens written.
    """

    prompt_index: int
    sample_index: int
    text: str
    finished: str
    prompt_tokens: int = 0
    new_tokens: int = 0


class Completer(Protocol):
    """Continues prompts."""

    def complete(
        self, prompts: Sequence[Prompt], sampling: Sampling, *, done: Collection[tuple[int, int]] = ()
    ) -> Iterator[Completion]:
        """Yield ``sampling.n`` completions of each prompt, in any order, without those in ``done``.

        Args:
            prompts: What to continue.
            sampling: How.
            done: Pairs of prompt index and sample index that are there already. Leaving them out changes no other.
        """
