"""The guard refuses what would leave this machine, whatever library tries; this machine stays reachable."""

import socket
import urllib.request

import pytest

from trimtab.errors import SearchError
from trimtab.literature.offline import offline


def test_connections_and_look_ups_are_refused_before_a_packet_leaves():
    with offline():
        with pytest.raises(SearchError, match=r"192\.0\.2\.1"), socket.socket() as one:
            one.connect(("192.0.2.1", 80))
        with pytest.raises(SearchError, match=r"export\.arxiv\.org"):
            socket.getaddrinfo("export.arxiv.org", 443)
        with pytest.raises(SearchError, match=r"192\.0\.2\.1"):
            urllib.request.urlopen("http://192.0.2.1/", timeout=1)
        with pytest.raises(SearchError), socket.socket(type=socket.SOCK_DGRAM) as one:
            one.sendto(b"x", ("192.0.2.1", 53))


def test_this_machine_stays_reachable_and_the_guard_ends(serve, reply, script):
    server = serve(script(reply(body=b"here")))
    with offline(), urllib.request.urlopen(server.url) as answer:  # noqa: S310 - this machine
        assert answer.read() == b"here"
    with socket.socket() as one:
        one.settimeout(0.01)
        with pytest.raises(OSError):
            one.connect(("192.0.2.1", 80))
