"""A completer over any OpenAI-compatible server: vLLM, llama.cpp, Ollama, or a vendor's.

Decisions: a chat goes to ``/chat/completions`` and plain text to ``/completions``; samples are asked for one at a time,
each with a seed of its own, because ``n`` and ``seed`` together mean different things on different servers; what a busy
or broken server refuses is tried again with growing pauses, what it rejects for good is an error that shows its answer;
stop strings are applied here too, because some servers ignore them or keep them in the text.
"""

from __future__ import annotations

import concurrent.futures
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from trimtab.codeeval.completion import Chat, Completion, FormChat
from trimtab.codeeval.formats.foreign import content_of
from trimtab.errors import BenchmarkError, HttpError
from trimtab.http_client import Bounds, OpenAIServer, RetryPolicy, SystemClock

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from trimtab.codeeval.completion import Prompt, Sampling
    from trimtab.http_client import Clock

_OLDER: Final = 400  # what a server answers that does not know ``response_format``


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEndpoint:
    """A model on a server.

    Args:
        url: Up to and with the version, such as ``http://localhost:8000/v1``.
        model: Its name there.
        concurrency: Requests at once.
        policy: How often one request is tried again, and after which pauses.
        bounds: What one answer may take.
        timeout_s: Without any byte.
        key_variable: The environment variable that holds the key, if the server wants one.
        extra: The extra of this package that brings httpx here.
        clock: For pauses and deadlines.
    """

    url: str
    model: str
    concurrency: int = 8
    policy: RetryPolicy = field(default_factory=lambda: RetryPolicy(attempts=7))
    bounds: Bounds = field(default_factory=Bounds)
    timeout_s: float = 300.0
    key_variable: str = "OPENAI_API_KEY"
    extra: str = "endpoint"
    clock: Clock = field(default_factory=SystemClock)

    def complete(
        self, prompts: Sequence[Prompt], sampling: Sampling, *, done: Collection[tuple[int, int]] = ()
    ) -> Iterator[Completion]:
        """Yield completions as they come.

        Raises:
            BenchmarkError: The server cannot be reached, goes on refusing, or answers something else.
            MissingExtraError: The package httpx is not installed.
        """
        there = set(done)
        wanted = [(p, n) for p in range(len(prompts)) for n in range(sampling.n) if (p, n) not in there]
        server = OpenAIServer(
            url=self.url,
            extra=self.extra,
            key_variable=self.key_variable,
            policy=self.policy,
            bounds=self.bounds,
            timeout_s=self.timeout_s,
            connections=self.concurrency,
            clock=self.clock,
        )
        with server, concurrent.futures.ThreadPoolExecutor(self.concurrency) as pool:
            pending = [pool.submit(self._complete, server, prompts[p], sampling, (p, n)) for p, n in wanted]
            try:
                for future in concurrent.futures.as_completed(pending):
                    yield future.result()
            finally:
                for future in pending:
                    future.cancel()

    def _complete(self, server: OpenAIServer, prompt: Prompt, sampling: Sampling, key: tuple[int, int]) -> Completion:
        path, body = self._request(prompt, sampling, key)
        try:
            answer = self._answer(server, path, body)
        except HttpError as error:
            raise BenchmarkError(
                f"{self.url} {error.message}",
                hint=server.hint(error.status) or "see that the server runs; the same command goes on from here",
            ) from error
        try:
            choice, usage = answer["choices"][0], answer.get("usage") or {}
            given = choice["message"]["content"] if isinstance(prompt, Chat) else choice["text"]
        except (KeyError, IndexError, TypeError) as error:
            raise BenchmarkError(f"{self.url} answered what is no completion: {str(answer)[:200]}") from error
        # Null is a refusal, or a thought that used up all tokens: an answer without text.
        text = "" if given is None else content_of(given, f"the answer of {self.url}")
        at = min((at for stop in sampling.stop if (at := text.find(stop)) >= 0), default=-1)
        finished = "length" if choice.get("finish_reason") == "length" else "eos"
        return Completion(
            prompt_index=key[0],
            sample_index=key[1],
            text=text if at < 0 else text[:at],
            finished=finished if at < 0 else "stop",
            prompt_tokens=int(usage.get("prompt_tokens") or 0),
            new_tokens=int(usage.get("completion_tokens") or 0),
        )

    def _answer(self, server: OpenAIServer, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the answer; an older server, which knows no form of a reply, is asked without it."""
        try:
            return server.post(path, body)
        except HttpError as error:
            if error.status != _OLDER or "response_format" not in body:
                raise
        return server.post(path, {name: value for name, value in body.items() if name != "response_format"})

    def _request(self, prompt: Prompt, sampling: Sampling, key: tuple[int, int]) -> tuple[str, dict[str, Any]]:
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": ((sampling.seed * 1_000_003 + key[0]) * 1_009 + key[1]) % 2**31,
        }
        if sampling.stop:
            body["stop"] = list(sampling.stop[:4])  # the interface allows four; all of them are applied here
        if isinstance(prompt, str):
            return "completions", {**body, "prompt": prompt}
        if isinstance(prompt, FormChat):
            form = {"name": "reply", "schema": prompt.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        if prompt.prefix:
            raise BenchmarkError(
                "a server cannot be made to go on from the beginning of a reply", hint="use the form 'reply'"
            )
        system = [{"role": "system", "content": prompt.system}] if prompt.system else []
        return "chat/completions", {**body, "messages": [*system, {"role": "user", "content": prompt.user}]}
