"""The run folder: nothing half-written, nothing silently reused."""

import pytest

from trimtab.errors import RunFolderError
from trimtab.study import store


def result(**changes):
    return store.CellResult(cell_id="a_1", factors={"seed": 0}, outcome="completed", training={"steps": 1}, **changes)


def test_a_result_comes_back_as_it_was(tmp_path):
    written = result(passes={"micro": {"dropless": {"micro/0": [1, 1]}}}, absent={"mbpp": "no data"})
    written.write(tmp_path / "result.json")
    assert store.CellResult.read(tmp_path / "result.json") == written


def test_the_same_result_is_the_same_bytes(tmp_path):
    result(unigram={"b": {"y": 1.0}, "a": {"x": 0.1}}).write(tmp_path / "1")
    result(unigram={"a": {"x": 0.1}, "b": {"y": 1.0}}).write(tmp_path / "2")
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


@pytest.mark.parametrize("text", ["", "{", '{"schema": 1}', "[]", '{"schema": 1, "cell_id": "'])
def test_a_corrupt_result_is_named(tmp_path, text):
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(RunFolderError, match=r"result\.json"):
        store.CellResult.read(path)


def test_a_result_of_another_schema_is_refused(tmp_path):
    path = tmp_path / "result.json"
    result().write(path)
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))
    with pytest.raises(RunFolderError, match="schema 2"):
        store.CellResult.read(path)


def test_a_folder_of_another_study_is_refused_with_what_differs(tmp_path):
    folder = store.RunFolder(tmp_path / "run")
    folder.claim("name = 'a'\nseed = 1\n")
    folder.claim("name = 'a'\nseed = 1\n")
    with pytest.raises(RunFolderError) as error:
        folder.claim("name = 'a'\nseed = 2\n")
    assert "-seed = 1" in error.value.message
    assert "+seed = 2" in error.value.message


def test_a_cell_folder_of_another_cell_is_refused(tmp_path):
    folder = store.CellFolder(tmp_path / "cell")
    folder.prepare("cell", {"settings": {"rate": 0.1, "list": (1, 2)}})
    folder.prepare("cell", {"settings": {"rate": 0.1, "list": [1, 2]}})
    with pytest.raises(RunFolderError, match="another cell"):
        folder.prepare("cell", {"settings": {"rate": 0.2, "list": [1, 2]}})


def test_one_run_at_a_time(tmp_path):
    folder = store.RunFolder(tmp_path)
    with folder.lock(), pytest.raises(RunFolderError, match="another run"), folder.lock():
        pass
    with folder.lock():
        pass
