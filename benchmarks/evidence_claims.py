"""Planted faults and speed: what the claim checker finds, and what it wrongly blames.

Usage: python benchmarks/evidence_claims.py [faults] [speed]; both without arguments. The data is of third
parties and is read from TRIMTAB_DATA. Prints tables; CPU seconds, since the machine may be shared.
"""

from __future__ import annotations

import csv
import importlib
import io
import json
import os
import random
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trimtab.evidence import extract, numerals, reading, verify
from trimtab.evidence.document import Cell, Document
from trimtab.evidence.names import Registry
from trimtab.evidence.sources import Sources
from trimtab.study.table import StudyTable

REGISTRY = Registry.load()
DATA = Path(os.environ.get("TRIMTAB_DATA", "../shared/data")) / "evidence"
ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Sentence:
    """A statement made from a table, true or with one planted fault."""

    fault: str
    text: str


def numeric(model: str, value: str, benchmark: str) -> str:
    return f"{model} achieves {value} on {benchmark}."


def from_table(rows: dict[str, dict[str, str]], unit: str, rng: random.Random, count: int) -> list[Sentence]:
    """Make true statements of a table, and for each one statement a fault that the table can hold."""
    cells = [(m, b, v) for m, row in rows.items() for b, v in row.items()]
    said: list[Sentence] = []
    for model, benchmark, value in rng.sample(cells, min(count, len(cells))):
        said.append(Sentence("none", numeric(model, value + unit, benchmark)))
        places = len(value.partition(".")[2])
        shifted = f"{float(value) + rng.choice([-1, 1]) * rng.randint(2, 60) * 10**-places:.{places}f}"
        said.append(Sentence("value", numeric(model, shifted + unit, benchmark)))
        others = [m for m in rows if m != model and value not in rows[m].get(benchmark, "")]
        said.append(Sentence("model", numeric(rng.choice(others), value + unit, benchmark)))
        columns = [b for b, v in rows[model].items() if b.split(" (")[0] != benchmark.split(" (")[0] and v != value]
        if columns:
            said.append(Sentence("benchmark", numeric(model, value + unit, rng.choice(columns))))
        said += _shots(rows, model, benchmark, value, unit)
        said += _plus(rows, model, benchmark, value, unit)
        said += _directions(rows, model, benchmark, value, rng)
        said += _base(rows, model, benchmark, value, unit)
    return said


def _shots(rows: dict[str, dict[str, str]], model: str, benchmark: str, value: str, unit: str) -> list[Sentence]:
    other = benchmark.replace("0-shot", "?").replace("1-shot", "0-shot").replace("?", "1-shot")
    if other == benchmark or rows[model].get(other) in (None, value):
        return []
    return [Sentence("shots", numeric(model, value + unit, other))]


def _plus(rows: dict[str, dict[str, str]], model: str, benchmark: str, value: str, unit: str) -> list[Sentence]:
    other = benchmark.removesuffix("+") if benchmark.endswith("+") else benchmark + "+"
    if rows[model].get(other) in (None, value):
        return []
    return [Sentence("base/plus", numeric(model, value + unit, other))]


def _base(rows: dict[str, dict[str, str]], model: str, benchmark: str, value: str, unit: str) -> list[Sentence]:
    other = model.replace("-base", "-?").replace("-instruct", "-base").replace("-?", "-instruct")
    if other not in rows or other == model or rows[other].get(benchmark) in (None, value):
        return []
    return [Sentence("base/instruct", numeric(other, value + unit, benchmark))]


def _directions(
    rows: dict[str, dict[str, str]], model: str, benchmark: str, value: str, rng: random.Random
) -> list[Sentence]:
    other = rng.choice([m for m in rows if m != model and rows[m].get(benchmark, value) != value])
    gap = float(value) - float(rows[other][benchmark])
    right, wrong = ("outperforms", "underperforms") if gap > 0 else ("underperforms", "outperforms")
    places = len(value.partition(".")[2])
    text = "{} {} {} on {} by {} points."
    return [
        Sentence("none, comparison", text.format(model, right, other, benchmark, f"{abs(gap):.{places}f}")),
        Sentence("direction", text.format(model, wrong, other, benchmark, f"{abs(gap):.{places}f}")),
        Sentence("difference", text.format(model, right, other, benchmark, f"{abs(gap) + 3 * 10**-places:.{places}f}")),
    ]


def cited_years() -> list[Sentence]:
    """Passages of the paper with their citations, and with a wrong year."""
    said = []
    text = (DATA / "2412.21199v2.md").read_text(encoding="utf-8")
    for line in (one[2:] for one in text.splitlines() if one.startswith("- ") and ", 20" in one):
        for year in ("2021", "2022", "2023"):
            if year in line:
                said.append(Sentence("none, citation", line))
                said += [Sentence("year", line.replace(year, str(int(year) + shift))) for shift in (-2, -1, 1, 2)]
    return said


def judge(said: list[Sentence], sources: Sources, references: list[str]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for one in said:
        claim = extract.claim(one.text, REGISTRY, sources.models)
        verdict = verify.check(claim, sources, references)
        flagged = any(flag.name.startswith("citation") for flag in verdict.flags)
        word = "flagged" if verdict.fidelity.holds and flagged else verdict.fidelity.value
        found[one.fault][word] += 1
    return found


def show(title: str, found: dict[str, Counter[str]]) -> None:
    print(f"\n{title}\n{'fault':18} {'n':>5} {'detected':>9} {'not said':>9} {'accepted':>9} {'blamed':>7}  words")
    for fault, words in found.items():
        total = sum(words.values())
        blamed = words["contradicted"] + words["misattributed"] + words["flagged"]
        accepted = words["verbatim"] + words["supported"]
        true = fault.startswith("none")
        detected = "" if true else f"{blamed / total:.1%}"
        unsaid = (total - blamed - accepted) / total
        told = ", ".join(f"{word} {count}" for word, count in words.most_common())
        alarm = f"{blamed / total:.1%}" if true else ""
        print(f"{fault:18} {total:5} {detected:>9} {unsaid:9.1%} {accepted / total:9.1%} {alarm:>7}  {told}")


def faults() -> None:
    rng = random.Random(1)
    paper = reading.read(DATA / "2412.21199v2.md")
    board = reading.read(DATA / "evalpro_leaderboard.csv")
    rows: dict[str, dict[str, str]] = defaultdict(dict)
    for cell in (one for one in board.cells if one.number is not None):
        rows[cell.row_path[0]][cell.column_path[-1].replace("0 shot", "0-shot")] = cell.text.strip()
    only = Sources.build([board], [], REGISTRY)
    show("the benchmark's leaderboard", judge(from_table(rows, "%", rng, 100), only, []))
    rows = defaultdict(dict)
    for cell in (one for one in paper.cells if one.label == "Table 2"):
        rows[cell.row_path[0]][cell.column_path[-1]] = cell.text
    both = Sources.build([paper, board], [], REGISTRY)
    said = [*from_table(rows, "%", rng, 150), *cited_years()]
    show("Table 2 of arXiv 2412.21199, beside its Table 5 and passages", judge(said, both, ["arxiv:2412.21199"]))
    show("our own study's table", judge(*ours(rng)))


def ours(rng: random.Random) -> tuple[list[Sentence], Sources, list[str]]:
    """Statements of a study's table, in the form a report would print it."""
    table = drawn(0.02, 0.01, 5, rng.randint(0, 10**6))
    header = {"python_loss": "held-out Python", "micro_pass1": "micro-benchmark"}
    rows: dict[str, dict[str, str]] = defaultdict(dict)
    for row in table.rows:
        if row.endpoint in header and row.value is not None and row.eval_capacity == "dropless":
            name = f"{row.balancer}-{row.expert_init}-{row.capacity}-s{row.seed}"
            rows[name][header[row.endpoint]] = f"{row.value:.4f}"
    text = io.StringIO()
    names = list(next(iter(rows.values())))
    writer = csv.writer(text)
    writer.writerow(["arm", *names])
    writer.writerows([arm, *(row[name] for name in names)] for arm, row in rows.items())
    document = reading.read_bytes(text.getvalue().encode(), "study.csv")
    return from_table(rows, "", rng, 40), Sources.build([document], [], REGISTRY), []


sys.path.insert(0, str(ROOT / "tests"))
synthetic = importlib.import_module("synthetic")


def drawn(effect: float, spread: float, seeds: int, number: int) -> StudyTable:
    """Return the table of a synthetic study whose cells scatter by ``spread`` around a known effect."""
    made = synthetic.Synthetic(
        seeds=seeds, units=2, seed_sd=0.05, cell_sd=0.0, extra={"python_loss": {"loss_free": (0.0, effect)}}
    )
    study, rng = made.study(), np.random.default_rng(number)
    results = {}
    for cell in study.cells():
        shift = rng.normal() * spread
        losses = made._losses("python_loss", made._key(cell), ["a", "b"])  # noqa: SLF001
        shifted = {
            limit: {unit: [nats + shift * tokens, tokens, size] for unit, (nats, tokens, size) in units.items()}
            for limit, units in losses.items()
        }
        results[cell.id] = synthetic.store.CellResult(
            cell_id=cell.id,
            factors=dict(cell.factors),
            outcome="completed",
            training={"steps": 1, "tokens": 30_720, "parameters": 1_900_000},
            **{**made._measured(made._key(cell)), "losses": {"python": shifted}},  # noqa: SLF001
        )
    return StudyTable(
        study=study,
        folder=Path("synthetic"),
        cells={cell.id: cell for cell in study.cells()},
        results=results,
        missing={},
        controls=(),
        environment={},
    )


def papers() -> list[Document]:
    """Read the parsed tables of NLP-TDMS as documents."""
    found = []
    for path in sorted((DATA / "nlp_tdms" / "tables").glob("*.json")):
        cells = []
        for number, table in enumerate(json.loads(path.read_text(encoding="utf-8")), 1):
            cells += [
                Cell(
                    document=path.stem,
                    table=number,
                    row=row,
                    column=1,
                    caption=table["caption"],
                    row_path=tuple(cell["associatedRows"]),
                    column_path=(*cell["associatedMergedColumns"], *cell["associatedColumns"]),
                    text=cell["number"],
                    numbers=tuple(one.value for one in numerals.read(cell["number"])),
                )
                for row, cell in enumerate(table["numberCells"])
            ]
        found.append(Document(sha256=path.stem, path=path.name, format="text", work=path.stem, cells=tuple(cells)))
    return found


def speed(count: int = 1000) -> None:
    documents = papers()
    if not documents:
        raise SystemExit(f"no tables in {DATA}: set TRIMTAB_DATA")
    start = time.process_time()
    sources = Sources.build(documents, [], REGISTRY)
    indexed = time.process_time() - start
    cells = sum(len(one.cells) for one in documents)
    rng = random.Random(2)
    pool = [one for one in sources.readings.all if one.cell.row_path and one.cell.column_path]
    statements = [
        numeric(one.cell.row_path[0], f"{one.value}%", one.cell.column_path[-1]) for one in rng.sample(pool, count)
    ]
    start = time.process_time()
    claims = [extract.claim(text, REGISTRY, sources.models) for text in statements]
    read = time.process_time() - start
    start = time.process_time()
    words = Counter(verify.check(claim, sources).fidelity.value for claim in claims)
    checked = time.process_time() - start
    facts = sum(bool(claim.facts) for claim in claims)
    rate = f"{cells / indexed:,.0f} cells a second"
    print(f"\n{len(documents)} papers, {cells} cells: indexed in {indexed:.2f} CPU s ({rate})")
    print(f"{count} claims ({facts} with facts): read in {read:.2f}, checked in {checked:.2f} CPU s; {dict(words)}")


if __name__ == "__main__":
    for name in sys.argv[1:] or ["faults", "speed"]:
        {"faults": faults, "speed": speed}[name]()
