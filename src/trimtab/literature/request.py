"""What is asked of a server, what it answered, and where that is kept, with everything private kept apart.

A key or an e-mail address is sent and never kept: it is no part of a request's name, of the log, of the cache or of a
message, and where a server repeats it in its answer it is struck out there. The cache has one file an answer, named by
the request, so that a search can be replayed byte for byte.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping  # noqa: TC003 - the defaults below are made by it
from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003 - a field of a dataclass
from urllib.parse import quote, urlencode, urlsplit

from trimtab.disk import write_atomic_bytes
from trimtab.errors import SearchError

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
    params: Mapping[str, str] = field(default_factory=dict)
    private: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    may_be_absent: bool = False

    @property
    def host(self) -> str:
        """Host name in lower case, with the port where one is given."""
        return urlsplit(self.url).netloc.lower()

    @property
    def key(self) -> str:
        """SHA-256 of everything that decides the answer: the name of its body in the cache."""
        return hashlib.sha256(json.dumps(["GET", self.url, [*self.params.items()]]).encode()).hexdigest()

    @property
    def shown(self) -> str:
        """The address as it may be printed: without anything private."""
        return self._address(self.params)

    @property
    def sent(self) -> str:
        """The address as it is sent."""
        return self._address({**self.params, **self.private})

    def _address(self, params: Mapping[str, str]) -> str:
        return f"{self.url}?{urlencode(params, quote_via=quote)}" if params else self.url

    def strike(self, body: bytes) -> bytes:
        """Return ``body`` without private values, in whatever way an address writes them."""
        for value in filter(None, (*self.private.values(), *self.headers.values())):
            for form in (value, quote(value), quote(value, safe="")):
                body = body.replace(form.encode(), STRUCK.encode())
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAnswer:
    """What a server answered.

    Attributes:
        status: Of HTTP.
        body: Decoded (gzip is undone), without anything private.
        date: When it was answered, as the server's own ``Date`` header says, else our clock; ISO 8601, UTC.
        kind: Content type.
    """

    status: int
    body: bytes = field(repr=False)
    date: str
    kind: str = ""

    @property
    def sha256(self) -> str:
        """Of the body, hexadecimal."""
        return hashlib.sha256(self.body).hexdigest()


@dataclass(frozen=True, slots=True)
class Bodies:
    """Answers on disk: a line of JSON that says what was asked and answered, then the body as it came.

    Args:
        folder: Where they lie; made when absent.
    """

    folder: Path

    def _path(self, request: Request) -> Path:
        return self.folder / request.key[:2] / request.key

    def get(self, request: Request) -> ServerAnswer | None:
        """Return the answer that is here.

        Raises:
            SearchError: The file is not what this class writes.
        """
        path = self._path(request)
        if not path.exists():
            return None
        head, _, body = path.read_bytes().partition(b"\n")
        try:
            held = json.loads(head)
            return ServerAnswer(status=int(held["status"]), body=body, date=str(held["date"]), kind=str(held["kind"]))
        except (ValueError, KeyError, TypeError) as error:
            raise SearchError(f"{path} is no kept answer: {error}", hint="remove the file to ask again") from error

    def put(self, request: Request, answer: ServerAnswer) -> None:
        """Keep an answer; it appears whole or not at all."""
        path = self._path(request)
        path.parent.mkdir(parents=True, exist_ok=True)
        head = {"url": request.shown, "status": answer.status, "date": answer.date, "kind": answer.kind}
        write_atomic_bytes(path, json.dumps(head, sort_keys=True).encode() + b"\n" + answer.body)
