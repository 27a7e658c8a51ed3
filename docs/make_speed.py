"""Write docs/reference/speed.md from benchmarks/results: what was measured, what was asked, and on what.

Every figure of the page stands in a file that a benchmark wrote. `make bench` writes the files and then the page; a
test holds the page to the files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parent
RESULTS = DOCS.parent / "benchmarks" / "results"
TARGET = DOCS / "reference" / "speed.md"
_ABOUT = """# Measured speed

`make bench` measures these and writes this page from `benchmarks/results/*.json`. Ratios are of CPU seconds in one run
side by side, because the machines were shared. What is asked is what the project set itself.
"""

Record = dict[str, Any]


def read() -> dict[str, Record]:
    """Return the results by name: of the files there, those of speed, which have what was found at a commit."""
    records = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))}
    return {name: record for name, record in records.items() if "found" in record}


def page(results: dict[str, Record]) -> str:
    """Return the page."""
    rows = [row for name, writer in _ROWS.items() if name in results for row in writer(results[name]["found"])]
    parts = [
        _ABOUT,
        "| what | measured | asked | met |\n|---|---|---|---|",
        *(f"| {what} | {value:,g} | {_asked(asked)} | {_met(value, asked)} |" for what, value, asked in rows),
    ]
    text = "\n".join(parts)
    if "gate_operations" in results:
        text += "\n\n" + _operations(results["gate_operations"]["found"])
    return text + "\n\n" + _provenance(results) + "\n"


def _asked(asked: float | None) -> str:
    return "" if asked is None else f"{'≤' if asked < 0 else '≥'} {abs(asked):,g}"


def _met(value: float, asked: float | None) -> str:
    if asked is None:
        return ""
    return "yes" if (value <= -asked if asked < 0 else value >= asked) else "**no**"


def _expert_layer(found: list[Record]) -> Iterator[tuple[str, float, float | None]]:
    for each in found:
        shape = (
            f"T = {each['tokens']}, d = {each['hidden']}, I = {each['inner']}, E = {each['experts']},"
            f" top-{each['calls a token']}"
        )
        shares = each["share of GEMMs"]
        yield f"experts, {shape}: share of the rate of GEMMs", shares["trimtab"], each["asked"]
        yield "the same, GEMMs with a weight set an expert", shares["GEMMs, a weight set each"], None
        yield "the same, the older build", shares["older build"], None
        yield "the same, times transformers' `grouped_mm`", each["times grouped_mm"], 1.5


def _plain_memory(found: list[Record]) -> Iterator[tuple[str, float, float | None]]:
    for each in found:
        where = f"E = {each['experts']}: freed memory is given back, as glibc does by itself"
        yield f"{where}; share of the rate of GEMMs", each["share of GEMMs"]["trimtab"], None
        yield "the same, the older build", each["share of GEMMs"]["older build"], None


def _training_step(found: Record) -> Iterator[tuple[str, float, float | None]]:
    yield f"training step of the tiny study, times the build {found['older build']}", found["ratio"], found["asked"]
    steps = f"largest difference of a loss over {found['steps']} steps"
    yield steps, found["largest difference of a loss"], -1e-5


def _generation(found: Record) -> Iterator[tuple[str, float, float | None]]:
    how = f"{found['prompts']} HumanEval prompts, {found['new tokens a prompt']} tokens each"
    yield f"greedy generation of SmolLM2, {how}, times the build {found['older build']}", found["ratio"], found["asked"]
    yield "equal texts of both builds", found["equal texts"], found["prompts"]


def _simulate(found: Record) -> Iterator[tuple[str, float, float | None]]:
    for each in found["rules"]:
        yield f"simulated cells a minute on two cores, `{each['rule']}`", each["cells a minute"], found["asked"]


def _scaling(found: Record) -> Iterator[tuple[str, float, float | None]]:
    for each in found["folders"]:
        asked = {"plan", "status", "table", "table again"} if each["cells"] >= 10_000 else set()
        what = f"{each['cells']:,} cells, `{each['verb'].split()[0]}`{' again' if 'again' in each['verb'] else ''}"
        yield f"{what}: CPU seconds", each["CPU s"], -5.0 if each["verb"] in asked else None
        yield f"{what}: MiB", each["MiB"], -500.0 if each["verb"] in asked else None


def _cells_side_by_side(found: list[Record]) -> Iterator[tuple[str, float, float | None]]:
    for each in found:
        workers = f"{each['workers']} worker{'s' if each['workers'] > 1 else ''}"
        yield f"eight tiny cells on {workers}: CPU seconds", each["CPU s"], None
        yield "the same, seconds by the clock", each["wall s"], None


_ROWS = {
    "expert_layer": _expert_layer,
    "expert_layer_plain_memory": _plain_memory,
    "training_step": _training_step,
    "generation": _generation,
    "simulate": _simulate,
    "scaling": _scaling,
    "cells_side_by_side": _cells_side_by_side,
}


def _operations(found: Record) -> str:
    intro = (
        f"Operations that an attached gate adds to a layer, which has {found['without gates']:g} without; views are"
        " left out. No GPU was at hand: on one, each is a short kernel. A forward pass waits for none of them."
    )
    rows = [
        f"| `{name}` | {each['forward and backward']:g} | {each['update']:g} |" for name, each in found["with"].items()
    ]
    head = "| rule or capacity | forward and backward | update |\n|---|---|---|"
    return "\n".join(["## Operations of a gate", "", intro, "", head, *rows])


def _provenance(results: dict[str, Record]) -> str:
    head = "| file | command | commit | machine | versions |\n|---|---|---|---|---|"
    rows = []
    for name, record in results.items():
        versions = ", ".join(f"{package} {version}" for package, version in record["versions"].items())
        rows.append(
            f"| `{name}.json` | `{record['command']}` | {record['commit']} | {record['machine']} | {versions} |"
        )
    return "\n".join(["## How each was measured", "", head, *rows])


def main() -> None:
    """Write the page."""
    TARGET.write_text(page(read()), encoding="utf-8")


if __name__ == "__main__":
    main()
