"""Which code block of a reply is its answer, as somebody reads it who knows the name of the function.

Decisions: a block that defines the function comes before one that does not, and a definition with a body before one
that restates the question; of several the last counts, as a correction follows its draft, unless the words before it
offer it as an alternative or say that it is wrong; a block that was cut off does not replace a whole one. What the
chosen block uses and another block defines is put before it. Nothing here looks at a test or at how a program ends.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from trimtab.codeeval import python_scan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FENCE: Final = re.compile(r"(?P<quote>[ \t]*(?:>[ \t]*)*)(?P<marks>`{3,}|~{3,})[ \t]*(?P<info>[^\n]*)")
_LATE: Final = re.compile(r"[^`\n]*\S[ \t]*(?P<marks>`{3,})[ \t]*(?P<info>python3?|py)[ \t]*\r?\n?\Z", re.IGNORECASE)
_GLUED: Final = re.compile(r"(?P<code>[^\n]*[^`\s])[ \t]*`{3,}[ \t]*\r?\n?\Z")
_INFO: Final = re.compile(r"[{.]*(?P<language>[\w+-]*)(?P<more>.*)", re.DOTALL)
_PYTHON: Final = frozenset(
    {"", "python", "py", "python3", "python2", "code", "ipython", "ipython3", "sage", "starlark"}
)
_NEUTRAL: Final = frozenset({"text", "txt", "plain", "plaintext", "none", "solution", "answer", "markdown", "md"})
_NO_BODY: Final = re.compile(
    r"(?:\s|;|\bpass\b|\.\.\.|\breturn(?:[ \t]+(?:None|NotImplemented|\.\.\.))?[ \t]*$"
    r"|\braise[ \t]+\w+\b(?:\([^()\n]*\))?|\bprint\([^()\n]*\))*\Z",
    re.MULTILINE,
)
_OFFERS_ANOTHER: Final = re.compile(
    r"\b(?:alternative(?:ly)?|another (?:way|approach|version|option|solution|possibility)|other (?:way|approach)\w*"
    r"|(?:you|one|we) (?:can|could|may|might) also|if you (?:want|need|prefer|would|like|have|are)|equivalent(?:ly)?"
    r"|for comparison|one-liner|more concise\w*|variation|variant|optional(?:ly)?|bonus|less efficient|slower)\b",
    re.IGNORECASE,
)
_CORRECTS: Final = re.compile(
    r"\b(?:correct(?:ed|ion|s)?|fix(?:ed|es)?|final|revis\w+|improv\w+|updat\w+|refin\w+|proper(?:ly)?|right|working"
    r"|wait|actually|oops|sorry|redo|rewrit\w+|instead|let me|again|hence|therefore)\b",
    re.IGNORECASE,
)
_WARNS: Final = re.compile(
    r"\b(?:naive|brute[- ]force|wrong|incorrect|buggy|broken|do(?:es)? not|don't|doesn't|avoid|fails?|bad|mistaken?"
    r"|original|previous|earlier|initial|anti-?pattern)\b",
    re.IGNORECASE,
)


_LONGEST_LINE: Final = 2000


class Block(NamedTuple):
    """A code block of a reply.

    Attributes:
        code: Its text.
        language: What its fence says, in small letters.
        opened: Whether the reply holds its opening fence.
        closed: Whether the reply holds its closing fence.
        words: What the reply says between the block before and this one.
    """

    code: str
    language: str
    opened: bool
    closed: bool
    words: str


class Reading(NamedTuple):
    """The program that was read out of code blocks.

    Attributes:
        code: Its text.
        opened: Whether the reply holds the opening fence.
        helpers: Whether parts of other blocks were put before it.
    """

    code: str
    opened: bool
    helpers: bool


def read(text: str, entry_point: str, *, continues: bool) -> Reading | None:
    """Return the answer among the code blocks of a reply; None where it has none.

    Args:
        text: The reply.
        entry_point: The function that is asked for; empty for a whole program.
        continues: Whether the reply goes on from code, and so begins within a block.
    """
    every = list(blocks(text, continues=continues))
    if not every:
        return None
    python = [block for block in every if block.language in _PYTHON and block.code.strip()]
    defines = definition(entry_point)
    if entry_point and not _answers(python, entry_point):
        python += [block for block in every if block.language in _NEUTRAL and defines.search(block.code)]
        outside = "\n".join(block.words for block in every)
        whole = re.search(rf"^(?:async[ \t]+)?def[ \t]+{re.escape(entry_point)}\b", outside, re.MULTILINE)
        if whole and not _answers(python, entry_point) and not _restates(outside, entry_point):
            return Reading(outside, opened=True, helpers=False)
    if not python:
        # A block that was begun for the reply and ended at once is an answer without code.
        return Reading("", opened=False, helpers=False) if continues and not every[0].opened else None
    chosen = _choose(python, entry_point)
    code = _unindented(chosen, defines)
    needed = _helpers(code, [block for block in python if block is not chosen], entry_point)
    return Reading(python_scan.with_before(needed, code), opened=chosen.opened, helpers=bool(needed))


def definition(entry_point: str) -> re.Pattern[str]:
    """Return a pattern of the lines that define a function, or bind its name to one."""
    name = re.escape(entry_point)
    return re.compile(
        rf"^[ \t]*(?:(?:async[ \t]+)?def|class)[ \t]+{name}\b|^{name}[ \t]*(?::[^=\n]*)?=(?!=)", re.MULTILINE
    )


def blocks(text: str, *, continues: bool) -> Iterator[Block]:
    """Yield the code blocks of a reply, and last the words after them as a block of the language ``words``.

    A fence within a string of three quotes is none. A fence with a language opens a block even where the one before was
    not closed; one with fewer marks than the fence that opened the block is part of its code.
    """
    lines = python_scan.lines(text)
    inside = python_scan.inside_strings(text)
    fences = [(at, match) for at, line in enumerate(lines) if at not in inside and (match := _fence(line)) is not None]
    real = [at for at, match in fences if match.re is not _GLUED]
    if not real:
        return
    # A text that continues code, or begins within a block that was opened for it, starts inside one.
    first = next(match for at, match in fences if at == real[0])
    within = continues or _begun(lines[: real[0]], first)
    reading = _Reading(_Open("", 3, opened=False) if within else None, [], [])
    marked = dict(fences)
    for at, line in enumerate(lines):
        match = marked.get(at)
        yield from reading.outside(line, match) if reading.block is None else reading.inside(line, match)
    if reading.block is not None:
        yield reading.done(closed=False)
    yield Block("", "words", opened=True, closed=True, words="".join(reading.words))


def _fence(line: str) -> re.Match[str] | None:
    """Return the marks on a line that may open or close a block: at its begin, or glued to its end."""
    if "```" not in line and "~~~" not in line:
        return None
    marks = _FENCE.match(line)
    if marks is not None or len(line) > _LONGEST_LINE:
        return marks
    return _LATE.match(line) or _GLUED.match(line)


class _Open(NamedTuple):
    """A block that is being read: its language, the marks of its fence, and whether one line is all of it."""

    language: str
    marks: int
    opened: bool = True
    whole_line: bool = False

    def fits(self, match: re.Match[str]) -> bool:
        """Tell whether marks at the end of a line of code close this block."""
        return self.marks == 3 and not match["code"].lstrip().startswith("#")


@dataclass(slots=True)
class _Reading:
    """Where a reader of lines is: the block it is in, if any, that block's code, and the words before it."""

    block: _Open | None
    code: list[str]
    words: list[str]

    def outside(self, line: str, match: re.Match[str] | None) -> Iterator[Block]:
        """Take a line that is in no block; yield the block that begins and ends on it."""
        if match is None or match.re is _GLUED:
            self.words.append(line)
            return
        if match.re is _LATE:
            self.words.append(line[: match.start("marks")])
        self._open(match)
        if self.block is not None and self.block.whole_line:
            yield self.done(closed=True)

    def inside(self, line: str, match: re.Match[str] | None) -> Iterator[Block]:
        """Take a line that is in a block; yield the block if it ends."""
        if self.block is not None and match is not None and match.re is _GLUED and self.block.fits(match):
            self.code.append(match["code"] + "\n")
            yield self.done(closed=True)
        elif match is None or match.re is not _FENCE or self.block is None or len(match["marks"]) < self.block.marks:
            self.code.append(line)
        else:
            info = match["info"].strip()
            yield self.done(closed=not info)
            if info and "`" not in info and re.match(r"[{.]*[\w+-]", info):
                self._open(match)  # a fence with a language opens a block even where another was not closed

    def done(self, *, closed: bool) -> Block:
        """Return the block that was read and begin to look for the next."""
        language, opened = (self.block.language, self.block.opened) if self.block is not None else ("", True)
        block = Block("".join(self.code), language, opened=opened, closed=closed, words="".join(self.words))
        self.block, self.code, self.words = None, [], []
        return block

    def _open(self, match: re.Match[str]) -> None:
        self.block, rest = _opened(match)
        self.code = [rest] if rest else []


def _opened(match: re.Match[str]) -> tuple[_Open, str]:
    """Return the block that a fence opens, and code that stands on the fence's own line."""
    marks, info = len(match["marks"]), match["info"].strip()
    inline = info.rstrip("`") if info.endswith("`" * marks) else None
    words = _INFO.match(info if inline is None else inline)
    language, more = (words["language"].lower(), words["more"].strip()) if words is not None else ("", "")
    whole = info if inline is None else inline.strip()
    if python_scan.DEFINES.match(whole):
        return _Open("", marks, whole_line=inline is not None), f"{whole}\n"
    if more.endswith(".py") or ".py" in whole.split():
        language, more = "python", ""
    rest = f"{more}\n" if python_scan.DEFINES.match(more) else ""
    return _Open(language, marks, whole_line=inline is not None), rest


def _begun(before: Sequence[str], fence: re.Match[str]) -> bool:
    """Tell whether what comes before a bare fence is code whose opening fence the text does not hold."""
    return fence.re is _FENCE and not fence["info"].strip() and any(python_scan.DEFINES.match(line) for line in before)


def _choose(python: Sequence[Block], entry_point: str) -> Block:
    """Return the block that answers; ``python`` is not empty."""
    if not entry_point:
        return max(reversed(python), key=lambda block: len(block.code))
    answers = _answers(python, entry_point)
    for at in range(len(answers) - 1, 0, -1):
        words = answers[at].words.strip()[-300:].rpartition("\n\n")[2]
        sentence = re.split(r"[.!?]\s", words)[-1]
        offered = _OFFERS_ANOTHER.search(words) or (_WARNS.search(sentence) and not _CORRECTS.search(sentence))
        if not offered and (answers[at].closed or _looks_whole(answers[at].code)):
            return answers[at]
    if answers:
        return answers[0]
    defining = [block for block in python if definition(entry_point).search(block.code)]
    body = next((block for block in python if block not in defining and is_body(block.code)), None)
    return body or (defining[-1] if defining else python[0])


def _answers(python: Sequence[Block], entry_point: str) -> list[Block]:
    """Return the blocks that define the function with a body."""
    defines = definition(entry_point)
    return [block for block in python if defines.search(block.code) and not _restates(block.code, entry_point)]


def _restates(code: str, entry_point: str) -> bool:
    """Tell whether every definition of the function in a block is without a body."""
    texts = [
        statement.code
        for statement in python_scan.statements(textwrap.dedent(code))
        if re.search(rf"^[ \t]*(?:async[ \t]+)?def[ \t]+{re.escape(entry_point)}\b", statement.code, re.MULTILINE)
    ]
    return bool(texts) and all(_NO_BODY.match(after_header(text, entry_point)) for text in texts)


def after_header(code: str, entry_point: str) -> str:
    """Return what follows the header of a function in masked text, its body."""
    match = re.search(rf"\bdef[ \t]+{re.escape(entry_point)}[ \t]*\(", code)
    depth = 1
    for sign in re.compile(r"[()\[\]{}:]").finditer(code, match.end()) if match is not None else ():
        if sign[0] in "([{":
            depth += 1
        elif sign[0] in ")]}":
            depth -= 1
        elif depth == 0:
            return code[sign.end() :]
    return ""


def is_body(code: str) -> bool:
    """Tell whether a text is the inside of a function: it begins indented, or returns at column 0."""
    first = next((line for line in python_scan.lines(code) if line.strip()), "")
    if first[:1] in (" ", "\t"):
        return True
    masked = python_scan.masked(code)
    return re.search(r"^(?:return|yield)\b", masked, re.MULTILINE) is not None


def _looks_whole(code: str) -> bool:
    """Tell whether code that no fence closes seems to be at its end: brackets closed, no block just begun."""
    masked = python_scan.masked(code).rstrip()
    depth = sum(masked.count(sign) for sign in "([{") - sum(masked.count(sign) for sign in ")]}")
    return depth == 0 and not masked.endswith((":", ",", "=", "\\", "(", ".", "+", "-", "*"))


def _unindented(block: Block, defines: re.Pattern[str]) -> str:
    """Return a block's code without what a list or a quotation puts before each line."""
    lines = python_scan.lines(block.code)
    filled = [line for line in lines if line.strip()]
    if filled and all(line.lstrip().startswith(">") for line in filled) and not filled[0].startswith(">>>"):
        lines = [re.sub(r"^[ \t]*>[ ]?", "", line) for line in lines]
    if filled and filled[0].lstrip().startswith(">>> ") and defines.search(filled[0].lstrip()[4:]):
        lines = [typed(block.code)]
    code = "".join(lines)
    starts = next((line.lstrip() for line in lines if line.strip()), "")
    # The inside of a function stays indented.
    whole = block.opened and (python_scan.DEFINES.match(starts) or defines.search(code))
    return textwrap.dedent(code) if whole else code


def typed(session: str) -> str:
    """Return what was typed at Python's prompt, where a text is such a session, else the text."""
    lines = [line.lstrip() for line in python_scan.lines(session)]
    first = next((line for line in lines if line.strip()), "")
    if not first.startswith(">>> "):
        return session
    return "".join(line[4:] or "\n" for line in lines if line.startswith((">>> ", "... ")))


def _helpers(code: str, others: Sequence[Block], entry_point: str) -> str:
    """Return definitions of other blocks that a program needs, as text to put before it."""
    if not others:
        return ""
    masked = python_scan.masked(code)
    lacking = python_scan.outer_names(masked) - python_scan.defined(masked)
    waiting: list[tuple[str, set[str], str]] = []
    for block in reversed(others):
        text = textwrap.dedent(block.code)
        lines = python_scan.lines(text)
        for statement in python_scan.statements(text):
            names = _binds(statement)
            if names and entry_point not in names:
                waiting.append(("".join(lines[statement.first : statement.after]), names, statement.code))
    parts: list[str] = []
    for _ in range(8):  # helpers of helpers
        taken: set[str] = set()
        for text, names, shown in waiting:
            if names & lacking and not names & taken:  # of several drafts of a helper, the last one
                taken |= names
                parts.append(text.rstrip() + "\n\n")
                lacking = lacking | python_scan.outer_names(shown)
        if not taken:
            break
        lacking -= taken
        waiting = [entry for entry in waiting if not entry[1] & taken]
    return "".join(reversed(parts))


_ASSIGNS: Final = re.compile(r"([A-Za-z_]\w*)[ \t]{0,20}(?::[^=\n]*)?=(?!=)")


def _binds(statement: python_scan.TopStatement) -> set[str]:
    """Return the names that a definition, an import or a plain assignment at column 0 binds."""
    head = statement.head
    if python_scan.DEFINES.match(head):
        return python_scan.defined(head) or set(python_scan.imported(statement.code))
    match = _ASSIGNS.match(head)
    return set() if match is None else {match[1]}
