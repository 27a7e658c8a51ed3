"""A guard on sockets: while it holds, nothing in this process reaches another machine, whatever library tries.

It is an audit hook of the interpreter, below every HTTP library. A hook cannot be taken out again, so one is added once
and asks whether a guard holds. Addresses of this machine stay reachable. Other programs this process starts are not
covered.
"""

from __future__ import annotations

import functools
import ipaddress
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from trimtab.errors import SearchError

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONNECTING: Final = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_RESOLVING: Final = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"})
_HERE: Final = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", ""})
_GUARDS: Final[list[object]] = []  # those that hold


@contextmanager
def offline() -> Iterator[None]:
    """Refuse every connection and name look-up that would leave this machine.

    Raises:
        SearchError: From inside the library that tried, naming the address.
    """
    _install()
    _GUARDS.append(None)
    try:
        yield
    finally:
        _GUARDS.pop()


@functools.cache
def _install() -> None:
    sys.addaudithook(_hook)


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if not _GUARDS or not (event in _RESOLVING or event in _CONNECTING):
        return
    # A socket, then an address: text for a socket file, for a network a tuple that begins with the host.
    target = arguments if event in _RESOLVING else arguments[1]
    if isinstance(target, tuple) and target and not _is_here(target[0]):
        raise SearchError(
            f"offline: {target[0]!s} would have been asked", hint="leave --offline out to use the network"
        )


def _is_here(host: object) -> bool:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")
    if name.lower() in _HERE:
        return True
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False
