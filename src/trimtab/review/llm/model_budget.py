"""What a model may cost: tokens and money, of a run and of each stage; nothing is asked that could go beyond it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trimtab.review.llm.chat_model import Reply

_LETTERS_A_TOKEN = 3  # a cautious guess for what has not been counted yet


@dataclass(slots=True, kw_only=True)
class Budget:
    """Limits and what was spent.

    Args:
        tokens: Read and written together, in all stages.
        money: In the currency of the prices; None sets no limit.
        price: Of a million tokens read and of a million written.
        stage_tokens: Stage → its own limit, inside the whole.
    """

    tokens: int = 200_000
    money: float | None = None
    price: tuple[float, float] = (0.0, 0.0)
    stage_tokens: dict[str, int] = field(default_factory=dict)
    spent: Counter[str] = field(default_factory=Counter)
    cost: float = 0.0

    def refuses(self, stage: str, words: str, reply_tokens: int) -> str:
        """Return why a question may not be asked; empty if it may. It is counted at the longest its reply can be."""
        read = len(words) // _LETTERS_A_TOKEN + 1
        needed, total = read + reply_tokens, sum(self.spent.values())
        if total + needed > self.tokens:
            return f"the budget of {self.tokens:,} tokens would be passed ({total:,} are spent)"
        limit = self.stage_tokens.get(stage)
        if limit is not None and self.spent[stage] + needed > limit:
            return f"the budget of {limit:,} tokens of the stage {stage!r} would be passed"
        if self.money is not None and self.cost + self._price(read, reply_tokens) > self.money:
            return f"the budget of {self.money:g} would be passed ({self.cost:.4f} is spent)"
        return ""

    def count(self, stage: str, reply: Reply, words: str) -> None:
        """Count a reply; where the server counts no tokens, letters are counted."""
        read = reply.read or len(words) // _LETTERS_A_TOKEN + 1
        written = reply.written or len(reply.text) // _LETTERS_A_TOKEN + 1
        self.spent[stage] += read + written
        self.cost += self._price(read, written)

    def _price(self, read: int, written: int) -> float:
        return (read * self.price[0] + written * self.price[1]) / 1e6
