"""A run folder at a URL: whole objects only, one driver at a time, and the same tables from anywhere."""

import json
import os
import shutil

import fsspec
import pytest
from click.testing import CliRunner

from trimtab.cli.main import main
from trimtab.errors import RunFolderError
from trimtab.study import remote_folder, store
from trimtab.study.remote_folder import RemoteFolder
from trimtab.study.table import StudyTable


@pytest.fixture(params=["memory", "file"])
def url(request, tmp_path):
    """An empty place; in memory it lives as long as this process."""
    if request.param == "file":
        return f"file://{tmp_path}/store/run"
    fsspec.filesystem("memory").store.clear()
    return "memory://bucket/run"


@pytest.fixture
def made(synthetic, tmp_path):
    """A finished run folder with known results."""
    folder = store.RunFolder(tmp_path / "here")
    study = synthetic.Synthetic(seeds=2).write(folder.path)
    return study, folder


def objects(url):
    files, root = fsspec.core.url_to_fs(url)
    return {name.removeprefix(root).lstrip("/"): name for name in files.find(root)}


def write(url, name, content):
    files, root = fsspec.core.url_to_fs(url)
    files.pipe_file(f"{root}/{name}", content)


def test_what_is_put_is_fetched_with_the_same_bytes(made, url, tmp_path):
    study, folder = made
    cell = folder.cell(next(study.cells()).id)
    (cell.model / "x").mkdir(parents=True)
    (cell.model / "x" / "weights").write_bytes(b"large")
    RemoteFolder(url).put_finished(folder)
    assert not any("model/" in name for name in objects(url))
    there = store.RunFolder(tmp_path / "there")
    RemoteFolder(url).fetch(there)
    for name in (path.relative_to(folder.path) for path in folder.path.rglob("*.json*")):
        assert (there.path / name).read_bytes() == (folder.path / name).read_bytes(), name
    assert StudyTable.load(there.path, study).record() == StudyTable.load(folder.path, study).record()


def test_a_cell_is_there_when_its_list_of_objects_is(made, url, tmp_path):
    """A driver that dies between two objects of a cell leaves a cell that is not finished."""
    study, folder = made
    remote = RemoteFolder(url)
    remote.put_finished(folder)
    name = next(study.cells()).id
    files, root = fsspec.core.url_to_fs(url)
    files.rm_file(f"{root}/cells/{name}/objects.json")
    there = store.RunFolder(tmp_path / "there")
    remote.fetch(there)
    assert set(StudyTable.load(there.path, study).missing) == {name}
    remote.put_finished(folder)  # what a later run does
    remote.fetch(there)
    assert not StudyTable.load(there.path, study).missing


@pytest.mark.parametrize("harm", [lambda content: content[:100], lambda content: content.replace(b"1", b"2", 1)])
def test_an_object_that_is_half_written_or_was_changed_is_never_read(made, url, tmp_path, harm):
    study, folder = made
    RemoteFolder(url).put_finished(folder)
    name = f"cells/{next(study.cells()).id}/result.json"
    write(url, name, harm((folder.path / name).read_bytes()))
    there = store.RunFolder(tmp_path / "there")
    with pytest.raises(RunFolderError, match=rf"{name} is not the object that its cell was finished with") as refusal:
        RemoteFolder(url).fetch(there)
    assert "objects.json to have the cell run again" in str(refusal.value)
    assert not (there.path / name).exists()


@pytest.mark.parametrize("list_of_objects", [b"{", b"[]", b'{"sha256": {"../../escaped": "00"}}'])
def test_a_damaged_list_of_objects_is_refused(made, url, tmp_path, list_of_objects):
    study, folder = made
    RemoteFolder(url).put_finished(folder)
    write(url, f"cells/{next(study.cells()).id}/objects.json", list_of_objects)
    with pytest.raises(RunFolderError, match=r"objects.json (cannot be read|names an object outside)"):
        RemoteFolder(url).fetch(store.RunFolder(tmp_path / "there"))
    assert not list(tmp_path.rglob("escaped"))


def test_an_object_appears_when_it_is_whole(url, monkeypatch):
    remote = RemoteFolder(url)
    seen = []

    class CutOffError(Exception):
        pass

    real = type(remote._store)._open

    def half(self, path, mode="rb", **options):
        file = real(self, path, mode, **options)
        whole = file.write

        def write(content):
            whole(content[: len(content) // 2])
            seen.append(objects(url))
            raise CutOffError

        file.write = write
        return file

    monkeypatch.setattr(type(remote._store), "_open", half)
    with pytest.raises(RunFolderError, match=r"cannot be written: CutOffError"):
        remote._write("cells/a/result.json", b"{" + b" " * 1000 + b"}")
    assert seen == [{}]
    assert objects(url) == {}


def test_two_drivers_do_not_work_at_one_url_and_a_dead_one_is_no_hindrance(url):
    remote = RemoteFolder(url)
    with remote.lock():
        holder = {"host": "elsewhere", "pid": 1}
        write(url, "driver.lock", json.dumps(holder).encode())
        with (
            pytest.raises(RunFolderError, match=r"another run is working in .*: process 1 on"),
            remote.lock(),
        ):
            pass
        write(url, "driver.lock", json.dumps({"host": os.uname().nodename, "pid": 2**22 + 1}).encode())
        with remote.lock():
            assert json.loads(fsspec.open(f"{url}/driver.lock").open().read())["pid"] == os.getpid()
        write(url, "driver.lock", b"")  # for the outer lock to take away
    assert objects(url) == {}


@pytest.mark.parametrize("bad", ["nonsense://bucket/run", "s3://bucket/run"])
def test_a_store_that_nothing_reads_is_named(bad):
    if bad.startswith("s3") and shutil.which("s3fs"):
        pytest.skip("s3fs is installed")
    with pytest.raises(RunFolderError, match=f"{bad} cannot be used"):
        RemoteFolder(bad)


def test_a_store_that_cannot_be_written_is_one_error_that_says_where_results_are(made, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(RunFolderError, match=r"/file/run cannot be written: NotADirectoryError") as refusal:
        RemoteFolder(f"file://{tmp_path}/file/run").put_finished(made[1])
    assert "what is finished is in " in str(refusal.value)


def trimtab(*arguments, code=0):
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == code, done.output + repr(done.exception)
    return done


def test_a_report_is_written_from_a_url_and_put_there(made, url, tmp_path, monkeypatch):
    monkeypatch.setenv("TRIMTAB_STAGE", str(tmp_path / "stage"))
    _, folder = made
    RemoteFolder(url).put_finished(folder)
    whole = trimtab("table", folder.path, "--json").stdout
    assert trimtab("table", url, "--json").stdout == whole
    assert trimtab("table", folder.study, "-o", url, "--json").stdout == whole
    assert "report/report.html" not in objects(url)
    trimtab("report", url)
    trimtab("report", folder.path)
    stored = fsspec.open(f"{url}/report/report.html").open().read()
    assert stored == folder.report.read_bytes()
    assert set(json.loads(trimtab("status", url, "--json").stdout).values()) == {"done"}
    # All cells are done, so a run has nothing to do but to write the report again.
    assert "all 16 cells are done" in trimtab("run", url).stderr
    assert "driver.lock" not in objects(url)


def test_verbs_that_need_a_folder_refuse_a_url(made, tmp_path):
    refused = trimtab("work", made[1].study, "-o", "memory://bucket/run", code=2)
    assert "this verb needs a folder" in refused.stderr
    empty = trimtab("table", "memory://bucket/empty", code=2)
    assert "holds no study" in empty.stderr


@pytest.mark.parametrize("text", ["memory://a", "s3://b/c", "file:///d", "memory:/a"])
def test_urls_are_told_from_folders(text):
    assert remote_folder.is_url(text)
    assert not remote_folder.is_url(text.replace(":", ""))
