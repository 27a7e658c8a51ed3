"""One question to a model: constrained, checked, repaired once, and else an abstention with its reason.

``<think>`` parts are taken away, the first JSON object in the rest is validated; what does not fit is sent back once
with what is wrong with it. Nothing is guessed.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from trimtab.errors import ModelError
from trimtab.review.llm import model_cache as caching
from trimtab.review.llm.model_budget import Budget
from trimtab.review.llm.model_cache import Cache

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trimtab.review.llm.chat_model import Model, Reply

Shape = TypeVar("Shape")
_THINK: Final = re.compile(r"<(think|thinking|reasoning)>.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Abstention:
    """No usable answer, and why."""

    reason: str


@dataclass(slots=True, kw_only=True)
class Asker:
    """Asks a model within a budget, with a memory.

    Attributes:
        model: Whom.
        budget: How much.
        cache: What it said before.
        asked: Questions that were sent.
    """

    model: Model
    budget: Budget = field(default_factory=Budget)
    cache: Cache = field(default_factory=Cache)
    asked: int = 0

    def ask(self, stage: str, system: str, user: str, shape: Form[Shape]) -> Shape | Abstention:
        """Return the answer to a question, or why there is none.

        Args:
            stage: What it is asked for, for the cache.
            system: The task.
            user: The material.
            shape: What an answer has to be.
        """
        words = f"{system}\n\nAnswer with one JSON object that fits this schema, and nothing else:\n{shape.text}"
        first = self._reply(stage, words, user, shape.schema)
        if isinstance(first, Abstention):
            return first
        answer, wrong = shape.read(first)
        if answer is not None:
            return answer
        again = f"{user}\n\nYour last answer was not usable: {wrong}\nIt was:\n{first[:2000]}\nAnswer again, only JSON."
        second = self._reply(stage, words, again, shape.schema)
        if isinstance(second, Abstention):
            return second
        answer, wrong = shape.read(second)
        return answer if answer is not None else Abstention(f"two answers were not usable; the last: {wrong}")

    def _reply(self, stage: str, system: str, user: str, schema: dict[str, Any]) -> str | Abstention:
        name = caching.key(self.model.name, system, user)
        remembered = self.cache.get(name)
        if remembered is not None:
            return remembered.text
        if refusal := self.budget.refuses(system + user, self.model.tokens):
            return Abstention(refusal)
        self.asked += 1
        try:
            reply: Reply = self.model.ask(system, user, schema)
        except ModelError as error:
            return Abstention(error.message)
        self.budget.count(reply, system + user)
        self.cache.put(name, self.model.name, stage, reply)
        return reply.text


@dataclass(frozen=True)
class Form(Generic[Shape]):
    """What an answer has to be: a type, strictly, with no field besides its own."""

    type: type[Shape]

    @property
    def _adapter(self) -> TypeAdapter[Shape]:
        return TypeAdapter(self.type)

    @property
    def schema(self) -> dict[str, Any]:
        """Its JSON Schema."""
        return self._adapter.json_schema()

    @property
    def text(self) -> str:
        """Its JSON Schema as text."""
        return json.dumps(self.schema)

    def read(self, text: str) -> tuple[Shape | None, str]:
        """Return the answer in a text, or what is wrong with it."""
        wrong = "there is no JSON object in it"
        for candidate in objects(without_thoughts(text)):
            try:
                return self._adapter.validate_json(candidate), ""
            except ValidationError as error:
                places = (f"{'.'.join(map(str, one['loc'])) or 'it'}: {one['msg']}" for one in error.errors()[:3])
                wrong = "; ".join(places)
        return None, wrong


def without_thoughts(text: str) -> str:
    """Return a reply without what a model thought aloud.

    >>> without_thoughts('<think>{"a": 1}</think> {"a": 2}').strip()
    '{"a": 2}'
    """
    return _THINK.sub("", text)


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
