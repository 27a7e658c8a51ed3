"""How hard the pages are to read: the longest sentence, sentences over 200 characters, and Flesch reading ease.

Counted is what a reader sees: code blocks are left out, a link is its text, a table's cells and a list's points are
sentences of their own. Reading ease is Flesch's (1948): 206.835 - 1.015 words a sentence - 84.6 syllables a word. 60 to
70 is plain English, below 30 is for graduates. Syllables are groups of vowels, so read differences, not single values.

    python benchmarks/readability.py                 # README, guides, concepts, results, decisions
    python benchmarks/readability.py --long          # and every sentence that is too long
    python benchmarks/readability.py --commit 75a25d1
"""

from __future__ import annotations

import argparse
import re
import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
GROUPS: Final = {
    "README": ("README.md",),
    "guides": ("docs/guides/",),
    "concepts": ("docs/concepts/", "docs/architecture.md"),
    "contributing": ("CONTRIBUTING.md",),
    "results": ("docs/results/",),
    "decisions": ("docs/decisions/",),
}
# Reports that a command wrote, and plans that were registered before their first cell and stay as they were.
NOT_READ: Final = ("/same-table/", "/report", "/0008-", "/0009-", "/0011-")
LIMIT: Final = 200
_ABBREVIATION: Final = re.compile(r"\b(?:e\.g|i\.e|etc|vs|al|Eq|Eqs|Fig|Sec|cf|approx|No)\.$")
_END: Final = re.compile(
    r"(?<=[.!?])(?:[\"')\]*_`]*)\s+(?=[A-Z`\"'(\[*_0-9\N{LEFT DOUBLE QUOTATION MARK}+\N{MINUS SIGN}]|[\w/]+\.py\b)"
)
_POINT: Final = re.compile(r"^\s*(?:[-*+]|\d+\.)\s+")
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z'-]*")


def sentences(markdown: str) -> list[str]:
    """Return the sentences of a page as a reader sees them."""
    text = re.sub(r"^(```|~~~).*?^\1\s*$", "\n", markdown, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"!\[([^\]]*)\]\([^)]*\)", "", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    parts: list[str] = []
    paragraph: list[str] = []
    for line in [*text.splitlines(), ""]:
        row = line.strip().startswith("|")
        if not line.strip() or row or line.startswith("#") or _POINT.match(line):
            parts.append(" ".join(paragraph))
            paragraph = []
        if row:
            parts += [line_of_cell.strip() for line_of_cell in re.split(r"\||<br>", line.strip().strip("|"))]
        elif line.startswith("#"):
            parts.append(line.lstrip("# "))
        elif line.strip():
            paragraph.append(_POINT.sub("", line).strip().lstrip("> "))
    return [sentence for part in parts for sentence in _split(part) if _WORD.search(sentence)]


def _split(paragraph: str) -> list[str]:
    pieces: list[str] = []
    for piece in _END.split(paragraph):
        if pieces and _ABBREVIATION.search(pieces[-1]):
            pieces[-1] += f" {piece}"
        else:
            pieces.append(piece.strip())
    return pieces


def reading_ease(prose: list[str]) -> float:
    """Return Flesch reading ease of sentences; fragments of fewer than four words say nothing and are left out."""
    words = [_WORD.findall(re.sub(r"`[^`]*`", "", sentence)) for sentence in prose]
    words = [sentence for sentence in words if len(sentence) > 3]
    flat = [word for sentence in words for word in sentence]
    if not flat:
        return float("nan")
    syllables = sum(max(1, len(re.findall(r"[aeiouy]+", re.sub(r"e$", "", word.lower())))) for word in flat)
    return 206.835 - 1.015 * len(flat) / len(words) - 84.6 * syllables / len(flat)


def pages(group: str, commit: str | None = None) -> dict[str, str]:
    """Return the pages of a group by name, as they are here or at a commit."""
    command = (
        ["git", "ls-tree", "-r", "--name-only", commit] if commit else ["git", "ls-files", "-co", "--exclude-standard"]
    )
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    names = [name for name in listed if name.endswith(".md") and name.startswith(GROUPS[group])]
    names = [name for name in names if not any(part in name for part in NOT_READ)]
    if commit is None:
        return {name: (ROOT / name).read_text(encoding="utf-8") for name in names}
    show = ["git", "show"]
    return {
        name: subprocess.run([*show, f"{commit}:{name}"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in names
    }


def main() -> None:
    """Print one row a group, and with --long the sentences to mend."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--commit")
    arguments.add_argument("--long", action="store_true")
    options = arguments.parse_args()
    print("| pages | sentences | words a sentence | longest, characters | over 200 | reading ease |")
    print("|---|---|---|---|---|---|")
    for group in GROUPS:
        texts = pages(group, options.commit)
        prose = {name: sentences(text) for name, text in texts.items()}
        flat = [sentence for page in prose.values() for sentence in page]
        counts = [len(sentence.split()) for sentence in flat if len(sentence.split()) > 3]
        over = sum(len(sentence) > LIMIT for sentence in flat)
        mean, longest = sum(counts) / len(counts), max(map(len, flat))
        print(f"| {group} | {len(flat)} | {mean:.1f} | {longest} | {over} | {reading_ease(flat):.0f} |")
        if options.long:
            for name, page in prose.items():
                for sentence in page:
                    if len(sentence) > LIMIT:
                        print(f"{name} [{len(sentence)}] {sentence}")


if __name__ == "__main__":
    main()
