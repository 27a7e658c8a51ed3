"""NLP-TDMS: do true (dataset, metric, score) tuples bind to a table cell of their paper, and false ones not?

One command, ``python benchmarks/nlp_tdms.py [FOLDER]``. The tables are GROBID's of 2019 as the data set ships them;
no text of the papers is there. Papers are split in halves by the hash of their name: names added last were chosen on
half 0 alone, so half 1 is held out from them, but thresholds and the first six names were chosen by looking at all
papers. The upper bound printed first is what no rule over these tables can pass: value in a cell, dataset named
somewhere. Data: IBM/science-result-extractor, Apache-2.0.
"""

import hashlib
import json
import os
import random
import re
import sys
import time
from collections import Counter
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path

from trimtab.evidence.binding import HEADER_SHARE, PAPER_SHARE, Binder, words
from trimtab.evidence.document import Cell

KINDS = ("true", "swapped dataset", "other paper's dataset", "changed value")
# Other names of datasets in the field, written after a list of this benchmark's own misses had been read.
ALIASES = {
    "Penn Treebank": ("PTB", "WSJ", "Wall Street Journal"),
    "Switchboard corpus": ("SwDA", "SWBD"),
    "CNN / Daily Mail": ("CNN DM", "CNN DailyMail"),
    "1B Words / Google Billion Word benchmark": ("One Billion Word", "1 Billion Word", "LM1B", "1B word"),
    "OntoNotes": ("CoNLL 2012",),
    "Quora Question Pairs": ("QQP", "Quora"),
}
# Written after the misses of half 0 only.
ALIASES_OF_HALF_0 = {
    **{f"Chinese Treebank {number}": (f"CTB{number}",) for number in (6, 7)},
    "Gigaword": ("Gigawords",),
    "Hutter Prize": ("enwik8",),
    "MultiNLI": ("MNLI",),
    "Long-tail emerging entities": ("WNUT 2017", "WNUT17"),
    "AIDA CoNLL-YAGO Dataset": ("AIDA",),
    "The IWSLT 2015 Evaluation Campaign": ("IWSLT 2015", "TED tst2013"),
}


def cells_of(path):
    """Read one paper's parsed tables into cells."""
    for number, table in enumerate(json.loads(path.read_text()) if path.exists() else (), start=1):
        for index, each in enumerate(table["numberCells"]):
            try:
                value = Decimal(each["number"].replace(",", ""))
            except InvalidOperation:
                continue
            yield Cell(
                document=path.stem,
                table=number,
                caption=table["caption"],
                row=index,
                column=0,
                row_path=tuple(each["associatedRows"]),
                column_path=tuple(each["associatedMergedColumns"] + each["associatedColumns"]),
                text=each["number"],
                numbers=(value,),
                bold=each["isBolded"],
            )


def load(folder):
    """Return for each paper its annotations (dataset, metric, value or None) and its cells."""
    papers = {}
    for line in (folder / "results.tsv").read_text().splitlines():
        name, annotations = line.split("\t")
        found = []
        for fields in (annotation.split("#") for annotation in annotations.split("$")):
            match = re.fullmatch(r"\s*(-?\d[\d,]*\.?\d*)\s*%?\s*[MBK]?\*{0,2}", fields[3]) if len(fields) == 4 else None
            found.append((fields[1], fields[2], Decimal(match[1].replace(",", "")) if match else None))
        stem = name.removesuffix(".pdf")
        papers[stem] = (found, list(cells_of(folder / "tables" / f"{stem}.json")) if stem else [])
    return papers


@cache
def needed(dataset):
    return frozenset(words(dataset))


def baseline(cells, dataset, value, _metric):
    """The value in a cell, and half of the dataset's tokens in its row, column or caption."""
    for cell in cells:
        if value in cell.numbers:
            have = {*words(" ".join((*cell.row_path, *cell.column_path, cell.caption)))}
            if 2 * len(needed(dataset) & have) >= len(needed(dataset)):
                return True
    return False


def trials(papers, generator):
    """Yield (paper, kind, dataset, metric, value): each true tuple and its three falsifications."""
    known = sorted({dataset for found, _ in papers.values() for dataset, _, _ in found})
    for stem, (found, _) in papers.items():
        own = sorted({dataset for dataset, _, _ in found})
        scores = {(dataset, value) for dataset, _, value in found}
        for dataset, metric, value in found:
            yield stem, KINDS[0], dataset, metric, value
            if value is None:
                continue
            for other in own:
                if (other, value) not in scores:
                    yield stem, KINDS[1], other, metric, value
            yield stem, KINDS[2], generator.choice([name for name in known if name not in own]), metric, value
            step = Decimal(generator.choice((-1, 1)) * generator.randint(1, 30)).scaleb(value.as_tuple().exponent)
            if (dataset, value + step) not in scores:
                yield stem, KINDS[3], dataset, metric, value + step


def reachable(binder, cells, dataset, value):
    """Whether a cell holds the value and some table of the paper names the dataset by at least half of its words."""
    if value is None or not any({value, value * 100, value / 100} & {*cell.numbers} for cell in cells):
        return False
    texts = (text for cell in cells for text in (*cell.row_path, *cell.column_path, cell.caption))
    return binder.shares(texts)[dataset] >= PAPER_SHARE


def why_missed(binder, cells, dataset, value):
    if value is None:
        return "score is no number (-, or text)"
    if not cells:
        return "no parsed table"
    if not any(value in cell.numbers for cell in cells):
        return "no cell holds the value"
    paper = binder.shares(text for cell in cells for text in (*cell.row_path, *cell.column_path, cell.caption))
    if paper[dataset] < 0.5:
        return "the dataset is named in no table"
    holding = [cell for cell in cells if value in cell.numbers]
    rival = any(max(binder.shares((*cell.row_path, *cell.column_path)).values()) >= HEADER_SHARE for cell in holding)
    return "headers name another dataset better" if rival else "several datasets are named equally well"


def half_of(stem):
    return hashlib.sha256(stem.encode()).digest()[0] % 2


def main():
    """Print acceptance by matcher and kind, both halves, and what the misses are."""
    shared = os.environ.get("TRIMTAB_DATA") or Path(__file__).parents[1] / "../shared/data"
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(shared) / "evidence/nlp_tdms"
    if not (folder / "results.tsv").exists():
        print(f"skipped: {folder}/results.tsv is not here; set TRIMTAB_DATA")
        return
    papers = load(folder)
    known = {dataset for found, _ in papers.values() for dataset, _, _ in found}
    aliases = {**ALIASES, **ALIASES_OF_HALF_0}
    datasets = {
        name: next((others for key, others in aliases.items() if name.startswith(key)), ()) for name in sorted(known)
    }
    strict, tied = Binder(datasets), Binder(datasets, ties=True)
    matchers = {"baseline": baseline, "binding, ties accepted": tied.find, "binding, ties undecided": strict.find}
    asked = list(trials(papers, random.Random(0)))
    print(f"{len(papers)} papers, {sum(kind == 'true' for _, kind, *_ in asked)} tuples, {len(asked)} trials")
    true = [
        (stem, reachable(strict, papers[stem][1], dataset, value))
        for stem, kind, dataset, _, value in asked
        if kind == KINDS[0]
    ]
    for half in ("all", 0, 1):
        mine = [hit for stem, hit in true if half in ("all", half_of(stem))]
        print(f"{'upper bound':24} papers {half!s:3}  {KINDS[0]} {100 * sum(mine) / len(mine):.1f} %")
    misses = Counter()
    for name, matcher in matchers.items():
        accepted, total, start = Counter(), Counter(), time.process_time()
        for stem, kind, dataset, metric, value in asked:
            hit = value is not None and bool(matcher(papers[stem][1], dataset, value, metric))
            for half in ("all", half_of(stem)):
                accepted[half, kind] += hit
                total[half, kind] += 1
            if name.endswith("undecided") and kind == "true" and not hit:
                misses[why_missed(strict, papers[stem][1], dataset, value)] += 1
        for half in ("all", 0, 1):
            rates = "   ".join(f"{kind} {100 * accepted[half, kind] / total[half, kind]:.1f} %" for kind in KINDS)
            print(f"{name:24} papers {half!s:3}  {rates}")
        print(f"{'':24} {time.process_time() - start:.1f} CPU seconds")
    print("misses of the last:", *(f"{count} {reason}" for reason, count in misses.most_common()), sep="\n  ")


if __name__ == "__main__":
    main()
