"""Files are whole or not there; a line log survives being cut off anywhere and gives back what was written."""

import errno
import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab import disk
from trimtab.errors import BenchmarkError, RunFolderError


def test_not_a_number_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        disk.write_json(tmp_path / "x.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_midway_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    disk.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        disk.write_json(path, {"a": object()})

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        disk.write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_torn_last_line_is_dropped_and_a_torn_middle_line_is_named(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"st')
    assert disk.read_lines(path) == [{"step": 1}, {"step": 2}]
    path.write_text('{"step": 1}\n{"st\n{"step": 3}\n')
    with pytest.raises(RunFolderError, match="line 2"):
        disk.read_lines(path)
    with pytest.raises(BenchmarkError, match="line 2"):
        disk.read_lines(path, error=BenchmarkError)
    assert disk.read_lines(tmp_path / "absent.jsonl") == []


@pytest.mark.parametrize("text", ['{"a": 1}\n[1]\n', '{"a": 1}\n1\n', '{"a": 1}\nnull\n', '{"a": 1}\n"text"\n'])
def test_a_whole_line_that_is_no_object_is_named_with_what_it_is(tmp_path, text):
    path = tmp_path / "log.jsonl"
    path.write_text(text)
    with pytest.raises(RunFolderError, match=r"line 2 is not a JSON object but (a list|a number|null|text)"):
        disk.read_lines(path)


def test_a_last_line_without_a_line_end_is_a_record_and_the_log_goes_on_after_it(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"a": 1}\n{"a": 2}')
    assert disk.read_lines(path) == [{"a": 1}, {"a": 2}]
    with disk.LineLog(path) as log:
        assert log.records == [{"a": 1}, {"a": 2}]
        log.append({"a": 3})
    assert path.read_text().splitlines() == ['{"a": 1}', '{"a": 2}', '{"a": 3}']


@pytest.mark.parametrize("left", ["", '{"a": 1}', '{"a": 1}\n', '{"a": 1}\n{"a', '{"a'])
def test_one_line_is_added_after_whatever_a_kill_left(tmp_path, left):
    path = tmp_path / "log.jsonl"
    path.write_text(left)
    disk.append_line(path, {"a": 2})
    assert disk.read_lines(path) == ([{"a": 1}] if "1" in left else []) + [{"a": 2}]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_is_no_part_of_the_first_record(tmp_path, encoding):
    path = tmp_path / "log.jsonl"
    path.write_bytes('{"a": "é"}\r\n\r\n{"a": 2}\r\n'.encode(encoding))
    assert disk.read_lines(path) == [{"a": "é"}, {"a": 2}]
    path.write_bytes('{"a": "é"}'.encode(encoding))
    assert disk.read_json(path) == {"a": "é"}


def test_a_log_in_utf_16_is_read_and_never_gets_lines_of_another_encoding(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes('{"a": 1}\n'.encode("utf-16"))
    with pytest.raises(RunFolderError, match="not in UTF-8"):
        disk.LineLog(path)
    path.write_bytes(b"\xff\xfe{")
    with pytest.raises(RunFolderError, match="byte order mark"):
        disk.read_lines(path)
    path.write_bytes('{"a": 1}\n'.encode("utf-8-sig"))
    disk.append_line(path, {"a": 2})
    with disk.LineLog(path) as log:
        assert log.records == [{"a": 1}, {"a": 2}]


def test_separators_that_python_takes_for_line_ends_stay_within_their_text(tmp_path):
    path = tmp_path / "log.jsonl"
    record = {"text": "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\rh\ud800"}
    with disk.LineLog(path) as log:
        log.append(record)
        log.append(record)
    assert disk.read_lines(path) == [record, record]


@given(st.lists(st.dictionaries(st.text(max_size=4), st.text(max_size=8), min_size=1), max_size=4), st.integers(0, 60))
@settings(max_examples=60, deadline=None)
def test_a_log_cut_off_anywhere_goes_on_from_its_last_whole_line(tmp_path_factory, records, missing):
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    with disk.LineLog(path) as log:
        for record in records:
            log.append(record)
    data = path.read_bytes()
    path.write_bytes(data[: max(0, len(data) - missing)])
    with disk.LineLog(path) as log:
        kept = log.records
        assert kept == records[: len(kept)]
        assert len(kept) >= len(records) - missing
        log.append({"more": 1})
    with disk.LineLog(path) as log:
        assert log.records == [*kept, {"more": 1}]
