"""True and false sentences made from tables: how many are supported, caught, wrongly blamed, wrongly accepted.

Usage: python benchmarks/evidence_sentences.py [TABLE ...]         (CSV, Markdown, LaTeX ...; its largest table)
       python benchmarks/evidence_sentences.py --each FOLDER [--show]   (every table of every document of a folder)

Default: the leaderboard of HumanEval Pro from TRIMTAB_DATA. Each kind of sentence is worded in several ways; a false
one has one thing changed. A document is checked against its own tables, with the names as its tables print them; of
its tables up to four cells each are told of, and up to 40 sentences a document. Prints a table, and with `--show`, or
for one table always, the sentences that came out wrong.
"""

from __future__ import annotations

import os
import random
import re
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from trimtab.claims import report_claims, verdict_rules
from trimtab.claims.name_registry import Registry
from trimtab.claims.passages import Passages
from trimtab.claims.sources import Sources
from trimtab.documents import reader
from trimtab.errors import TrimtabError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DATA = Path(os.environ.get("TRIMTAB_DATA", "../shared/data")) / "evidence"
REGISTRY = Registry.load()
DESCRIBES = re.compile(
    r"param|size|token|rank|#|date|length|batch|memory|time|link|speed|avg|average|mean", re.IGNORECASE
)
# Of such a column nobody says that the higher number is the better one, and of some it is the worse one.
NOT_BETTER = re.compile(
    r"\u2193|loss|time|latency|ppl|perplex|error|[wc]er\b|rank|param|size|memory|cost|#|\bfid\b|mae|rmse|mse|token|second"
    r"|\bms\b|\b[kmg]i?b\b|v?ram\b|flops|std|p-?value|\bp$|drop|\bgap|attack|\bstat\b|date|year|epoch|step|batch|lr\b|rate|length|count|number|layer|dim|width|depth",
    re.IGNORECASE,
)


class Forms(NamedTuple):
    """How each kind of sentence is worded."""

    value: Sequence[str]
    versus: Sequence[str]
    difference: Sequence[str]
    comparison: Sequence[str]


LEADERBOARD = Forms(
    value=(
        "{system} scores {value} on {benchmark}.",
        "{system} achieves {value}% on {benchmark}.",
        "On {benchmark}, {system} reaches {value}.",
        "{system} (released in 2024) obtains {value} on {benchmark}, as Table 2 shows.",
        "The {benchmark} score of {system} is {value}.",
        "{system} attains an impressive {value} on {benchmark}.",
    ),
    versus=(
        "{system} outperforms {other} on {benchmark} ({value} vs. {otherValue}).",
        "{system} ({value}) beats {other} ({otherValue}) on {benchmark}.",
        "{system} scores {value} on {benchmark}, while {other} scores {otherValue}.",
        "On {benchmark}, {system} surpasses {other} ({value} versus {otherValue}).",
    ),
    difference=(
        "{system} outperforms {other} by {gap} points on {benchmark}.",
        "{system} leads {other} by {gap} points on {benchmark}.",
        "{system} surpasses {other} on {benchmark} (+{gap}).",
        "{system} is {gap} points better than {other} on {benchmark}.",
        "{other} trails {system} by {gap} points on {benchmark}.",
    ),
    comparison=(
        "{system} outperforms {other} on {benchmark}.",
        "{system} is better than {other} on {benchmark}.",
        "{other} does not outperform {system} on {benchmark}.",
        "{other} falls short of {system} on {benchmark}.",
    ),
)
PLAIN = Forms(
    value=(
        "{system} scores {value} on {benchmark}.",
        "The {benchmark} of {system} is {value}.",
        "{system} reaches {value} on {benchmark}.",
        "On {benchmark}, {system} achieves {value}.",
    ),
    versus=(
        "{system} ({value}) outperforms {other} ({otherValue}) on {benchmark}.",
        "{system} scores {value} on {benchmark}, compared with {otherValue} for {other}.",
    ),
    difference=(
        "{system} outperforms {other} by {gap} points on {benchmark}.",
        "{system} beats {other} on {benchmark} by {gap}.",
    ),
    comparison=("{system} outperforms {other} on {benchmark}.",),
)


class Made(NamedTuple):
    """A sentence, its kind, and whether its table bears it out."""

    kind: str
    true: bool
    text: str


@dataclass
class Table:
    """One table: system → benchmark → value as printed, one number a cell, and what is lower the better it is."""

    rows: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    lower: set[str] = field(default_factory=set)
    twice: set[tuple[str, str]] = field(default_factory=set)

    @property
    def cells(self) -> list[tuple[str, str]]:
        """The places of the values that one cell alone has."""
        return [(system, name) for system, row in self.rows.items() for name in row if (system, name) not in self.twice]


def tables_of(sources: Sources) -> list[Table]:
    """Return the tables of the sources with more than one row."""
    tables: dict[int, Table] = defaultdict(Table)
    for reading in sources.readings.all:
        cell, measured = reading.cell, sources.readings.of(reading)
        paths = (cell.row_path, cell.column_path) if measured.axis == "row" else (cell.column_path, cell.row_path)
        system, benchmark = map(" ".join, paths)
        plain = len(cell.numbers) == 1 and re.fullmatch(r"\d+(\.\d+)?%?", cell.text.strip())
        if not (plain and system and benchmark) or measured.is_setting(reading):
            continue
        table = tables[cell.table]
        if benchmark in table.rows[system]:
            table.twice.add((system, benchmark))
        table.rows[system][benchmark] = cell.text.strip()
        if reading.lower:
            table.lower.add(benchmark)
    named = Counter(place for table in tables.values() for place in table.cells)
    for table in tables.values():
        # A name that two tables have leaves open which of them is told of.
        table.twice |= {place for place in table.cells if named[place] > 1}
    return [table for table in tables.values() if len(table.rows) > 1]


def moved(value: str, rng: random.Random) -> str:
    """Return a value changed by 3 to 60 units of its last digit."""
    number, unit = value.rstrip("%"), "%" * value.endswith("%")
    step = Decimal(1).scaleb(-len(number.partition(".")[2]))
    changed = Decimal(number) + rng.choice([-1, 1]) * rng.randint(3, 60) * step
    return f"{changed if changed >= 0 else Decimal(number) + 7 * step}{unit}"


def sentences(table: Table, cells: Iterable[tuple[str, str]], forms: Forms, rng: random.Random) -> list[Made]:
    made = []
    known = set(table.cells)
    for system, benchmark in cells:
        value = table.rows[system][benchmark]
        form = rng.choice(forms.value)
        fields = {"system": system, "benchmark": benchmark, "value": value}
        made.append(Made("value", true=True, text=form.format(**fields)))
        made.append(Made("value", true=False, text=form.format(**fields | {"value": moved(value, rng)})))
        others = [
            row
            for row in table.rows
            if row != system and (row, benchmark) in known and table.rows[row][benchmark] != value
        ]
        if not others or benchmark in table.lower or NOT_BETTER.search(f"{benchmark} {system}"):
            continue
        other = rng.choice(others)
        pair = sorted((system, other), key=lambda row: Decimal(table.rows[row][benchmark].rstrip("%")), reverse=True)
        values = [table.rows[row][benchmark] for row in pair]
        gap = Decimal(values[0].rstrip("%")) - Decimal(values[1].rstrip("%"))
        fields = {"system": pair[0], "other": pair[1], "benchmark": benchmark, "value": values[0], "gap": str(gap)}
        fields["otherValue"] = values[1]
        for kind, altered in (
            ("versus", {"value": moved(values[0], rng)}),
            ("difference", {"gap": moved(str(gap), rng)}),
            ("comparison", {"system": pair[1], "other": pair[0]}),
        ):
            form = rng.choice(getattr(forms, kind))
            made.append(Made(kind, true=True, text=form.format(**fields)))
            made.append(Made(kind, true=False, text=form.format(**fields | altered)))
    return made


class Tally:
    """Counts of verdicts by kind of sentence, and the sentences that came out wrong."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, bool], Counter[str]] = defaultdict(Counter)
        self.wrong: list[str] = []

    def add(self, made: Made, sources: Sources) -> None:
        """Check a sentence and count what came out."""
        verdict = verdict_rules.check(report_claims.claim(made.text, REGISTRY, sources.vocabulary), sources)
        left_open = "worth a look" if verdict.worth_a_look else "open"
        word = "supported" if verdict.fidelity.holds else "contradicted" if verdict.fidelity.fails else left_open
        self.counts[made.kind, made.true][word] += 1
        self.counts["all", made.true][word] += 1
        if word != ("supported" if made.true else "contradicted"):
            self.wrong.append(f"{'true ' if made.true else 'false'} {word:12} {made.text}  {verdict.reasons[:1]}")

    def print(self) -> None:
        """Print the shares."""
        for (kind, true), words in sorted(self.counts.items()):
            total = words.total()
            columns = ("supported", "contradicted", "worth a look", "open")
            shares = ", ".join(f"{word} {words[word] / total:.1%}" for word in columns)
            print(f"{kind:12} {'true' if true else 'false':6} {total:5}  {shares}")


def nameable(text: str) -> bool:
    """Whether a header can stand in a sentence: at least two letters, no point at its end, not too long."""
    return len(re.findall(r"[^\W\d_]", text)) >= 2 and not text.endswith(".") and len(text) < 90


def one_table(path: Path) -> None:
    sources = Sources.build([reader.read(path)], [], REGISTRY)
    # Of several tables the largest: a system may have another value in another one.
    table = max(tables_of(sources), key=lambda table: len(table.cells), default=Table())
    rng, tally = random.Random(15), Tally()
    cells = [(system, name) for system, name in table.cells if not DESCRIBES.search(name)]
    for made in sentences(table, rng.sample(cells, min(120, len(cells))), LEADERBOARD, rng):
        tally.add(made, sources)
    print(f"\n{path.name}: {len(table.rows)} systems")
    tally.print()
    print("\n".join(tally.wrong[:40]))


def each(folder: Path, *, show: bool) -> None:
    tally, documents, tables = Tally(), 0, 0
    for path in sorted(entry for entry in folder.rglob("*") if entry.is_file()):
        try:
            document = reader.read(path)
        except TrimtabError as error:
            print(f"not read: {path.name}: {error}")
            continue
        sources = replace(Sources.build([document], [], REGISTRY), passages=Passages([], REGISTRY))
        rng, made = random.Random(15), []
        for table in tables_of(sources):
            cells = [place for place in table.cells if all(map(nameable, place))]
            tables += bool(cells)
            made += sentences(table, rng.sample(cells, min(4, len(cells))), PLAIN, rng)
        rng.shuffle(made)
        documents += bool(made)
        for item in made[:40]:
            tally.add(item, sources)
    print(f"{documents} documents, {tables} tables")
    tally.print()
    print("\n".join(tally.wrong if show else ()))


if __name__ == "__main__":
    places = [Path(word) for word in sys.argv[1:] if not word.startswith("--")]
    if "--each" in sys.argv:
        each(places[0], show="--show" in sys.argv)
    else:
        for place in places or [DATA / "evalpro_leaderboard.csv"]:
            one_table(place)
