"""Planted faults and speed: what the claim checker finds, and what it wrongly blames.

Usage: python benchmarks/evidence_claims.py [faults] [speed]; both without arguments. The data is of third
parties and is read from TRIMTAB_DATA. Prints tables; CPU seconds, since the machine may be shared.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from trimtab.claims import report_claims, study_evidence, verdict_rules
from trimtab.claims.name_registry import Registry
from trimtab.claims.sources import Sources
from trimtab.documents import numerals, reader
from trimtab.documents.parts import Document, TableCell
from trimtab.report import page
from trimtab.study.table import StudyTable

if TYPE_CHECKING:
    from trimtab.claims.header_reader import Measurement

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


@dataclass(frozen=True)
class Wording:
    """How statements of a table are worded.

    ``verbs`` are neutral for a table that holds losses too; ``exact`` has the values before they were rounded,
    because a difference of rounded ones may be off in its last digit.
    """

    unit: str = ""
    verbs: tuple[str, str] = ("outperforms", "underperforms")
    exact: dict[tuple[str, str], float] | None = None

    def of(self, model: str, benchmark: str, value: str) -> float:
        """Return a value as it was before it was rounded, where that is known."""
        return self.exact[model, benchmark] if self.exact else float(value)


def from_table(rows: dict[str, dict[str, str]], wording: Wording, rng: random.Random, count: int) -> list[Sentence]:
    """Make true statements of a table, and for each one statement a fault that the table can hold."""
    unit = wording.unit
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
        said += _directions(rows, (model, benchmark, value), rng, wording)
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
    rows: dict[str, dict[str, str]], cell: tuple[str, str, str], rng: random.Random, wording: Wording
) -> list[Sentence]:
    model, benchmark, value = cell
    other = rng.choice([m for m in rows if m != model and rows[m].get(benchmark, value) != value])
    gap = wording.of(model, benchmark, value) - wording.of(other, benchmark, rows[other][benchmark])
    right, wrong = wording.verbs if gap > 0 else wording.verbs[::-1]
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
        claim = report_claims.claim(one.text, REGISTRY, sources.vocabulary)
        verdict = verdict_rules.check(claim, sources, references)
        flagged = any(flag.name.startswith("citation") for flag in verdict.flags)
        word = "flagged" if verdict.fidelity.holds and flagged else verdict.fidelity.value
        found[one.fault][word] += 1
    return found


def show(title: str, found: dict[str, Counter[str]]) -> None:
    print(f"\n{title}\n{'fault':18} {'n':>5} {'detected':>9} {'not said':>9} {'accepted':>9} {'blamed':>7}  words")
    for fault, words in found.items():
        total = sum(words.values())
        blamed = sum(words[word] for word in ("contradicted", "misattributed", "flagged", "refutes"))
        accepted = sum(words[word] for word in ("verbatim", "supported", "supports"))
        true = fault.startswith("none")
        detected = "" if true else f"{blamed / total:.1%}"
        unsaid = (total - blamed - accepted) / total
        told = ", ".join(f"{word} {count}" for word, count in words.most_common())
        alarm = f"{blamed / total:.1%}" if true else ""
        print(f"{fault:18} {total:5} {detected:>9} {unsaid:9.1%} {accepted / total:9.1%} {alarm:>7}  {told}")


def faults() -> None:
    rng = random.Random(1)
    paper = reader.read(DATA / "2412.21199v2.md")
    board = reader.read(DATA / "evalpro_leaderboard.csv")
    rows: dict[str, dict[str, str]] = defaultdict(dict)
    for cell in (one for one in board.cells if one.number is not None):
        rows[cell.row_path[0]][cell.column_path[-1].replace("0 shot", "0-shot")] = cell.text.strip()
    only = Sources.build([board], [], REGISTRY)
    show("the benchmark's leaderboard", judge(from_table(rows, Wording(unit="%"), rng, 100), only, []))
    rows = defaultdict(dict)
    for cell in (one for one in paper.cells if one.label == "Table 2"):
        rows[cell.row_path[0]][cell.column_path[-1]] = cell.text
    both = Sources.build([paper, board], [], REGISTRY)
    said = [*from_table(rows, Wording(unit="%"), rng, 150), *cited_years()]
    show("Table 2 of arXiv 2412.21199, beside its Table 5 and passages", judge(said, both, ["arxiv:2412.21199"]))
    with tempfile.TemporaryDirectory() as folder:
        tables = [written(Path(folder) / str(number), number) for number in range(10)]
        said, sources = ours(tables[0], rng, names_capacity=True)
        show("table.csv of a study's run folder, the evaluation capacity named", judge(said, sources, []))
        said, sources = ours(tables[0], rng, names_capacity=False)
        show("the same without it: rows of several capacities, so left open", judge(said, sources, []))
        show("ten run folders asked (--study)", asked(tables))


def written(folder: Path, number: int) -> StudyTable:
    """Write a run folder as a study would, its table and its report with it, and load it.

    ALF-LB loses 0.06 nats less than the auxiliary loss under the skewed router, and 0.06 more under tight capacity.
    """
    effects = {"python_loss": {"loss_free": (-0.06, 0.06)}}
    made = synthetic.Synthetic(seeds=5, units=6, steps=2, cell_sd=0.008, extra=effects, first_seed=5 * number)
    study = made.write(folder)
    table = StudyTable.load(folder, study)
    page.write(table, folder)
    return table


def ours(table: StudyTable, rng: random.Random, *, names_capacity: bool) -> tuple[list[Sentence], Sources]:
    """Make statements of the cells in ``table.csv``, the file a run leaves, and index that file and the report."""
    rows: dict[str, dict[str, str]] = defaultdict(dict)
    exact: dict[tuple[str, str], float] = {}
    for row in table.rows:
        if row.value is None or row.endpoint not in ENDPOINTS:
            continue
        if names_capacity or row.eval_capacity == "dropless":
            measured = row.endpoint
            measured += f" at an evaluation capacity of {row.eval_capacity}" if names_capacity else ""
            rows[row.cell_id][measured] = f"{row.value:.4f}"
            exact[row.cell_id, measured] = row.value
    documents = [reader.read(table.folder / "table.csv"), reader.read(table.folder / "report" / "report.md")]
    wording = Wording(verbs=("is higher than", "is lower than"), exact=exact)
    return from_table(rows, wording, rng, 60), Sources.build(documents, [], REGISTRY)


TIGHT, SKEWED = "under tight capacity", "with a skewed initialization"
ASKED = (
    ("none", f"ALF-LB degrades more than the auxiliary loss {TIGHT}."),
    ("none", f"ALF-LB is more robust than the auxiliary loss {SKEWED}."),
    ("none", f"The auxiliary loss is more robust than ALF-LB {TIGHT}."),
    ("none", f"ALF-LB loses 0.06 nats more than the auxiliary loss {TIGHT}."),
    ("direction", f"ALF-LB is more robust than the auxiliary loss {TIGHT}."),
    ("direction", f"ALF-LB degrades more than the auxiliary loss {SKEWED}."),
    ("methods swapped", f"The auxiliary loss degrades more than ALF-LB {TIGHT}."),
    ("size", f"ALF-LB loses 0.2 nats more than the auxiliary loss {TIGHT}."),
    ("no difference", f"ALF-LB is as robust as the auxiliary loss {TIGHT}."),
    ("other scale", f"At 16B parameters ALF-LB degrades more than the auxiliary loss {TIGHT}."),
    ("other experts", f"With 256 experts ALF-LB degrades more than the auxiliary loss {TIGHT}."),
    ("other measure", f"ALF-LB degrades more in pass@1 on HumanEval than the auxiliary loss {TIGHT}."),
)


def asked(tables: list[StudyTable]) -> dict[str, Counter[str]]:
    """Ask each study what it makes of true and false statements about what it measured."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for fault, text in ASKED:
        claim = report_claims.claim(text, REGISTRY)
        for table in tables:
            found[fault].update(one.stance.value for one in study_evidence.look_up(claim, [table], REGISTRY))
    return found


sys.path.insert(0, str(ROOT / "tests"))
synthetic = importlib.import_module("synthetic")
ENDPOINTS = ("python_loss", "humaneval_nll", "micro_pass1", "micro_pro_pass1")


def papers() -> list[Document]:
    """Read the parsed tables of NLP-TDMS as documents."""
    found = []
    for path in sorted((DATA / "nlp_tdms" / "tables").glob("*.json")):
        cells = []
        for number, table in enumerate(json.loads(path.read_text(encoding="utf-8")), 1):
            cells += [
                TableCell(
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


def printed(header: str) -> str:
    """Return a header as a paper prints it: the data set's has each mark apart ("EN - DE", "( big )")."""
    joined = re.sub(r" ([-/]) ", r"\1", header)
    return re.sub(r" ([)\].,%])", r"\1", re.sub(r"([(\[]) ", r"\1", joined))


def says(reading: Measurement) -> bool:
    """Whether a sentence can be made of a cell: a row and a column of words, and a number without an exponent."""
    rows, columns = reading.cell.row_path, reading.cell.column_path
    worded = rows and columns and all(re.search(r"[A-Za-z]{2}", part) for part in (rows[0], columns[-1]))
    return bool(worded) and not re.search(r"\d[eE][-+]?\d", reading.cell.text)


def speed(count: int = 1000) -> None:
    documents = papers()
    start = time.process_time()
    sources = Sources.build(documents, [], REGISTRY)
    indexed = time.process_time() - start
    cells = sum(len(one.cells) for one in documents)
    rate = f"{cells / indexed:,.0f} cells a second"
    print(f"\n{len(documents)} papers, {cells} cells: indexed in {indexed:.2f} CPU s ({rate})")
    rng = random.Random(2)
    for title, step in (("true", 0), ("last digit changed", 1)):
        said = [
            (numeric(printed(one.cell.row_path[0]), shifted(one.value, step), printed(one.cell.column_path[-1])), one)
            for one in rng.sample([one for one in sources.readings.all if says(one)], count)
        ]
        start = time.process_time()
        claims = [report_claims.claim(text, REGISTRY, sources.vocabulary) for text, _ in said]
        read = time.process_time() - start
        for where in ("all papers", "its own paper"):
            asked = [replace(claim, cites=(one.document.work,)) if where != "all papers" else claim
                     for claim, (_, one) in zip(claims, said, strict=True)]  # fmt: skip
            start = time.process_time()
            words = Counter(verdict_rules.check(claim, sources).fidelity.value for claim in asked if claim.facts)
            checked = time.process_time() - start
            told = ", ".join(f"{word} {n}" for word, n in words.most_common())
            print(f"{count} sentences, {title}, against {where}: {sum(words.values())} give a fact: {told};", end=" ")
            print(f"read in {read:.2f}, checked in {checked:.2f} CPU s")


def shifted(value: Decimal, step: int) -> str:
    """Return a value with its last digit raised."""
    return str(value + step * Decimal(1).scaleb(value.as_tuple().exponent))


if __name__ == "__main__":
    if not (DATA / "nlp_tdms").is_dir():
        raise SystemExit(f"skipped: the papers' tables are not in {DATA}; set TRIMTAB_DATA")
    for name in sys.argv[1:] or ["faults", "speed"]:
        {"faults": faults, "speed": speed}[name]()
