"""Many calls of one function, compared with what a reference returned: by digest first, by value where digests differ.

Decisions: results of the program are answered with digests of their encoding, a hundred bytes for what would be
megabytes, and equal digests mean equal values, because a program does not know what it is compared with; where one
differs the value itself is asked for and whoever called decides (1 and 1.0 are encoded apart and are equal). What the
reference returned as an object, not as data, or with a NaN or an iterator in it, which equals nothing, has no digest
and is always decided by value. A NaN read here is a new one, so no list that holds one equals another, as two
interpreters see it; within one interpreter a list that holds the very NaN of another would. Inputs go over in pieces,
a small one first, so that a wrong program is found out before it has done all the work.
"""

# ruff: noqa: ANN401 - values of any type pass through here

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from trimtab.sandbox import codec, stand_ins
from trimtab.sandbox.calls import MAX_ANSWER
from trimtab.sandbox.program_end import ending, over, unanswered, verdict
from trimtab.sandbox.verdict import Outcome, RunVerdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from trimtab.sandbox.job import Job
    from trimtab.sandbox.lane import Lane
    from trimtab.sandbox.program_end import Judged
    from trimtab.sandbox.verdict import Limits

_FIRST: Final = 8
_MOST: Final = 1000
_BYTES: Final = 1 << 20  # of encoded inputs in a piece
# NaN as a float or a Decimal is encoded, an iterator and values of a dictionary; a text that reads like NaN is compared
# by value without need.
_UNLIKE: Final = re.compile(rb'"[+-]?s?nan\d*"|"iter":|"values":', re.IGNORECASE)
_GO_ON: Final = codec.dumps({"inputs": []})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inputs:
    """Arguments of many calls, encoded once for all programs.

    Attributes:
        entry_point: The function to call.
        pieces: Messages.
        counts: How many calls each message asks for.
    """

    entry_point: str
    pieces: tuple[bytes, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Truth:
    """What a reference did with some inputs.

    Attributes:
        inputs: The inputs.
        outcome: ``Outcome.PASSED`` when it answered all of them, else how it ended.
        detail: Why it did not.
        digests: One per input; "-" for a value that is not data, or not equal to itself.
        frames: The encoded answers; empty where longer than is read here.
        cpu_s: CPU seconds it took.
        longest_s: CPU seconds of its slowest call.
        memory_mib: Its peak resident memory.
    """

    inputs: Inputs
    outcome: Outcome
    detail: str
    digests: tuple[str, ...]
    frames: tuple[bytes, ...]
    cpu_s: float
    longest_s: float
    memory_mib: float

    def value(self, index: int) -> Any:
        """Return what the reference returned for an input.

        Raises:
            CodecError: It is too large, or nothing that is compared here.
        """
        answer = codec.loads(self.frames[index] or b"{}")
        if "value" not in answer:
            raise codec.CodecError("a result too large to be compared by value")
        return codec.Decoder(plain=True).decode(answer["value"])


def pack(entry_point: str, inputs: Sequence[Sequence[Any]]) -> Inputs:
    """Encode inputs.

    Args:
        entry_point: The function to call.
        inputs: One sequence of arguments a call.

    Raises:
        CodecError: An argument is not data.
    """
    texts = [codec.dumps([codec.encode(arg) for arg in args]) for args in inputs]
    pieces, counts = [], []
    for start, end in _spans([len(text) for text in texts]):
        pieces.append(b'{"inputs":[' + b",".join(texts[start:end]) + b"]}")
        counts.append(end - start)
    return Inputs(entry_point=entry_point, pieces=tuple(pieces), counts=tuple(counts))


def _spans(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    start = total = 0
    most = _FIRST
    for index, size in enumerate(sizes):
        if index > start and (index - start >= most or total + size > _BYTES):
            yield start, index
            start, total, most = index, 0, _MOST
        total += size
    if start < len(sizes):
        yield start, len(sizes)


class _Stream:
    """Digests of one program's answers, in the order of the inputs, and values where they are asked for.

    Attributes:
        judged: How the program ended before it had answered everything; None while it goes on.
    """

    def __init__(self, job: Job, program: str, inputs: Inputs) -> None:
        self._job, self._inputs = job, inputs
        self.judged: Judged | None = None
        job.send(codec.dumps({"program": program, "calls": None, "batch": inputs.entry_point}))

    def runs(self) -> Iterator[tuple[int, list[Any]]]:
        """Yield the index of the first input of a run and the digests of the run."""
        done = 0
        for piece, count in zip(self._inputs.pieces, self._inputs.counts, strict=True):
            message, until = piece, done + count
            while done < until:
                self._job.send(message)
                digests = self._digests(until - done)
                yield done, digests
                done += len(digests)
                if done < until and (self.judged is not None or not digests):
                    return
                message = _GO_ON

    def _digests(self, most: int) -> list[Any]:
        frame = self._job.take()
        answer = _read(frame)
        digests = answer.get("digests")
        if not isinstance(digests, list) or len(digests) > most:
            digests = []
        if len(digests) < most and not answer.get("more"):
            self.judged = unanswered(answer) if frame is not None else None
        return digests

    def values(self, indices: Sequence[int]) -> Iterator[bytes | None]:
        """Yield the answers at positions of the last run, as frames; None when the program is over."""
        self._job.send(codec.dumps({"tell": list(indices)}))
        for _ in indices:
            yield self._job.take()


def _read(frame: bytes | None) -> dict[str, Any]:
    if frame is None or len(frame) > MAX_ANSWER:
        return {}
    try:
        return codec.loads(frame)
    except codec.CodecError:
        return {}


def truth(lane: Lane, program: str, inputs: Inputs, limits: Limits) -> Truth:
    """Run a reference and keep what it returned.

    Raises:
        SandboxError: The zygote failed.
    """
    job = lane.start(limits)
    try:
        stream = _Stream(job, program, inputs)
        digests: list[str] = []
        frames: list[bytes] = []
        for _, run in stream.runs():
            answers = [frame or b"" for frame in stream.values(range(len(run)))]
            digests += [
                "-" if _UNLIKE.search(frame) else str(digest) for frame, digest in zip(answers, run, strict=True)
            ]
            frames += [frame if len(frame) <= MAX_ANSWER else b"" for frame in answers]
        complete = len(digests) == sum(inputs.counts)
        if stream.judged is not None:
            job.kill()
        report = job.finish()
        judged = (Outcome.PASSED, "") if complete else stream.judged or ending(job, report, limits)
        return Truth(
            inputs=inputs,
            outcome=judged[0],
            detail=judged[1],
            digests=tuple(digests),
            frames=tuple(frames),
            cpu_s=report.cpu_s,
            longest_s=report.progress[3],
            memory_mib=round(report.rss_kib / 1024, 1),
        )
    finally:
        over(job)


def compare(
    lane: Lane,
    program: str,
    expected: Truth,
    holds: Callable[[int, Any], bool],
    limits: Limits,
    named: Callable[[int], str] = "input {}".format,
) -> RunVerdict:
    """Run a program on the inputs of ``expected``; the first input whose result does not hold decides.

    Args:
        lane: The zygote.
        program: Untrusted source.
        expected: What a reference returned.
        holds: Whether a value whose digest differs will do for the input of this index.
        limits: For this sample.
        named: How an input is named in messages, by its number from 1 on.

    Raises:
        SandboxError: The zygote failed.
    """
    job = lane.start(limits)
    try:
        stream = _Stream(job, program, expected.inputs)
        done, wrong = 0, None
        for start, run in stream.runs():
            wrong = _first_wrong(stream, expected, holds, start, run)
            if wrong is not None:
                break
            done = start + len(run)
        judged = wrong or stream.judged
        if wrong is None and done == len(expected.digests):
            judged = Outcome.PASSED, ""
        elif judged is not None:
            job.kill()
        report = job.finish()
        if judged is None:
            judged = ending(job, report, limits, named)
        elif wrong is None and judged[0] is not Outcome.PASSED:
            judged = judged[0], f"{named(done + 1)}: {judged[1]}"
        return verdict(job, report, judged, limits, "digest")
    finally:
        over(job)


def _first_wrong(
    stream: _Stream, expected: Truth, holds: Callable[[int, Any], bool], start: int, run: list[Any]
) -> Judged | None:
    """Return what is wrong with the first answer of a run that does not hold, or None."""
    wanted = expected.digests[start : start + len(run)]
    differ = [index for index, (got, want) in enumerate(zip(run, wanted, strict=True)) if got != want or want == "-"]
    if not differ:
        return None
    for index, frame in zip(differ, stream.values(differ), strict=True):
        judged = _wrong(frame, holds, start + index)
        if judged is not None:
            return judged
    return None


def _wrong(frame: bytes | None, holds: Callable[[int, Any], bool], index: int) -> Judged | None:
    answer = _read(frame)
    if "value" not in answer:
        return Outcome.WRONG, f"input {index + 1}: a result that cannot be read here"
    try:
        value = codec.Decoder(plain=True).decode(answer["value"])
        if holds(index, value):
            return None
    except Exception as error:  # noqa: BLE001 - a wrong result may not compare at all
        return Outcome.WRONG, f"input {index + 1}: {type(error).__name__}: {error}"[:500]
    return Outcome.WRONG, f"input {index + 1}: got {stand_ins.show(value)}"[:500]
