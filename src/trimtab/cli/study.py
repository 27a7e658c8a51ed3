"""Verbs over a study file: plan, run, status, table, report, controls."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trimtab.cli.options import JSON, OUTPUT, RAY, STUDY
from trimtab.cli.study_place import StudyPlace, open_place

if TYPE_CHECKING:
    from trimtab.study.pool import Event
    from trimtab.study.run import Summary
    from trimtab.study.table import StudyTable


@click.command()
@STUDY
@OUTPUT
@JSON
def plan(study_file: Path, output: Path | None, *, as_json: bool) -> None:
    """List the cells of STUDY and estimate the time they will take here."""
    from trimtab.study import planning  # noqa: PLC0415 - each verb loads only what it needs

    place = open_place(study_file, output)
    study, folder = place.study, place.folder
    estimate = planning.estimate(study, folder)
    if as_json:
        click.echo(json.dumps(estimate.record(), indent=1))
        return
    for cell in estimate.cells:
        click.echo(f"{'done' if cell in estimate.finished else 'to do':6} {cell}")
    click.echo(estimate.sentence(), err=True)


@click.command()
@STUDY
@OUTPUT
@click.option("-j", "--workers", type=click.IntRange(min=1), help="Cells side by side. Default: as the cores allow.")
@RAY
@click.option("--lease", "patience_s", type=click.FloatRange(min=3), default=120.0, show_default=True,
              help="With --ray: seconds without a sign of life after which a cell is taken over.")  # fmt: skip
@click.option("--allow-unsandboxed", is_flag=True, help="Run generated code without isolation; marked in every table.")
@click.option("--track", "trackers", multiple=True, metavar="NAME",
              help="Follow training in tensorboard, wandb, trackio or mlflow; repeatable.")  # fmt: skip
@click.option("--report/--no-report", "with_report", default=True, help="Write the report at the end.")
def run(study_file: Path, output: Path | None, *, with_report: bool, **habits: Any) -> None:  # noqa: ANN401
    """Run every cell of STUDY that has no result yet, then print the answer and write the report."""
    from trimtab.study import run as runner  # noqa: PLC0415

    place = open_place(study_file, output)
    study, folder = place.study, place.folder
    if not runner.unfinished(study, folder):
        click.echo(f"all {len(list(study.cells()))} cells are done", err=True)
    else:
        with place.worked_in():
            summary = _run_cells(place, study_file, **habits)
        for name in summary.corrupt:
            click.echo(f"{folder.cell(name).path} held a corrupt file; the cell was redone", err=True)
        for name in summary.failed:
            click.echo(f"failed: {name}; see {folder.cell(name).error}", err=True)
    _answer(place, with_report=with_report)
    if runner.unfinished(study, folder):
        sys.exit(1)


def _run_cells(  # noqa: PLR0913 - the options of `run`
    place: StudyPlace,
    study_file: Path,
    *,
    workers: int | None,
    ray_address: str | None,
    patience_s: float,
    allow_unsandboxed: bool,
    trackers: tuple[str, ...],
) -> Summary:
    """Run the cells on local processes, or on a Ray cluster."""
    from trimtab.study import environment, progress, ray_driver, requirements, resources  # noqa: PLC0415
    from trimtab.study import run as runner  # noqa: PLC0415
    from trimtab.study import trackers as tracking  # noqa: PLC0415
    from trimtab.study.remote_folder import is_url  # noqa: PLC0415

    study, folder = place.study, place.folder
    if is_url(study_file):
        study_file = folder.study
    requirements.require(study, folder.cache)
    tracking.choose(folder, trackers)
    environment.record(study, folder, study_file, allow_unsandboxed=allow_unsandboxed)
    here = 1 if ray_address else resources.workers_here(study)
    with progress.Display(study, folder, workers or here) as display:

        def take(event: Event | None) -> None:
            place.take(event)
            display(event)

        if ray_address is None:
            return runner.run(study, folder, workers=workers, on_event=take)
        habits = ray_driver.OnRay(
            address=ray_address,
            side_by_side=workers,
            patience_s=patience_s,
            allow_unsandboxed=allow_unsandboxed,
        )
        return ray_driver.run(
            study,
            folder,
            habits,
            on_event=take,
            on_retry=lambda name, worker: click.echo(f"taken over from {worker}: {name}", err=True),
        )


@click.command()
@STUDY
@OUTPUT
@JSON
def status(study_file: Path, output: Path | None, *, as_json: bool) -> None:
    """Say of each cell of STUDY whether it is done, running, failed or waiting."""
    from trimtab.study import planning  # noqa: PLC0415

    place = open_place(study_file, output)
    states = planning.states(place.study, place.folder)
    if as_json:
        click.echo(json.dumps(states, indent=1))
        return
    for cell, state in states.items():
        click.echo(f"{state:24} {cell}")


@click.command()
@STUDY
@OUTPUT
@JSON
def table(study_file: Path, output: Path | None, *, as_json: bool) -> None:
    """Print the answer of STUDY from the cells that are done."""
    place = open_place(study_file, output)
    if as_json:
        from trimtab.study.table import StudyTable  # noqa: PLC0415

        click.echo(json.dumps(StudyTable.load(place.folder.path, place.study).record(), indent=1))
        return
    _answer(place, with_report=False, put=False)


@click.command()
@STUDY
@OUTPUT
def report(study_file: Path, output: Path | None) -> None:
    """Write the report of STUDY from the cells that are done."""
    _answer(open_place(study_file, output), with_report=True)


@click.command()
@STUDY
@OUTPUT
def controls(study_file: Path, output: Path | None) -> None:
    """Measure the controls of STUDY from its finished cells and print them as JSON, to be kept beside a study."""
    from trimtab.study import controls as measuring  # noqa: PLC0415
    from trimtab.study.table import StudyTable  # noqa: PLC0415

    place = open_place(study_file, output)
    click.echo(json.dumps(measuring.measure(StudyTable.load(place.folder.path, place.study)), indent=1))


def study_table(path: Path) -> StudyTable:
    """Read a run folder, or the run folder of a study file."""
    from trimtab.study import spec  # noqa: PLC0415
    from trimtab.study.table import StudyTable  # noqa: PLC0415

    study = spec.load(path / "study.toml" if path.is_dir() else path)
    return StudyTable.load(path if path.is_dir() else Path("runs") / study.name, study)


def _answer(place: StudyPlace, *, with_report: bool, put: bool = True) -> None:
    """Print the answer table; write the table and the page, and put them at the study's URL."""
    from trimtab.report import terminal  # noqa: PLC0415
    from trimtab.study.table import StudyTable  # noqa: PLC0415

    found = StudyTable.load(place.folder.path, place.study)
    terminal.show(found)
    if found.results:
        found.write_csv()
    if with_report:
        from trimtab.report import page  # noqa: PLC0415

        click.echo(f"report: {page.write(found, place.folder.path)}")
    if put and place.remote is not None:
        place.remote.put_answer(place.folder)
        click.echo(f"put at {place.remote.url}", err=True)
