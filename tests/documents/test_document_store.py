"""The corpus gives back what it was given, once, and leaves other programs' files alone."""

import datetime as dt
import sqlite3
from contextlib import closing
from dataclasses import replace
from decimal import Decimal

import pytest

from trimtab.documents.document_store import DocumentStore
from trimtab.documents.parts import Document, HiddenText, Position, Span, TableCell
from trimtab.documents.work import Author, Identifiers, Retraction, Version, Work
from trimtab.errors import EvidenceError

TEXT = "Experts collapse early. The bias settles after 300 steps."


def document(name="a" * 64, **changes):
    spans = tuple(
        Span(
            document=name,
            kind="sentence",
            start=start,
            end=end,
            text=TEXT[start:end],
            position=Position(page=1, line=3),
        )
        for start, end in ((0, 23), (24, 57))
    )
    cell = TableCell(
        document=name,
        table=1,
        label="Table 2",
        caption="pass@1 (%)",
        row=2,
        column=1,
        row_path=("open models", "Qwen2.5-Coder-7B-base"),
        column_path=("HumanEval Pro", "0-shot"),
        text="54.90 ± 0.3",
        numbers=(Decimal("54.90"),),
        spread=Decimal("0.3"),
        unit="%",
        bold=True,
        position=Position(page=4, box=(1.0, 2.0, 3.0, 4.5)),
    )
    values = {
        "sha256": name,
        "path": "paper.tex",
        "format": "latex",
        "work": "arxiv:1",
        "text": TEXT,
        "spans": spans,
        "cells": (cell,),
        "hidden": (HiddenText(reason="white", text="praise this", position=Position(path="/p[1]")),),
        "warnings": ("one table was cut",),
    }
    return Document(**(values | changes))


WORK = Work(
    id="arxiv:1",
    title="Löad",
    authors=(Author(family="Yu", given="Zhaojian"), Author(family="DeepSeek-AI")),
    year=2024,
    ids=Identifiers(arxiv="2412.21199", doi="10.1/x"),
    versions=(Version(name="v1", year=2024), Version(name="published", year=2025, venue="ACL")),
    retraction=Retraction(kind="retraction", date=dt.date(2025, 1, 2), notice="10.1/y"),
    found_by=("refs.bib",),
)


def test_what_goes_in_comes_out_unchanged(tmp_path):
    with DocumentStore(tmp_path / "corpus.sqlite") as corpus:
        assert corpus.add(document())
        corpus.put(WORK)
    with DocumentStore(tmp_path / "corpus.sqlite") as corpus:
        assert corpus.document("a" * 64) == document()
        assert str(corpus.document("a" * 64).cells[0].number) == "54.90"
        assert corpus.works() == [WORK]
        assert corpus.digests() == ["a" * 64]


def test_the_same_bytes_are_stored_once(tmp_path):
    with DocumentStore(tmp_path / "corpus.sqlite") as corpus:
        assert corpus.add(document())
        assert not corpus.add(document(path="copy.tex"))
        assert corpus.document("a" * 64).path == "paper.tex"


def test_a_changed_file_can_take_the_place_of_what_it_was(tmp_path):
    with DocumentStore(tmp_path / "corpus.sqlite") as corpus:
        corpus.add(document())
        corpus.add(document("b" * 64, path="other.tex"))
        assert corpus.forget("paper.tex") == 1
        assert corpus.forget("paper.tex") == 0
        assert corpus.digests() == ["b" * 64]
        corpus.put(WORK)
        corpus.put(replace(WORK, title="Load"))
        assert [work.title for work in corpus.works()] == ["Load"]


def test_tables_are_strict_and_journaled_ahead(tmp_path):
    with DocumentStore(tmp_path / "corpus.sqlite"), sqlite3.connect(tmp_path / "corpus.sqlite") as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        strict = dict(other.execute("SELECT name, strict FROM pragma_table_list WHERE schema = 'main'"))
        assert all(strict[name] for name in ("work", "document"))
    other.close()


def test_a_file_that_is_no_corpus_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("not a database, but long enough to be read as one" * 100)
    with pytest.raises(EvidenceError, match=r"notes.txt cannot be used as a corpus"):
        DocumentStore(tmp_path / "notes.txt")
    with sqlite3.connect(tmp_path / "old.sqlite") as old:
        old.execute("PRAGMA user_version = 7")
    old.close()
    with pytest.raises(EvidenceError, match="schema 7"):
        DocumentStore(tmp_path / "old.sqlite")
    with pytest.raises(EvidenceError, match="no document 'z'"):
        DocumentStore(":memory:").document("z")


@pytest.mark.parametrize("version", [0, 1, 7])
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_another_programs_database_is_refused_and_left_as_it_was(tmp_path, version, mode):
    path = tmp_path / "notes.sqlite"
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"PRAGMA journal_mode = {mode}")
        other.execute(f"PRAGMA user_version = {version}")
        other.execute("CREATE TABLE note (text TEXT)")
        other.execute("INSERT INTO note VALUES ('mine')")
        other.commit()
    before = path.read_bytes()
    with pytest.raises(EvidenceError, match=r"notes.sqlite is another program's database \(tables: note\)") as caught:
        DocumentStore(path)
    assert "new file" in caught.value.hint
    assert path.read_bytes() == before
    assert sorted(one.name for one in tmp_path.iterdir()) == ["notes.sqlite"]


def test_an_empty_file_becomes_a_corpus(tmp_path):
    (tmp_path / "new.sqlite").touch()
    with DocumentStore(tmp_path / "new.sqlite") as corpus:
        corpus.add(document())
    with DocumentStore(tmp_path / "new.sqlite") as corpus:
        assert corpus.digests() == ["a" * 64]
