"""The texts that a model is looked at with: benchmark problems, files, JSON Lines, each under the name of a domain.

Texts are read one after another and not kept, so that a file of any number of lines can be given. A text is a context
and a continuation; where a likelihood is asked for, the continuation is scored, and a text without a context is scored
from its second token on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trimtab.codeeval import problems
from trimtab.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# What a line of JSON may call a whole text, or the two halves of one.
_WHOLE: Final = ("text", "content", "code")
_CONTEXTS: Final = ("context", "prompt", "instruction", "question")
_CONTINUATIONS: Final = ("continuation", "completion", "canonical_solution", "response", "answer", "output")
_LINES: Final = (".jsonl", ".ndjson")
_FOLDER: Final = ("*.py", "*.txt", "*.md", "*.jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainText:
    """One text: ``name`` is unique within its ``domain``."""

    domain: str
    name: str
    context: str
    continuation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainSource:
    """Where the texts of one domain come from: a benchmark's name, or a file or folder."""

    domain: str
    benchmark: str = ""
    path: Path | None = None
    data: Path | None = None

    def texts(self) -> Iterator[DomainText]:
        """Yield the texts in their order.

        Raises:
            ConfigurationError: A file cannot be read, or a line holds no text under a name known here.
            BenchmarkError: The benchmark is unknown or not there.
        """
        if self.path is None:
            for problem in problems.load(self.benchmark, self.data, fetch=self.data is None).problems:
                yield DomainText(
                    domain=self.domain,
                    name=problem.task_id,
                    context=problem.prompt,
                    continuation=problem.canonical_solution,
                )
        else:
            for file in _files(self.path):
                yield from self._file(file)

    def _file(self, file: Path) -> Iterator[DomainText]:
        if file.suffix in _LINES:
            try:
                with file.open(encoding="utf-8-sig") as lines:
                    for number, line in enumerate(lines, start=1):
                        if line.strip():
                            context, continuation = _fields(line, f"{file}, line {number}")
                            yield self._text(f"{file.name}:{number}", context, continuation)
            except UnicodeDecodeError as error:
                raise ConfigurationError(f"{file} is no UTF-8 text: {error}") from error
            return
        try:
            content = file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{file} cannot be read as text: {error}") from error
        if content.strip():
            yield self._text(file.name, "", content)

    def _text(self, name: str, context: str, continuation: str) -> DomainText:
        return DomainText(domain=self.domain, name=name, context=context, continuation=continuation)


def domain_sources(
    benchmarks: Sequence[str], named: Sequence[str], data: Path | None = None
) -> tuple[DomainSource, ...]:
    """Return the sources that a command line names.

    Args:
        benchmarks: Names of benchmarks; each is a domain. ``mbpp`` is ``mbpp-378``, MBPP Pro's base problems.
        named: ``NAME=PATH``, or a path alone, whose domain is the file's name.
        data: Folder of benchmark files.

    Raises:
        ConfigurationError: There are none, a path does not exist, or two have the same name.
    """
    sources = [
        DomainSource(domain=name, benchmark="mbpp-378" if name == "mbpp" else name, data=data) for name in benchmarks
    ]
    for text in named:
        name, separator, where = text.partition("=")
        path = Path(where if separator else text)
        if not path.exists():
            raise ConfigurationError(
                f"--text {text}: there is no file or folder {path}", hint="--text NAME=PATH, or --text PATH"
            )
        if separator and not name:
            raise ConfigurationError(f"--text {text}: the domain has no name", hint="--text NAME=PATH")
        sources.append(DomainSource(domain=name if separator else path.stem, path=path))
    if not sources:
        raise ConfigurationError("no text was named", hint="-b humaneval,mbpp, or --text NAME=PATH")
    names = [source.domain for source in sources]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None or "all" in names:
        raise ConfigurationError(
            f"the domain {twice or 'all'!r} is named twice"
            if twice
            else "the domain 'all' is that of all texts together",
            hint="give each --text a name of its own: --text NAME=PATH",
        )
    return tuple(sources)


def _files(path: Path) -> list[Path]:
    """Return the file, or the files of a folder by name.

    Raises:
        ConfigurationError: The folder holds none of the kinds read here.
    """
    if path.is_file():
        return [path]
    files = sorted({file for pattern in _FOLDER for file in path.rglob(pattern) if file.is_file()})
    if not files:
        raise ConfigurationError(f"{path} holds no {', '.join(_FOLDER)}")
    return files


def _fields(line: str, place: str) -> tuple[str, str]:
    """Return the context and the continuation that a line of JSON holds.

    Raises:
        ConfigurationError: It holds neither under a name known here.
    """
    try:
        record = json.loads(line)
    except ValueError as error:
        raise ConfigurationError(f"{place} is not JSON: {error}") from error
    if isinstance(record, str):
        return "", record
    strings = (
        {key: value for key, value in record.items() if isinstance(value, str)} if isinstance(record, dict) else {}
    )
    continuation = next((strings[name] for name in _CONTINUATIONS if name in strings), None)
    context = next((strings[name] for name in _CONTEXTS if name in strings), "")
    if continuation is not None:
        return context, continuation
    whole = next((strings[name] for name in _WHOLE if name in strings), None)
    if whole is None and context:
        whole, context = context, ""
    if whole is None:
        held = ", ".join(record) if isinstance(record, dict) else type(record).__name__
        raise ConfigurationError(
            f"{place} holds {held}: no text under {', '.join((*_WHOLE, *_CONTEXTS))}",
            hint=f"a whole text, or a context with one of {', '.join(_CONTINUATIONS)}",
        )
    return "", whole
