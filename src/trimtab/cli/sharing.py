"""Verbs for a study that runs elsewhere: work, submit, export."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trimtab.cli.options import OUTPUT, STUDY
from trimtab.cli.study_place import open_study

if TYPE_CHECKING:
    from trimtab.study.pool import Event


@click.command()
@STUDY
@OUTPUT
@click.option("--lease", "patience_s", type=click.FloatRange(min=3), default=120.0, show_default=True,
              help="Seconds without a sign of life after which another worker's cell is taken over.")  # fmt: skip
@click.option("--cells", "most", type=click.IntRange(min=1), help="Stop after so many cells.")
@click.option("--wait/--no-wait", default=True, help="Wait for cells that other workers have, in case they die.")
@click.option("--failed-too", is_flag=True, help="Try cells again that failed, once.")
@click.option("--allow-unsandboxed", is_flag=True, help="Run generated code without isolation; marked in every table.")
def work(study_file: Path, output: Path | None, *, allow_unsandboxed: bool, **habits: Any) -> None:  # noqa: ANN401
    """Take cells of STUDY one by one from a run folder that other workers share.

    Start it as often as you like, on any machine that sees the folder: no two workers run the same cell, and the cell
    of a worker that dies is taken over. When no cell is left, `trimtab report` writes the page.
    """
    from trimtab.study import environment, requirements, shared_work  # noqa: PLC0415 - each verb loads only what it needs

    study, folder = open_study(study_file, output)
    requirements.require(study, folder.cache)
    environment.join(study, folder, study_file, allow_unsandboxed=allow_unsandboxed)
    worked = shared_work.work(study, folder, shared_work.WorkerHabits(**habits), on_event=_print)
    for name in worked.lost:
        click.echo(f"lost to another worker: {name}", err=True)
    for name in worked.failed:
        click.echo(f"failed: {name}; see {folder.cell(name).error}", err=True)
    cells = [cell.id for cell in study.cells()]
    left = sum(not folder.cell(name).result.exists() for name in cells)
    click.echo(f"{len(worked.done)} cells done here, {left} of {len(cells)} without a result", err=True)
    if worked.failed:
        sys.exit(1)


@click.command()
@STUDY
@OUTPUT
@click.option("--workers", type=click.IntRange(min=1), default=4, show_default=True, help="Tasks of the array.")
@click.option("--time", "limit", default="08:00:00", show_default=True, help="Time limit of a task, as Slurm reads it.")
@click.option("--memory", help="Memory of a task, as Slurm reads it. Default: the study's resources.memory_mib, or 4G.")
@click.option("--sbatch", "options", multiple=True, metavar="OPTION",
              help="A further line for sbatch, as --sbatch=--partition=cpu; repeatable.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Write and print the script, submit nothing.")
def submit(study_file: Path, output: Path | None, *, dry_run: bool, **array: Any) -> None:  # noqa: ANN401
    """Write a Slurm array whose tasks each run `trimtab work` on STUDY, print it, and submit it."""
    from trimtab.errors import RunFolderError  # noqa: PLC0415
    from trimtab.study import requirements, slurm  # noqa: PLC0415

    study, folder = open_study(study_file, output)
    requirements.require(study, folder.cache)
    folder.claim(study.text)
    script = slurm.write(study, folder, slurm.Array(**array), study_file.resolve())
    click.echo(script.read_text(encoding="utf-8"), nl=False)
    click.echo(f"script: {script}", err=True)
    if dry_run:
        return
    if shutil.which("sbatch") is None:
        raise RunFolderError(
            "there is no sbatch on this machine, so nothing was submitted",
            hint=f"copy the run folder to a login node of the cluster and run: sbatch {script}",
        )
    submitted = subprocess.run(["sbatch", str(script)], check=False)  # noqa: S603, S607 - the cluster's own, from PATH
    if submitted.returncode:
        raise RunFolderError(
            f"sbatch refused {script} with exit code {submitted.returncode}", hint="its message stands above"
        )


@click.command("export")
@STUDY
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder. Default: NAME-FRAMEWORK beside you.")
@click.option("--to", "framework", required=True, metavar="FRAMEWORK",
              help="megatron, torchtitan, olmo-core or nemo-automodel.")  # fmt: skip
def export_cells(study_file: Path, output: Path | None, framework: str) -> None:
    """Write each cell of STUDY as keyword arguments of another framework's configuration classes.

    Comments say what differs there under the same name. A cell that it has no words for is named, not written.
    """
    from trimtab.disk import write_atomic  # noqa: PLC0415
    from trimtab.study import export  # noqa: PLC0415

    study, _ = open_study(study_file, None)
    texts, refused = export.export(study, framework)
    folder = output or Path(f"{study.name}-{framework}")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_atomic(folder / f"{name}.py", text)
    for name, reason in refused.items():
        click.echo(f"not written: {name}: {reason}", err=True)
    click.echo(f"{len(texts)} of {len(texts) + len(refused)} cells in {folder}", err=True)
    if refused:
        sys.exit(1)


def _print(event: Event | None) -> None:
    if event is not None and event.kind == "progress" and event.stage == "setup":
        click.echo(f"taken: {event.folder.name}", err=True)
    if event is not None and event.kind == "done":
        click.echo(f"done: {event.folder.name}", err=True)
