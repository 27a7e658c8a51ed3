"""What a run came to, as text and as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trimtab.codeeval import scores

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from trimtab.codeeval.problem import Benchmark
    from trimtab.codeeval.scores import BenchmarkTally, Drop, Score
    from trimtab.codeeval.verdicts import Judged

KS = (1, 10)


def record(
    tallies: Sequence[BenchmarkTally], drops: Sequence[Drop], timing: Sequence[Mapping[str, Any]], judged: Judged
) -> dict[str, Any]:
    """Return everything that is printed, as JSON-able data; the headline is ``extracted``, ``all``."""
    return {
        "tiers": judged.tiers,
        "attestations": judged.attestations,
        "benchmarks": {tally.benchmark: _tally(tally) for tally in tallies},
        "drops": [_interval(drop, pairs=drop.pairs, base=drop.base, pro=drop.pro) for drop in drops],
        "generation": speed(timing),
    }


def _tally(tally: BenchmarkTally) -> dict[str, Any]:
    tallies = {
        text: {subset: _scores(tally, raw=text == "raw", sound=subset == "sound") for subset in ("all", "sound")}
        for text in ("extracted", "raw")
    }
    return {
        **tallies,
        "samples": tally.samples,
        "unsound": dict(tally.unsound),
        "failures": dict(tally.failures),
        "steps": dict(tally.steps),
        "base_not_called": tally.base_not_called,
    }


def _scores(tally: BenchmarkTally, *, raw: bool, sound: bool) -> dict[str, Any]:
    scores = [score for k in KS if (score := tally.score(k, raw=raw, sound=sound)) is not None]
    return {f"pass@{score.k}": _interval(score, problems=score.problems) for score in scores}


def _interval(estimate: Score | Drop, **more: object) -> dict[str, Any]:
    return {"value": estimate.value, "low": estimate.interval.low, "high": estimate.interval.high, **more}


def speed(timing: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return what generating took in all: samples, tokens, seconds by the clock and of this process."""
    return {
        key: sum(line[key] for line in timing) for key in ("samples", "prompt_tokens", "new_tokens", "wall_s", "cpu_s")
    }


def drops(benchmarks: Sequence[Benchmark], tallies: Sequence[BenchmarkTally], *, sound: bool = False) -> list[Drop]:
    """Return the drop of each self-invoking benchmark from the one its problems are built on, where both are here."""
    records = []
    for pro, pro_tally in zip(benchmarks, tallies, strict=True):
        for base, base_tally in zip(benchmarks, tallies, strict=True):
            pairs = scores.pairs(base, pro)
            drop = scores.drop(base_tally, pro_tally, pairs, sound=sound) if pairs else None
            if drop is not None:
                records.append(drop)
    return records


def lines(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a summary."""
    yield f"{'':24}{'all problems':>30}{'sound problems':>30}"
    for name, tallied in record["benchmarks"].items():
        for text in ("extracted", "raw"):
            yield from _score_lines(name, text, tallied[text])
        yield from _explanations(tallied)
    for drop in record["drops"]:
        yield (
            f"{drop['base']} minus {drop['pro']}: {_percent(drop)} over {drop['pairs']} pairs of problems"
            " (95 % interval, paired)"
        )
    if "peer" in record:
        yield from _peer_lines(record["peer"])
    yield _tiers(record["tiers"])
    took = record["generation"]
    if took["wall_s"]:
        rate, cpu_rate = took["new_tokens"] / took["wall_s"], took["new_tokens"] / max(took["cpu_s"], 1e-9)
        yield (
            f"generated {took['samples']} samples, {took['new_tokens']} tokens in {took['wall_s']:.0f} s"
            f" ({rate:.1f} tokens/s; {cpu_rate:.1f} per CPU second)"
        )


_SHOWN = 20  # samples on which a tool differs; all are in the record


def _peer_lines(peer: Mapping[str, Any]) -> Iterator[str]:
    """Yield where another tool's own verdicts on these samples differ, and why."""
    if peer["compared"]:
        yield f"beside {peer['tool']}'s own verdicts: {len(peer['differ'])} of {peer['compared']} differ"
    for difference in peer["differ"][:_SHOWN]:
        word = "passed" if difference["passed"] else "failed"
        yield (
            f"  {difference['benchmark']} {difference['task_id']} sample {difference['sample_index']}: {word} there,"
            f" {difference['outcome']} here: {difference['why']}"
        )
    if len(peer["differ"]) > _SHOWN:
        yield f"  and {len(peer['differ']) - _SHOWN} more in result.json"
    yield from (f"  note: {note}" for note in peer["notes"])


def _tiers(tiers: str) -> str:
    if "D" in tiers:
        return (
            f"judged WITHOUT ISOLATION (sandbox tier {'/'.join(tiers)}): a program may have forged its verdict or worse"
        )
    return f"judged in the sandbox, tier {'/'.join(tiers)}"


def _score_lines(name: str, text: str, record: Mapping[str, Any]) -> Iterator[str]:
    for k in record["all"]:
        estimates = [record[subset].get(k) for subset in ("all", "sound")]
        columns = [f"{_percent(e)} of {e['problems']}" if e else "-" for e in estimates]
        label = f"{name} {k}" if text == "extracted" else f"  {k}, as it stands"
        yield f"{label:24}{columns[0]:>30}{columns[1]:>30}"


def _explanations(record: Mapping[str, Any]) -> Iterator[str]:
    failures = [f"{kind} {record['failures'][kind]}" for kind in scores.KINDS if kind in record["failures"]]
    if failures:
        yield f"  failures: {', '.join(failures)}"
    if record["base_not_called"] is not None:
        yield "  never call the base function: {} that passed, {} that failed".format(*record["base_not_called"])
    if record["steps"]:
        yield f"  passed after: {', '.join(f'{step} {count}' for step, count in record['steps'].items())}"


def _percent(estimate: Mapping[str, Any]) -> str:
    return f"{100 * estimate['value']:.1f} % [{100 * estimate['low']:.1f}, {100 * estimate['high']:.1f}]"
