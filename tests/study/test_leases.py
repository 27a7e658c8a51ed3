"""Leases of cells: one holder at a time, a dead one is followed, and no clock of another machine matters."""

import json
import multiprocessing

import pytest

from trimtab.errors import RunFolderError
from trimtab.study.leases import FAILED, RELEASED, Leases


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def workers(tmp_path):
    clock = Clock()
    first, second = (
        Leases(folder=tmp_path / "leases", patience_s=60, clock=clock, worker=name) for name in ("one:1", "two:2")
    )
    return first, second, clock


def test_a_cell_is_held_by_one(workers):
    first, second, _ = workers
    assert first.take("cell")
    assert not second.take("cell")
    assert second.take("other")
    assert first.is_held("cell")
    assert not second.is_held("cell")


def test_a_holder_that_gives_signs_of_life_keeps_its_cell_for_ever(workers):
    first, second, clock = workers
    first.take("cell")
    for _ in range(20):
        clock.now += 59
        assert first.keep("cell")
        assert not second.take("cell")


def test_a_holder_without_a_sign_of_life_is_followed_and_notices(workers):
    first, second, clock = workers
    first.take("cell")
    assert not second.take("cell")  # the second starts to measure here, not when the first took it
    clock.now += 59
    assert not second.take("cell")
    clock.now += 1
    assert second.take("cell")
    assert not first.keep("cell")
    first.give_up("cell", FAILED)  # the lease of its follower stays as it is
    lease = second.in_force("cell")
    assert (lease.number, lease.worker, lease.state) == (2, "two:2", "running")


def test_a_clock_that_was_never_looked_at_kills_nobody(workers):
    first, second, clock = workers
    first.take("cell")
    clock.now += 10_000  # a jump: nobody has watched this lease yet, so it is only now looked at for the first time
    assert not second.take("cell")
    assert first.keep("cell")
    clock.now += 10_000
    assert not second.take("cell")  # another count than before: alive


def test_what_was_released_is_free_at_once_and_what_failed_is_not_tried_again(workers):
    first, second, _ = workers
    first.take("released")
    first.give_up("released", RELEASED)
    assert second.take("released")
    first.take("failed")
    first.give_up("failed", FAILED)
    assert not second.take("failed")
    assert second.take("failed", failed_too=True)


def test_a_holder_that_died_before_its_first_sign_is_followed_too(workers, tmp_path):
    _, second, clock = workers
    (tmp_path / "leases" / "cell").mkdir(parents=True)
    (tmp_path / "leases" / "cell" / "1.json").touch()
    assert not second.take("cell")
    clock.now += 60
    assert second.take("cell")


def test_a_file_that_is_no_lease_is_named(workers, tmp_path):
    _, second, _ = workers
    (tmp_path / "leases" / "cell").mkdir(parents=True)
    (tmp_path / "leases" / "cell" / "1.json").write_text(json.dumps({"worker": "x"}))
    with pytest.raises(RunFolderError, match=r"1\.json is not a lease"):
        second.take("cell")


def _race(folder, name, start, wins):
    leases = Leases(folder=folder, patience_s=0.0, worker=name)
    start.wait()
    for cell in range(40):
        if leases.take(f"cell{cell}"):
            wins.put((cell, name))


def test_of_workers_that_try_at_the_same_time_exactly_one_gets_each_cell(tmp_path):
    context = multiprocessing.get_context("spawn")
    start, wins = context.Barrier(4), context.Queue()
    racers = [context.Process(target=_race, args=(tmp_path, f"worker{i}", start, wins)) for i in range(4)]
    for racer in racers:
        racer.start()
    won = [wins.get(timeout=60) for _ in range(40)]
    for racer in racers:
        racer.join()
    # Patience is zero here, yet a lease that is seen for the first time is never dead.
    assert sorted(cell for cell, _ in won) == list(range(40))
    assert wins.empty()


def test_the_lease_of_a_place_that_a_cluster_knows_to_be_lost_is_followed_at_once(tmp_path):
    lost = Leases(folder=tmp_path / "leases", patience_s=60, worker="one:1", tag="node-1")
    alive = Leases(folder=tmp_path / "leases", patience_s=60, worker="two:2", tag="node-2")
    other = Leases(
        folder=tmp_path / "leases", patience_s=60, worker="three:3", tag="node-3", is_gone=lambda l: l.tag == "node-1"
    )
    assert lost.take("cell")
    assert alive.take("another")
    assert not alive.take("cell")  # it asks no cluster
    assert other.take("cell")
    assert not other.take("another")
    assert other.in_force("cell").tag == "node-3"
