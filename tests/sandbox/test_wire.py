"""Frames come out whole, however they arrive, and never grow without bound."""

from __future__ import annotations

import os
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.sandbox import wire


@given(st.lists(st.binary(max_size=50), max_size=6), st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_frames_survive_any_cutting(frames, cuts):
    stream = b"".join(wire.HEADER.pack(len(f)) + f for f in frames)
    inbox, found, start = wire.Inbox(), [], 0
    while start < len(stream):
        size = cuts[len(found) % len(cuts)]
        inbox.feed(stream[start : start + size])
        start += size
        while (frame := inbox.take()) is not None:
            found.append(frame)
    assert found == frames
    assert not inbox.overflowed


def test_an_announced_giant_overflows_at_once():
    inbox = wire.Inbox()
    inbox.feed(wire.HEADER.pack(wire.MAX_FRAME + 1))
    assert inbox.overflowed
    assert inbox.take() is None


def test_bytes_nobody_takes_do_not_pile_up():
    inbox = wire.Inbox()
    for _ in range(100):
        inbox.feed(wire.HEADER.pack(0) + bytes(1 << 20))
    assert inbox.overflowed
    assert len(inbox._data) <= 2 * wire.MAX_FRAME


def test_blocking_side_reads_what_it_wrote_and_notices_the_end():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        data = os.urandom(1 << 20)
        writer = threading.Thread(target=wire.write, args=(theirs.fileno(), data))
        writer.start()
        assert wire.read(ours.fileno()) == data
        writer.join()
        theirs.close()
        with pytest.raises(wire.ClosedError):
            wire.read(ours.fileno())


def test_a_frame_that_is_too_long_is_not_read():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.send(b"\xff" * 100)
        with pytest.raises(wire.ClosedError):
            wire.read(ours.fileno())
