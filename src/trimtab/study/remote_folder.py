"""A run folder at a URL: an object store behind fsspec, in step with a folder on this machine.

Decisions: the local folder is what a study works in, since object stores have no appending, no locks and no renaming.
What is finished is put there as whole objects: a cell when it is done, the table and the report at the end. Last of a
cell comes ``objects.json``, which names every object with its SHA-256. A cell without it is not there, and an object
that differs from it is never read as a result. Models and checkpoints stay local.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from trimtab import disk
from trimtab.errors import MissingExtraError, RunFolderError
from trimtab.study import store

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT: Final = ("study.toml", "environment.json", "controls.json", "text.json")
_STAYS: Final = re.compile(r"(model|checkpoint|model\.tmp)/|.*\.(tmp|taken|corrupt)$|error\.txt$|leases/")
_OBJECTS: Final = "objects.json"
_DRIVER: Final = "driver.lock"


def is_url(text: str | Path | None) -> bool:
    """Tell whether this names an object store and not a folder."""
    return re.match(r"[a-z][a-z0-9+.-]*:/", str(text)) is not None


def local_folder(url: str) -> Path:
    """Return the folder on this machine that belongs to a URL: below ``TRIMTAB_STAGE``, or ``runs/remote``."""
    name = re.sub(r"[^\w.-]+", "-", url).strip("-")[-40:]
    return Path(os.environ.get("TRIMTAB_STAGE") or Path("runs") / "remote") / f"{name}-{_sha256(url.encode())[:8]}"


class RemoteFolder:
    """The objects of one run folder.

    Args:
        url: Where they are, as fsspec names it; a Path may have made one slash of two.

    Raises:
        MissingExtraError: fsspec is not installed.
        RunFolderError: It knows no such kind of store, or lacks the package for it.
    """

    def __init__(self, url: str | Path) -> None:
        try:
            import fsspec  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise MissingExtraError("fsspec", extra="remote") from error
        self.url = re.sub(r"^([a-z][a-z0-9+.-]*):/+", r"\1://", str(url)).rstrip("/")
        if self.url.startswith("file://"):
            self.url = self.url.replace("file://", "file:///", 1)
        try:
            self._store, root = fsspec.core.url_to_fs(self.url)
        except (ValueError, ImportError, OSError) as error:
            raise RunFolderError(f"{self.url} cannot be used: {error}", hint="s3:// needs s3fs, gs:// gcsfs") from error
        self._root = str(root).rstrip("/")

    def fetch(self, folder: store.RunFolder) -> None:
        """Bring what is finished there, and is not here in the same bytes, into the local folder.

        Raises:
            RunFolderError: The store cannot be read, or an object is not what its cell was finished with.
        """
        there = self._list()
        for name in _ROOT:
            if name in there:
                folder.path.mkdir(parents=True, exist_ok=True)
                disk.write_atomic_bytes(folder.path / name, self._read(name))
        for name in sorted(there):
            if re.fullmatch(rf"cells/[^/]+/{_OBJECTS}", name):
                self._fetch_cell(folder, name)

    def _fetch_cell(self, folder: store.RunFolder, manifest: str) -> None:
        cell = PurePosixPath(manifest).parent
        record = self._record(manifest)
        # The result comes last here too, so that a cell that is half fetched is not taken for a finished one.
        for name in sorted(record, key=lambda name: (name == "result.json", name)):
            path = folder.path / cell / name
            if ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute():
                raise RunFolderError(f"{self.url}/{manifest} names an object outside its cell: {name!r}")
            if path.exists() and _sha256(path.read_bytes()) == record[name]:
                continue
            content = self._read(f"{cell}/{name}")
            if _sha256(content) != record[name]:
                raise RunFolderError(
                    f"{self.url}/{cell}/{name} is not the object that its cell was finished with"
                    f" ({len(content)} bytes): it is half written or was changed",
                    hint=f"delete {self.url}/{manifest} to have the cell run again",
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            disk.write_atomic_bytes(path, content)

    def _record(self, manifest: str) -> dict[str, str]:
        try:
            record = json.loads(self._read(manifest))
            return {str(name): str(digest) for name, digest in record["sha256"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RunFolderError(
                f"{self.url}/{manifest} cannot be read: {error}", hint="delete it to have the cell run again"
            ) from error

    def put_finished(self, folder: store.RunFolder) -> None:
        """Put what the cells share, and each finished cell that is not there, as after a run that could not.

        Raises:
            RunFolderError: The store cannot be written.
        """
        self.put_shared(folder)
        there = self._list()
        for path in sorted((folder.path / "cells").glob("*/result.json")):
            if f"cells/{path.parent.name}/{_OBJECTS}" not in there:
                self.put_cell(store.CellFolder(path.parent))

    def put_shared(self, folder: store.RunFolder) -> None:
        """Put what belongs to no cell."""
        for name in _ROOT:
            if (folder.path / name).exists():
                self._write(name, (folder.path / name).read_bytes())

    def put_cell(self, cell: store.CellFolder) -> None:
        """Put a finished cell; it is there when its ``objects.json`` is, which is taken away first and comes last.

        Raises:
            RunFolderError: The store cannot be written.
        """
        place = f"cells/{cell.path.name}"
        with self._explained("written"):
            if self._store.exists(f"{self._root}/{place}/{_OBJECTS}"):
                self._store.rm_file(f"{self._root}/{place}/{_OBJECTS}")
        digests = {}
        for path in sorted(path for path in cell.path.rglob("*") if path.is_file()):
            name = path.relative_to(cell.path).as_posix()
            if not _STAYS.match(name):
                content = path.read_bytes()
                digests[name] = _sha256(content)
                self._write(f"{place}/{name}", content)
        self._write(f"{place}/{_OBJECTS}", json.dumps({"sha256": digests}, sort_keys=True, indent=1).encode())

    def put_answer(self, folder: store.RunFolder) -> None:
        """Put the table and the report, as far as they are there."""
        for path in (folder.table, *sorted(folder.report.parent.glob("*"))):
            if path.is_file():
                self._write(path.relative_to(folder.path).as_posix(), path.read_bytes())

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the URL for one run at a time, by an object that can be made once.

        Raises:
            RunFolderError: Another run holds it; one of this machine that is dead does not.
        """
        name, me = f"{self._root}/{_DRIVER}", {"host": socket.gethostname(), "pid": os.getpid()}
        content = json.dumps(me).encode()
        with self._explained("written"):
            self._store.makedirs(self._root, exist_ok=True)
            try:
                self._store.pipe_file(name, content, mode="create")
            except FileExistsError:
                holder = json.loads(self._store.cat_file(name) or b"{}")
                alive = holder.get("host") != me["host"] or Path(f"/proc/{holder['pid']}").exists()
                if alive and holder != me:
                    raise RunFolderError(
                        f"another run is working in {self.url}: process {holder.get('pid')} on {holder.get('host')}",
                        hint=f"wait for it or stop it; if it is dead, delete {self.url}/{_DRIVER}",
                    ) from None
                self._store.pipe_file(name, content)
        try:
            yield
        finally:
            with self._explained("written"):
                self._store.rm_file(name)

    def _list(self) -> set[str]:
        with self._explained("read"):
            self._store.invalidate_cache()
            if not self._store.exists(self._root):
                return set()
            return {str(path)[len(self._root) :].lstrip("/") for path in self._store.find(self._root)}

    def _read(self, name: str) -> bytes:
        with self._explained("read"):
            return bytes(self._store.cat_file(f"{self._root}/{name}"))

    def _write(self, name: str, content: bytes) -> None:
        """Put one object in a transaction: stores that can write a part show it when it is whole."""
        path = f"{self._root}/{name}"
        with self._explained("written"):
            self._store.makedirs(path.rpartition("/")[0], exist_ok=True)
            with self._store.transaction, self._store.open(path, "wb") as file:
                file.write(content)

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except RunFolderError:
            raise
        except Exception as error:  # each store has errors of its own
            raise RunFolderError(
                f"{self.url} cannot be {what}: {type(error).__name__}: {error}",
                hint=f"what is finished is in {local_folder(self.url).resolve()}; the same command goes on from there",
            ) from error


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
