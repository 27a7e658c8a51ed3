"""Which code benchmarks there are: files and their hashes, splits, and how many problems each has.

Nothing is read here. Decisions: a benchmark is one split of one file, so a name says exactly which problems a score
is about; "MBPP" names none, because at least six sets go by it (974, 500, 374, 427, 378 and the 90 of validation).
Counts of sets that are not loaded here are kept too: they tell a claim about another version from a wrong claim.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trimtab.errors import BenchmarkError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFile:
    """A file of problems as its authors published it.

    Attributes:
        sha256: Of its bytes; nothing else is accepted.
        license: License and author.
        url: Where those bytes are.
    """

    sha256: str
    license: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredBenchmark:
    """A benchmark: a split of a file.

    Attributes:
        family: The field's word for it, for example ``MBPP`` or ``HumanEval Pro``.
        split: Which part of the family.
        count: Its number of problems.
        filename: A key of :data:`FILES`.
        numbers: First and last number of a task that belong to it; None for the whole file.
    """

    family: str
    split: str
    count: int
    filename: str
    numbers: tuple[int, int] | None = None

    def holds(self, task_id: str) -> bool:
        """Tell whether a task of the file belongs to this split."""
        return self.numbers is None or self.numbers[0] <= int(task_id.rpartition("/")[2]) <= self.numbers[1]


_MBPP: Final = "mbpp.jsonl"
_GOOGLE: Final = "https://raw.githubusercontent.com/google-research/google-research/master/mbpp/"
_PRO: Final = "https://raw.githubusercontent.com/CodeEval-Pro/CodeEval-Pro/main/dataset/"

FILES: Final[Mapping[str, PublishedFile]] = {
    "HumanEval.jsonl.gz": PublishedFile(
        sha256="b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef",
        license="MIT, openai/human-eval",
        url="https://raw.githubusercontent.com/openai/human-eval/master/data/HumanEval.jsonl.gz",
    ),
    "HumanEvalPlus-v0.1.10.jsonl.gz": PublishedFile(
        sha256="272720b90ac375502c8ed23cd791c2a93dfb22a911641a494da74a426c09f101",
        license="Apache-2.0, evalplus/humanevalplus_release v0.1.10",
        url="https://github.com/evalplus/humanevalplus_release/releases/download/v0.1.10/HumanEvalPlus.jsonl.gz",
    ),
    _MBPP: PublishedFile(
        sha256="ccf64ceae9c5403bf50a044cb6d505bfd2a2963ee58338ba268fd65beab92a9f",
        license="CC BY 4.0, google-research/mbpp",
        url=f"{_GOOGLE}mbpp.jsonl",
    ),
    "sanitized-mbpp.json": PublishedFile(
        sha256="ca95deaa9a01ef0a6f439f88bcf0dd3db3563d22f22aad6cae04ebb9a8d8c8e9",
        license="CC BY 4.0, google-research/mbpp",
        url=f"{_GOOGLE}sanitized-mbpp.json",
    ),
    "MbppPlus-v0.2.0.jsonl.gz": PublishedFile(
        sha256="af43697e8791c4c149bdfd6b489d8b5412507551ac20e28a439f650b8225db63",
        license="Apache-2.0, evalplus/mbppplus_release v0.2.0",
        url="https://github.com/evalplus/mbppplus_release/releases/download/v0.2.0/MbppPlus.jsonl.gz",
    ),
    "humaneval_pro.json": PublishedFile(
        sha256="d67ad94366d8182804d8cb59de558d211072493b13a6c23ddda42a2e1367dc7a",
        license="MIT, CodeEval-Pro/CodeEval-Pro",
        url=f"{_PRO}humaneval_pro.json",
    ),
    "mbpp_pro.json": PublishedFile(
        sha256="bb2edf4f2da393403083977e94cb4e4bbbe68fcb85495dfdf500885a945e8b3b",
        license="MIT, CodeEval-Pro/CodeEval-Pro",
        url=f"{_PRO}mbpp_pro.json",
    ),
    "bigcodebench_lite_pro.json": PublishedFile(
        sha256="1a9e818a7ecece6346f47673276bfc47ab2bb34efd8cda26e0b819eb13bb6ec3",
        license="MIT, CodeEval-Pro/CodeEval-Pro",
        url=f"{_PRO}bigcodebench_lite_pro.json",
    ),
}


def _entry(
    family: str, split: str, count: int, filename: str, numbers: tuple[int, int] | None = None
) -> RegisteredBenchmark:
    return RegisteredBenchmark(family=family, split=split, count=count, filename=filename, numbers=numbers)


BENCHMARKS: Final[Mapping[str, RegisteredBenchmark]] = {
    "humaneval": _entry("HumanEval", "test", 164, "HumanEval.jsonl.gz"),
    "humaneval-plus": _entry("HumanEval+", "test", 164, "HumanEvalPlus-v0.1.10.jsonl.gz"),
    "humaneval-pro": _entry("HumanEval Pro", "test", 164, "humaneval_pro.json"),
    "mbpp-full": _entry("MBPP", "full", 974, _MBPP),
    "mbpp-prompt": _entry("MBPP", "prompt", 10, _MBPP, (1, 10)),
    "mbpp-test": _entry("MBPP", "test", 500, _MBPP, (11, 510)),
    "mbpp-validation": _entry("MBPP", "validation", 90, _MBPP, (511, 600)),
    "mbpp-train": _entry("MBPP", "train", 374, _MBPP, (601, 974)),
    "mbpp-sanitized": _entry("MBPP", "sanitized", 427, "sanitized-mbpp.json"),
    "mbpp-sanitized-prompt": _entry("MBPP", "sanitized prompt", 7, "sanitized-mbpp.json", (1, 10)),
    "mbpp-sanitized-test": _entry("MBPP", "sanitized test", 257, "sanitized-mbpp.json", (11, 510)),
    "mbpp-sanitized-validation": _entry("MBPP", "sanitized validation", 43, "sanitized-mbpp.json", (511, 600)),
    "mbpp-sanitized-train": _entry("MBPP", "sanitized train", 120, "sanitized-mbpp.json", (601, 974)),
    "mbpp-378": _entry("MBPP", "378 of EvalPlus, base tests", 378, "MbppPlus-v0.2.0.jsonl.gz"),
    "mbpp-plus": _entry("MBPP+", "test", 378, "MbppPlus-v0.2.0.jsonl.gz"),
    "mbpp-pro": _entry("MBPP Pro", "test", 378, "mbpp_pro.json"),
    "bigcodebench-lite-pro": _entry("BigCodeBench-Lite Pro", "test", 57, "bigcodebench_lite_pro.json"),
}

ELSEWHERE: Final[Mapping[tuple[str, str], int]] = {
    ("BigCodeBench", "full"): 1140,
    ("BigCodeBench", "hard"): 148,
    ("BigCodeBench-Lite", "test"): 57,
    ("MBPP+", "v0.1.0"): 399,
}
"""Counts of published sets that are not read here, by (family, split)."""


def counts() -> dict[tuple[str, str], int]:
    """Return the number of problems by (family, split): everything in :data:`BENCHMARKS`, and :data:`ELSEWHERE`."""
    return {**{(entry.family, entry.split): entry.count for entry in BENCHMARKS.values()}, **ELSEWHERE}


def entry(benchmark: str) -> RegisteredBenchmark:
    """Return what is known of a benchmark.

    Raises:
        BenchmarkError: No benchmark has that name, or several sets go by it.
    """
    if benchmark == "mbpp":
        sets = ", ".join(
            f"{name} ({benchmark_entry.count})"
            for name, benchmark_entry in BENCHMARKS.items()
            if benchmark_entry.family.startswith("MBPP")
        )
        raise BenchmarkError("'mbpp' names several sets of problems", hint=f"say which: {sets}")
    if benchmark not in BENCHMARKS:
        raise BenchmarkError(f"no published benchmark is called {benchmark!r}", hint=nearest(benchmark, BENCHMARKS))
    return BENCHMARKS[benchmark]
