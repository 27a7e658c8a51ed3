"""How crowded a machine is, and what a sleeping process is taken for there."""

import pytest

from trimtab.sandbox import crowding


@pytest.mark.parametrize(
    ("load", "nice", "crowd"),
    [(0.1, 0, 1.0), (8.0, 0, 4.0), (8.0, 3, 7.8125), (0.2, 19, pytest.approx(6.94, rel=0.01))],
)
def test_how_crowded_a_machine_is_follows_load_and_priority(monkeypatch, load, nice, crowd):
    monkeypatch.setattr(crowding.os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(crowding, "_PROCESSORS", 2)
    monkeypatch.setattr(crowding.os, "getpriority", lambda *_: nice)
    assert crowding.processes_per_processor() == crowd


def test_the_share_that_counts_as_busy_falls_with_the_crowd_and_never_rises_above_that_of_an_idle_machine():
    shares = [crowding.busy_share(crowd) for crowd in (1.0, 2.0, 20.0)]
    assert shares[0] == pytest.approx(0.02)
    assert shares == sorted(shares, reverse=True)
    assert shares[2] == pytest.approx(0.02 / 80)
