"""One question to a model: constrained, checked, repaired once, and else no answer, with the reason.

What a model thought aloud is taken away, the first JSON object in the rest is validated; what does not fit is sent back
once with what is wrong with it. Nothing is guessed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from trimtab.codeeval import reply_marks
from trimtab.codeeval.completion import FormChat, Sampling
from trimtab.codeeval.model_endpoint import ModelEndpoint
from trimtab.errors import TrimtabError
from trimtab.http_client import Bounds, RetryPolicy
from trimtab.review.llm import model_cache
from trimtab.review.llm.model_budget import Budget
from trimtab.review.llm.model_cache import Cache

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trimtab.codeeval.completion import Completer

Shape = TypeVar("Shape", bound="StrictAnswer")


class StrictAnswer:
    """What an answer, and each part of one, is: its fields, in their types, and nothing besides."""

    __slots__ = ()
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)


class UnusableAnswerError(Exception):
    """No answer, or one that cannot be used: a quote that does not stand in the text, a passage nobody showed.

    Args:
        reason: Why, in words for a page.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTask(Generic[Shape]):
    """What a model is asked to do with one material after another.

    Attributes:
        stage: What the answers are for, as the cache names it.
        words: What the model is told to do.
        shape: What an answer has to be.
    """

    stage: str
    words: str
    shape: type[Shape]

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of an answer."""
        return TypeAdapter(self.shape).json_schema()

    def read(self, text: str) -> Shape:
        """Return the answer in a reply.

        Raises:
            UnusableAnswerError: There is none; the reason says what is wrong with it.
        """
        wrong = "there is no JSON object in it"
        for candidate in objects(reply_marks.answer(text).text):
            try:
                return TypeAdapter(self.shape).validate_json(candidate)
            except ValidationError as error:
                places = (f"{'.'.join(map(str, each['loc'])) or 'it'}: {each['msg']}" for each in error.errors()[:3])
                wrong = "; ".join(places)
        raise UnusableAnswerError(wrong)


@dataclass(slots=True, kw_only=True)
class Asker:
    """Asks a model within a budget, with a memory.

    Attributes:
        completer: The model: a server, or one on this machine.
        model: Its name, which is written beside everything it says and names its answers in the cache.
        tokens: Of one reply at most.
        budget: How much.
        cache: What it said before.
        questions: How many were sent.
    """

    completer: Completer
    model: str
    tokens: int = 1024
    budget: Budget = field(default_factory=Budget)
    cache: Cache = field(default_factory=Cache)
    questions: int = 0

    def ask(self, task: ModelTask[Shape], material: object) -> Shape:
        """Return an answer; one that does not fit its form is asked for once more, with what is wrong with it.

        Args:
            task: What is asked.
            material: What it is asked of; sent as JSON.

        Raises:
            UnusableAnswerError: There is none, and why.
        """
        user = json.dumps(material, ensure_ascii=False, indent=1)
        first = self._reply(task, user)
        try:
            return task.read(first)
        except UnusableAnswerError as error:
            wrong = f"Your last answer was not usable: {error.reason}\nIt was:\n{first[:2000]}"
        second = self._reply(task, f"{user}\n\n{wrong}\nAnswer again, only JSON.")
        try:
            return task.read(second)
        except UnusableAnswerError as error:
            raise UnusableAnswerError(f"two answers were not usable; the last: {error.reason}") from error

    def _reply(self, task: ModelTask[Shape], user: str) -> str:
        """Return the reply that is kept, or a new one."""
        schema = task.schema
        form = f"Answer with one JSON object that fits this schema, and nothing else:\n{json.dumps(schema)}"
        system = f"{task.words}\n\n{form}"
        key = model_cache.key(self.model, system, user)
        remembered = self.cache.get(key)
        if remembered is not None:
            return remembered
        if refusal := self.budget.refuses(system + user, self.tokens):
            raise UnusableAnswerError(refusal)
        self.questions += 1
        chat = FormChat(system=system, user=user, schema=schema)
        try:
            (reply,) = self.completer.complete([chat], Sampling(max_new_tokens=self.tokens))
        except TrimtabError as error:
            raise UnusableAnswerError(error.message) from error
        except (ValueError, RuntimeError) as error:  # of a library that runs the model here, such as too little memory
            raise UnusableAnswerError(f"{self.model} gave no reply: {error}") from error
        self.budget.count(reply, system + user)
        self.cache.put(key, self.model, task.stage, reply)
        return reply.text


def server(url: str, model: str) -> ModelEndpoint:
    """Return an OpenAI-compatible server that is asked one question at a time, and given up soon.

    Args:
        url: Up to and with the version, such as ``http://localhost:8000/v1``.
        model: Its name there.
    """
    return ModelEndpoint(
        url=url,
        model=model,
        concurrency=1,
        policy=RetryPolicy(attempts=3, jitter=0.0),  # one question at a time: nobody to keep apart from
        bounds=Bounds(body_bytes=1 << 20, deadline_s=300.0, when_unreachable=False),
        timeout_s=120.0,
        extra="evidence",
    )


def objects(text: str) -> Iterator[str]:
    """Yield the JSON objects at the outermost level of a text, at most eight places being tried."""
    decoder, at = json.JSONDecoder(), 0
    for _ in range(8):
        at = text.find("{", at)
        if at < 0:
            return
        try:
            _, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
            continue
        yield text[at:end]
        at = end
