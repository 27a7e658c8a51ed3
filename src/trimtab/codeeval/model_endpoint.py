"""A completer over any OpenAI-compatible server: vLLM, llama.cpp, Ollama, or a vendor's.

Decisions: a chat goes to ``/chat/completions`` and plain text to ``/completions``; samples are asked for one at a time,
each with a seed of its own, because ``n`` and ``seed`` together mean different things on different servers; what a busy
or broken server refuses is tried again with growing pauses, what it rejects for good is an error that shows its answer;
stop strings are applied here too, because some servers ignore them or keep them in the text.
"""

from __future__ import annotations

import concurrent.futures
import os
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trimtab.codeeval import retry_policy
from trimtab.codeeval.completion import Chat, Completion
from trimtab.codeeval.formats.foreign import content_of
from trimtab.errors import BenchmarkError, MissingExtraError

try:
    import httpx
except ImportError:  # pragma: no cover - the extra is there in development
    httpx = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from trimtab.codeeval.completion import Prompt, Sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEndpoint:
    """A model on a server.

    Args:
        url: Up to and with the version, such as ``http://localhost:8000/v1``.
        model: Its name there.
        concurrency: Requests at once.
        retries: How often one request is tried again.
        timeout_s: Of one request.
        pause_s: Before the first new try; doubled after each.
        key_variable: The environment variable that holds the key, if the server wants one.
    """

    url: str
    model: str
    concurrency: int = 8
    retries: int = 6
    timeout_s: float = 300.0
    pause_s: float = 1.0
    key_variable: str = "OPENAI_API_KEY"

    def complete(
        self, prompts: Sequence[Prompt], sampling: Sampling, *, done: Collection[tuple[int, int]] = ()
    ) -> Iterator[Completion]:
        """Yield completions as they come.

        Raises:
            BenchmarkError: The server cannot be reached, goes on refusing, or answers something else.
            MissingExtraError: The package httpx is not installed.
        """
        if httpx is None:
            raise MissingExtraError("httpx", extra="endpoint")
        there = set(done)
        wanted = [(p, n) for p in range(len(prompts)) for n in range(sampling.n) if (p, n) not in there]
        key = os.environ.get(self.key_variable)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        with (
            httpx.Client(headers=headers, timeout=self.timeout_s) as client,
            concurrent.futures.ThreadPoolExecutor(self.concurrency) as pool,
        ):
            pending = [pool.submit(self._one, client, prompts[p], sampling, (p, n)) for p, n in wanted]
            try:
                for future in concurrent.futures.as_completed(pending):
                    yield future.result()
            finally:
                for future in pending:
                    future.cancel()

    def _one(self, client: httpx.Client, prompt: Prompt, sampling: Sampling, key: tuple[int, int]) -> Completion:
        path, body = self._request(prompt, sampling, key)
        answer = self._post(client, f"{self.url.rstrip('/')}/{path}", body)
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
        if prompt.prefix:
            raise BenchmarkError(
                "a server cannot be made to go on from the beginning of a reply", hint="use the form 'reply'"
            )
        system = [{"role": "system", "content": prompt.system}] if prompt.system else []
        return "chat/completions", {**body, "messages": [*system, {"role": "user", "content": prompt.user}]}

    def _post(self, client: httpx.Client, url: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send a request until it is answered or given up."""
        pause, problem = self.pause_s, ""
        for attempt in range(self.retries + 1):
            try:
                response = client.post(url, json=body)
                if response.status_code == httpx.codes.OK:
                    found: dict[str, Any] = response.json()
                    return found
                problem = f"status {response.status_code}: {response.text[:200]}"
                if response.status_code not in retry_policy.TRY_AGAIN:
                    raise BenchmarkError(f"{url} refuses: {problem}", hint=self._hint(response.status_code))
                asked = response.headers.get("retry-after", "")
            except (httpx.HTTPError, ValueError) as error:
                problem, asked = str(error) or type(error).__name__, ""
            if attempt < self.retries:
                time.sleep(retry_policy.pause_s(asked, pause * random.uniform(0.5, 1.5)))
                pause *= 2
        raise BenchmarkError(
            f"{url} did not answer, tried {self.retries + 1} times: {problem}",
            hint="see that the server runs; the same command goes on from here",
        )

    def _hint(self, status: int) -> str | None:
        return f"put the key into {self.key_variable}" if status in {401, 403} else None
