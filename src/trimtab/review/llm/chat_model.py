"""A language model as this room knows it: messages in, text and token counts out.

Any OpenAI-compatible server is one (:class:`Server`), and so is any :class:`~trimtab.codeeval.completion.Completer`,
which is how a local transformers model comes here without this room knowing torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from trimtab.codeeval.completion import Chat, Sampling
from trimtab.errors import HttpError, ModelError, TrimtabError
from trimtab.http_client import Bounds, OpenAIServer, RetryPolicy, SystemClock

if TYPE_CHECKING:
    from trimtab.codeeval.completion import Completer
    from trimtab.http_client import Clock


_OLDER: Final = 400  # what a server answers that does not know ``response_format``


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a model said, and how many tokens it read and wrote; 0 where it does not say."""

    text: str
    read: int = 0
    written: int = 0


class Model(Protocol):
    """Answers messages."""

    @property
    def name(self) -> str:
        """Return what is written beside everything it says, and names its answers in the cache."""
        ...

    @property
    def tokens(self) -> int:
        """Return how many tokens one reply has at most."""
        ...

    def ask(self, system: str, user: str, schema: dict[str, Any]) -> Reply:
        """Return a reply.

        Args:
            system: What it is told about its task.
            user: The material, as data.
            schema: JSON Schema of the reply; a model that can be constrained to it is.

        Raises:
            ModelError: There is none.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A model behind an OpenAI-compatible interface.

    Args:
        url: Up to and with the version, such as ``http://localhost:8000/v1``.
        model: Its name there.
        key_variable: Environment variable of the key, if it wants one; it is sent and kept nowhere.
        tokens: Written at most in one reply.
        attempts: How often one question is sent.
        timeout_s: Without any byte.
        deadline_s: For a whole reply, so that one that never ends does.
        reply_bytes: Of a reply at most.
        clock: For pauses and the deadline.
    """

    url: str
    model: str
    key_variable: str = "OPENAI_API_KEY"
    tokens: int = 1024
    attempts: int = 3
    timeout_s: float = 120.0
    deadline_s: float = 300.0
    reply_bytes: int = 1 << 20
    clock: Clock = field(default_factory=SystemClock)

    @property
    def name(self) -> str:
        """Return address and model."""
        return f"{self.model} at {self.url.rstrip('/')}"

    def ask(self, system: str, user: str, schema: dict[str, Any]) -> Reply:
        """Return a reply, trying again while the server is busy; one that cannot be reached is not asked again."""
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        form = {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema, "strict": True}}
        body = {
            "model": self.model, "messages": messages, "temperature": 0, "seed": 0, "max_tokens": self.tokens,
        }  # fmt: skip
        server = OpenAIServer(
            url=self.url,
            extra="evidence",
            key_variable=self.key_variable,
            policy=RetryPolicy(attempts=self.attempts, jitter=0.0),  # one question at a time: nobody to keep apart from
            bounds=Bounds(body_bytes=self.reply_bytes, deadline_s=self.deadline_s, when_unreachable=False),
            timeout_s=self.timeout_s,
            clock=self.clock,
        )
        try:
            with server:
                try:
                    answer = server.post("chat/completions", {**body, "response_format": form})
                except HttpError as error:
                    if error.status != _OLDER:
                        raise
                    answer = server.post("chat/completions", body)  # an older server: the schema is in the words, too
        except HttpError as error:
            raise ModelError(f"{self.name} {error.message}") from error
        return _reply(answer)


def _reply(whole: dict[str, Any]) -> Reply:
    try:
        usage = whole.get("usage") or {}
        text = whole["choices"][0]["message"]["content"]
        read, written = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ModelError(f"the answer is no completion: {str(whole)[:200]}") from error
    if not isinstance(text, str):
        raise ModelError("the completion holds no text")
    return Reply(text=text, read=read, written=written)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalModel:
    """A model on this machine, by whatever completes prompts; the schema is in the words."""

    completer: Completer
    model: str
    tokens: int = 512

    @property
    def name(self) -> str:
        """Return the model's name."""
        return self.model

    def ask(self, system: str, user: str, schema: dict[str, Any]) -> Reply:
        """Return what the model goes on with, greedily."""
        del schema
        sampling = Sampling(max_new_tokens=self.tokens)
        try:
            (one,) = self.completer.complete([Chat(system=system, user=user)], sampling)
        except (TrimtabError, ValueError, RuntimeError) as error:
            raise ModelError(f"{self.model} gave no reply: {error}") from error
        return Reply(text=one.text, read=one.prompt_tokens, written=one.new_tokens)
