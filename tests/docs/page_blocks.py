"""The code blocks of the pages: where each stands, what a hidden remark before it says, and what it needs.

A block runs unless the line before it is `<!-- not run: REASON -->`; then its commands and options are checked against
the command line, and its Python is compiled with its names resolved. Lines that a console block shows below a command
must be printed by it, in this order; `…` and `...` stand for any lines, and `<!-- output varies: REASON -->` for all.
"""

from __future__ import annotations

import ast
import builtins
import re
import shlex
import symtable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_GENERATED = {"docs/reference/cli.md"}  # held to the command line by test_docs
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_REMARK = re.compile(r"<!-- (not run|output varies): ([^>]+) -->\n\Z")


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: str
    line: int
    language: str
    text: str
    remark: str
    reason: str

    @property
    def runs(self) -> bool:
        """Whether nothing says that it is not run; pages of results name commands of hours and have their own tests."""
        return self.remark != "not run" and not self.page.startswith("docs/results/")


def blocks():
    """Return every block of every page, in order."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    listed = []
    for path in pages:
        name = str(path.relative_to(ROOT))
        text = path.read_text(encoding="utf-8")
        if name in _GENERATED or "/same-table/" in name or "/report/" in name:
            continue
        for match in _FENCE.finditer(text):
            remark = _REMARK.search(text[: match.start()])
            what, why = (remark[1], remark[2]) if remark else ("", "")
            listed.append(Block(name, text[: match.start()].count("\n") + 1, match[1], match[2], what, why))
    return listed


def free_names(source):
    """Return the names that a piece of Python reads and does not define."""
    table = symtable.symtable(source, "block", "exec")
    tables, names = [table], set()
    while tables:
        scope = tables.pop()
        tables += scope.get_children()
        names |= {symbol.get_name() for symbol in scope.get_symbols() if symbol.is_global() and symbol.is_referenced()}
    names |= {name.get_name() for name in table.get_symbols() if name.is_referenced()}
    assigned = {name.get_name() for name in table.get_symbols() if name.is_assigned() or name.is_imported()}
    return _read_first(source, names & assigned) | (names - assigned - set(dir(builtins)))


def _read_first(source, names):
    """Return which of some names a block reads before it gives them a value, as in `model, gates = load(...)`."""
    first = {}
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            first.setdefault(statement.name, "written")
            continue
        nodes = [node for node in ast.walk(statement) if isinstance(node, ast.Name) and node.id in names]
        stores = {node.id for node in nodes if isinstance(node.ctx, ast.Store)}
        loads = {node.id for node in nodes if isinstance(node.ctx, ast.Load)}
        imports = {
            (alias.asname or alias.name).split(".")[0]
            for node in ast.walk(statement)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        whole = not isinstance(statement, ast.For | ast.With)  # these name something before their bodies read it
        for name in loads if whole else loads - stores:
            first.setdefault(name, "read")
        for name in stores | imports:
            first.setdefault(name, "written")
    return {name for name, use in first.items() if use == "read"}


def commands(text):
    """Return a console block as pairs of a command, its continuation lines joined, and the lines shown below it."""
    pairs = []
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith("$ "):
            command = line[2:]
            while command.endswith("\\"):
                command = command[:-1] + next(lines).strip()
            pairs.append((command, []))
        else:
            pairs[-1][1].append(line)
    return pairs


def trimtab_calls(command):
    """Return the arguments of each call of trimtab in a shell command."""
    words = shlex.split(command, comments=True)
    calls = []
    while words:
        size = next((place for place, word in enumerate(words) if word in {"&&", "|", ";"}), len(words))
        call, words = words[:size], words[size + 1 :]
        while call and re.fullmatch(r"[A-Z_]+=.*", call[0], flags=re.DOTALL):
            call = call[1:]
        if call and call[0] == "trimtab":
            calls.append(call[1:])
    return calls
