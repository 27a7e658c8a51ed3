"""What is asked of a server and what it answered, with everything private kept apart.

A key or an e-mail address is sent and never kept: it is no part of a request's name, of the log, of the cache or of a
message, and where a server repeats it in its answer it is struck out there.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode, urlsplit

STRUCK = "[private]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A GET request.

    Args:
        url: Scheme, host and path; ``https``, or ``http`` to a mirror the user named.
        params: Query parameters, in order.
        private: Query parameters that are sent and never kept.
        headers: Headers that are sent and never kept.
        may_be_absent: Whether "there is no such thing" (404, 410) is an answer, kept like any other, and no error.
    """

    url: str
    params: tuple[tuple[str, str], ...] = ()
    private: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    may_be_absent: bool = False

    @property
    def host(self) -> str:
        """Host name in lower case, with the port where one is given."""
        return urlsplit(self.url).netloc.lower()

    @property
    def key(self) -> str:
        """SHA-256 of everything that decides the answer: the name of its body in the cache."""
        return hashlib.sha256(json.dumps(["GET", self.url, self.params]).encode()).hexdigest()

    @property
    def shown(self) -> str:
        """The address as it may be printed: without anything private."""
        return f"{self.url}?{urlencode(self.params, quote_via=quote)}" if self.params else self.url

    @property
    def sent(self) -> str:
        """The address as it is sent."""
        parameters = (*self.params, *self.private)
        return f"{self.url}?{urlencode(parameters, quote_via=quote)}" if parameters else self.url

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every private value, also as it is written in an address."""
        values = [value for _, value in (*self.private, *self.headers) if value]
        return tuple(dict.fromkeys(form for value in values for form in (value, quote(value), quote(value, safe=""))))

    def strike(self, text: str) -> str:
        """Return ``text`` without private values."""
        for secret in self.secrets:
            text = text.replace(secret, STRUCK)
        return text

    def strike_bytes(self, body: bytes) -> bytes:
        """Return ``body`` without private values."""
        for secret in self.secrets:
            body = body.replace(secret.encode(), STRUCK.encode())
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAnswer:
    """What a server answered.

    Attributes:
        key: The request's.
        url: The request's address as it may be printed.
        status: Of HTTP.
        body: Decoded (gzip is undone), at most the transport's limit.
        date: When it was answered, as the server's own ``Date`` header says, else our clock; ISO 8601, UTC.
        kind: Content type.
        cached: Whether it came from the cache.
    """

    key: str
    url: str
    status: int
    body: bytes = field(repr=False)
    date: str
    kind: str = ""
    cached: bool = False

    @property
    def sha256(self) -> str:
        """Of the body, hexadecimal."""
        return hashlib.sha256(self.body).hexdigest()
