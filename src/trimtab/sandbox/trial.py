"""One sample: its program started, its answers compared, its end explained.

Decisions: nothing of a sample is believed but data, and data only when it satisfies every assertion; the first failing
assertion decides, so what follows it is not waited for; why a process ended is read off what the zygote measured.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final

from trimtab.sandbox import calls, codec, stand_ins
from trimtab.sandbox.program_end import ending, over, unanswered, verdict
from trimtab.sandbox.verdict import Limits, Outcome, RunVerdict

if TYPE_CHECKING:
    from trimtab.sandbox import asserts
    from trimtab.sandbox.job import Job
    from trimtab.sandbox.program_end import Judged
    from trimtab.sandbox.zygote_pair import ZygotePair

_DYING_S: Final = 1.0
_PLAIN_FRAME: Final = calls.MAX_ANSWER  # answers beyond this are read in a confined process


class NeedsDriverError(Exception):
    """A result is not plain data: the comparison belongs in a confined process."""


def by_data(pair: ZygotePair, program: str, cases: tuple[asserts.Case, ...], limits: Limits) -> RunVerdict:
    """Send all calls at once and compare each answer here, in order, as it comes."""
    job = pair.solution_for(program).start(limits)
    try:
        job.send(codec.dumps({"program": program, "calls": [case.call for case in cases]}))
        judged: Judged | None = None
        for number, case in enumerate(cases, 1):
            frame = job.take()
            judged = None if frame is None else _judge(frame, case, number)
            if frame is None or judged is not None:
                break
        else:
            judged = Outcome.PASSED, ""
        if judged is not None and judged[0] is not Outcome.PASSED:
            job.kill()
        report = job.finish()
        if judged is None:
            # The number of the assertion is the program's own word.
            texts = {number: case.source[:200] for number, case in enumerate(cases, 1)}
            judged = ending(job, report, limits, lambda number: f"assert {number}: {texts.get(number, '')}")
        return verdict(job, report, judged, limits, "data")
    finally:
        over(job)


def _judge(frame: bytes, case: asserts.Case, number: int) -> Judged | None:
    """Return None when the answer satisfies its assertion, else what is wrong with it."""
    if len(frame) > _PLAIN_FRAME:
        raise NeedsDriverError
    try:
        answer = codec.loads(frame)
    except codec.CodecError as error:
        return Outcome.ERROR, str(error)
    if "value" not in answer:
        return unanswered(answer)
    try:
        value = codec.Decoder(plain=True).decode(answer["value"])
    except codec.CodecError:
        raise NeedsDriverError from None
    try:
        if case.holds(value):
            return None
    except codec.CodecError:
        raise NeedsDriverError from None
    except Exception as error:  # noqa: BLE001 - a wrong result may not compare at all
        return Outcome.ERROR, f"assert {number}: {case.source}: {type(error).__name__}: {error}"[:500]
    return Outcome.WRONG, f"assert {number}: {case.source}: got {stand_ins.show(value)}"[:500]


def by_driver(pair: ZygotePair, program: str, message: dict[str, Any], limits: Limits) -> RunVerdict:
    """Let the program and the test code run in two processes that talk to each other; hear the second."""
    link, theirs = socket.socketpair()
    jobs: list[Job] = []
    try:
        solution = pair.solution_for(program).start(limits, theirs)
        jobs.append(solution)
        theirs.close()
        solution.send(codec.dumps({"program": program, "calls": None}))
        driver = pair.driver.start(limits, link)
        jobs.append(driver)
        link.close()
        driver.send(codec.dumps(message))
        frame = driver.take(solution)
        driver_report = driver.finish()
        said_by_driver = {} if frame is None else codec.loads(frame)
        if said_by_driver.get("outcome") != "gone":
            solution.kill()
        report = solution.finish(_DYING_S)  # one that has gone may still be dying, and how it dies is its outcome
        ended = ending(solution, report, limits)
        judged = (
            ended if solution.stalled else _driver_says(said_by_driver, ended, ending(driver, driver_report, limits))
        )
        return verdict(solution, report, judged, limits, "driver")
    finally:
        for end in (link, theirs):
            end.close()
        for job in jobs:
            over(job)


def _driver_says(said_by_driver: dict[str, Any], solution: Judged, driver: Judged) -> Judged:
    if not said_by_driver:
        return driver[0], f"the test code: {driver[1]}"
    if said_by_driver["end"] is not None:
        return unanswered(said_by_driver)
    if said_by_driver["outcome"] == "gone":
        return solution
    return Outcome(said_by_driver["outcome"]), said_by_driver["detail"]
