"""Texts come from benchmarks, files, folders and JSON Lines; what cannot be one is named with its place."""

import json

import pytest

from trimtab.errors import ConfigurationError
from trimtab.inspection.domain_texts import domain_sources


def read(*named):
    return [text for source in domain_sources([], named) for text in source.texts()]


@pytest.mark.parametrize(
    ("record", "halves"),
    [
        ({"text": "whole"}, ("", "whole")),
        ({"content": "whole", "id": 3}, ("", "whole")),
        ({"prompt": "a", "completion": "b"}, ("a", "b")),
        ({"prompt": "a", "canonical_solution": "b", "test": "c"}, ("a", "b")),
        ({"question": "a", "answer": "b"}, ("a", "b")),
        ({"prompt": "alone"}, ("", "alone")),
        ("a string", ("", "a string")),
    ],
)
def test_lines_are_read_by_the_names_in_use(tmp_path, record, halves):
    file = tmp_path / "lines.jsonl"
    file.write_text(json.dumps(record) + "\n\n")
    (text,) = read(str(file))
    assert (text.context, text.continuation) == halves
    assert (text.domain, text.name) == ("lines", "lines.jsonl:1")


def test_a_folder_is_all_its_files_and_a_benchmark_its_problems(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")
    (tmp_path / "b.txt").write_text("")
    (tmp_path / "c.jsonl").write_text('{"text": "t"}\n')
    assert [text.name for text in read(f"mine={tmp_path}")] == ["a.py", "c.jsonl:1"]
    (humaneval,) = domain_sources(["humaneval"], [])
    first = next(humaneval.texts())
    assert first.name == "HumanEval/0"
    assert first.context.startswith("from typing")


@pytest.mark.parametrize(
    ("content", "message"),
    [('{"id": 1}', r"line 1 holds id: no text under"), ("{", "line 1 is not JSON"), ("[1]", "line 1 holds list")],
)
def test_lines_without_text_are_named(tmp_path, content, message):
    file = tmp_path / "bad.jsonl"
    file.write_text(content + "\n")
    with pytest.raises(ConfigurationError, match=message):
        read(str(file))


def test_what_a_command_line_can_get_wrong(tmp_path):
    file = tmp_path / "x.txt"
    file.write_text("text")
    for named, message in [
        ((), "no text was named"),
        (("gone.txt",), "there is no file or folder gone.txt"),
        ((f"={file}",), "has no name"),
        ((f"a={file}", f"a={file}"), "'a' is named twice"),
        ((f"all={file}",), "'all' is that of all texts together"),
    ]:
        with pytest.raises(ConfigurationError, match=message):
            read(*named)
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match=r"binary.txt cannot be read as text"):
        read(str(tmp_path / "binary.txt"))
