"""A language model as this room knows it: messages in, text and token counts out.

Any OpenAI-compatible server is one (:class:`Server`), and so is any :class:`~trimtab.codeeval.completion.Completer`,
which is how a local transformers model comes here without this room knowing torch.
"""

from __future__ import annotations

import functools
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from trimtab.codeeval import retry_policy
from trimtab.codeeval.completion import Chat, Sampling
from trimtab.errors import MissingExtraError, ModelError, TrimtabError
from trimtab.literature.clock import SystemClock

try:
    import httpx
except ImportError:  # pragma: no cover - the extra is there in development
    httpx = None  # type: ignore[assignment]

if TYPE_CHECKING:
    import ssl

    from trimtab.codeeval.completion import Completer
    from trimtab.literature.clock import Clock


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
        """Return a reply, trying again while the server is busy."""
        if httpx is None:
            raise MissingExtraError("httpx", extra="evidence")
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        form = {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema, "strict": True}}
        body = {
            "model": self.model, "messages": messages, "temperature": 0, "seed": 0, "max_tokens": self.tokens,
            "response_format": form,
        }  # fmt: skip
        pause, problem = 1.0, ""
        for attempt in range(self.attempts):
            status, raw, after = self._post(body)
            if status == 200:
                return _reply(raw)
            problem = f"status {status}: {raw[:200].decode('utf-8', 'replace')}"
            if status == 400 and "response_format" in body:
                del body["response_format"]  # an older server: the schema is in the words too
                continue
            if status not in retry_policy.TRY_AGAIN:
                break
            if attempt + 1 < self.attempts:
                self.clock.sleep(retry_policy.pause_s(after, pause))
                pause *= 2
        raise ModelError(f"{self.name} gave no reply: {self._struck(problem)}")

    def _post(self, body: dict[str, Any]) -> tuple[int, bytes, str]:
        """Send a question; return status, body and what ``Retry-After`` says."""
        key = os.environ.get(self.key_variable)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        started = self.clock.now()
        parts, size = [], 0
        try:
            with (
                httpx.Client(timeout=self.timeout_s, verify=_trust()) as client,
                client.stream("POST", f"{self.url.rstrip('/')}/chat/completions", json=body, headers=headers) as got,
            ):
                for part in got.iter_bytes():
                    size += len(part)
                    if size > self.reply_bytes:
                        raise ModelError(f"{self.name} sends more than {self.reply_bytes:,} bytes")
                    if self.clock.now() - started > self.deadline_s:
                        raise ModelError(f"{self.name} did not end its reply in {self.deadline_s:g} seconds")
                    parts.append(part)
                return got.status_code, b"".join(parts), got.headers.get("retry-after", "")
        except httpx.TimeoutException as error:
            raise ModelError(f"{self.name} did not answer in {self.timeout_s:g} seconds") from error
        except httpx.HTTPError as error:
            raise ModelError(self._struck(f"{self.name} cannot be asked: {error}")) from error

    def _struck(self, text: str) -> str:
        key = os.environ.get(self.key_variable)
        return text.replace(key, "[private]") if key else text


@functools.cache
def _trust() -> ssl.SSLContext:
    """Return whom to trust; reading the list takes longer than a question to a server on this machine."""
    return httpx.create_ssl_context()


def _reply(raw: bytes) -> Reply:
    try:
        whole = json.loads(raw)
        usage = whole.get("usage") or {}
        text = whole["choices"][0]["message"]["content"]
        read, written = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ModelError(f"the answer is no completion: {raw[:200].decode('utf-8', 'replace')}") from error
    if not isinstance(text, str):
        raise ModelError("the completion holds no text")
    return Reply(text=text, read=read, written=written)


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
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
