"""True and false sentences made from a leaderboard: how many are supported, caught, wrongly blamed, wrongly accepted.

Usage: python benchmarks/evidence_sentences.py [TABLE ...] (CSV, Markdown, LaTeX ...; the first column names systems).
Default: the leaderboard of HumanEval Pro from TRIMTAB_DATA. Each kind of sentence is worded in several ways; a false
one has one thing changed. Prints a table and the sentences that came out wrong.
"""

from __future__ import annotations

import os
import random
import re
import sys
from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path

from trimtab.claims import report_claims, verdict_rules
from trimtab.claims.name_registry import Registry
from trimtab.claims.sources import Sources
from trimtab.documents import reader

DATA = Path(os.environ.get("TRIMTAB_DATA", "../shared/data")) / "evidence"
REGISTRY = Registry.load()
DESCRIBES = re.compile(
    r"param|size|token|rank|#|date|length|batch|memory|time|link|speed|avg|average|mean", re.IGNORECASE
)
VALUES = (
    "{system} scores {value} on {benchmark}.",
    "{system} achieves {value}% on {benchmark}.",
    "On {benchmark}, {system} reaches {value}.",
    "{system} (released in 2024) obtains {value} on {benchmark}, as Table 2 shows.",
    "The {benchmark} score of {system} is {value}.",
    "{system} attains an impressive {value} on {benchmark}.",
)
VERSUS = (
    "{system} outperforms {other} on {benchmark} ({value} vs. {otherValue}).",
    "{system} ({value}) beats {other} ({otherValue}) on {benchmark}.",
    "{system} scores {value} on {benchmark}, while {other} scores {otherValue}.",
    "On {benchmark}, {system} surpasses {other} ({value} versus {otherValue}).",
)
DIFFERENCES = (
    "{system} outperforms {other} by {gap} points on {benchmark}.",
    "{system} leads {other} by {gap} points on {benchmark}.",
    "{system} surpasses {other} on {benchmark} (+{gap}).",
    "{system} is {gap} points better than {other} on {benchmark}.",
    "{other} trails {system} by {gap} points on {benchmark}.",
)
PLAIN = (
    "{system} outperforms {other} on {benchmark}.",
    "{system} is better than {other} on {benchmark}.",
    "{other} does not outperform {system} on {benchmark}.",
    "{other} falls short of {system} on {benchmark}.",
)


def rows_of(path: Path) -> tuple[Sources, dict[str, dict[str, str]]]:
    """Read a table: system → benchmark → value as printed, one number a cell."""
    document = reader.read(path)
    sources = Sources.build([document], [], REGISTRY)
    tables: dict[int, dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for one in sources.readings.all:
        cell, by_row = one.cell, sources.readings.of(one).axis == "row"
        system, benchmark = (cell.row_path, cell.column_path) if by_row else (cell.column_path, cell.row_path)
        plain = len(cell.numbers) == 1 and cell.text.strip().replace(".", "").isdigit()
        if plain and len(system) == len(benchmark) == 1 and not DESCRIBES.search(benchmark[0]):
            tables[cell.table][system[0]][benchmark[0]] = cell.text.strip()
    # Of several tables the largest: a system may have another value in another one.
    return sources, max(tables.values(), key=lambda rows: sum(map(len, rows.values())), default={})


def moved(value: str, rng: random.Random) -> str:
    """Return a value changed by 3 to 60 units of its last digit."""
    places = len(value.partition(".")[2])
    return str(Decimal(value) + rng.choice([-1, 1]) * rng.randint(3, 60) * Decimal(1).scaleb(-places))


def sentences(rows: dict[str, dict[str, str]], count: int, rng: random.Random) -> list[tuple[str, bool, str]]:
    """Return (kind, whether it is true, sentence)."""
    made = []
    cells = [(system, name) for system, row in rows.items() for name in row]
    for system, benchmark in rng.sample(cells, min(count, len(cells))):
        value = rows[system][benchmark]
        others = [one for one in rows if one != system and rows[one].get(benchmark, value) != value]
        if not others:
            continue
        other = rng.choice(others)
        fields = {"system": system, "other": other, "benchmark": benchmark, "value": value}
        fields["otherValue"] = rows[other][benchmark]
        if Decimal(value) < Decimal(fields["otherValue"]):
            fields |= {"system": other, "other": system, "value": fields["otherValue"], "otherValue": value}
        gap = Decimal(fields["value"]) - Decimal(fields["otherValue"])
        swapped = fields | {"system": fields["other"], "other": fields["system"]}
        wrong = fields | {"value": moved(fields["value"], rng)}
        form = rng.choice(VALUES)
        made += [("value", True, form.format(**fields)), ("value", False, form.format(**wrong))]
        form = rng.choice(VERSUS)
        made += [("vs.", True, form.format(**fields)), ("vs.", False, form.format(**wrong))]
        form = rng.choice(DIFFERENCES)
        made.append(("difference", True, form.format(**fields, gap=gap)))
        made.append(
            ("difference", False, form.format(**fields, gap=abs(gap + rng.choice([-1, 1]) * 5 - Decimal("0.3"))))
        )
        form = rng.choice(PLAIN)
        made += [("comparison", True, form.format(**fields)), ("comparison", False, form.format(**swapped))]
    return made


def main() -> None:
    paths = [Path(name) for name in sys.argv[1:]] or [DATA / "evalpro_leaderboard.csv"]
    for path in paths:
        sources, rows = rows_of(path)
        made = sentences(rows, 120, random.Random(15))
        counts: dict[tuple[str, bool], Counter[str]] = defaultdict(Counter)
        wrong = []
        for kind, true, text in made:
            verdict = verdict_rules.check(report_claims.claim(text, REGISTRY, sources.vocabulary), sources)
            word = "supported" if verdict.fidelity.holds else "blamed" if verdict.fidelity.fails else "open"
            counts[kind, true][word] += 1
            if word != ("supported" if true else "blamed"):
                wrong.append(f"{'true ' if true else 'false'} {word:9} {text}  {verdict.reasons[:1]}")
        print(f"\n{path.name}: {len(rows)} systems, {len(made)} sentences")
        for (kind, true), words in counts.items():
            total = sum(words.values())
            shares = ", ".join(f"{word} {words[word] / total:.1%}" for word in ("supported", "blamed", "open"))
            print(f"{kind:12} {'true' if true else 'false':6} {total:4}  {shares}")
        print("\n".join(wrong[:40]))


main()
