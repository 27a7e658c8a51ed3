"""What a study on a pretrained model learns from and is measured on (:mod:`trimtab.lm.text_pool`)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from trimtab.settings.reading import Count, NotNegative, Positive, Setting, later, setting


@setting
class PoolSettings(Setting):
    """``[data]`` of a study on a pretrained model: how much text, and how it is cut.

    Args:
        train_tokens: Real Python to train on, in whole rows.
        heldout_tokens: Real Python to score, in whole rows.
        row_length: Tokens in a row; all but the first are predicted.
        rows: Rows in a batch.
    """

    train_tokens: Count = 40_960
    heldout_tokens: Count = 8_192
    row_length: Annotated[int, Field(ge=2)] = 256
    rows: Count = 4

    def check_together(self) -> None:
        """Refuse sizes that make no batch."""
        if self.train_tokens < self.row_length * self.rows:
            raise self.refused(
                f"{self.train_tokens} is less than a batch of {self.rows} rows of {self.row_length}", "train_tokens"
            )
        if self.heldout_tokens < self.row_length:
            raise self.refused(f"{self.heldout_tokens} is less than a row of {self.row_length}", "heldout_tokens")


@setting
class PlaceEvaluation(Setting):
    """``[evaluation]`` of a study on a pretrained model.

    Args:
        capacities: Evaluation capacity factors beside the dropless headline.
        orders: How documents are put into batches under those capacities: ``"shuffled"`` over all domains, or each
            batch ``"by_domain"``.
        capacity_problems: Problems of each benchmark that are scored under those capacities, the same ones every time;
            0 for all.
        batch_tokens: Tokens scored side by side, whole documents; part of the result, because calls compete.
        mutants: One-token mutants of each reference solution of ``ranked`` that it is ranked among; 0 for none.
        ranked: Benchmarks whose solutions are ranked.
        problems: Problems of each benchmark, the same ones every time; 0 for all.
        benchmarks: Whose reference solutions are scored.
        generated: Problems of HumanEval and MBPP, by task id, for which the whole model writes programs, greedily, that
            are run: ``humaneval_pass1``, ``mbpp_pass1``. Fix them beforehand: those that the dense model ever solves.
        generation_batch: Programs written side by side; part of the result under a capacity, where calls compete.
        max_new_tokens: Length of a program.
    """

    capacities: tuple[Positive, ...] = ()
    orders: tuple[Literal["shuffled", "by_domain"], ...] = ("shuffled",)
    capacity_problems: NotNegative = 0
    batch_tokens: Count = 1024
    mutants: NotNegative = 0
    ranked: tuple[Literal["humaneval", "mbpp-sanitized", "humaneval-pro", "mbpp-pro"], ...] = ("humaneval",)
    problems: NotNegative = 0
    benchmarks: tuple[Literal["humaneval", "mbpp-sanitized", "humaneval-pro", "mbpp-pro"], ...] = ("humaneval",)
    generated: tuple[str, ...] = later(())
    generation_batch: Count = later(16)
    max_new_tokens: Count = later(384)

    hints: ClassVar[dict[str, str]] = {"capacities": "dropless is always measured; leave it out"}

    def check_together(self) -> None:
        """Refuse what is named twice, and what would be measured under no capacity or in no order."""
        for name in ("capacities", "orders", "ranked", "benchmarks", "generated"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise self.refused(f"{list(values)} names one twice", name)
        if self.capacities and not self.orders:
            raise self.refused("under capacities documents come in some order", "orders", hint='orders = ["shuffled"]')
        if self.mutants and (unscored := sorted(set(self.ranked) - set(self.benchmarks))):
            raise self.refused(f"{unscored[0]!r} is not among benchmarks = {list(self.benchmarks)}", "ranked")
