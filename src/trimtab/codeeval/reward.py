"""Rewards for code, in the form that TRL's and verl's trainers call.

::

    from trimtab.codeeval.reward import CodeReward
    trainer = GRPOTrainer(..., reward_funcs=CodeReward(partial=True))    # the data set has a column "tests"

    custom_reward_function.path=pkg://trimtab.codeeval.reward             # verl; "ground_truth" holds the tests
    custom_reward_function.name=compute_score

Decisions: a reward is None where the infrastructure failed, and never 0 for that; what a trainer does with None is in
the guide. Tests that cannot be read are an error, at once and by name, because a row that no program can pass teaches
a model nothing. Equal texts with equal tests are judged once a batch. The order is the batch's. The same text gets the
same reward in every process and at every load (:mod:`trimtab.sandbox`).
"""

# ruff: noqa: ANN401 - columns of any data set, options as verl passes them

from __future__ import annotations

import asyncio
import collections.abc
import functools
import logging
from typing import TYPE_CHECKING, Any, Final, Protocol

from trimtab.codeeval import given_tests, printed_output, problems
from trimtab.codeeval.request_json import completion_text
from trimtab.codeeval.ruling import RulingRequest
from trimtab.codeeval.workers import Workers, WorkerSettings
from trimtab.errors import BenchmarkError, SandboxError

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from trimtab.codeeval.problem import Problem
    from trimtab.codeeval.ruling import Ruling

__all__ = ["AsyncCodeReward", "CodeReward", "CombinedReward", "compute_score", "compute_score_batch"]

_LOG: Final = logging.getLogger(__name__)


class Judging(Protocol):
    """Where requests are judged: a pool of this process, or a server."""

    def submit(self, request: RulingRequest) -> concurrent.futures.Future[Ruling]:
        """Judge one."""
        ...


class Scorer:
    """Scores a batch; what :class:`CodeReward` and :class:`AsyncCodeReward` share.

    Args:
        judging: Where programs run: :class:`~trimtab.codeeval.workers.Workers` (the default, with as many workers as
            there are processors) or :class:`~trimtab.codeeval.remote_judge.RemoteJudge`.
        partial: Reward the share of tests that hold; else 1 for all and 0 for less.
        tests: The column that holds tests; see :mod:`trimtab.codeeval.given_tests`.
        benchmarks: Published benchmarks whose problems the column ``task_id`` may name.
        data: Folder of benchmark files.
        continues: Whether completions continue code in the prompts (base models), rather than being replies.
        tolerance: For decimal fractions in outputs.

    Raises:
        BenchmarkError: A benchmark is not there.
    """

    def __init__(  # noqa: PLR0913 - independent choices, all with defaults
        self,
        judging: Judging | None = None,
        *,
        partial: bool = False,
        tests: str = "tests",
        benchmarks: Sequence[str] = (),
        data: Path | None = None,
        continues: bool = False,
        tolerance: float = printed_output.TOLERANCE,
    ) -> None:
        self.judging = judging or Workers()
        self.partial, self.column, self.continues, self.tolerance = partial, tests, continues, tolerance
        loaded = [problems.load(name, data) for name in benchmarks]
        self._problems: dict[str, Problem] = {p.task_id: p for benchmark in loaded for p in benchmark.problems}
        self.__name__ = "code_reward"  # what trainers call a reward in their logs

    def requests(
        self, completions: Sequence[object], prompts: Sequence[object] | None, columns: Mapping[str, Any]
    ) -> list[RulingRequest]:
        """Return what is to be judged for each completion.

        Raises:
            BenchmarkError: There is no column of tests or task ids, or a row of it cannot be read; the message has
                the row.
        """
        made: list[RulingRequest] = []
        for row, completion in enumerate(completions):
            try:
                made.append(
                    RulingRequest(
                        completion=completion_text(completion),
                        tests=self._tests(row, columns),
                        prefix=completion_text(prompts[row]) if self.continues and prompts is not None else "",
                        continues=self.continues,
                        partial=self.partial,
                        tolerance=self.tolerance,
                    )
                )
            except BenchmarkError as error:
                raise BenchmarkError(f"row {row} of the batch: {error.message}", hint=error.hint) from None
        return made

    def _tests(self, row: int, columns: Mapping[str, Any]) -> given_tests.GivenTests | Problem:
        tests, task_id = _cell(columns, self.column, row), _cell(columns, "task_id", row)
        if tests is not None:
            return given_tests.read(tests, _cell(columns, "entry_point", row))
        if task_id is None:
            there = ", ".join(sorted(columns)) or "none"
            raise BenchmarkError(
                f"neither tests ({self.column!r}) nor a task_id (columns there are: {there})",
                hint="name the column that holds tests: CodeReward(tests=...)",
            )
        if task_id not in self._problems:
            raise BenchmarkError(
                f"no problem is called {task_id!r}", hint="name its benchmark: CodeReward(benchmarks=['humaneval'])"
            )
        return self._problems[task_id]

    def submit(self, requests: Sequence[RulingRequest]) -> list[concurrent.futures.Future[Ruling]]:
        """Judge requests, equal ones once; the futures are in their order."""
        judged: dict[tuple[object, ...], concurrent.futures.Future[Ruling]] = {}
        for request in requests:
            key = _key(request)
            if key not in judged:
                judged[key] = self.judging.submit(request)
        return [judged[_key(request)] for request in requests]

    def check(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Read the tests of a data set's rows, before a training run does.

        Raises:
            BenchmarkError: Tests that cannot be read; the message has the row.
        """
        for row, record in enumerate(rows):
            try:
                self._tests(0, {name: [value] for name, value in record.items()})
            except BenchmarkError as error:
                raise BenchmarkError(f"row {row}: {error.message}", hint=error.hint) from None


class CodeReward(Scorer):
    """A reward function for TRL: completions and columns in, a float or None for each completion out."""

    def __call__(
        self, completions: Sequence[object], prompts: Sequence[object] | None = None, **columns: Any
    ) -> list[float | None]:
        """Return a reward for each completion, in their order; None where the infrastructure failed.

        Args:
            completions: Texts, or chats whose last message counts.
            prompts: As many; read only where completions continue them.
            columns: The data set's columns, a list each with an entry for each completion: tests or ``task_id``, and
                ``entry_point`` where tests do not name the function. Functions that TRL passes, ``log_extra`` and
                ``log_metric``, are told outcomes and failures.

        Raises:
            BenchmarkError: A row's tests cannot be read.
            SandboxUnavailable: No isolation is to be had on this machine.
        """
        return _rewards(self.rulings(completions, prompts, **columns), columns)

    def rulings(
        self, completions: Sequence[object], prompts: Sequence[object] | None = None, **columns: Any
    ) -> list[Ruling]:
        """Return the same with outcomes, details and reasons."""
        return [future.result() for future in self.submit(self.requests(completions, prompts, columns))]


class AsyncCodeReward(Scorer):
    """The same for trainers that await their reward functions."""

    async def __call__(
        self, completions: Sequence[object], prompts: Sequence[object] | None = None, **columns: Any
    ) -> list[float | None]:
        """Return a reward for each completion; see :meth:`CodeReward.__call__`.

        Raises:
            BenchmarkError: A row's tests cannot be read.
            SandboxUnavailable: No isolation is to be had on this machine.
        """
        requests = await asyncio.to_thread(self.requests, completions, prompts, columns)
        futures = await asyncio.to_thread(self.submit, requests)  # the first call starts the sandbox
        return _rewards(list(await asyncio.gather(*map(asyncio.wrap_future, futures))), columns)


class CombinedReward:
    """Several reward functions as one, whose sum is None where any of them is.

    TRL 1.16 adds up the rewards of its functions and leaves out a None, so that beside a second function a program
    that could not be judged gets the advantage of one that failed. As one function it gets none.

    Args:
        functions: Reward functions, called as TRL calls them; none of them awaited.
        weights: Of each; 1 for all where it is not given.

    Raises:
        BenchmarkError: Not as many weights as functions.
    """

    def __init__(
        self, functions: Sequence[Callable[..., Sequence[float | None]]], weights: Sequence[float] | None = None
    ) -> None:
        self._functions = list(functions)
        self._weights = [1.0] * len(self._functions) if weights is None else list(weights)
        if len(self._weights) != len(self._functions):
            raise BenchmarkError(f"{len(self._weights)} weights for {len(self._functions)} reward functions")
        self.__name__ = "combined_reward"

    def __call__(self, completions: Sequence[object], **columns: Any) -> list[float | None]:
        """Return the weighted sum for each completion, or None.

        Raises:
            BenchmarkError: A function returns not as many rewards as there are completions.
        """
        rewards = [function(completions=completions, **columns) for function in self._functions]
        for function, returned in zip(self._functions, rewards, strict=True):
            if len(returned) != len(completions):
                name = getattr(function, "__name__", type(function).__name__)
                raise BenchmarkError(f"{name} returned {len(returned)} rewards for {len(completions)} completions")
        return [self._sum(parts) for parts in zip(*rewards, strict=True)]

    def _sum(self, parts: Sequence[float | None]) -> float | None:
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        return sum(weight * part for weight, part in zip(self._weights, known, strict=True))


def compute_score(
    data_source: object,
    solution_str: str,
    ground_truth: object,
    extra_info: Mapping[str, Any] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Return the score of one reply, as verl's ``custom_reward_function`` does.

    Args:
        data_source: Not used.
        solution_str: What the model wrote.
        ground_truth: Tests, as :mod:`trimtab.codeeval.given_tests` reads them, or a task id where ``benchmarks`` is
            among ``options``.
        extra_info: May hold ``entry_point``.
        options: Of :class:`CodeReward`, from verl's ``custom_reward_function.reward_kwargs``.

    Returns:
        ``score`` and, for verl's logs, ``passed``, ``total`` and ``outcome``.

    Raises:
        SandboxError: The infrastructure failed. verl 0.9.1 has no reward for that: one None costs its batch all scores
            (a KeyError), a NaN spreads to every advantage of the group.
        BenchmarkError: The tests cannot be read.
    """
    return compute_score_batch([data_source], [solution_str], [ground_truth], [extra_info], **options)[0]


def compute_score_batch(
    data_sources: Sequence[object],
    solution_strs: Sequence[str],
    ground_truths: Sequence[object],
    extra_infos: Sequence[Mapping[str, Any] | None] | None = None,
    **options: Any,
) -> list[dict[str, Any]]:
    """Return the scores of many replies, as verl's batch reward manager asks for them; see :func:`compute_score`.

    Raises:
        SandboxError: The infrastructure failed.
        BenchmarkError: A row's tests cannot be read.
    """
    del data_sources
    scorer = _shared(tuple(sorted((name, _frozen(value)) for name, value in options.items())))
    column = "task_id" if options.get("benchmarks") else "tests"
    names = [(info or {}).get("entry_point") for info in extra_infos or [None] * len(solution_strs)]
    rulings = scorer.rulings(solution_strs, **{column: ground_truths, "entry_point": names})
    for ruled in rulings:
        if ruled.reward is None:
            raise SandboxError(f"a reply could not be judged: {ruled.reason}")
    return [
        {"score": ruled.reward, "passed": ruled.passed, "total": ruled.total, "outcome": str(ruled.outcome)}
        for ruled in rulings
    ]


@functools.cache
def _shared(options: tuple[tuple[str, Any], ...]) -> CodeReward:
    """Return the reward of this process for some options: verl calls a function, so nobody else keeps the pool."""
    named: dict[str, Any] = dict(options)
    fields = {name: named.pop(name) for name in ("workers", "tier", "profile", "packages") if name in named}
    if "server" in named:
        from trimtab.codeeval.remote_judge import RemoteJudge  # noqa: PLC0415 - it needs httpx

        return CodeReward(RemoteJudge(named.pop("server")), **named)
    return CodeReward(Workers(WorkerSettings(**fields)), **named)


def _frozen(value: object) -> object:
    return tuple(value) if isinstance(value, collections.abc.Sequence) and not isinstance(value, str) else value


def _rewards(rulings: Sequence[Ruling], columns: Mapping[str, Any]) -> list[float | None]:
    """Return the rewards; say which could not be had, and why."""
    lost = [ruled.reason for ruled in rulings if ruled.reward is None]
    if lost:
        _LOG.warning(
            "%d of %d rewards are None, because the infrastructure failed: %s", len(lost), len(rulings), lost[0]
        )
    extra: Callable[[str, list[Any]], None] | None = columns.get("log_extra")
    metric: Callable[[str, float], None] | None = columns.get("log_metric")
    if extra is not None:
        extra("code_outcome", [str(ruled.outcome or "not judged") for ruled in rulings])
    if metric is not None and rulings:
        metric("code_reward/not_judged", len(lost) / len(rulings))
    return [ruled.reward for ruled in rulings]


def _key(request: RulingRequest) -> tuple[object, ...]:
    """Return what equal requests share: tests are compared by value, a benchmark's problem by its identity."""
    tests: object = request.tests
    if isinstance(request.tests, given_tests.Calls):
        tests = repr(request.tests)
    return request.completion, tests, request.prefix, request.continues, request.partial, request.tolerance


def _cell(columns: Mapping[str, Any], name: str, row: int) -> Any:
    column = columns.get(name)
    if column is None:
        return None
    if isinstance(column, str) or not hasattr(column, "__getitem__") or row >= len(column):
        raise BenchmarkError(
            f"the column {name!r} has no entry for it", hint="a column is a list, an entry a completion"
        )
    return column[row]
