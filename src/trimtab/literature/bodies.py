"""The cache of raw bodies: one file an answer, named by the request, so that a search can be replayed byte for byte."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - a field of a dataclass

from trimtab.disk import write_atomic_bytes
from trimtab.errors import SearchError
from trimtab.literature.request import Request, ServerAnswer


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
