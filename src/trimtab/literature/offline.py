"""A guard on sockets: while it holds, nothing in this process reaches another machine, whatever library tries.

It is an audit hook of the interpreter, below every HTTP library. A hook cannot be taken out again, so one is added once
and asks whether a guard holds. Addresses of this machine stay reachable. Other programs this process starts are not
covered.
"""

from __future__ import annotations

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


class _State:
    installed = False
    depth = 0


@contextmanager
def offline() -> Iterator[None]:
    """Refuse every connection and name look-up that would leave this machine.

    Raises:
        SearchError: From inside the library that tried, naming the address.
    """
    if not _State.installed:
        sys.addaudithook(_hook)
        _State.installed = True
    _State.depth += 1
    try:
        yield
    finally:
        _State.depth -= 1


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if not _State.depth or not event.startswith("socket."):
        return
    target: object = None
    if event in _CONNECTING:
        target = arguments[1] if len(arguments) > 1 else None
    elif event in _RESOLVING:
        target = arguments
    # An address of a socket file is text, of a network a tuple that begins with the host.
    if isinstance(target, tuple) and target and not _is_here(target[0]):
        raise SearchError(
            f"offline: {target[0]!s} would have been asked", hint="leave --offline out to use the network"
        )


def _is_here(host: object) -> bool:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else "" if host is None else str(host)
    if name.lower() in _HERE:
        return True
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False
