"""Which databases there are, where they are, how often they may be asked, and what a user's file changes about that.

A file names a database and what is different: another address (a mirror, a proxy of a library), another interval, the
environment variable its key is in::

    [openalex]
    url = "https://api.openalex.org/works"
    interval_s = 0.1
    key_variable = "OPENALEX_API_KEY"
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from trimtab.errors import SearchError, nearest
from trimtab.literature.arxiv import ArXiv
from trimtab.literature.crossref import Crossref
from trimtab.literature.dblp import DBLP
from trimtab.literature.openalex import OpenAlex
from trimtab.literature.semanticscholar import SemanticScholar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from trimtab.literature.database import Database

_FIELDS: Final = {"url", "interval_s", "key_variable"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabasePlace:
    """One database as it is asked.

    Attributes:
        id: The name on the command line.
        url: Its address.
        interval_s: Least seconds between two requests.
        key_variable: Environment variable of its key, or of the e-mail address for Crossref; empty if it takes none.
    """

    id: str
    url: str
    interval_s: float
    key_variable: str = ""

    @property
    def host(self) -> str:
        """Host, with a port where it is not the usual one."""
        return urlsplit(self.url).netloc.lower()

    def open(self, environment: Mapping[str, str] = os.environ) -> Database:
        """Return the connector, with the key of the environment."""
        secret = environment.get(self.key_variable, "") if self.key_variable else ""
        connectors: dict[str, Callable[[], Database]] = {
            "arxiv": lambda: ArXiv(url=self.url),
            "openalex": lambda: OpenAlex(url=self.url, key=secret),
            "semanticscholar": lambda: SemanticScholar(url=self.url, key=secret),
            "crossref": lambda: Crossref(url=self.url, mailto=secret),
            "dblp": lambda: DBLP(url=self.url),
        }
        return connectors[self.id]()


PLACES: Final = {
    place.id: place
    for place in (
        # One request in three seconds: arXiv's API manual.
        DatabasePlace(id="arxiv", url="https://export.arxiv.org/api/query", interval_s=3.0),
        DatabasePlace(
            id="openalex", url="https://api.openalex.org/works", interval_s=0.1, key_variable="OPENALEX_API_KEY"
        ),
        DatabasePlace(
            id="semanticscholar",
            url="https://api.semanticscholar.org/graph/v1/paper/search/bulk",
            interval_s=1.0,
            key_variable="S2_API_KEY",
        ),
        # Its headers say the rate: 5 a second in the public pool of 2026, as recorded.
        DatabasePlace(
            id="crossref", url="https://api.crossref.org/works", interval_s=0.2, key_variable="CROSSREF_MAILTO"
        ),
        DatabasePlace(id="dblp", url="https://dblp.org/search/publ/api", interval_s=1.0),
    )
}


def places(names: Iterable[str], file: Path | None = None) -> tuple[DatabasePlace, ...]:
    """Return the databases named, as a user's file changes them.

    Raises:
        SearchError: A name is unknown, or the file cannot be read.
    """
    changes = _read(file) if file else {}
    found = []
    for name in names:
        if name not in PLACES:
            raise SearchError(f"there is no database {name!r}", hint=nearest(name, PLACES))
        found.append(replace(PLACES[name], **changes.get(name, {})))
    return tuple(found)


def _read(file: Path) -> dict[str, dict[str, Any]]:
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SearchError(f"the databases in {file} cannot be read: {error}") from error
    for name, table in tables.items():
        if name not in PLACES:
            raise SearchError(f"{file}: there is no database [{name}]", hint=nearest(name, PLACES))
        for key in table.keys() - _FIELDS if isinstance(table, dict) else {"?"}:
            raise SearchError(f"{file}: [{name}] has an unknown key {key!r}", hint=nearest(key, _FIELDS))
        if "interval_s" in table and not isinstance(table["interval_s"], int | float):
            raise SearchError(f"{file}: [{name}] interval_s is {table['interval_s']!r}, expected seconds")
    return tables
