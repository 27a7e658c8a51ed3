"""NLP-TDMS: do true (dataset, metric, score) tuples bind to a table cell of their paper, and false ones not?

One command, ``python benchmarks/nlp_tdms.py [FOLDER]``. The tables are GROBID's of 2019 as the data set ships them; no
text of the papers is there. Papers are split by a salted hash of their name. Rules and names were chosen on the half
called "design" and then run on the other, "report", once; only the first six names below are older and were written
after all papers had been looked at. False tuples are drawn once each, as the baseline's were; with "all of them" every
dataset of other papers and every change of 1 to 30 units in the last place is asked, which leaves no luck of the draw.
Data: IBM/science-result-extractor, Apache-2.0.
"""

import hashlib
import json
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter, defaultdict
from decimal import Decimal
from functools import cache
from pathlib import Path

from dataset_binding import PAPER_SHARE, Binder, holds, words
from trimtab.claims import verdict_rules
from trimtab.claims.claim_model import Claim, Fact, Kind, Quantity
from trimtab.claims.name_registry import Registry
from trimtab.claims.sources import Sources
from trimtab.claims.wording import key
from trimtab.documents.formats.cell_text import values
from trimtab.documents.parts import Document, TableCell

KINDS = ("true", "swapped dataset", "other paper's dataset", "changed value")
# Other names of datasets in the field, by the beginning of the name; the first six after a list of all papers' misses
# had been read, the others from general knowledge while looking at the design half.
ALIASES = {
    "Penn Treebank": ("PTB", "WSJ", "Wall Street Journal"),
    "Switchboard corpus": ("SwDA", "SWBD"),
    "CNN / Daily Mail": ("CNN DM", "CNN DailyMail"),
    "1B Words / Google Billion Word benchmark": ("One Billion Word", "1 Billion Word", "LM1B", "1B word"),
    "OntoNotes": ("CoNLL 2012",),
    "Quora Question Pairs": ("QQP", "Quora"),
    "AG News": ("AG",),
    "AIDA": ("AIDA",),
    "Chinese Treebank 6": ("CTB6", "CTB 6 0"),
    "Chinese Treebank 7": ("CTB7", "CTB 7 0"),
    "CoNLL 2003 (English)": ("CoNLL 2003", "CoNLL 03"),
    "CoNLL-2014 10 Annotations": ("CoNLL 10",),
    "CoNLL-2014 Shared Task": ("CoNLL 2014", "CoNLL 14"),
    "DUC 2004": ("DUC 2004",),
    "Hutter Prize": ("enwik8", "Hutter"),
    "ICSI": ("MRDA",),
    "LDC2014T12": ("LDC 2014",),
    "Long-tail emerging": ("WNUT 2017", "WNUT17"),
    "MultiNLI": ("MNLI", "Multi NLI"),
    "Multi-Domain Sentiment": ("Amazon reviews", "multi domain"),
    "New York Times Corpus": ("NYT", "New York Times"),
    "Ontonotes v5": ("OntoNotes",),
    "SST-2": ("SST binary",),
    "SST-5": ("SST fine grained",),
    "Second dialogue state": ("DSTC2",),
    "SemEval 2007": ("SE07", "SE7", "SemEval 07"),
    "SemEval 2013": ("SE13", "SemEval 13"),
    "SemEval 2015": ("SE15", "SemEval 15"),
    "SemEval-2010 Task 8": ("SemEval 2010",),
    "SemEval-2014 Task 4": ("SemEval 2014", "SemEval 2014 task 4"),
    "SemEval-2017 Task 4": ("SemEval 2017", "SemEval 2017 task 4"),
    "Senseval 2": ("SE2",),
    "Senseval 3": ("SE3",),
    "Social media": ("Twitter",),
    "Story Cloze": ("Story Cloze", "ROCStories"),
    "The IWSLT 2015": ("IWSLT 15", "IWSLT 2015", "English Vietnamese"),
    "UD": ("Universal Dependencies",),
    "VLSP 2013 POS": ("VLSP 2013",),
    "VLSP 2016 NER": ("VLSP 2016",),
    "WMT 2014 EN-DE": ("EN DE", "English German"),
    "WMT 2014 EN-FR": ("EN FR", "English French"),
    "Winograd": ("WSC", "Winograd"),
    "Wizard-of-Oz": ("WOZ", "WOZ 2 0"),
    "benchmark Vietnamese": ("VnDT",),
}


def cells_of(path):
    """Read one paper's parsed tables into cells."""
    for number, table in enumerate(json.loads(path.read_text()) if path.exists() else (), start=1):
        for index, each in enumerate(table["numberCells"]):
            numbers, _ = values(each["number"])
            if not numbers:
                continue
            yield TableCell(
                document=path.stem,
                table=number,
                caption=table["caption"],
                row=index,
                column=0,
                row_path=tuple(each["associatedRows"]),
                column_path=tuple(each["associatedMergedColumns"] + each["associatedColumns"]),
                text=each["number"],
                numbers=numbers,
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


def all_false(papers):
    """Yield every tuple with a dataset of other papers, and every change of 1 to 30 units in the last place."""
    known = sorted({dataset for found, _ in papers.values() for dataset, _, _ in found})
    for stem, (found, _) in papers.items():
        own = {dataset for dataset, _, _ in found}
        scores = {(dataset, value) for dataset, _, value in found}
        for dataset, metric, value in (one for one in found if one[2] is not None):
            for other in (name for name in known if name not in own):
                yield stem, KINDS[2], other, metric, value
            for step in (Decimal(n).scaleb(value.as_tuple().exponent) for n in range(-30, 31)):
                if (dataset, value + step) not in scores:
                    yield stem, KINDS[3], dataset, metric, value + step


def verifier(papers, datasets):
    """Return a matcher that asks the rules of ``trimtab evidence check`` about a fact that names no system."""
    lines, taken = [], set()
    for index, (name, others) in enumerate(datasets.items()):
        own = [text for text in dict.fromkeys((name, *others)) if key(text) not in taken]
        taken |= set(map(key, own))
        lines += [f"[benchmarks.d{index}]", f"names = {json.dumps(own)}"] if own else []
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write("\n".join(lines))
        file.flush()
        registry = Registry.load(Path(file.name))
    documents = [
        Document(sha256=stem, path=stem, format="text", work=stem, cells=tuple(cells))
        for stem, (_, cells) in papers.items()
        if cells
    ]
    sources = Sources.build(documents, [], registry)

    def matches(cells, dataset, value, metric):
        if not cells:
            return False
        fact = Fact(subject="", benchmark=dataset, metric=metric, value=Quantity(text=str(value)))
        claim = Claim(id="1", statement="", kind=Kind.NUMERIC, facts=(fact,), cites=(cells[0].document,))
        return verdict_rules.check(claim, sources).fidelity.holds

    return matches


def why_missed(binder, cells, dataset, value):
    """Return why a true tuple was not accepted."""
    if value is None:
        return "no score (-, or text)"
    if not cells:
        return "no parsed table"
    if not holding(cells, value):
        return "no cell holds the value"
    paper = binder.shares(text for cell in cells for text in (*cell.row_path, *cell.column_path, cell.caption))
    return "the dataset is named in no table" if paper[dataset] < PAPER_SHARE else "named, but not alone or not there"


def holding(cells, value):
    """Return the cells with a value, at its precision, be it a share or a percentage."""
    return [cell for cell in cells if any(holds(number, value) for number in cell.numbers)]


def can_bind(binder, cells, dataset, value):
    """Whether a cell holds the value, rounded or not, and some table of the paper names the dataset."""
    if value is None or not holding(cells, value):
        return False
    texts = (text for cell in cells for text in (*cell.row_path, *cell.column_path, cell.caption))
    return binder.shares(texts)[dataset] >= PAPER_SHARE


def half_of(stem):
    """Return the half of a paper."""
    return "report" if hashlib.sha256(b"design:" + stem.encode()).digest()[0] % 2 else "design"


def show(name, matcher, papers, asked, kinds):
    """Print the share of tuples that a matcher accepts, by kind, for both halves and all papers."""
    accepted, total, start = Counter(), Counter(), time.process_time()
    for stem, kind, dataset, metric, value in asked:
        hit = value is not None and bool(matcher(papers[stem][1], dataset, value, metric))
        for half in ("all", half_of(stem)):
            accepted[half, kind] += hit
            total[half, kind] += 1
    for half in ("design", "report", "all"):
        rates = "".join(f"{100 * accepted[half, kind] / total[half, kind]:16.2f}" for kind in kinds)
        print(f"{name:28} {half:7} {rates}")
    print(f"{'':28} {time.process_time() - start:.1f} CPU seconds for {len(asked)}")


def main():
    """Print acceptance by matcher and kind, both halves, the upper bound, and what the misses are."""
    shared = os.environ.get("TRIMTAB_DATA") or Path(__file__).parents[1] / "../shared/data"
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(shared) / "evidence/nlp_tdms"
    if not (folder / "results.tsv").exists():
        print(f"skipped: {folder}/results.tsv is not here; set TRIMTAB_DATA")
        return
    papers = load(folder)
    metrics = defaultdict(set)
    for found, _ in papers.values():
        for dataset, metric, _ in found:
            metrics[dataset].add(metric)
    plain = dict.fromkeys(sorted(metrics), ())
    datasets = {
        name: tuple(one for start, others in ALIASES.items() if name.startswith(start) for one in others)
        for name in plain
    }
    binder = Binder(datasets, metrics)  # exact: of the two it accepts less that is false
    asked, false = list(trials(papers, random.Random(0))), list(all_false(papers))
    true = [(stem, dataset, metric, value) for stem, kind, dataset, metric, value in asked if kind == KINDS[0]]
    print(
        f"{len(papers)} papers, {len(true)} tuples, {sum(one[3] is not None for one in true)} with a score; accepted, %"
    )
    print(f"{'':36} " + "".join(f"{kind.split(' dataset')[0]:>16}" for kind in KINDS))
    show("baseline", baseline, papers, asked, KINDS)
    show("binding, no further names", Binder(plain, metrics).find, papers, asked, KINDS)
    show("binding", binder.find, papers, asked, KINDS)
    show("binding, rounding", Binder(datasets, metrics, rounding=True).find, papers, asked, KINDS)
    show("trimtab evidence check", verifier(papers, datasets), papers, asked, KINDS)
    print("all of them:")
    show("baseline", baseline, papers, false, KINDS[2:])
    show("binding", binder.find, papers, false, KINDS[2:])
    show("binding, rounding", Binder(datasets, metrics, rounding=True).find, papers, false, KINDS[2:])
    missed = [one for one in true if one[3] is None or not binder.find(papers[one[0]][1], one[1], one[3], one[2])]
    reasons = Counter((half_of(stem), why_missed(binder, papers[stem][1], name, v)) for stem, name, _, v in missed)
    for reason in dict.fromkeys(reason for (_, reason), _ in reasons.most_common()):
        print(f"  missed: {reason:40} design {reasons['design', reason]:4}  report {reasons['report', reason]:4}")
    for half in ("design", "report"):
        named = [one for one in true if half_of(one[0]) == half and can_bind(binder, papers[one[0]][1], one[1], one[3])]
        total = sum(half_of(one[0]) == half for one in true)
        print(f"upper bound, {half}: {len(named)} of {total} have their value in a cell and their dataset in a table")


if __name__ == "__main__":
    main()
