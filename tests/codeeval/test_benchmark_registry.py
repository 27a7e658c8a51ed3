"""The registry says which problems a name is about."""

from __future__ import annotations

import pytest

from trimtab.codeeval import benchmark_readers, benchmark_registry
from trimtab.errors import BenchmarkError


def test_mbpp_alone_names_no_set():
    with pytest.raises(BenchmarkError, match="several sets") as raised:
        benchmark_registry.entry("mbpp")
    for expected in ("mbpp-full (974)", "mbpp-test (500)", "mbpp-sanitized (427)", "mbpp-378 (378)", "mbpp-pro (378)"):
        assert expected in raised.value.hint


def test_counts_are_by_family_and_split():
    counts = benchmark_registry.counts()
    assert counts["HumanEval Pro", "test"] == 164
    assert {split: n for (family, split), n in counts.items() if family == "MBPP"} == {
        "full": 974,
        "prompt": 10,
        "test": 500,
        "validation": 90,
        "train": 374,
        "sanitized": 427,
        "sanitized prompt": 7,
        "sanitized test": 257,
        "sanitized validation": 43,
        "sanitized train": 120,
        "378 of EvalPlus, base tests": 378,
    }


def test_the_splits_of_a_file_add_up():
    for prefix, whole in (("mbpp-", "mbpp-full"), ("mbpp-sanitized-", "mbpp-sanitized")):
        parts = [
            benchmark_registry.BENCHMARKS[prefix + name].count for name in ("prompt", "test", "validation", "train")
        ]
        assert sum(parts) == benchmark_registry.BENCHMARKS[whole].count


def test_every_file_has_a_reader_and_every_benchmark_a_file():
    assert set(benchmark_readers.READERS) == set(benchmark_registry.FILES)
    assert {entry.filename for entry in benchmark_registry.BENCHMARKS.values()} == set(benchmark_registry.FILES)
