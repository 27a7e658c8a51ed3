"""Frames on a byte stream: four bytes of length, then that many bytes; the blocking side that children use.

``os.read`` and ``os.write`` rather than socket objects: a program may replace anything in its own interpreter, and the
fewer modules a child touches after its fork the cheaper the fork is.
"""

from __future__ import annotations

import os
import struct
from typing import Final

STRETCHES: Final = 8  # pieces in which a zygote counts the limit by the clock
HEADER: Final = struct.Struct(">I")
MAX_FRAME: Final = 8 << 20


class ClosedError(Exception):
    """The other side has gone."""


def write(descriptor: int, data: bytes) -> None:
    """Write one frame."""
    view = memoryview(HEADER.pack(len(data)) + data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError:
        raise ClosedError from None


def read(descriptor: int) -> bytes:
    """Read one frame.

    Raises:
        ClosedError: The stream ended, or the frame is longer than :data:`MAX_FRAME`.
    """
    (length,) = HEADER.unpack(_exactly(descriptor, HEADER.size))
    if length > MAX_FRAME:
        raise ClosedError
    return _exactly(descriptor, length)


def _exactly(descriptor: int, length: int) -> bytes:
    parts = []
    while length:
        try:
            part = os.read(descriptor, length)
        except OSError:
            part = b""
        if not part:
            raise ClosedError
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


class Inbox:
    """Frames out of bytes that arrive in pieces, and never more of them than one longest frame.

    Attributes:
        overflowed: Whether a longer frame was announced, or more bytes came than anybody took.
    """

    def __init__(self) -> None:
        self._data = bytearray()
        self.overflowed = False

    def feed(self, data: bytes) -> None:
        """Take more bytes."""
        if len(self._data) + len(data) > 2 * MAX_FRAME:
            self.overflowed = True
        if not self.overflowed:
            self._data += data
            self._announced()

    def _announced(self) -> int:
        """Return the length of the next frame, 0 while unknown."""
        if len(self._data) < HEADER.size:
            return 0
        length = int(HEADER.unpack_from(self._data)[0])
        self.overflowed = self.overflowed or length > MAX_FRAME
        return length

    def take(self) -> bytes | None:
        """Return the next whole frame, or None."""
        size = HEADER.size + self._announced()
        if self.overflowed or len(self._data) < size:
            return None
        frame = bytes(self._data[HEADER.size : size])
        del self._data[:size]
        return frame
