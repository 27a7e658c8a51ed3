"""What a cell learns from, how it is optimized, and what it is measured on."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from trimtab.settings.reading import Count, NotNegative, Positive, Setting, Share, later, setting

_Beta = Annotated[float, Field(ge=0, lt=1)]
_Several = Annotated[int, Field(ge=2)]


@setting
class CorpusSettings(Setting):
    """``[data]``: what text, and how it is cut into batches (:mod:`trimtab.lm.corpus`).

    Args:
        vocab_size: Of the tokenizer; ids are kept in two bytes.
        python_share: Share of the rows of a batch that are real Python; the others are micro samples.
        row_length: Tokens in a row.
        rows: Rows in a batch.
        python_weight: Loss weight of the tokens of real Python.
        prompt_weight: Loss weight of the tokens of a micro prompt.
        python_bytes: Size of the files to train on, before cleaning.
        heldout_bytes: Size of the files to hold out.
        micro_samples: How many training samples are drawn.
        solution_weight: Loss weight of the tokens of a micro solution.
        micro_seed: Which samples are drawn.

    Raises:
        ConfigurationError: Shares or sizes that make no batch.
    """

    vocab_size: Annotated[int, Field(ge=4, le=2**16)] = 1024
    python_share: Share = 0.5
    row_length: _Several = 128
    rows: _Several = 8
    python_weight: Annotated[float, Field(ge=0)] = 0.5
    prompt_weight: Annotated[float, Field(ge=0)] = 0.05
    python_bytes: _Several = 6_000_000
    heldout_bytes: _Several = 400_000
    micro_samples: _Several = 24_000
    solution_weight: Annotated[float, Field(ge=0)] = later(1.0)
    micro_seed: NotNegative = later(0)

    @property
    def python_rows(self) -> int:
        """Rows of real Python in a batch."""
        return round(self.rows * self.python_share)


@setting
class Schedule(Setting):
    """``[training]``: AdamW, linear warm-up, constant, then linear decay to zero (:mod:`trimtab.lm.train`).

    Args:
        steps: Optimizer steps.
        learning_rate: Its largest value.
        weight_decay: Of matrices; norms are not decayed.
        warmup_steps: Steps of the warm-up.
        decay_fraction: Share of the steps in which the rate decays.
        max_grad_norm: Where gradients are clipped.
        accumulation: Micro-batches of an optimizer step.
        checkpoint_every: Steps between checkpoints.
        threads: Of torch, in each process of a cell.
        beta1, beta2: Of AdamW.
        router_scale: What the learning rate of routers is multiplied with.
        processes: That share the rows of each micro-batch while a cell is trained (:mod:`trimtab.study.ranks`).
        sharded: Whether each process holds a share of each parameter (FSDP2), or all of them (DDP).
    """

    steps: Count = 300
    learning_rate: Positive = 3e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    warmup_steps: NotNegative = 40
    decay_fraction: Share = 0.5
    max_grad_norm: Positive = 1.0
    accumulation: Count = 1
    checkpoint_every: Count = 50
    threads: Count = 1
    beta1: _Beta = later(0.9)
    beta2: _Beta = later(0.95)
    router_scale: Positive = later(1.0)
    processes: Count = later(1)
    sharded: bool = later(default=False)

    @property
    def cores(self) -> int:
        """CPUs that a cell keeps busy."""
        return self.threads * self.processes

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of ``step`` (from 1)."""
        decay = self.steps * self.decay_fraction
        left = (self.steps - step + 1) / decay if decay else 1.0
        return self.learning_rate * min(1.0, step / max(self.warmup_steps, 1), left)


@setting
class Resources(Setting):
    """``[resources]``: what a cell is given where something places it; no part of the cell, so it may be changed.

    How many threads and processes compute a cell stands in ``[training]``, because it decides its last digits.

    Args:
        memory_mib: Of a cell, all its processes together; without it a quarter more than finished cells needed.
        gpus: Of a cell: none, or one for each of ``training.processes``.
    """

    memory_mib: Count | None = None
    gpus: NotNegative = 0


@setting
class Evaluation(Setting):
    """``[evaluation]``: what every trained cell is measured on.

    Batch sizes are part of the result, because calls compete for an expert's room within a batch.

    Args:
        capacities: Evaluation capacity factors beside the dropless headline.
        micro_problems: Problems of the micro-benchmark.
        micro_pro_problems: Problems of its self-invoking half; 0 for none.
        python_windows: Held-out windows of real Python.
        generation_batch: Samples generated side by side.
        scoring_tokens: Tokens scored side by side.
        max_new_tokens: Length of a sample.
        benchmarks: Those whose reference solutions are scored and ranked among mutants; all of them, and always
            HumanEval and MBPP, are kept out of the training text.
    """

    capacities: tuple[Positive, ...] = ()
    micro_problems: Count = 400
    micro_pro_problems: NotNegative = 200
    python_windows: Count = 200
    generation_batch: Count = 400
    scoring_tokens: Count = 8192
    max_new_tokens: Count = 96
    benchmarks: tuple[Literal["humaneval", "mbpp-sanitized", "humaneval-pro", "mbpp-pro"], ...] = (
        "humaneval",
        "mbpp-sanitized",
    )

    hints: ClassVar[dict[str, str]] = {"capacities": "dropless is always measured; leave it out"}
