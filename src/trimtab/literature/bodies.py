"""The cache of raw bodies: one file an answer, named by the request, so that a search can be replayed byte for byte."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from trimtab.disk import write_atomic_bytes
from trimtab.errors import SearchError
from trimtab.literature.request import ServerAnswer

if TYPE_CHECKING:
    from pathlib import Path

    from trimtab.literature.request import Request


class Bodies:
    """Answers on disk: a line of JSON that says what was asked and answered, then the body as it came.

    Args:
        folder: Where they lie; made when absent.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, request: Request) -> Path:
        """Return where the answer to a request lies, or would."""
        return self._folder / request.key[:2] / request.key

    def get(self, request: Request) -> ServerAnswer | None:
        """Return the answer that is here.

        Raises:
            SearchError: The file is not what this class writes.
        """
        path = self.path(request)
        if not path.exists():
            return None
        head, _, body = path.read_bytes().partition(b"\n")
        try:
            stored = json.loads(head)
            return ServerAnswer(
                key=request.key,
                url=request.shown,
                status=int(stored["status"]),
                body=body,
                date=str(stored["date"]),
                kind=str(stored["kind"]),
                cached=True,
            )
        except (ValueError, KeyError, TypeError) as error:
            raise SearchError(f"{path} is no kept answer: {error}", hint="remove the file to ask again") from error

    def put(self, request: Request, answer: ServerAnswer) -> None:
        """Keep an answer; it appears whole or not at all."""
        path = self.path(request)
        path.parent.mkdir(parents=True, exist_ok=True)
        head = {"url": request.shown, "status": answer.status, "date": answer.date, "kind": answer.kind}
        write_atomic_bytes(path, json.dumps(head, sort_keys=True).encode() + b"\n" + answer.body)
