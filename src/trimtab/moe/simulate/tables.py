"""The tables of the docs: what each ran, and how it is printed. One name, one command, everything in it.

A row is a stream under a capacity, a column a rule. A cell says, with seeds apart by slashes where they differ in kind:

* ``comparison``: batches to recover of each seed (– is never) · mean and largest over seeds of tail MaxVio above its
  floor · affinity kept of the optimum; under a capacity also drops above their floor, in percent.
* ``controller``: tail MaxVio · share dropped · mean bias at the end.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from trimtab.moe.simulate.engine import SimulatedArm
from trimtab.moe.simulate.names import rule
from trimtab.settings.families import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trimtab.moe.simulate.choices import Choice
    from trimtab.moe.simulate.engine import Signal
    from trimtab.moe.simulate.measures import SimulatedCell

_NONE: Final = "\N{EN DASH}"
Form = Literal["comparison", "controller"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationTable:
    """Streams × rules × capacities × signals × seeds.

    Args:
        streams, rules: As :mod:`~trimtab.moe.simulate.names` reads them.
        factors: Capacity factors; None is dropless.
        signals: What a rule that counts calls counts under a capacity.
        shape: T, E and K.
        steps: Batches.
        seeds: Of the streams.
        form: What a cell says.
    """

    streams: tuple[str, ...]
    rules: tuple[str, ...]
    factors: tuple[float | None, ...] = (None,)
    signals: tuple[Signal, ...] = ("routed",)
    shape: tuple[int, int, int] = (1024, 16, 2)
    steps: int = 1000
    seeds: tuple[int, ...] = (0,)
    form: Form = "comparison"

    def _rule(self, text: str) -> Rule | Choice:
        made = rule(text)
        return made.for_run(self.steps) if isinstance(made, Rule) else made

    def arms(self) -> list[SimulatedArm]:
        """Return a rule under a capacity each; what it is told of loads matters only to rules that count calls."""
        return [
            arm
            for text, made in {text: self._rule(text) for text in self.rules}.items()
            for factor in self.factors
            for signal in (self.signals if factor is not None else ("routed",))
            if (arm := SimulatedArm(name=text, balancer=made, factor=factor, signal=signal)).counts_calls
            or signal in {"routed", self.signals[0]}
        ]


_RATES: Final = tuple(f"LossFree(bias_update_rate={rate})" for rate in ("1e-3", "3e-3", "1e-2", "3e-2"))
_BESIDE: Final = ("QuantileBalancing()", "BIP()", "NewtonBalancing()", "NewtonBalancing(dither=1e-3)")
_SEEDS: Final = (201, 202, 203, 204)

TABLES: Final[Mapping[str, SimulationTable]] = {
    "capacity": SimulationTable(
        streams=("fixed",),
        rules=("LossFree(bias_update_rate=1e-3)", "QuantileBalancing()", "NewtonBalancing()"),
        factors=(None, 2.0, 1.25, 1.0, 0.8, 0.5),
        signals=("routed", "kept", "padded"),
        shape=(512, 8, 2),
        steps=2000,
        form="controller",
    ),
    "rules": SimulationTable(
        streams=(
            "iid", "wide", "skewed", "saturated", "dead", "twins", "exact-twins",
            "drifting", "jump", "heavy", "walk", "zipf", "fixed",
        ),
        rules=(*_RATES, *_BESIDE),
        steps=500,
        seeds=_SEEDS,
    ),
    "held-out": SimulationTable(
        streams=("mixing", "sharpening", "relay"),
        rules=(*_RATES, *_BESIDE),
        steps=500,
        seeds=_SEEDS,
    ),
    "drops": SimulationTable(
        streams=("iid", "skewed", "saturated", "twins", "drifting"),
        rules=(*_RATES, *_BESIDE),
        factors=(1.0, 0.75),
        steps=500,
        seeds=_SEEDS,
    ),
}  # fmt: skip


def markdown(table: SimulationTable, cells: Sequence[SimulatedCell]) -> str:
    """Print cells, a row a stream and capacity, a column a rule and what it counted."""
    say = _controller if table.form == "controller" else _comparison
    columns = list(dict.fromkeys((cell.rule, cell.signal) for cell in cells))
    rows = list(dict.fromkeys((cell.stream, cell.capacity) for cell in cells))
    lines = [_line("stream", "C", *(_head(*column) for column in columns)), "|---" * (2 + len(columns)) + "|"]
    for row in rows:
        groups = [[c for c in cells if (c.stream, c.capacity, c.rule, c.signal) == row + column] for column in columns]
        factor = _NONE if row[1] is None else f"{row[1]:g}"
        lines.append(_line(row[0], factor, *(say(group) if group else "" for group in groups)))
    return "\n".join(lines)


def _line(*words: str) -> str:
    return "| " + " | ".join(words) + " |"


def _head(rule: str, signal: str) -> str:
    short = rule.replace("bias_update_rate=", "").removesuffix("()")
    return f"{short}, {signal}" if signal in {"kept", "padded"} else short


def _controller(cells: Sequence[SimulatedCell]) -> str:
    tail, dropped, bias = (
        statistics.fmean(values)
        for values in ([c.tail for c in cells], [c.dropped for c in cells], [c.bias_mean for c in cells])
    )
    return f"{tail:.3f} · {dropped:.3f} · {bias:+.3f}".replace("-", "\N{MINUS SIGN}")


def _comparison(cells: Sequence[SimulatedCell]) -> str:
    recoveries = "/".join(_NONE if c.recovery is None else str(c.recovery) for c in cells)
    excess = [c.tail - c.floor for c in cells]
    affinity = statistics.fmean(c.affinity for c in cells)
    parts = [recoveries, f"{statistics.fmean(excess):.3f} ({max(excess):.3f})", f"{affinity:.3f}"]
    if cells[0].capacity is not None:
        parts.append(f"{100 * statistics.fmean(c.dropped - c.drop_floor for c in cells):.1f} %")
    return " · ".join(parts).replace("-", "\N{MINUS SIGN}")
