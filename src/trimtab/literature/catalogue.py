"""Which databases there are, what a user's file changes about them, and what asks them.

A file names a database and what is different: another address (a mirror, a proxy of a library), another interval, the
environment variable its key is in::

    [openalex]
    url = "https://api.openalex.org/works"
    interval_s = 0.1
    key_variable = "OPENALEX_API_KEY"
"""

from __future__ import annotations

import platform
import tomllib
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from trimtab.errors import SearchError, nearest
from trimtab.literature.arxiv import ARXIV
from trimtab.literature.crossref import CROSSREF
from trimtab.literature.dblp import DBLP
from trimtab.literature.openalex import OPENALEX
from trimtab.literature.request import Bodies
from trimtab.literature.semanticscholar import SEMANTIC_SCHOLAR
from trimtab.literature.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from trimtab.literature.database import Database
    from trimtab.literature.transport import Mode

DATABASES: Final = {database.id: database for database in (ARXIV, OPENALEX, SEMANTIC_SCHOLAR, CROSSREF, DBLP)}
_TEXT_INTERVAL_S: Final = 3.0
_EXPECTED: Final = {"url": "an address", "interval_s": "seconds", "key_variable": "the name of a variable"}


def named(names: Iterable[str], file: Path | None = None) -> tuple[Database, ...]:
    """Return the databases named, as a user's file changes them.

    Raises:
        SearchError: A name is unknown, or the file cannot be read.
    """
    changes = _changes(file) if file else {}
    databases = []
    for name in names:
        if name not in DATABASES:
            raise SearchError(f"there is no database {name!r}", hint=nearest(name, DATABASES))
        databases.append(replace(DATABASES[name], **changes.get(name, {})))
    return tuple(databases)


def _changes(file: Path) -> dict[str, dict[str, Any]]:
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SearchError(f"the databases in {file} cannot be read: {error}") from error
    for name, table in tables.items():
        if name not in DATABASES:
            raise SearchError(f"{file}: there is no database [{name}]", hint=nearest(name, DATABASES))
        for key, value in table.items() if isinstance(table, dict) else {"?": table}.items():
            if key not in _EXPECTED:
                raise SearchError(f"{file}: [{name}] has an unknown key {key!r}", hint=nearest(key, _EXPECTED))
            if not isinstance(value, (int | float) if key == "interval_s" else str):
                raise SearchError(f"{file}: [{name}] {key} is {value!r}, expected {_EXPECTED[key]}")
    return tables


def transport(
    databases: Iterable[Database], folder: Path | None, mode: Mode, contact: str = "", texts: Iterable[str] = ()
) -> Transport:
    """Return what asks some databases and the hosts of full texts, and nobody else.

    Args:
        databases: Each at its own interval.
        folder: Keeps every answer; None keeps nothing.
        mode: "live"; "offline" and "replay" answer from the folder alone.
        contact: An address that is sent to servers and kept nowhere.
        texts: Hosts of full texts.
    """
    hosts = dict.fromkeys(texts, _TEXT_INTERVAL_S) | {database.host: database.interval_s for database in databases}
    who = f" (mailto:{contact})" if contact else ""
    agent = f"trimtab/{version('trimtab')} Python/{platform.python_version()}{who}"
    return Transport(hosts=hosts, agent=agent, bodies=Bodies(folder / "bodies") if folder else None, mode=mode)
