"""Where a study lies: its file, its run folder, and the URL that the folder is kept in step with, if any."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trimtab.errors import RunFolderError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trimtab.study.pool import Event
    from trimtab.study.remote_folder import RemoteFolder
    from trimtab.study.spec import Study
    from trimtab.study.store import RunFolder


@dataclass(frozen=True, slots=True)
class StudyPlace:
    """A study, its run folder on this machine, and the objects that it is kept in step with; None for none."""

    study: Study
    folder: RunFolder
    remote: RemoteFolder | None = None

    @contextmanager
    def worked_in(self) -> Iterator[None]:
        """Hold the URL for one run, and put what an earlier run could not.

        Raises:
            RunFolderError: Another run holds it, it holds another study, or it cannot be written.
        """
        if self.remote is None:
            yield
            return
        with self.remote.lock():
            self.folder.claim(self.study.text)
            self.remote.put_finished(self.folder)
            yield

    def take(self, event: Event | None) -> None:
        """Put a cell when it is done."""
        from trimtab.study.store import CellFolder  # noqa: PLC0415 - each verb loads only what it needs

        if self.remote is not None and event is not None and event.kind == "done":
            self.remote.put_shared(self.folder)
            self.remote.put_cell(CellFolder(event.folder))


def open_place(study_file: Path, output: Path | None) -> StudyPlace:
    """Read a study file, or the study of a run folder; each of the two, and the run folder, may be at a URL.

    What is finished at the URL is fetched first.

    Raises:
        RunFolderError: The URL cannot be read, or has no study.
    """
    from trimtab.study import remote_folder, spec, store  # noqa: PLC0415

    url = output if remote_folder.is_url(output) else study_file if remote_folder.is_url(study_file) else None
    if url is None:
        return StudyPlace(*open_study(study_file, output))
    remote = remote_folder.RemoteFolder(url)
    folder = store.RunFolder(remote_folder.local_folder(remote.url).resolve())
    remote.fetch(folder)
    if not remote_folder.is_url(study_file):
        return StudyPlace(spec.load(folder_study(study_file)), folder, remote)
    if not folder.study.exists():
        raise RunFolderError(f"{remote.url} holds no study", hint="trimtab run STUDY -o URL puts one there")
    if output is not None and not remote_folder.is_url(output):
        raise RunFolderError(
            f"{study_file} is a run folder at a URL and is not continued in {output}",
            hint="leave -o out, or name a study file",
        )
    return StudyPlace(spec.load(folder.study), folder, remote)


def folder_study(study_file: Path) -> Path:
    """Return the study file of a path that may be a run folder."""
    from trimtab.study import store  # noqa: PLC0415

    return store.RunFolder(study_file.resolve()).study if study_file.is_dir() else study_file


def open_study(study_file: Path, output: Path | None) -> tuple[Study, RunFolder]:
    """Read a study file, or the study of a run folder; return it with its run folder.

    Raises:
        RunFolderError: One of them is at a URL, where nothing can be locked or appended to.
    """
    from trimtab.study import remote_folder, spec, store  # noqa: PLC0415

    for path in (study_file, output):
        if remote_folder.is_url(path):
            raise RunFolderError(
                f"{path} is a URL, and this verb needs a folder on this machine",
                hint="plan, run, status, table and report take URLs; several workers need a folder that all see",
            )
    study = spec.load(folder_study(study_file))
    if study_file.is_dir():  # a run folder, which holds the study it belongs to
        return study, store.RunFolder((output or study_file).resolve())
    return study, store.RunFolder((output or Path("runs") / study.name).resolve())
