"""Real documents against their own tables: who is accused as it stands, and what is caught when one value is changed.

Usage: python benchmarks/evidence_altered.py FOLDER [--seed TEXT] [--show]

FOLDER holds READMEs, model cards and papers (Markdown, HTML, LaTeX), which stay out of the repository. A sentence is
altered if a number of it is printed in a cell of its file whose row and column it names, by letters alone: nothing of
trimtab decides that. Alterations: the value moved by 3 to 40 units of its last digit; two such values swapped; the
direction turned; a stated difference changed. Read the accusations by hand: some are right.
"""

from __future__ import annotations

import random
import re
import sys
from collections import Counter, defaultdict
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from trimtab.claims import report_claims, verdict_rules
from trimtab.claims.name_registry import Registry
from trimtab.claims.passages import Passages
from trimtab.claims.sources import Sources
from trimtab.documents import reader
from trimtab.errors import TrimtabError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trimtab.claims.claim_model import Claim
    from trimtab.documents.parts import Document

REGISTRY = Registry.load()
TURNED = {
    "outperforms": "underperforms",
    "outperforming": "underperforming",
    "higher": "lower",
    "lower": "higher",
    "increases": "decreases",
    "drops": "rises",
    "reduces": "increases",
    "better": "worse",
}
DIFFERENCE = re.compile(r"(?:\bby|[(+])\s*\+?(\d+(?:\.\d+)?)(?=\s*(?:%|pp|points|percentage))")


def letters(text: str) -> str:
    return re.sub(r"[^a-z0-9+]", "", text.casefold())


def named(document: Document, text: str) -> list[str]:
    """Return the numbers of a sentence that a cell prints of which it has row and column header, letter for letter."""
    whole, found = letters(text), []
    stated = set(re.findall(r"(?<![\w.])\d+\.\d+(?![\w.]*\d)", text))
    for cell in document.cells:
        printed = [number for number in (format(value, "f") for value in cell.numbers) if number in stated]
        rows = (letters(part) for part in cell.row_path)
        columns = (letters(re.sub(r"[(\[].*?[)\]]", "", part)) for part in cell.column_path)
        if (
            printed
            and any(len(row) > 2 and not row.isdigit() and row in whole for row in rows)
            and any(len(column) > 1 and not column.isdigit() and column in whole for column in columns)
        ):
            found += printed
    return list(dict.fromkeys(found))


def put(text: str, number: str, other: str) -> str:
    return re.sub(rf"(?<![\w.]){re.escape(number)}(?![\w.]*\d)", other, text, count=1)


def moved(number: str, rng: random.Random, signs: tuple[int, ...] = (-1, 1)) -> str:
    step = Decimal(1).scaleb(-len(number.partition(".")[2]))
    return str(abs(Decimal(number) + rng.choice(signs) * rng.randint(3, 40) * step))


def altered(text: str, numbers: list[str], rng: random.Random) -> Iterator[tuple[str, str]]:
    """Yield (kind, sentence) with one thing changed."""
    for number in rng.sample(numbers, min(2, len(numbers))):
        yield "value", put(text, number, moved(number, rng))
    if len(numbers) > 1:
        one, other = rng.sample(numbers, 2)
        yield "swapped", put(put(put(text, one, "\0"), other, one), "\0", other)
    if word := next((word for word in TURNED if re.search(rf"\b{word}\b", text)), ""):
        yield "direction", re.sub(rf"\b{word}\b", TURNED[word], text, count=1)
    if (match := DIFFERENCE.search(text)) and match[1] not in numbers:
        yield "difference", text[: match.start(1)] + moved(match[1], rng, (1,)) + text[match.end(1) :]


def read_again(document: Document, place: int, text: str, sources: Sources) -> Claim | None:
    """Return the claim of a sentence, put in the place of another one of its section."""
    span = document.spans[place]
    before = [one for one in document.spans[max(0, place - 30) : place] if one.section == span.section]
    part = replace(document, spans=(*before, replace(span, text=text)), cells=())
    wanted = text.strip().lstrip("-*\u2022 ").strip()
    claims = report_claims.claims(part, REGISTRY, sources.vocabulary)
    return next((one for one in claims if one.statement == wanted), None)


def main() -> None:
    folder, show = Path(sys.argv[1]), "--show" in sys.argv
    rng = random.Random(sys.argv[sys.argv.index("--seed") + 1] if "--seed" in sys.argv else "altered")
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    claims, accused = 0, 0
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        try:
            document = reader.read(path)
        except TrimtabError as error:
            print(f"not read: {path.name}: {error}")
            continue
        if not document.cells:
            continue
        # Its tables with what stands above them; its sentences would find themselves.
        sources = replace(Sources.build([document], [], REGISTRY), passages=Passages([], REGISTRY))
        for claim in report_claims.claims(replace(document, cells=()), REGISTRY, sources.vocabulary):
            claims += 1
            verdict = verdict_rules.check(claim, sources)
            if verdict.fidelity.fails:
                accused += 1
                print(f"accused: {path.name}: {claim.statement[:300]}  {verdict.reasons[:2]}")
        for place, span in enumerate(document.spans):
            numbers = named(document, span.text) if span.kind == "sentence" else []
            for kind, text in altered(span.text, numbers, rng) if numbers else ():
                found = read_again(document, place, text, sources)
                fidelity = verdict_rules.check(found, sources).fidelity if found else None
                word = (
                    "caught" if fidelity and fidelity.fails else "accepted" if fidelity and fidelity.holds else "open"
                )
                counts[kind][word] += 1
                if show and word != "caught":
                    print(f"{word}: {kind}: {text[:300]}")
    print(f"\n{claims} claims as they stand, {accused} accused")
    for kind, words in counts.items():
        print(f"{kind:12} {sum(words.values()):5}  " + ", ".join(f"{word} {n}" for word, n in sorted(words.items())))


if __name__ == "__main__":
    main()
