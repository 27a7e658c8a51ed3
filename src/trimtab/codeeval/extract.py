"""From what a model wrote to a program.

Decisions: every step has a name, and its name is part of the verdict; none looks at tests or outcomes. What is
unconditional (:func:`clean`) finds the answer as somebody reads it who knows the function's name: without thoughts,
marks and prose around it, without statements that only show or check, with imports that are lacking. What guesses
(:func:`repairs`) is for text that is no program, or has no function of the name. Untrusted text is never parsed here,
only scanned (:mod:`trimtab.codeeval.python_scan`), so whether the rest is a program is for the sandbox to find out.
Everything is linear in the length.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import re
import textwrap
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from trimtab.codeeval import code_blocks, demonstrations, missing_imports, python_scan, reply_marks
from trimtab.codeeval.python_scan import lines as _lines

if TYPE_CHECKING:
    from collections.abc import Iterator

_LAYOUT: Final = (tokenize.COMMENT, tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT)
_STARTS: Final = re.compile(r"(?:def|class|import|from|async|@)\b|@")
# Two words that no operator or keyword joins, as prose has them and a statement at column 0 has not.
_PROSE: Final = re.compile(
    r"(?!(?:def|class|import|from|async|if|for|while|with|try|return|assert|del|global|raise|lambda|not|await|yield)\b)"
    r"(?:[#*>-]+[ \t]|\d+\.[ \t])?[A-Za-z][\w'-]*,?[ \t]+(?!(?:in|is|and|or|not|if|for)\b)[A-Za-z`]"
)
_MAGIC: Final = re.compile(r"^(?:%%?\w|!\w|\$ )[^\n]*\n?", re.MULTILINE)
_SIGNS: Final = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2212": "-", "\u00a0": " ", "\u3000": " "}
    | dict.fromkeys("\u200b\u200c\u200d\u200e\u200f\u2060\ufeff", "")
)
# A byte order mark, also as it looks when UTF-8 is read as Latin-1.
_ORDER_MARK: Final = re.compile("\ufeff|\u00ef\u00bb\u00bf")
_BEGINNING: Final = re.compile(r"(?:\s|\ufeff|\u00ef\u00bb\u00bf)*")
_JSON_FENCE: Final = re.compile(r"\A```(?:json)?[ \t]*\n(.*)\n```\Z", re.DOTALL | re.IGNORECASE)
_INDENTATION: Final = re.compile(r"^[ \t]*", re.MULTILINE)
_LEVEL: Final = 4  # spaces before a function's body
_DRAFTS: Final = 3  # definitions of the function that a repair tries
_LONGEST: Final = 1 << 20  # characters; a program is shorter, a runaway generation need not be


class AskedFunction(Protocol):
    """What is asked for: a :class:`~trimtab.codeeval.problem.Problem`, or a :class:`Function`."""

    @property
    def prompt(self) -> str:
        """What a continuation continues, and where helpers and imports of the question are; empty for none."""

    @property
    def entry_point(self) -> str:
        """The function; empty for a whole program that reads its input and prints its answer."""


class Function(NamedTuple):
    """A function that is asked for without a benchmark's problem; both may be empty."""

    entry_point: str = ""
    prompt: str = ""


class Extracted(NamedTuple):
    """A program and the names of what was done to get it.

    Attributes:
        program: Its text; empty where the reply holds no answer: it is blank, or a thought that was not finished.
        steps: In their order.
    """

    program: str
    steps: tuple[str, ...]


@functools.cache
def identity(tokens: tuple[str, ...] = ()) -> str:
    """Return twelve hexadecimal digits of what extracts: verdicts by other code, or other tokens, do not compare."""
    modules = (python_scan, reply_marks, code_blocks, demonstrations, missing_imports)
    files = [__file__, *(str(module.__file__) for module in modules)]
    parts = [*(Path(file).read_bytes() for file in files), *(token.encode() for token in tokens)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def raw(problem: AskedFunction, text: str, *, continues: bool) -> str:
    """Return the program that the text is as it stands."""
    return problem.prompt + text if continues else text


def clean(problem: AskedFunction, text: str, *, continues: bool = False, tokens: tuple[str, ...] = ()) -> Extracted:
    r"""Take the program out of a model's reply: the public entry for judges, rewards and plug-ins.

    >>> clean(Function("f"), "<think>easy</think>Here:\n```python\ndef f(x):\n    return x\n```<|im_end|>")
    Extracted(program='def f(x):\n    return x\n', steps=('reasoning', 'end', 'fence'))

    The steps, in their order: ``mark`` (a byte order mark), ``reasoning``, ``end`` (tokens that end a turn),
    ``delimiters`` (``[BEGIN]`` and ``[DONE]`` and the like), ``json`` (a field of an object), ``truncated``, ``fence``,
    ``helpers`` (what another code block defines), ``indent`` (a body without its indentation), ``prompt`` (a bare body
    gets its header), ``dedent``, ``demo``, ``imports``.

    Args:
        problem: What was asked: a benchmark's problem, ``Function(name)`` where there is none, or ``Function()`` for a
            whole program, from which nothing is then taken that it does.
        text: What the model wrote.
        continues: Whether it continues ``problem.prompt``, or is a program or a text with one.
        tokens: Special tokens of the model's tokenizer; those in use are known by their shape without it.
    """
    steps: list[str] = []
    name = problem.entry_point
    text = _step(steps, "mark", text, _BEGINNING.sub(lambda blank: _ORDER_MARK.sub("", blank[0]), text, count=1))
    answer = reply_marks.answer(text, tokens)
    steps += [step for step, taken in (("reasoning", answer.thought), ("end", answer.ended)) if taken]
    if not answer.text.strip():
        return Extracted("", tuple(steps))
    text = _step(steps, "delimiters", answer.text, reply_marks.delimited(answer.text, name))
    text = _step(steps, "json", text, _out_of_json(text, name))
    text = _step(steps, "truncated", text, text[:_LONGEST])
    block = code_blocks.read(text, name, continues=continues)
    if block is not None:
        text, continues = block.code, continues and not block.opened
        steps += ["fence", "helpers"] if block.helpers else ["fence"]
        if not text.strip():
            return Extracted("", tuple(steps))
    program = _whole(problem, text, steps, continues=continues)
    if name:
        program = _step(steps, "demo", program, demonstrations.without(program, name))
    program = _step(steps, "imports", program, missing_imports.supply(program, problem.prompt))
    return Extracted(program, tuple(steps))


def _out_of_json(text: str, entry_point: str) -> str:
    """Return the field of a JSON object that defines the function, where a reply is such an object."""
    inner = _JSON_FENCE.sub(r"\1", text.strip())
    if not entry_point or inner[:1] != "{" or inner[-1:] != "}" or len(inner) > _LONGEST:
        return text
    try:
        value = json.loads(inner)
    except (ValueError, RecursionError):
        return text
    defines = code_blocks.definition(entry_point)
    fields = [field for field in value.values() if isinstance(field, str) and defines.search(field)]
    return fields[0] if fields else text


def _whole(problem: AskedFunction, text: str, steps: list[str], *, continues: bool) -> str:
    """Return the program that a text is: by itself, or as the body of the function whose header the prompt holds."""
    name = problem.entry_point
    here = re.compile(rf"^(?:async[ \t]+)?def[ \t]+{re.escape(name)}\b", re.MULTILINE)
    if not name or here.search(text):
        return raw(problem, text, continues=continues)
    if code_blocks.is_body(text) and not continues and here.search(textwrap.dedent(text)):
        return _step(steps, "dedent", text, textwrap.dedent(text))
    if not here.search(problem.prompt) or not (continues or code_blocks.is_body(text)):
        return raw(problem, text, continues=continues)
    if not continues:
        steps.append("prompt")
    return problem.prompt + _step(steps, "indent", text, _indented(text))


def repair(problem: AskedFunction, cleaned: Extracted, *, cutting: bool = True) -> Extracted | None:
    """Guess the program in a text that is none, and cut off what follows it; None where there is nothing to guess."""
    steps, program = list(cleaned.steps), cleaned.program
    body = bool(problem.prompt) and program.startswith(problem.prompt)
    if body:
        text = program[len(problem.prompt) :]
        text = _step(steps, "signs", text, text.translate(_SIGNS))
        text = _step(steps, "level", text, _at_level_of(problem.prompt, text))
        shortened = cut(problem.prompt, text) if cutting else None
        if shortened is not None:
            steps.append("cut")
        program = problem.prompt + (text if shortened is None else shortened)
    else:
        program = _step(steps, "escapes", program, _unescaped(program))
        program = _step(steps, "signs", program, program.translate(_SIGNS))
        program = _step(steps, "magic", program, _MAGIC.sub("", program))
        program = _step(steps, "session", program, code_blocks.typed(program))
        program = _step(steps, "dedent", program, textwrap.dedent(program))
        program = _step(steps, "prose", program, _from_first_definition(program))
        if cutting:
            program = _step(steps, "cut", program, cut_program(program) or program)
    return None if program == cleaned.program else Extracted(program, tuple(steps))


def repairs(problem: AskedFunction, cleaned: Extracted) -> Iterator[Extracted]:
    """Yield guesses, the one that keeps most first: :func:`repair`, then programs that end with the function asked for.

    Where a text defines it several times, the last one is tried first, as Python would use it.
    """
    whole, shorter = (repair(problem, cleaned, cutting=cutting) for cutting in (False, True))
    if whole is not None:
        yield whole
    if shorter is not None and shorter != whole:
        yield shorter
    text, steps = cleaned.program, cleaned.steps
    if problem.prompt and text.startswith(problem.prompt):
        text = text[len(problem.prompt) :]
    text = _from_first_definition(textwrap.dedent(_MAGIC.sub("", _unescaped(text).translate(_SIGNS))))
    for program in _through(text, problem.entry_point) if problem.entry_point else ():
        yield Extracted(missing_imports.supply(program, problem.prompt), (*steps, "tail"))


def cut(prompt: str, completion: str) -> str | None:
    """Return ``completion`` without what follows the prompt's function; None when there is nothing to cut, or no rest.

    The end is the first line at column 0 that neither continues a bracket or a string nor is a comment, or the line
    from which on the text cannot be split into tokens.
    """
    lines = _lines(prompt + completion)
    end = sum(map(len, lines[: _end(lines, prompt.count("\n") + 1) - 1])) - len(prompt)
    return _shorter(completion, end)


def cut_program(program: str) -> str | None:
    """Return a program without the prose after it or, if there is none, without its last statement at column 0."""
    lines = _lines(program)
    tops = _tops(program, lines)
    first = next((at for at in tops if _STARTS.match(lines[at])), len(lines))
    prose = next((at for at in tops if at > first and _PROSE.match(lines[at])), None)
    end = prose if prose is not None else tops[-1] if tops else 0
    return _shorter(program, sum(map(len, lines[:end])))


def _through(program: str, entry_point: str) -> Iterator[str]:
    """Yield beginnings of a program that end with a definition of the function, the last one first."""
    lines = _lines(program)
    tops = _tops(program, lines)
    defines = re.compile(rf"(?:async[ \t]+)?def[ \t]+{re.escape(entry_point)}\b")
    definitions = [(at, after) for at, after in itertools.pairwise([*tops, len(lines)]) if defines.match(lines[at])]
    for _, after in definitions[: -_DRAFTS - 1 : -1]:
        yield "".join(lines[:after])


def _tops(program: str, lines: list[str]) -> list[int]:
    """Return the numbers of lines at which a statement at column 0 begins."""
    inside = python_scan.inside_strings(program)
    return [at for at, line in enumerate(lines) if at not in inside and line[:1].strip() and line[0] not in ")]}#"]


def _shorter(text: str, end: int) -> str | None:
    beginning = text[: max(0, end)]
    return beginning if beginning.strip() and beginning != text else None


def _end(lines: list[str], first: int) -> int:
    """Return the number of the line at which the function that line ``first`` continues is over."""
    starts_line = True
    try:
        for token in tokenize.generate_tokens(iter([*lines, ""]).__next__):
            if token.type in _LAYOUT:
                starts_line = starts_line or token.type == tokenize.NEWLINE
                continue
            if starts_line and token.start[1] == 0 and token.start[0] > first:
                return token.start[0]
            starts_line = False
    except IndentationError:
        return len(lines) + 1  # a line that fits no level does not leave the function
    except SyntaxError as error:
        return error.lineno or len(lines) + 1
    except tokenize.TokenError as error:
        return int(error.args[1][0])
    return len(lines) + 1


def _indented(text: str) -> str:
    """Return a function's body that lost the indentation of its first line, or of all, with it.

    A body without indentation is none, as a function of nothing but its docstring answers nothing.
    """
    lines = _lines(text)
    first = next((at for at, line in enumerate(lines) if line.strip()), None)
    if first is None or lines[first][0] in " \t":
        return text
    returns = re.search(r"^(?:return|yield)\b", python_scan.masked(text), re.MULTILINE) is not None
    if not returns and (_STARTS.match(lines[first]) or _PROSE.match(lines[first])):
        return text
    later = [line for line in lines[first + 1 :] if line.strip()]
    # Under a line that opens a block, only what is deeper than a body kept its place.
    opens = lines[first].rstrip().endswith((":", "(", "[", "{", ","))
    if (
        not returns
        and later
        and later[0][0] in " \t"
        and (not opens or len(later[0]) - len(later[0].lstrip()) > _LEVEL)
    ):
        lines[first] = "    " + lines[first]
        return "".join(lines)
    return "".join(f"    {line}" if line.strip() else line for line in lines)


def _at_level_of(prompt: str, text: str) -> str:
    """Return a function's body at the level at which the prompt's docstring is; Python takes no other after one."""
    lines = _lines(text)
    inside = python_scan.inside_strings(text)
    filled = [at for at, line in enumerate(lines) if line.strip() and at not in inside]
    level = _INDENTATION.findall(prompt.rstrip())[-1:]
    if not filled or not level:
        return text
    own, to = _margin(lines[filled[0]]), level[0]
    if not own or not to or own == to:
        return text
    below = [_margin(lines[at]) for at in filled[1:]]
    opens = lines[filled[0]].rstrip().endswith((":", "(", "[", "{", ","))
    if below and all(margin.startswith(to) for margin in below) and not (opens and len(below[0]) <= len(to)):
        filled = filled[:1]  # only the first line lost its place
    for at in filled:
        if lines[at].startswith(own):
            lines[at] = to + lines[at][len(own) :]
    return "".join(lines)


def _margin(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def _unescaped(program: str) -> str:
    r"""Return a program of one line that holds its line ends as ``\n`` with line ends in their place.

    Imports that were supplied may stand before that line.
    """
    before, _, last = program.rstrip().rpartition("\n")
    if "\\n" not in last or not all(line.startswith(("import ", "from ")) for line in before.splitlines()):
        return program
    written = last.replace("\\n", "\n").replace("\\t", "\t").replace('\\"', '"')
    return f"{before}\n{written}" if before else written


def _from_first_definition(program: str) -> str:
    """Return a text from its first line at column 0 on that begins as a program does."""
    at = 0
    for line in _lines(program):
        if _STARTS.match(line) and not _PROSE.match(line):
            return program[at:]
        at += len(line)
    return program


def _step(steps: list[str], name: str, before: str, after: str) -> str:
    """Note a step that changed something; return what it made."""
    if after != before:
        steps.append(name)
    return after
