"""Records as lines of JSON: their schema, how they are written and read back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from trimtab.errors import ClaimError

if TYPE_CHECKING:
    from collections.abc import Iterable

_Record = TypeVar("_Record")


class RecordLines(Generic[_Record]):
    """How one kind of record is written.

    Args:
        kind: The class of the records.
        title: What a line is, for the schema.
    """

    def __init__(self, kind: type[_Record], title: str) -> None:
        self._adapter: Final[TypeAdapter[_Record]] = TypeAdapter(kind)
        self._title = title

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of a line."""
        dialect = "https://json-schema.org/draft/2020-12/schema"
        return {**self._adapter.json_schema(mode="serialization"), "$schema": dialect, "title": self._title}

    def dump(self, records: Iterable[_Record]) -> str:
        """Return the lines of a file."""
        return "".join(self._adapter.dump_json(record).decode() + "\n" for record in records)

    def record(self, record: _Record) -> dict[str, Any]:
        """Return a record as plain values."""
        values: dict[str, Any] = self._adapter.dump_python(record, mode="json")
        return values

    def read(self, line: str) -> _Record:
        """Read a line back.

        Raises:
            pydantic.ValidationError: It is no such record.
        """
        return self._adapter.validate_json(line)

    def parse(self, line: str, where: str) -> _Record:
        """Read a line that somebody else may have written.

        Raises:
            ClaimError: It is no such record; the message says where it stands and what is wrong.
        """
        try:
            return self.read(line)
        except ClaimError as error:  # a value that is no number; raised as it is, pydantic wraps only ValueError
            raise ClaimError(f"{where}: {error.message}") from error
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise ClaimError(
                f"{where}: {place or 'the line'}: {first['msg']} (got {json.dumps(first['input'], default=str)[:120]})",
                hint="`trimtab evidence schema` prints what a claim may hold",
            ) from error
