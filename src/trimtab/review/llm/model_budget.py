"""What a model may cost, in tokens and money; nothing is asked that could go beyond it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trimtab.codeeval.completion import Completion

_LETTERS_A_TOKEN = 3  # a cautious guess for what has not been counted yet


@dataclass(slots=True, kw_only=True)
class Budget:
    """Limits and what was spent.

    Args:
        tokens: Read and written together.
        money: In the currency of the prices; None sets no limit.
        price: Of a million tokens read and of a million written.
    """

    tokens: int = 200_000
    money: float | None = None
    price: tuple[float, float] = (0.0, 0.0)
    spent: int = 0
    cost: float = 0.0

    def refuses(self, words: str, reply_tokens: int) -> str:
        """Return why a question may not be asked; empty if it may. It is counted at the longest its reply can be."""
        read = len(words) // _LETTERS_A_TOKEN + 1
        if self.spent + read + reply_tokens > self.tokens:
            return f"the budget of {self.tokens:,} tokens would be passed ({self.spent:,} are spent)"
        if self.money is not None and self.cost + self._price(read, reply_tokens) > self.money:
            return f"the budget of {self.money:g} would be passed ({self.cost:.4f} is spent)"
        return ""

    def count(self, reply: Completion, words: str) -> None:
        """Count a reply; where the server counts no tokens, letters are counted."""
        read = reply.prompt_tokens or len(words) // _LETTERS_A_TOKEN + 1
        written = reply.new_tokens or len(reply.text) // _LETTERS_A_TOKEN + 1
        self.spent += read + written
        self.cost += self._price(read, written)

    def _price(self, read: int, written: int) -> float:
        return (read * self.price[0] + written * self.price[1]) / 1e6
