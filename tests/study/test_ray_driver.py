"""Studies that a Ray cluster cannot run are refused with one error; that it runs them is shown end to end."""

import json
import os
import shutil
import socket
import sys
import time
from pathlib import Path

import pytest

from trimtab import disk
from trimtab.errors import ClusterError, MissingExtraError, RunFolderError
from trimtab.study import environment, leases, ray_driver, ray_node, spec, store

TINY = Path(__file__).parents[2] / "studies" / "tiny.toml"


@pytest.fixture
def place(tmp_path):
    """The tiny study and its run folder, not yet begun."""
    return spec.load(TINY), store.RunFolder(tmp_path / "run")


def habits(address):
    return ray_driver.OnRay(address=address)


@pytest.mark.parametrize("address", ["nonsense", "host:", ":6379", "ray://host:10001", "host:port"])
def test_what_is_no_address_is_refused(place, address):
    with pytest.raises(ClusterError, match="is no address of a Ray cluster"):
        ray_driver.run(*place, habits(address))


def test_an_address_where_nothing_listens_is_refused_at_once(place):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(ClusterError, match=f"no Ray cluster answers at 127.0.0.1:{port}"):
        ray_driver.run(*place, habits(f"127.0.0.1:{port}"))
    assert time.monotonic() - began < 10  # Ray itself tries for two minutes, and then ends the process


def test_without_ray_the_extra_is_named(place, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"trimtab\[ray\]"):
        ray_driver.run(*place, habits("local"))


def test_two_drivers_do_not_work_in_one_folder(place):
    study, folder = place
    with folder.lock(".driver"), pytest.raises(RunFolderError, match="another run is working in"):
        ray_driver.run(study, folder, habits("local"))


def order(folder, **changes):
    facts = {
        "folder": folder.path,
        "token": "t",
        "source": ray_node.source_digest(),
        "patience_s": 9,
        "allow_unsandboxed": False,
    }
    return ray_node.Order(**(facts | changes))


@pytest.fixture
def begun(place):
    """A folder as the driver leaves it before it asks the nodes."""
    study, folder = place
    environment.record(study, folder, TINY, allow_unsandboxed=False)
    disk.write_atomic(folder.driver, json.dumps({"token": "t"}))
    return folder


def test_a_node_like_the_driver_fits(begun):
    assert ray_node.unfit(order(begun)) == ""


def test_other_source_files_under_the_same_version_are_noticed(begun):
    assert "other source files" in ray_node.unfit(order(begun, source="another"))


def test_a_folder_of_the_same_name_on_another_disk_is_told_apart(begun, tmp_path):
    disk.write_atomic(begun.driver, json.dumps({"token": "another"}))
    assert "is another folder there" in ray_node.unfit(order(begun))
    assert "does not see" in ray_node.unfit(order(store.RunFolder(tmp_path / "nowhere")))


def test_other_versions_on_a_node_are_named(begun):
    record = disk.read_json(begun.environment)
    record["packages"]["torch"] = "1.0"
    disk.write_json(begun.environment, record)
    assert "there 1.0" in ray_node.unfit(order(begun))


def test_a_full_disk_is_noticed_before_a_cell_is_run(begun, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 90, 10 * 2**20))
    assert "only 10 MiB are free" in ray_node.unfit(order(begun))


def test_a_failure_of_an_earlier_run_is_forgotten_and_a_running_cell_is_not(tmp_path):
    folder = store.RunFolder(tmp_path)
    earlier = leases.Leases(folder=folder.leases, patience_s=60)
    for name in ("failed", "running"):
        earlier.take(name)
    earlier.give_up("failed", leases.FAILED)
    ray_driver._forget_failures(folder, ["failed", "running", "new"])
    states = {name: earlier.in_force(name) for name in ("failed", "running", "new")}
    assert states["failed"].state == leases.RELEASED
    assert (states["running"].state, states["running"].number) == (leases.RUNNING, 1)
    assert states["new"] is None


def test_a_holder_is_lost_with_its_process_its_node_or_its_cluster():
    def lease(worker, tag):
        return leases.Lease(number=1, worker=worker, count=3, state=leases.RUNNING, tag=tag)

    alive = {"here", "there"}
    assert not ray_node._is_gone(lease(f"vm:{os.getpid()}", "here"), "here", alive)
    assert ray_node._is_gone(lease("vm:999999999", "here"), "here", alive)
    assert not ray_node._is_gone(lease("vm:999999999", "there"), "here", alive)  # of another machine nothing is known
    assert ray_node._is_gone(lease("vm:1", "earlier"), "here", alive)
